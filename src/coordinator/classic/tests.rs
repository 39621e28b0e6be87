//! One group, call by call: every transition, and every error in every state.
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
    /// That a generation begins is durable without the test's doing.
    begins_at_once: bool,
}

impl Bench {
    fn new() -> Self {
        let now = Now { ms: 0, wall_ms: 1_700_000_000_000 };
        Self {
            group: Group::new("g", now),
            rules: Rules { initial_delay_ms: 3_000, max_size: 4, max_bytes: 10_000 },
            now,
            next: 0,
            joins: BTreeMap::new(),
            syncs: BTreeMap::new(),
            stores: Vec::new(),
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
                Effect::Store(_, then @ Then::Begin { .. }) if self.begins_at_once => self.stored(then, Ok(())),
                Effect::Store(item, then) => self.stores.push((item, then)),
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
        let GroupItem::Classic(item) = item;
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

#[test]
fn the_first_generation_waits_for_more_members_and_then_begins() {
    let mut bench = Bench::new();
    let a = bench.join(new("a"));
    bench.pass(2_999);
    let b = bench.join(new("b"));
    bench.pass(1);
    assert!(bench.joins.is_empty(), "somebody came, so it is put off");
    bench.pass(3_000);
    let (a, b) = (bench.joined(a), bench.joined(b));
    assert_eq!((a.generation, a.leader.as_str(), a.members.len()), (1, "a", 2));
    assert_eq!((b.generation, b.leader.as_str(), b.members.len(), b.member_id.as_str()), (1, "a", 0, "b"));
    assert_eq!(a.protocol.as_deref(), Some("range"));
    assert_eq!(bench.group.state(), State::Completing);
    let b = bench.sync("b", 1, &[]);
    let a = bench.sync("a", 1, &[("a", "x"), ("b", "y"), ("stranger", "z")]);
    assert!(bench.syncs.is_empty(), "not before it is durable");
    bench.sync_wal();
    assert_eq!(bench.syncs[&a].as_ref().unwrap().assignment, "x");
    assert_eq!(bench.syncs[&b].as_ref().unwrap().assignment, "y");
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn the_initial_delay_ends_with_the_rebalance_timeout() {
    let mut bench = Bench::new();
    let first = bench.join(JoinGroup { rebalance_timeout_ms: 7_000, ..new("a") });
    for id in ["b", "c", "d"] {
        bench.pass(2_000);
        bench.join(JoinGroup { rebalance_timeout_ms: 7_000, ..new(id) });
    }
    bench.pass(2_000);
    assert_eq!(bench.joined(first).members.len(), 4);
}

#[test]
fn a_generation_that_cannot_be_stored_is_taken_back() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.join(again("a"));
    bench.join(again("b"));
    let b = bench.sync("b", 2, &[]);
    let a = bench.sync("a", 2, &[("a", "x")]);
    let (_, then) = bench.stores.pop().unwrap();
    let full = GroupError::NotAvailable("full".into());
    bench.stored(then, Err(full.clone()));
    assert_eq!((&bench.syncs[&a], &bench.syncs[&b]), (&Err(full.clone()), &Err(full)));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    let a = bench.join(again("a"));
    bench.join(again("b"));
    assert_eq!(bench.joined(a).generation, 3);
}

#[test]
fn what_became_durable_too_late_changes_nothing() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.join(again("a"));
    bench.join(again("b"));
    let sync = bench.sync("a", 2, &[("a", "x"), ("b", "y")]);
    bench.join(new("c"));
    assert_eq!(bench.syncs[&sync], Err(GroupError::RebalanceInProgress));
    bench.sync_wal();
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert!(bench.group.members.values().all(|member| member.assignment.is_empty()));
}

#[test]
fn dynamic_members_get_an_id_first() {
    let mut bench = Bench::new();
    let knows = |join: JoinGroup| JoinGroup { knows_member_id_required: true, ..join };
    let ticket = bench.join(knows(new("a")));
    assert_eq!(bench.refused(ticket), ("a".to_owned(), GroupError::MemberIdRequired));
    assert!(bench.group.members.is_empty() && !bench.group.is_unused());
    let ticket = bench.join(knows(again("a")));
    bench.pass(3_000);
    assert_eq!(bench.joined(ticket).member_id, "a");
    // An id that is not used is forgotten with the session, and until then a rebalance waits for it.
    bench.settle(&["a"], 1);
    bench.join(knows(new("b")));
    bench.joins.clear();
    let ticket = bench.join(again("a"));
    assert!(!bench.joins.contains_key(&ticket));
    bench.pass(i64::from(SESSION));
    assert_eq!(bench.joined(ticket).generation, 2);
    let ticket = bench.join(knows(again("b")));
    assert_eq!(bench.refused(ticket), ("b".to_owned(), GroupError::UnknownMember));
}

#[test]
fn members_that_do_not_join_again_in_time_are_not_part_of_the_next_generation() {
    let mut bench = Bench::stable(&["a", "b", "c"]);
    let b = bench.join(again("b"));
    assert_eq!(bench.group.state(), State::Stable, "nothing changed for a member that is no leader");
    assert_eq!((bench.joined(b).generation, bench.group.generation()), (1, 1));
    let d = bench.join(new("d"));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    for id in ["a", "b", "c"] {
        assert_eq!(bench.heartbeat(id, 1), Err(GroupError::RebalanceInProgress));
    }
    let c = bench.join(again("c"));
    for _ in 0..12 {
        bench.pass(5_000);
        for id in ["a", "b"] {
            let _ = bench.heartbeat(id, 1);
        }
    }
    let (c, d) = (bench.joined(c), bench.joined(d));
    assert_eq!((c.generation, c.leader.as_str(), d.leader.as_str()), (2, "c", "c"));
    assert_eq!(c.members.iter().map(|member| member.id.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    assert_eq!(bench.heartbeat("a", 1), Err(GroupError::UnknownMember));
}

#[test]
fn a_member_that_vanishes_without_a_word_starts_a_rebalance() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.pass(i64::from(SESSION) - 1);
    assert_eq!(bench.heartbeat("b", 1), Ok(()));
    bench.pass(1);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert_eq!(bench.heartbeat("a", 1), Err(GroupError::UnknownMember));
    let b = bench.join(again("b"));
    let b = bench.joined(b);
    assert_eq!((b.generation, b.leader.as_str()), (2, "b"));
}

#[test]
fn a_commit_says_that_a_member_is_alive_and_a_wait_excuses_it() {
    let mut bench = Bench::stable(&["a", "b"]);
    for _ in 0..5 {
        bench.pass(i64::from(SESSION) - 1);
        bench.heartbeat("b", 1).unwrap();
        bench.commit(at("a", 1)).unwrap();
    }
    assert_eq!(bench.group.state(), State::Stable);
    let a = bench.join(again("a"));
    for _ in 0..5 {
        bench.pass(i64::from(SESSION) - 1);
        assert_eq!(bench.heartbeat("b", 1), Err(GroupError::RebalanceInProgress));
    }
    assert!(!bench.joins.contains_key(&a) && bench.group.members.contains_key("a"), "its join waits, so it is excused");
}

#[test]
fn members_that_never_sync_are_removed() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.join(again("a"));
    bench.join(again("b"));
    bench.sync("a", 2, &[("a", "x"), ("b", "y")]);
    bench.sync_wal();
    for _ in 0..6 {
        bench.pass(10_000 - 1);
        let _ = bench.heartbeat("a", 2);
        let _ = bench.heartbeat("b", 2);
    }
    assert_eq!(bench.group.state(), State::Stable);
    bench.pass(6);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert_eq!(bench.heartbeat("b", 2), Err(GroupError::UnknownMember));
}

#[test]
fn the_last_one_to_leave_empties_the_group() {
    let mut bench = Bench::stable(&["a", "b"]);
    assert_eq!(bench.leave("nobody"), Err(GroupError::UnknownMember));
    assert_eq!(bench.leave("a"), Ok(()));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert_eq!(bench.leave("b"), Ok(()));
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Empty, 2));
    let (GroupItem::Classic(item), Then::Nothing) = bench.stores.pop().unwrap() else { panic!() };
    assert_eq!((item.generation, item.members.len(), item.protocol_type.as_deref()), (2, 0, Some(CONSUMER)));
    assert_eq!(item.since_ms, bench.now.wall_ms);
    bench.join(new("c"));
    assert_eq!(bench.group.state(), State::Preparing { initial: true });
}

