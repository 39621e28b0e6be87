//! One group, call by call: every transition, and every error in every state.
mod rebalance;
mod restart;
mod states;
mod statics;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::coordinator::calls::{JoinGroup, Joined, Leaving, MemberRef, SyncGroup, Synced, Then};

const SESSION: i32 = 10_000;
const REBALANCE: i32 = 60_000;

/// A group with its time, and whatever it has answered.
struct Bench {
    group: Group,
    rules: Rules,
    now: Now,
    next: Ticket,
    joins: BTreeMap<Ticket, Result<Joined, (String, GroupError)>>,
    syncs: BTreeMap<Ticket, Result<Synced, GroupError>>,
    stores: Vec<(GroupItem, Then)>,
    /// What was stored last.
    last: Option<GroupItem>,
    /// That a generation begins is durable without the test's doing.
    begins_at_once: bool,
}

impl Bench {
    fn new() -> Self {
        let now = Now { ms: 0, wall_ms: 1_700_000_000_000 };
        Self {
            group: Group::new("g", now),
            rules: Rules { initial_delay_ms: 3_000, max_size: 4, max_bytes: 10_000, takes_back: true },
            now,
            next: 0,
            joins: BTreeMap::new(),
            syncs: BTreeMap::new(),
            stores: Vec::new(),
            last: None,
            begins_at_once: true,
        }
    }

    fn run<T>(&mut self, call: impl FnOnce(&mut Group, &mut Cx) -> T) -> T {
        let mut out = Vec::new();
        let answer = call(&mut self.group, &mut Cx { rules: &self.rules, now: self.now, out: &mut out });
        self.take(out);
        answer
    }

    fn stored(&mut self, then: Then, stored: Result<(), GroupError>) {
        let mut out = Vec::new();
        self.group.stored(then, stored, &mut Cx { rules: &self.rules, now: self.now, out: &mut out });
        self.take(out);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Joined(ticket, answer) => {
                    let answer = answer.map_err(|refused| (refused.member_id, refused.error));
                    assert!(self.joins.insert(ticket, answer).is_none(), "join {ticket} is answered twice");
                }
                Effect::Synced(ticket, answer) => {
                    assert!(self.syncs.insert(ticket, answer).is_none(), "sync {ticket} is answered twice");
                }
                Effect::Beaten(..) => unreachable!("nobody speaks the consumer protocol"),
                Effect::Store(_, then @ Then::Begin { .. }) if self.begins_at_once => self.stored(then, Ok(())),
                Effect::Store(item, then) => {
                    self.last = Some(item.clone());
                    self.stores.push((item, then));
                }
            }
        }
    }

    fn join(&mut self, join: JoinGroup) -> Ticket {
        self.next += 1;
        let ticket = self.next;
        self.run(|group, cx| group.join(ticket, join, cx));
        ticket
    }

    fn sync(&mut self, id: &str, generation: i32, assignments: &[(&str, &str)]) -> Ticket {
        let assignments = assignments.iter().map(|(id, text)| ((*id).to_owned(), Bytes::from((*text).to_owned())));
        self.sync_as(SyncGroup {
            member: at(id, generation),
            assignments: assignments.collect(),
            ..SyncGroup::default()
        })
    }

    fn sync_as(&mut self, sync: SyncGroup) -> Ticket {
        self.next += 1;
        let ticket = self.next;
        self.run(|group, cx| group.sync(ticket, sync, cx));
        ticket
    }

    /// Lets time pass, with a tick at each deadline.
    fn pass(&mut self, ms: i64) {
        let end = self.now.ms + ms;
        while self.now.ms < end {
            let next = self.group.next_deadline().map_or(end, |at| at.clamp(self.now.ms + 1, end));
            self.now.wall_ms += next - self.now.ms;
            self.now.ms = next;
            self.run(|group, cx| group.tick(cx));
        }
    }

    /// Everything that was stored is durable now.
    fn sync_wal(&mut self) {
        for (_, then) in std::mem::take(&mut self.stores) {
            self.stored(then, Ok(()));
        }
    }

    fn joined(&mut self, ticket: Ticket) -> Joined {
        self.joins.remove(&ticket).expect("an answer").expect("a place")
    }

    fn refused(&mut self, ticket: Ticket) -> (String, GroupError) {
        self.joins.remove(&ticket).expect("an answer").expect_err("a refusal")
    }

    fn heartbeat(&mut self, id: &str, generation: i32) -> Result<(), GroupError> {
        self.run(|group, cx| group.heartbeat(&at(id, generation), cx.now))
    }

    fn commit(&mut self, member: MemberRef) -> Result<(), GroupError> {
        self.run(|group, cx| group.check_commit(&member, false, cx.now))
    }

    fn leave(&mut self, id: &str) -> Result<(), GroupError> {
        let leaving = [Leaving { member_id: id.to_owned(), instance_id: None }];
        self.run(|group, cx| group.leave(&leaving, cx)).expect("the group lives").remove(0)
    }

    /// A stable group of these members, at generation 1, led by the first.
    fn stable(ids: &[&str]) -> Self {
        let mut bench = Self::new();
        for id in ids {
            bench.join(new(id));
        }
        bench.pass(3_000);
        bench.pass(3_000);
        bench.joins.clear();
        bench.settle(ids, 1);
        bench
    }

    fn settle(&mut self, ids: &[&str], generation: i32) {
        let leader = self.group.leader.clone().unwrap();
        let assignments: Vec<_> = ids.iter().map(|id| (*id, *id)).collect();
        for id in ids {
            let assignments = if *id == leader { assignments.clone() } else { Vec::new() };
            self.sync(id, generation, &assignments);
        }
        self.sync_wal();
        assert_eq!(self.group.state(), State::Stable);
        assert!(std::mem::take(&mut self.syncs).values().all(Result::is_ok));
    }

    /// The same group after a crash: only what was stored last is known.
    fn restart(&mut self, item: GroupItem) {
        let item = classic(item);
        self.group = self.run(|_, cx| Group::restore("g", item, cx));
        self.joins.clear();
        self.syncs.clear();
        self.stores.clear();
    }
}

