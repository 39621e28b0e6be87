//! I6, I7 and I8 while a group goes from one protocol to the other and back: clients of both, one by one restarted as the other
//! kind, that copy what they read in transactions (`copying`), under time-outs, lost answers, crashes and restarts. Whatever
//! happens, no two of those that may commit own one partition, every record up to the committed offset is in the copy once,
//! and in the end everything is owned again, under the protocol that is left.
mod copying;

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use crate::base::Uuid;
use crate::coordinator::calls::{Effect, JoinGroup, Joined, Leaving, MemberRef, Now, SyncGroup, Then, Ticket};
use crate::coordinator::classic::{self, Cx};
use crate::coordinator::consumer::assignor::Assignor;
use crate::coordinator::consumer::calls::{AWAY, Around, ENTER, LEAVE};
use crate::coordinator::consumer::catalog::{Catalog, TopicShape};
use crate::coordinator::consumer::{self, Beat};
use crate::coordinator::embedded::{Assignment, Subscription};
use crate::coordinator::error::GroupError;
use crate::coordinator::group::{Group, Slot};
use crate::coordinator::items::{GroupItem, TopicPartition, value_of};

const TOPIC: Uuid = Uuid([7; 16]);
const PARTITIONS: i32 = 5;
const RULES: classic::Rules =
    classic::Rules { initial_delay_ms: 500, max_size: 100, max_bytes: 1 << 20, takes_back: true };
/// Clients by their `group.instance.id`: two of them claim the same.
const INSTANCES: [Option<&str>; 5] = [None, None, Some("i"), Some("j"), Some("j")];

type Owned = std::collections::BTreeSet<i32>;
/// A call, by whom, and a number for whatever it needs.
type Step = (u8, usize, u16);

struct OneTopic;

impl Catalog for OneTopic {
    fn version(&self) -> u64 {
        1
    }

    fn shape(&self, name: &str) -> Option<TopicShape> {
        self.shapes().into_iter().find(|shape| shape.name == name)
    }

    fn name_of(&self, id: Uuid) -> Option<String> {
        (id == TOPIC).then(|| "t".to_owned())
    }

    fn shapes(&self) -> Vec<TopicShape> {
        vec![TopicShape { name: "t".to_owned(), id: TOPIC, partitions: PARTITIONS }]
    }
}

fn consumer_rules() -> consumer::Rules {
    consumer::Rules {
        heartbeat_ms: 5_000,
        session_ms: 20_000,
        max_size: 100,
        assignors: Assignor::ALL.to_vec(),
        max_bytes: 1 << 20,
        takes_over: true,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Kind {
    #[default]
    Classic,
    Consumer,
}

#[derive(Clone, Default, Debug)]
struct Client {
    kind: Kind,
    id: String,
    instance: Option<String>,
    /// Generation or member epoch; 0: in no group.
    epoch: i32,
    owned: Owned,
    /// What it was told to own and does not yet (consumer protocol).
    told: Option<Owned>,
    waits: Option<Ticket>,
    /// As a classic one: it has joined and not synced, with what it assigns as the leader.
    to_sync: Option<BTreeMap<String, Bytes>>,
    /// As a classic one: it has to join.
    to_join: bool,
    /// As a classic one: it was told of a generation and not of its assignment, so it commits nothing.
    is_between: bool,
    says_all: bool,
}

/// Whoever may be at work still.
struct Ghost {
    kind: Kind,
    id: String,
    epoch: i32,
    owned: Owned,
}

/// What the WAL gets, in its order.
enum Frame {
    Group(GroupItem, Then),
    Written(copying::Written),
}

struct World {
    /// Classic clients give up what they have to before they join again (cooperative), or everything (eager).
    is_cooperative: bool,
    now: Now,
    slot: Slot,
    durable: Option<GroupItem>,
    journal: VecDeque<Frame>,
    is_full: bool,
    clients: Vec<Client>,
    ghosts: Vec<Ghost>,
    /// A classic static client that had given partitions up ended before it joined for it. As in Kafka, whoever takes its name
    /// over is given its assignment without a rebalance, so that what it gave up waits for the next one.
    owes_join: bool,
    loops: Vec<copying::Loop>,
    copies: copying::Copies,
    next: u64,
}

fn subscription(owned: &Owned) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"\x00\x01\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x01\x00\x01t");
    bytes.put_i32(i32::try_from(owned.len()).unwrap());
    owned.iter().for_each(|partition| bytes.put_i32(*partition));
    bytes.freeze()
}