#[test]
fn several_leave_at_once_also_by_instance() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.join(new("b"));
    bench.join(new("c"));
    bench.pass(3_000);
    bench.pass(3_000);
    bench.settle(&["a", "b", "c"], 1);
    let leaving = |id: &str, instance: Option<&str>| Leaving {
        member_id: id.to_owned(),
        instance_id: instance.map(str::to_owned),
    };
    let all = [leaving("", Some("i")), leaving("", Some("j")), leaving("", None), leaving("b", None)];
    let answers = bench.run(|group, cx| group.leave(&all, cx)).unwrap();
    assert_eq!(answers, [Ok(()), Err(GroupError::UnknownMember), Err(GroupError::UnknownMember), Ok(())]);
    assert_eq!(bench.group.members.keys().collect::<Vec<_>>(), ["c"]);
    assert!(bench.group.statics.is_empty());
}

#[test]
fn a_static_member_takes_its_place_back_without_a_rebalance() {
    for leads in [true, false] {
        let mut bench = Bench::new();
        bench.join(fixed("i", if leads { "a" } else { "z" }));
        bench.join(new("m"));
        bench.pass(3_000);
        bench.pass(3_000);
        let old = if leads { "a" } else { "z" };
        bench.group.leader = Some(if leads { "a".to_owned() } else { "m".to_owned() });
        bench.joins.clear();
        bench.settle(&[old, "m"], 1);

        let back = bench.join(fixed("i", "back"));
        assert!(bench.joins.is_empty(), "not before it is durable");
        let (item, _) = bench.stores[0].clone();
        bench.sync_wal();
        let joined = bench.joined(back);
        assert_eq!((joined.generation, joined.member_id.as_str(), joined.skip_assignment), (1, "back", leads));
        assert_eq!(joined.members.len(), if leads { 2 } else { 0 });
        assert_eq!(joined.leader, if leads { "back" } else { "m" });
        assert_eq!(bench.group.state(), State::Stable);
        let sync = bench.sync("back", 1, &[]);
        assert_eq!(bench.syncs[&sync].as_ref().unwrap().assignment, old, "its assignment is still there");

        // Whoever still has the old id is fenced, if it names the instance.
        let zombie = MemberRef { instance_id: Some("i".to_owned()), ..at(old, 1) };
        assert_eq!(bench.commit(zombie.clone()), Err(GroupError::FencedInstance));
        assert_eq!(bench.run(|group, cx| group.heartbeat(&zombie, cx.now)), Err(GroupError::FencedInstance));
        assert_eq!(bench.heartbeat(old, 1), Err(GroupError::UnknownMember));
        let join = bench.join(JoinGroup { member_id: old.to_owned(), ..fixed("i", "") });
        assert_eq!(bench.refused(join), (old.to_owned(), GroupError::FencedInstance));
        bench.restart(item);
        assert_eq!(bench.heartbeat("back", 1), Ok(()));
    }
}