fn at(id: &str, generation: i32) -> MemberRef {
    MemberRef { id: id.to_owned(), instance_id: None, generation }
}

fn protocols(names: &[&str]) -> Vec<(String, Bytes)> {
    names.iter().map(|name| ((*name).to_owned(), Bytes::from_static(b"\x00\x00\x00\x00\x00\x01\x00\x01t"))).collect()
}

/// A dynamic member of an old client, so that it joins at once under this id.
fn new(id: &str) -> JoinGroup {
    JoinGroup {
        new_member_id: id.to_owned(),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: SESSION,
        rebalance_timeout_ms: REBALANCE,
        protocol_type: CONSUMER.to_owned(),
        protocols: protocols(&["range", "sticky"]),
        ..JoinGroup::default()
    }
}

fn again(id: &str) -> JoinGroup {
    JoinGroup { member_id: id.to_owned(), new_member_id: String::new(), ..new(id) }
}

fn fixed(instance: &str, id: &str) -> JoinGroup {
    JoinGroup { instance_id: Some(instance.to_owned()), knows_skip_assignment: true, ..new(id) }
}

fn classic(item: GroupItem) -> ClassicItem {
    match item {
        GroupItem::Classic(item) => item,
        GroupItem::Consumer(item) => panic!("{item:?}"),
    }
}

impl Group {
    /// What holds whatever was called.
    pub fn assert_sound(&self) {
        let leads = self.leader.as_ref().map(|leader| self.members.contains_key(leader));
        assert_eq!(leads, (!self.members.is_empty()).then_some(true), "the leader is a member");
        let named = |(id, member): (&String, &Member)| Some((member.instance_id.clone()?, id.clone()));
        assert_eq!(self.statics, self.members.iter().filter_map(named).collect(), "instances name their members");
        assert!(self.unsynced.iter().all(|id| self.members.contains_key(id)));
        match self.state {
            State::Empty | State::Dead => assert!(self.members.is_empty()),
            State::Preparing { .. } => assert!(self.join_timer.is_some(), "a rebalance always comes to an end"),
            State::Completing => {
                let leader_synced = self.leader.as_ref().is_some_and(|leader| self.members[leader].syncing.is_some());
                let ends = self.sync_deadline.is_some() || leader_synced || !self.told;
                assert!(ends, "a generation always comes to an end");
            }
            State::Stable => assert!(self.members.values().all(|member| member.syncing.is_none())),
        }
        for member in self.members.values() {
            let waits = member.joining.is_some() || member.syncing.is_some();
            assert!(member.deadline.is_some() || waits, "nobody stays for ever");
        }
    }
}