fn assignment(owned: Vec<i32>) -> Bytes {
    Assignment::write(1, &[("t".to_owned(), owned)].into())
}

fn numbers(assignment: &[u8]) -> Owned {
    Assignment::read(assignment).unwrap().partitions.into_iter().flat_map(|(_, numbers)| numbers).collect()
}

impl World {
    fn new(is_cooperative: bool) -> Self {
        let now = Now { ms: 0, wall_ms: 1_700_000_000_000 };
        let client = |instance: &Option<&str>| Client { instance: instance.map(str::to_owned), ..Client::default() };
        Self {
            is_cooperative,
            now,
            slot: Slot::new("g", now),
            durable: None,
            journal: VecDeque::new(),
            is_full: false,
            clients: INSTANCES.iter().map(client).collect(),
            ghosts: Vec::new(),
            owes_join: false,
            loops: INSTANCES.iter().map(|_| copying::Loop::default()).collect(),
            copies: copying::Copies::default(),
            next: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn ask<T>(&mut self, call: impl FnOnce(&mut Slot, &Around<'_>, &mut Cx) -> T) -> T {
        let (mut out, now, rules) = (Vec::new(), self.now, consumer_rules());
        let around = Around { rules: &rules, topics: &OneTopic, now_ms: now.ms };
        let mut cx = Cx { rules: &RULES, now, out: &mut out };
        let answer = call(&mut self.slot, &around, &mut cx);
        self.slot.give_back("g", &OneTopic, &mut cx);
        self.perform(out);
        answer
    }

    fn perform(&mut self, out: Vec<Effect>) {
        let waits = |clients: &[Client], ticket| clients.iter().position(|client| client.waits == Some(ticket));
        for effect in out {
            match effect {
                Effect::Store(_, then) if self.is_full => {
                    let full = GroupError::NotAvailable("full".to_owned());
                    self.ask(|slot, _, cx| slot.group.stored(then, Err(full), cx));
                }
                Effect::Store(item, then) => self.journal.push_back(Frame::Group(item, then)),
                Effect::Beaten(ticket, answer) => {
                    let Some(at) = waits(&self.clients, ticket) else { continue };
                    self.clients[at].waits = None;
                    match answer {
                        Ok(beaten) => {
                            let client = &mut self.clients[at];
                            client.epoch = beaten.epoch;
                            let told = beaten.assignment.map(|told| told.iter().map(|place| place.partition).collect());
                            client.told = told.or(client.told.take());
                        }
                        Err(error) => self.lose(at, &error, ""),
                    }
                }
                Effect::Joined(ticket, answer) => {
                    let Some(at) = waits(&self.clients, ticket) else { continue };
                    self.clients[at].waits = None;
                    match answer {
                        Ok(joined) => self.joined(at, joined),
                        Err(refused) => self.lose(at, &refused.error, &refused.member_id),
                    }
                }
                Effect::Synced(ticket, answer) => {
                    let Some(at) = waits(&self.clients, ticket) else { continue };
                    self.clients[at].waits = None;
                    match answer {
                        Ok(synced) => {
                            let (client, given) = (&mut self.clients[at], numbers(&synced.assignment));
                            client.to_join = !client.owned.is_subset(&given);
                            (client.owned, client.is_between) = (given, false);
                            self.loops[at].keep(client);
                        }
                        Err(error) => self.lose(at, &error, ""),
                    }
                }
            }
            self.check();
        }
    }

    fn joined(&mut self, at: usize, joined: Joined) {
        let client = &mut self.clients[at];
        (client.id, client.epoch, client.is_between) = (joined.member_id, joined.generation, true);
        client.to_join = false;
        let leads = joined.leader == client.id && !joined.skip_assignment && !joined.members.is_empty();
        let mut given: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (partition, member) in (0..PARTITIONS).zip(joined.members.iter().cycle()).filter(|_| leads) {
            let owns = |metadata: &Bytes| {
                let owned = Subscription::read(metadata).unwrap().owned;
                owned.iter().any(|(_, numbers)| numbers.contains(&partition))
            };
            // What somebody has to give up first is given in the next generation.
            if !joined.members.iter().any(|other| other.id != member.id && owns(&other.metadata)) {
                given.entry(member.id.clone()).or_default().push(partition);
            }
        }
        client.to_sync = Some(given.into_iter().map(|(id, numbers)| (id, assignment(numbers))).collect());
    }

    fn forget(&mut self, at: usize) {
        let client = &mut self.clients[at];
        self.owes_join |=
            client.kind == Kind::Classic && client.instance.is_some() && client.epoch > 0 && client.to_join;
        let (owned, epoch) = (std::mem::take(&mut client.owned), std::mem::take(&mut client.epoch));
        (client.told, client.waits, client.to_sync, client.to_join) = (None, None, None, true);
        self.loops[at].lose_partitions();
        // What was between two generations never commits in the new one.
        if !std::mem::take(&mut client.is_between) {
            self.ghosts.push(Ghost { kind: client.kind, id: client.id.clone(), epoch, owned });
        }
    }

    fn begin_anew(&mut self, at: usize, kind: Kind) {
        self.forget(at);
        self.loops[at].forget();
        let number = self.number();
        let client = &mut self.clients[at];
        client.kind = kind;
        client.id = if kind == Kind::Consumer { format!("c{at}-{number}") } else { String::new() };
    }

    fn lose(&mut self, at: usize, error: &GroupError, told: &str) {
        let client = &mut self.clients[at];
        client.to_sync = None;
        match error {
            GroupError::MemberIdRequired => client.id = told.to_owned(),
            GroupError::RebalanceInProgress => client.to_join = true,
            GroupError::NotAvailable(_) => (client.says_all, client.to_join) = (true, true),
            GroupError::IllegalGeneration | GroupError::FencedMemberEpoch => self.forget(at),
            GroupError::UnknownMember if client.kind == Kind::Consumer => self.forget(at),
            GroupError::UnknownMember => self.begin_anew(at, Kind::Classic),
            GroupError::FencedInstance | GroupError::UnreleasedInstance => {
                let kind = client.kind;
                self.begin_anew(at, kind);
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next call of a client, whatever its protocol wants it to be.
    fn act(&mut self, at: usize) {
        let client = &self.clients[at];
        match client.kind {
            _ if client.waits.is_some() => {}
            // It joins between two transactions.
            Kind::Classic if self.loops[at].is_busy() && (client.to_join || client.epoch == 0) => {}
            Kind::Consumer => self.beat(at),
            Kind::Classic if client.to_sync.is_some() => self.sync(at),
            Kind::Classic if client.to_join || client.epoch == 0 => self.join(at),
            Kind::Classic => self.heartbeat(at),
        }
    }

    fn join(&mut self, at: usize) {
        let (number, is_cooperative) = (self.number(), self.is_cooperative);
        let client = &mut self.clients[at];
        if !is_cooperative {
            client.owned.clear();
            self.loops[at].keep(client);
        }
        client.waits = Some(number);
        let join = JoinGroup {
            member_id: client.id.clone(),
            new_member_id: format!("m{number}"),
            instance_id: client.instance.clone(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 8_000,
            protocol_type: classic::CONSUMER.to_owned(),
            protocols: vec![("range".to_owned(), subscription(&client.owned))],
            knows_member_id_required: at.is_multiple_of(2),
            ..JoinGroup::default()
        };
        self.ask(|slot, around, cx| {
            if join.member_id.is_empty() {
                slot.make_classic("g", cx);
            }
            match &mut slot.group {
                Group::Classic(group) => group.join(number, join, cx),
                Group::Consumer(group) => group.join(number, join, around, cx.out),
            }
        });
    }

    fn member(&self, at: usize) -> MemberRef {
        let Client { id, instance, epoch, .. } = self.clients[at].clone();
        MemberRef { id, instance_id: instance, generation: epoch }
    }

    fn sync(&mut self, at: usize) {
        let (number, member) = (self.number(), self.member(at));
        let client = &mut self.clients[at];
        client.waits = Some(number);
        let sync = SyncGroup { member, assignments: client.to_sync.take().unwrap(), ..SyncGroup::default() };
        self.ask(|slot, around, cx| match &mut slot.group {
            Group::Classic(group) => group.sync(number, sync, cx),
            Group::Consumer(group) => group.sync(number, &sync, around, cx.out),
        });
    }

    fn heartbeat(&mut self, at: usize) {
        let member = self.member(at);
        let answer = self.ask(|slot, around, cx| match &mut slot.group {
            Group::Classic(group) => group.heartbeat(&member, cx.now),
            Group::Consumer(group) => group.classic_heartbeat(&member, around),
        });
        if let Err(error) = answer {
            self.lose(at, &error, "");
        }
    }

    fn beat(&mut self, at: usize) {
        let number = self.number();
        let client = &mut self.clients[at];
        let full = std::mem::take(&mut client.says_all) || client.epoch == ENTER;
        client.waits = Some(number);
        let place = |&partition: &i32| TopicPartition { topic: TOPIC, partition };
        let beat = Beat {
            member_id: client.id.clone(),
            has_own_id: true,
            epoch: client.epoch,
            instance_id: client.instance.clone(),
            rebalance_timeout_ms: if full { 8_000 } else { -1 },
            names: full.then(|| vec!["t".to_owned()]),
            owned: Some(client.owned.iter().map(place).collect()),
            ..Beat::default()
        };
        self.ask(|slot, around, cx| slot.beat("g", number, &beat, around, cx));
    }

    /// A client of the consumer protocol gives up what it has to, then takes what it was given.
    fn apply(&mut self, at: usize) {
        if self.loops[at].is_busy() {
            return; // it gives up and takes between two transactions
        }
        let client = &mut self.clients[at];
        if let (Some(told), true) = (&client.told, client.waits.is_none() && !client.says_all) {
            let kept = &client.owned & told;
            client.owned = if kept == client.owned { told.clone() } else { kept };
            if client.owned == *told {
                client.told = None;
            }
            self.loops[at].keep(client);
        }
        self.check();
    }

    fn leave(&mut self, at: usize) {
        let Client { kind, id, instance, .. } = self.clients[at].clone();
        match kind {
            // Static members do not say that they go.
            Kind::Classic if instance.is_some() => {}
            Kind::Classic => {
                let leaving = Leaving { member_id: id, instance_id: None };
                let _ = self.ask(|slot, _, cx| match &mut slot.group {
                    Group::Classic(group) => group.leave(&[leaving], cx),
                    Group::Consumer(group) => group.leave(&[leaving], cx.out),
                });
            }
            Kind::Consumer => {
                let epoch = if instance.is_some() { AWAY } else { LEAVE };
                let beat = Beat {
                    member_id: id,
                    has_own_id: true,
                    epoch,
                    instance_id: instance,
                    rebalance_timeout_ms: -1,
                    ..Beat::default()
                };
                let number = self.number();
                self.ask(|slot, around, cx| slot.beat("g", number, &beat, around, cx));
            }
        }
    }

    fn make_durable(&mut self) {
        match self.journal.pop_front() {
            Some(Frame::Group(item, then)) => {
                self.durable = Some(item);
                self.ask(|slot, _, cx| slot.group.stored(then, Ok(()), cx));
            }
            Some(Frame::Written(written)) => self.written(written, true),
            None => {}
        }
    }

    fn pass(&mut self, ms: i64) {
        (self.now.ms, self.now.wall_ms) = (self.now.ms + ms, self.now.wall_ms + ms);
        self.ask(|slot, _, cx| slot.group.tick(cx));
        self.expire();
    }

    fn crash(&mut self, survives: usize) {
        let survives = survives.min(self.journal.len());
        let survivors: Vec<Frame> = self.journal.drain(..survives).collect();
        for frame in survivors {
            match frame {
                Frame::Group(item, _) => self.durable = Some(item),
                Frame::Written(written) => self.written(written, false),
            }
        }
        self.journal.clear();
        self.recover_copies();
        self.now.ms = 0;
        self.slot = Slot::new("g", self.now);
        if let Some(item) = &self.durable {
            let item: GroupItem = value_of(item).read().unwrap();
            let mut cx = Cx { rules: &RULES, now: self.now, out: &mut Vec::new() };
            self.slot.group = Group::restore("g", item, &consumer_rules(), &mut cx);
            assert!(cx.out.is_empty());
        }
        (0..self.clients.len()).for_each(|at| self.lose_answer(at));
    }

    fn lose_answer(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.waits.take().is_some() {
            (client.says_all, client.to_join) = (true, true);
        }
        self.loops[at].lose_answer();
    }

    /// A client does nothing for so long that the others take its partitions over; it does not know that.
    fn leave_behind(&mut self, at: usize) {
        for _ in 0..6 {
            self.pass(4_500);
            for other in (0..self.clients.len()).filter(|other| *other != at) {
                self.go_on(other);
                self.copy(other, 1);
                self.make_durable();
            }
        }
    }

    /// A client does what it has to, and is answered.
    fn go_on(&mut self, at: usize) {
        if self.loops[at].is_busy() {
            self.copy(at, 1);
        }
        self.act(at);
        (0..4).for_each(|_| self.make_durable());
        self.apply(at);
        self.apply(at);
    }

    fn step(&mut self, (what, at, number): Step) {
        let at = at % self.clients.len();
        match what {
            0..45 => self.act(at),
            45..58 => self.apply(at),
            58..78 => (0..=number % 4).for_each(|_| self.make_durable()),
            78..84 => self.pass(i64::from(number % 12_000)),
            84..90 => {
                // The client is shut down, or killed, and started again, maybe as another version.
                if number % 3 > 0 {
                    self.leave(at);
                }
                let kind = if number % 2 == 0 { Kind::Consumer } else { Kind::Classic };
                self.begin_anew(at, kind);
            }
            90..93 => self.crash(usize::from(number % 3)),
            93..97 => self.lose_answer(at),
            97..100 => self.is_full = number % 3 == 0,
            100..103 => self.leave_behind(at),
            _ => {
                self.copy(at, number);
                (0..number % 4).for_each(|_| self.make_durable());
            }
        }
        self.loops.iter_mut().zip(&self.clients).for_each(|(own, client)| own.keep(client));
        self.check();
    }

    /// Members of the consumer protocol own what they own until they say something else; of the others those count that may
    /// commit.
    fn counts(&mut self, kind: Kind, id: &str, epoch: i32, partition: i32) -> bool {
        if kind == Kind::Consumer {
            return matches!(&self.slot.group, Group::Consumer(group) if group.has_epochs(id));
        }
        let member = MemberRef { id: id.to_owned(), instance_id: None, generation: epoch };
        let (group, place) = (&mut self.slot.group, TopicPartition { topic: TOPIC, partition });
        epoch > 0
            && group.check_commit(&member, true, self.now).is_ok()
            && group.check_place(&member, place, true).is_ok()
    }

    fn check(&mut self) {
        let mut owned = BTreeMap::new();
        for at in 0..self.clients.len() {
            let Client { kind, id, epoch, owned: own, is_between, .. } = self.clients[at].clone();
            if is_between {
                continue;
            }
            for partition in own.iter().filter(|own| self.counts(kind, &id, epoch, **own)).copied().collect::<Vec<_>>()
            {
                let other = owned.insert(partition, id.clone());
                assert_eq!(other, None, "{partition} is owned twice, also by {id}");
            }
        }
        let ghosts = std::mem::take(&mut self.ghosts);
        for Ghost { kind, id, epoch, owned: own } in &ghosts {
            let is_back = self.clients.iter().any(|client| client.id == *id);
            for partition in own.iter().filter(|_| *kind == Kind::Classic && !is_back) {
                if self.counts(*kind, id, *epoch, *partition) {
                    let owner = owned.get(partition);
                    assert_eq!(owner, None, "{partition} may be committed by {id}, which is gone and not fenced");
                }
            }
        }
        self.ghosts = ghosts;
    }

    /// Everybody does what it should: then every partition is owned, under the protocol that is left.
    fn settle(&mut self) {
        self.is_full = false;
        // Of two clients that claim one name only one goes on.
        let last = self.clients.len() - 1;
        self.forget(last);
        self.loops[last].forget();
        for round in 0..60 {
            if round == 30 && self.owes_join {
                // A client without a name starts again.
                self.leave(0);
                self.begin_anew(0, self.clients[0].kind);
            }
            for at in 0..last {
                self.go_on(at);
            }
            self.pass(1_500);
        }
        let kind = match self.clients[..last].iter().any(|client| client.kind == Kind::Consumer) {
            true => "consumer",
            false => "classic",
        };
        let listed = self.slot.group.listed();
        assert_eq!((listed.kind, listed.state), (kind, "Stable"), "{:#?}", self.clients);
        for partition in 0..PARTITIONS {
            let owners = self.clients[..last].iter().filter(|client| client.owned.contains(&partition)).count();
            assert_eq!(owners, 1, "{partition}: {:#?}", self.clients);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 5_000 }))]

    #[test]
    fn a_partition_has_one_owner_and_is_copied_once_while_its_group_changes_its_protocol(
        is_cooperative in any::<bool>(),
        steps in proptest::collection::vec((0..220_u8, 0..8_usize, any::<u16>()), 1..600),
    ) {
        let mut world = World::new(is_cooperative);
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
    }
}