#[test]
fn an_old_client_that_leads_is_not_told_so_when_it_is_back() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    let back = bench.join(JoinGroup { knows_skip_assignment: false, ..fixed("i", "b") });
    bench.sync_wal();
    let joined = bench.joined(back);
    assert_eq!((joined.leader.as_str(), joined.members.len(), joined.skip_assignment), ("a", 0, false));
}

#[test]
fn a_static_member_that_is_back_with_other_protocols_starts_a_rebalance() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    let back = bench.join(JoinGroup { protocols: protocols(&["sticky"]), ..fixed("i", "b") });
    let joined = bench.joined(back);
    assert_eq!((joined.generation, joined.protocol.as_deref()), (2, Some("sticky")));
}

#[test]
fn calls_of_a_static_member_that_wait_are_fenced_when_it_is_replaced() {
    let mut bench = Bench::new();
    let waits = bench.join(fixed("i", "a"));
    let back = bench.join(fixed("i", "b"));
    assert_eq!(bench.refused(waits), ("a".to_owned(), GroupError::FencedInstance));
    bench.pass(3_000);
    assert_eq!(bench.joined(back).member_id, "b");
    let waits = bench.sync("b", 1, &[]);
    bench.stores.clear();
    let back = bench.join(fixed("i", "c"));
    assert_eq!(bench.syncs[&waits], Err(GroupError::FencedInstance));
    assert_eq!(bench.joined(back).generation, 2, "while it is completing, everybody joins anew");
}

