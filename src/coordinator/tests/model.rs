//! I8: one group under random calls, time-outs, crashes and restarts. Whatever happens, in every generation a partition has one
//! owner, whoever lost its place cannot commit, and a commit that was answered is there after a restart.
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use crate::base::{Json, Uuid};
use crate::coordinator::calls::{Effect, JoinGroup, JoinedMember, Leaving, MemberRef, Now, SyncGroup, Then, Ticket};
use crate::coordinator::classic::{Cx, Group, Rules, State};
use crate::coordinator::error::GroupError;
use crate::coordinator::items::{Changes, Committed, GroupItem, Item, Items, TopicPartition, group_key, value_of};
use crate::coordinator::offsets::{Offsets, Plan};

const PARTITIONS: i32 = 3;
const RULES: Rules = Rules { initial_delay_ms: 500, max_size: 4, max_bytes: 1 << 20, takes_back: true };
/// Clients by their `group.instance.id`: two of them claim the same.
const INSTANCES: [Option<&str>; 6] = [None, None, None, Some("i"), Some("j"), Some("j")];

/// A call, by whom, and a number for whatever it needs.
type Step = (u8, usize, u16);

#[derive(Clone, Default)]
struct Client {
    member: MemberRef,
    joining: Option<Ticket>,
    syncing: Option<Ticket>,
    /// As the leader: whom to assign to.
    members: Vec<JoinedMember>,
}

enum InFlight {
    Group(Then),
    Offsets(Plan),
}

struct World {
    now: Now,
    group: Option<Group>,
    offsets: Offsets,
    durable: Items,
    journal: VecDeque<(Changes, InFlight)>,
    is_full: bool,
    clients: Vec<Client>,
    /// Places that clients once had.
    ghosts: Vec<MemberRef>,
    next: u64,
    /// Who got a partition in a generation: instance, or member id of a dynamic member.
    owners: BTreeMap<(i32, i32), String>,
    /// What each owner was given in a generation.
    given: BTreeMap<(i32, String), Bytes>,
    /// The newest generation that anybody was told of.
    told_of: i32,
    /// The newest member id that an instance was told.
    told: BTreeMap<String, String>,
    /// By partition: numbers of commits that were taken, in order, and the last one that was answered.
    taken: BTreeMap<i32, Vec<i64>>,
    answered: BTreeMap<i32, i64>,
}

impl World {
    fn new() -> Self {
        let client = |instance: &Option<&str>| Client {
            member: MemberRef { instance_id: instance.map(str::to_owned), ..MemberRef::default() },
            ..Client::default()
        };
        Self {
            now: Now { ms: 0, wall_ms: 1_700_000_000_000 },
            group: None,
            offsets: Offsets::default(),
            durable: Items::new(),
            journal: VecDeque::new(),
            is_full: false,
            clients: INSTANCES.iter().map(client).collect(),
            ghosts: Vec::new(),
            next: 0,
            owners: BTreeMap::new(),
            given: BTreeMap::new(),
            told_of: 0,
            told: BTreeMap::new(),
            taken: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn ask<T>(&mut self, call: impl FnOnce(&mut Group, &mut Cx) -> T) -> T {
        let mut out = Vec::new();
        let now = self.now;
        let group = self.group.get_or_insert_with(|| Group::new("g", now));
        let answer = call(group, &mut Cx { rules: &RULES, now, out: &mut out });
        self.perform(out);
        answer
    }

    fn perform(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Beaten(..) => unreachable!("nobody speaks the consumer protocol"),
                Effect::Store(item, then) if self.is_full => {
                    drop(item);
                    let full = GroupError::NotAvailable("full".to_owned());
                    self.ask(|group, cx| group.stored(then, Err(full), cx));
                }
                Effect::Store(item, then) => {
                    let changes = vec![(group_key("g"), Some(value_of(&item)))];
                    self.journal.push_back((changes, InFlight::Group(then)));
                }
                Effect::Joined(ticket, answer) => {
                    // A client that has gone meanwhile hears nothing.
                    let Some(client) = self.clients.iter_mut().find(|client| client.joining == Some(ticket)) else {
                        continue;
                    };
                    client.joining = None;
                    match answer {
                        Ok(joined) => {
                            self.told_of = self.told_of.max(joined.generation);
                            client.member.id.clone_from(&joined.member_id);
                            client.member.generation = joined.generation;
                            let assigns = joined.leader == joined.member_id && !joined.skip_assignment;
                            client.members = if assigns { joined.members } else { Vec::new() };
                            if let Some(instance) = &client.member.instance_id {
                                self.told.insert(instance.clone(), joined.member_id);
                            }
                        }
                        Err(refused) => client.lose(&refused.error, &refused.member_id),
                    }
                }
                Effect::Synced(ticket, answer) => {
                    let Some(client) = self.clients.iter_mut().find(|client| client.syncing == Some(ticket)) else {
                        continue;
                    };
                    client.syncing = None;
                    match answer {
                        Ok(synced) => {
                            let member = client.member.clone();
                            let owner = member.instance_id.unwrap_or(member.id);
                            let given = self.given.entry((member.generation, owner.clone()));
                            let given = given.or_insert_with(|| synced.assignment.clone());
                            assert_eq!(*given, synced.assignment, "{owner} was given something else before");
                            for partition in synced.assignment.iter().map(|byte| i32::from(*byte)) {
                                let key = (member.generation, partition);
                                let had = self.owners.entry(key).or_insert_with(|| owner.clone());
                                assert_eq!(*had, owner, "partition {partition} has two owners in one generation");
                            }
                        }
                        Err(error) => client.lose(&error, ""),
                    }
                }
            }
        }
    }