#[test]
fn silent_static_members_stay_until_their_session_ends() {
    let mut bench = Bench::new();
    bench.join(JoinGroup { session_timeout_ms: 300_000, ..fixed("i", "a") });
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    let b = bench.join(new("b"));
    bench.pass(i64::from(REBALANCE));
    let b = bench.joined(b);
    assert_eq!(
        (b.generation, b.leader.as_str(), b.members.len()),
        (2, "b", 2),
        "it did not join and is still a member"
    );
}

#[test]
fn the_protocol_that_most_prefer_of_those_that_all_know() {
    for (members, chosen) in [
        (vec![&["range", "sticky"][..], &["sticky", "range"], &["sticky", "range"]], "sticky"),
        (vec![&["range", "sticky"], &["sticky", "range"]], "range"),
        (vec![&["x", "range"], &["range", "y"], &["range", "x"]], "range"),
    ] {
        let mut bench = Bench::new();
        let mut tickets = Vec::new();
        for (id, names) in ["a", "b", "c"].iter().zip(members) {
            tickets.push(bench.join(JoinGroup { protocols: protocols(names), ..new(id) }));
        }
        bench.pass(3_000);
        bench.pass(3_000);
        for ticket in tickets {
            assert_eq!(bench.joined(ticket).protocol.as_deref(), Some(chosen));
        }
    }
}

#[test]
fn protocols_that_do_not_fit_are_refused() {
    let mut bench = Bench::new();
    let join = bench.join(JoinGroup { protocols: Vec::new(), ..new("a") });
    assert_eq!(bench.refused(join).1, GroupError::InconsistentProtocol);
    let join = bench.join(JoinGroup { protocol_type: String::new(), ..new("a") });
    assert_eq!(bench.refused(join).1, GroupError::InconsistentProtocol);
    let mut bench = Bench::stable(&["a"]);
    for join in [
        JoinGroup { protocols: protocols(&["other"]), ..new("b") },
        JoinGroup { protocol_type: "connect".to_owned(), ..new("b") },
    ] {
        let join = bench.join(join);
        assert_eq!(bench.refused(join), (String::new(), GroupError::InconsistentProtocol));
    }
    for sync in [
        SyncGroup { protocol: Some("sticky".to_owned()), member: at("a", 1), ..SyncGroup::default() },
        SyncGroup { protocol_type: Some("connect".to_owned()), member: at("a", 1), ..SyncGroup::default() },
    ] {
        let sync = bench.sync_as(sync);
        assert_eq!(bench.syncs[&sync], Err(GroupError::InconsistentProtocol));
    }
}

#[test]
fn a_full_group_takes_nobody_and_a_smaller_limit_sends_the_last_away() {
    let mut bench = Bench::stable(&["a", "b", "c", "d"]);
    let join = bench.join(new("e"));
    assert_eq!(bench.refused(join), (String::new(), GroupError::GroupFull));
    let item = bench.group.item();
    bench.rules.max_size = 2;
    bench.restart(item);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    let first = bench.join(again("d"));
    bench.join(again("c"));
    let third = bench.join(again("b"));
    assert_eq!(bench.refused(third), (String::new(), GroupError::GroupFull));
    let fourth = bench.join(again("a"));
    assert_eq!(bench.refused(fourth).1, GroupError::GroupFull);
    bench.pass(9_000);
    bench.pass(i64::from(REBALANCE));
    assert_eq!(bench.joined(first).generation, 2);
}

#[test]
fn members_that_say_too_much_cannot_be_stored() {
    let mut bench = Bench::stable(&["a"]);
    bench.join(again("a"));
    let sync = bench.sync("a", 2, &[("a", &"x".repeat(20_000))]);
    assert!(matches!(bench.syncs[&sync], Err(GroupError::GroupTooLarge { most: 10_000, .. })));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    let big = vec![("range".to_owned(), Bytes::from(vec![0; 20_000]))];
    let join = bench.join(JoinGroup { protocols: big, ..again("a") });
    assert!(matches!(bench.refused(join).1, GroupError::GroupTooLarge { most: 10_000, .. }));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
}

#[test]
fn members_go_on_after_a_restart() {
    let mut bench = Bench::stable(&["a", "b"]);
    let item = bench.group.item();
    bench.restart(item.clone());
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Stable, 1));
    for id in ["a", "b"] {
        assert_eq!(bench.heartbeat(id, 1), Ok(()));
        assert_eq!(bench.commit(at(id, 1)), Ok(()));
        let sync = bench.sync(id, 1, &[]);
        assert_eq!(bench.syncs[&sync].as_ref().unwrap().assignment, id);
    }
    let unchanged = bench.join(again("b"));
    assert_eq!(bench.joined(unchanged).generation, 1, "a member that asks again does not start a rebalance");
    // One that does not come back is gone after a session.
    bench.pass(i64::from(SESSION) - 1);
    assert_eq!(bench.heartbeat("a", 1), Ok(()));
    bench.pass(1);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert!(!bench.group.members.contains_key("b"));
    // A disk that was lost takes the members with it, and their generation does not come again.
    let GroupItem::Classic(item) = item;
    bench.restart(GroupItem::Classic(Group::without_members(item, bench.now)));
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Empty, 2));
    assert_eq!(bench.heartbeat("a", 1), Err(GroupError::UnknownMember));
}

#[test]
fn a_crash_between_join_and_sync_sends_everybody_back_to_join() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.begins_at_once = false;
    bench.join(again("a"));
    bench.join(again("b"));
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Completing, 2));
    let (item, _) = bench.stores[0].clone();
    bench.restart(item);
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Preparing { initial: false }, 2));
    let sync = bench.sync("a", 2, &[("a", "x")]);
    assert_eq!(bench.syncs[&sync], Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.heartbeat("b", 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.commit(at("b", 1)), Err(GroupError::IllegalGeneration));
    bench.begins_at_once = true;
    let a = bench.join(again("a"));
    bench.join(again("b"));
    assert_eq!(bench.joined(a).generation, 3);
}

#[test]
fn nobody_is_told_of_a_generation_before_it_is_durable() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.begins_at_once = false;
    let first = bench.join(again("a"));
    let b = bench.join(again("b"));
    let sync = bench.sync("b", 2, &[]);
    assert_eq!(bench.syncs[&sync], Err(GroupError::RebalanceInProgress));
    let a = bench.join(again("a"));
    assert_eq!(bench.refused(first).1, GroupError::RebalanceInProgress);
    assert!(bench.joins.is_empty());
    bench.sync_wal();
    assert_eq!((bench.joined(a).generation, bench.joined(b).generation), (2, 2));
    bench.syncs.clear();
    bench.settle(&["a", "b"], 2);
    // Somebody comes before it is durable: those who wait have joined the one after it.
    let a = bench.join(again("a"));
    let b = bench.join(again("b"));
    let c = bench.join(new("c"));
    bench.sync_wal();
    for ticket in [a, b, c] {
        assert_eq!(bench.joined(ticket).generation, 4);
    }
    bench.settle(&["a", "b", "c"], 4);
    // It cannot be stored: all shall try again.
    let join = bench.join(again("a"));
    for id in ["b", "c"] {
        bench.join(again(id));
    }
    let (_, then) = bench.stores.pop().unwrap();
    let full = GroupError::NotAvailable("full".into());
    bench.stored(then, Err(full.clone()));
    assert_eq!(bench.refused(join), ("a".to_owned(), full));
    assert_eq!((bench.joins.len(), bench.group.state()), (2, State::Preparing { initial: false }));
    bench.group.assert_sound();
}