    fn join(&mut self, at: usize) {
        if self.clients[at].joining.is_some() {
            return;
        }
        let number = self.number();
        self.clients[at].joining = Some(number);
        self.clients[at].syncing = None;
        let member = self.clients[at].member.clone();
        if self.group.is_none() && !member.id.is_empty() {
            self.clients[at].joining = None;
            return self.clients[at].lose(&GroupError::UnknownMember, "");
        }
        let join = JoinGroup {
            member_id: member.id,
            new_member_id: format!("m{number}"),
            instance_id: member.instance_id,
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 5_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), Bytes::new())],
            knows_member_id_required: at.is_multiple_of(2),
            knows_skip_assignment: at != 5,
            ..JoinGroup::default()
        };
        self.ask(|group, cx| group.join(number, join, cx));
    }

    fn sync(&mut self, at: usize) {
        let client = &self.clients[at];
        if client.joining.is_some() || client.syncing.is_some() || self.group.is_none() {
            return;
        }
        // Round robin over the members; each partition once.
        let mut assignments: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (partition, member) in (0..PARTITIONS).zip(client.members.iter().cycle()) {
            assignments.entry(member.id.clone()).or_default().push(u8::try_from(partition).unwrap());
        }
        let sync = SyncGroup {
            member: client.member.clone(),
            assignments: assignments.into_iter().map(|(id, partitions)| (id, partitions.into())).collect(),
            ..SyncGroup::default()
        };
        let number = self.number();
        self.clients[at].syncing = Some(number);
        self.ask(|group, cx| group.sync(number, sync, cx));
    }

    fn heartbeat(&mut self, at: usize) {
        let member = self.clients[at].member.clone();
        let answer = match self.group {
            Some(_) => self.ask(|group, cx| group.heartbeat(&member, cx.now)),
            None => Err(GroupError::UnknownMember),
        };
        if let Err(error) = answer {
            self.clients[at].lose(&error, "");
        }
    }

    fn leave(&mut self, at: usize) {
        let MemberRef { id, instance_id, .. } = self.clients[at].member.clone();
        if self.group.is_some() {
            let _ = self.ask(|group, cx| group.leave(&[Leaving { member_id: id, instance_id }], cx));
        }
    }

    fn commit(&mut self, member: &MemberRef, partition: i32) {
        if self.group.is_none() && member.generation >= 0 {
            return;
        }
        if self.ask(|group, cx| group.check_commit(member, false, cx.now)).is_err() {
            return;
        }
        if member.generation >= 0 {
            assert!(member.generation >= self.told_of, "{member:?} commits, and {} has begun", self.told_of);
            if let Some(instance) = &member.instance_id {
                assert_eq!(self.told.get(instance), Some(&member.id), "{member:?} was replaced");
            }
        }
        if self.is_full {
            return;
        }
        let offset = i64::try_from(self.number()).unwrap();
        let commit_ms = self.now.wall_ms;
        let committed = Committed { offset, leader_epoch: 0, metadata: String::new(), commit_ms, expire_ms: None };
        let plan = self.offsets.commit("g", vec![(place(partition), committed)]);
        self.offsets.begin(&plan);
        self.taken.entry(partition).or_default().push(offset);
        self.journal.push_back((plan.changes.clone(), InFlight::Offsets(plan)));
    }

    /// The oldest frame of the journal is durable.
    fn make_durable(&mut self, tell: bool) {
        let Some((changes, then)) = self.journal.pop_front() else { return };
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.durable.insert(key, value)),
                None => drop(self.durable.remove(&key)),
            }
        }
        match then {
            _ if !tell => {}
            InFlight::Group(then) => self.ask(|group, cx| group.stored(then, Ok(()), cx)),
            InFlight::Offsets(plan) => {
                self.offsets.finish(plan);
                for partition in 0..PARTITIONS {
                    if let Some(seen) = self.visible(partition) {
                        self.answered.insert(partition, seen);
                    }
                }
            }
        }
    }

    fn visible(&self, partition: i32) -> Option<i64> {
        self.offsets.get(place(partition), false).unwrap().map(|committed| committed.offset)
    }

    /// The broker ends without a word and starts again; of what it had handed to the WAL a part survives.
    fn crash(&mut self, survives: usize, lost_wal: bool) {
        for _ in 0..survives.min(self.journal.len()) {
            self.make_durable(false);
        }
        self.journal.clear();
        self.group = None;
        self.offsets = Offsets::default();
        // Connections end; clients keep what they know.
        self.clients.iter_mut().for_each(|client| (client.joining, client.syncing) = (None, None));
        self.now.ms = 0;
        for (key, value) in self.durable.clone() {
            match Item::read(&key, &value).unwrap().unwrap() {
                Item::Group(id, GroupItem::Classic(item)) => {
                    let item = if lost_wal { Group::without_members(item, self.now) } else { item };
                    let mut out = Vec::new();
                    let mut cx = Cx { rules: &RULES, now: self.now, out: &mut out };
                    self.group = Some(Group::restore(&id, item, &mut cx));
                    if lost_wal {
                        let item = GroupItem::Classic(Group::without_members(read_group(&value), self.now));
                        self.durable.insert(key, value_of(&item));
                    }
                }
                Item::Offsets(_, topic, offsets) => {
                    for (partition, committed) in offsets {
                        self.offsets.restore(TopicPartition { topic, partition }, committed);
                    }
                }
                Item::Pending(..) | Item::Settings(..) => {
                    unreachable!("there are no transactions here, and no settings")
                }
                Item::Group(_, GroupItem::Consumer(_)) => unreachable!("nobody speaks the consumer protocol"),
            }
        }
    }

    fn step(&mut self, (what, at, number): Step) {
        let partition = i32::from(number) % PARTITIONS;
        match what {
            0..=3 => self.join(at),
            4..=6 => self.sync(at),
            7 => self.heartbeat(at),
            8 => self.leave(at),
            9 | 10 => self.commit(&self.clients[at].member.clone(), partition),
            11 => self.commit(&MemberRef::default(), partition),
            12 if !self.ghosts.is_empty() => {
                let ghost = self.ghosts[usize::from(number) % self.ghosts.len()].clone();
                self.commit(&ghost, partition);
            }
            13 => {
                let ms = i64::from(number) % 12_000;
                (self.now.ms, self.now.wall_ms) = (self.now.ms + ms, self.now.wall_ms + ms);
                if self.group.is_some() {
                    self.ask(|group, cx| group.tick(cx));
                }
            }
            14 | 15 => (0..=number % 4).for_each(|_| self.make_durable(true)),
            16 => self.crash(usize::from(number) % 4, number.is_multiple_of(64)),
            17 => self.is_full = number.is_multiple_of(3),
            // The client's program ends and starts again; a part of it may live on.
            18 => {
                let client = &mut self.clients[at];
                self.ghosts.push(client.member.clone());
                let instance_id = client.member.instance_id.clone();
                *client = Client { member: MemberRef { instance_id, ..MemberRef::default() }, ..Client::default() };
            }
            _ => {}
        }
        self.check();
    }

    fn check(&self) {
        if let Some(group) = &self.group {
            group.assert_sound();
        }
        for (partition, answered) in &self.answered {
            let seen = self.visible(*partition).expect("a committed offset stays");
            assert!(seen >= *answered, "partition {partition}: {answered} was answered, and {seen} is there");
            assert!(self.taken[partition].contains(&seen), "an offset that nobody committed");
        }
    }

    /// From wherever it is: when clients do what clients do, the group becomes stable.
    fn calm_down(&mut self) {
        self.is_full = false;
        for _ in 0..40 {
            // Of two clients that claim one instance id only one goes on.
            for at in 0..5 {
                self.heartbeat(at);
                if self.clients[at].members.is_empty() && self.clients[at].member.generation < 0 {
                    self.join(at);
                }
                self.sync(at);
            }
            while !self.journal.is_empty() {
                self.make_durable(true);
            }
            self.step((13, 0, 2_600));
        }
        assert_eq!(self.group.as_ref().map(Group::state), Some(State::Stable));
        assert!(self.clients[..5].iter().all(|client| client.joining.is_none()), "somebody waits for ever");
    }
}

impl Client {
    /// Learns from a refusal, as clients do.
    fn lose(&mut self, error: &GroupError, member_id: &str) {
        match error {
            GroupError::MemberIdRequired => {
                self.member.id = member_id.to_owned();
                self.member.generation = -1;
            }
            GroupError::UnknownMember | GroupError::FencedInstance | GroupError::GroupFull => {
                self.member.id = String::new();
                self.member.generation = -1;
            }
            _ => self.member.generation = -1,
        }
        self.members.clear();
    }
}

fn place(partition: i32) -> TopicPartition {
    TopicPartition { topic: Uuid([1; 16]), partition }
}

fn read_group(value: &Json) -> crate::coordinator::items::ClassicItem {
    match Item::read("group/g", value) {
        Ok(Some(Item::Group(_, GroupItem::Classic(item)))) => item,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn i8_holds_whatever_happens(
        steps in proptest::collection::vec((0u8..19, 0usize..INSTANCES.len(), any::<u16>()), 1..200),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.calm_down();
    }
}