#[test]
fn a_static_member_that_was_replaced_during_a_rebalance_stays_so_after_a_crash() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    bench.join(new("b"));
    bench.begins_at_once = false;
    let back = bench.join(fixed("i", "c"));
    let (item, _) = bench.stores[0].clone();
    bench.sync_wal();
    assert_eq!(bench.joined(back).generation, 2);
    bench.restart(item);
    let member = |id: &str, generation| MemberRef { instance_id: Some("i".to_owned()), ..at(id, generation) };
    assert_eq!(bench.commit(member("a", 1)), Err(GroupError::FencedInstance));
    let beat = bench.run(|group, cx| group.heartbeat(&member("c", 2), cx.now));
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
}

/// A group in each state.
fn in_each_state() -> [Bench; 5] {
    let mut empty = Bench::stable(&["a"]);
    empty.leave("a").unwrap();
    let mut preparing = Bench::stable(&["a", "b"]);
    preparing.join(JoinGroup { protocols: protocols(&["sticky", "range"]), ..again("b") });
    let mut completing = Bench::stable(&["a", "b"]);
    completing.join(again("a"));
    completing.join(again("b"));
    let mut dead = Bench::new();
    dead.group.bury();
    let all = [empty, preparing, completing, Bench::stable(&["a", "b"]), dead];
    let names = all.each_ref().map(|bench| bench.group.described().state);
    assert_eq!(names, ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"]);
    all
}

fn dead() -> GroupError {
    GroupError::NotAvailable("the group is being deleted".to_owned())
}

/// A member, one of another generation, a stranger, and a client that is in no group.
fn callers(group: &Group) -> [MemberRef; 4] {
    let generation = group.generation();
    [at("a", generation), at("a", generation - 1), at("x", generation), MemberRef::default()]
}

#[test]
fn heartbeats_in_every_state() {
    use GroupError::*;
    let expected = [
        [Err(UnknownMember), Err(UnknownMember), Err(UnknownMember)],
        [Err(RebalanceInProgress), Err(IllegalGeneration), Err(UnknownMember)],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember)],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember)],
        [Err(dead()), Err(dead()), Err(dead())],
    ];
    for (mut bench, expected) in in_each_state().into_iter().zip(expected) {
        for (member, expected) in callers(&bench.group).iter().zip(expected) {
            let answer = bench.run(|group, cx| group.heartbeat(member, cx.now));
            assert_eq!(answer, expected, "{:?} {member:?}", bench.group.state());
        }
    }
}

#[test]
fn commits_in_every_state() {
    use GroupError::*;
    let expected = [
        [Err(UnknownMember), Err(UnknownMember), Err(UnknownMember), Ok(())],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember), Err(UnknownMember)],
        [Err(RebalanceInProgress), Err(IllegalGeneration), Err(UnknownMember), Err(UnknownMember)],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember), Err(UnknownMember)],
        [Err(dead()), Err(dead()), Err(dead()), Err(dead())],
    ];
    for (mut bench, expected) in in_each_state().into_iter().zip(expected) {
        for (member, expected) in callers(&bench.group).iter().zip(expected) {
            // Within a transaction the state of a living group does not count, nor who it is if it does not say.
            let within = match (&expected, bench.group.state()) {
                (Err(RebalanceInProgress), _) => Ok(()),
                (_, State::Dead) => Err(dead()),
                _ if *member == MemberRef::default() => Ok(()),
                _ => expected.clone(),
            };
            assert_eq!(bench.commit(member.clone()), expected, "{:?} {member:?}", bench.group.state());
            let answer = bench.run(|group, cx| group.check_commit(member, true, cx.now));
            assert_eq!(answer, within, "in a transaction: {:?} {member:?}", bench.group.state());
        }
    }
}

#[test]
fn syncs_in_every_state() {
    use GroupError::*;
    let expected = [
        [Some(Err(UnknownMember)), Some(Err(UnknownMember)), Some(Err(UnknownMember))],
        [Some(Err(RebalanceInProgress)), Some(Err(IllegalGeneration)), Some(Err(UnknownMember))],
        [None, Some(Err(IllegalGeneration)), Some(Err(UnknownMember))],
        [Some(Ok(())), Some(Err(IllegalGeneration)), Some(Err(UnknownMember))],
        [Some(Err(dead())), Some(Err(dead())), Some(Err(dead()))],
    ];
    for (mut bench, expected) in in_each_state().into_iter().zip(expected) {
        for (member, expected) in callers(&bench.group).into_iter().zip(expected) {
            let ticket = bench.sync_as(SyncGroup { member, ..SyncGroup::default() });
            let answer = bench.syncs.remove(&ticket).map(|answer| answer.map(|_| ()));
            assert_eq!(answer, expected, "{:?}", bench.group.state());
        }
    }
}

#[test]
fn joins_and_deletions_in_every_state() {
    for bench in in_each_state() {
        let group = &bench.group;
        let gone = || GroupError::GroupNotFound("g".to_owned());
        let expected = match group.state() {
            State::Empty => (Ok(()), Ok(())),
            State::Dead => (Err(gone()), Err(gone())),
            _ => (Err(GroupError::NonEmptyGroup), Ok(())),
        };
        assert_eq!((group.check_delete(), group.check_delete_offsets()), expected, "{:?}", group.state());
    }
    for mut bench in in_each_state() {
        let is_dead = bench.group.state() == State::Dead;
        let join = bench.join(again("x"));
        let refused = if is_dead { dead() } else { GroupError::UnknownMember };
        assert_eq!(bench.refused(join), ("x".to_owned(), refused));
        let join = bench.join(new("n"));
        assert_eq!(bench.joins.remove(&join), is_dead.then(|| Err((String::new(), dead()))));
    }
}

#[test]
fn groups_of_others_keep_their_offsets_from_deletion_while_they_have_members() {
    let mut bench = Bench::new();
    bench.join(JoinGroup { protocol_type: "connect".to_owned(), ..new("a") });
    bench.pass(3_000);
    assert_eq!(bench.group.check_delete_offsets(), Err(GroupError::NonEmptyGroup));
    assert_eq!(bench.group.unused_since(), None);
    let stable = Bench::stable(&["a"]).group;
    assert!(stable.is_subscribed("t") && !stable.is_subscribed("u"));
    assert_eq!(stable.unused_since(), Some(UnusedSince::Commit));
    let mut bench = Bench::stable(&["a"]);
    bench.pass(1_000);
    bench.leave("a").unwrap();
    assert!(!bench.group.is_subscribed("t"));
    assert_eq!(bench.group.unused_since(), Some(UnusedSince::At(bench.now.wall_ms)));
    assert_eq!(Bench::new().group.unused_since(), Some(UnusedSince::Commit));
}

#[test]
fn a_member_that_asks_twice_is_answered_twice() {
    let mut bench = Bench::stable(&["a", "b"]);
    let first = bench.join(again("a"));
    let second = bench.join(again("a"));
    assert_eq!(bench.refused(first), ("a".to_owned(), GroupError::RebalanceInProgress));
    bench.join(again("b"));
    assert_eq!(bench.joined(second).generation, 2);
    let first = bench.sync("b", 2, &[]);
    let second = bench.sync("b", 2, &[]);
    assert_eq!(bench.syncs[&first], Err(GroupError::RebalanceInProgress));
    let repeated = bench.join(again("a"));
    assert_eq!(bench.joined(repeated).members.len(), 2, "the leader did not hear the answer");
    bench.sync("a", 2, &[("b", "y")]);
    bench.sync_wal();
    assert_eq!(bench.syncs[&second].as_ref().unwrap().assignment, "y");
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
