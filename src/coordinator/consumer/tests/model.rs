//! I8: one group under random heartbeats, lost answers, time-outs, new topics, crashes and restarts. Whatever happens, no two
//! members own one partition, whoever lost its place cannot commit, and in the end everything is owned again.
//!
//! Clients do what KIP-848 asks of them: they give up what they are told to before they say so, they take new partitions
//! only while they wait for no answer, and whoever is told that it is fenced owns nothing any more.
use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::coordinator::calls::{Effect, MemberRef, Ticket};
use crate::coordinator::consumer::Group;
use crate::coordinator::items::GroupItem;

/// Clients by their `group.instance.id`: two of them claim the same.
const INSTANCES: [Option<&str>; 5] = [None, None, Some("i"), Some("j"), Some("j")];
const NAMES: [&str; 3] = ["t1", "t2", "u3"];
/// Fewer than there are clients.
const MAX_SIZE: usize = 4;

/// A call, by whom, and a number for whatever it needs.
type Step = (u8, usize, u16);

#[derive(Clone, Default)]
struct Client {
    id: String,
    instance: Option<String>,
    epoch: i32,
    owned: Partitions,
    /// What it was told to own.
    told: Partitions,
    names: Vec<String>,
    pattern: Option<String>,
    in_flight: Option<Ticket>,
    /// It has missed an answer, or asked for something new: it says everything.
    says_all: bool,
    /// What it owns is not what it last said.
    says_owned: bool,
}

impl Client {
    fn reset(&mut self) -> Option<Ghost> {
        let (owned, epoch) = (std::mem::take(&mut self.owned), std::mem::take(&mut self.epoch));
        self.told.clear();
        self.in_flight = None;
        (epoch > 0).then(|| Ghost { id: self.id.clone(), epoch, owned })
    }

    fn beat(&mut self) -> Beat {
        let full = self.says_all || self.epoch == ENTER;
        let owned = (full || self.says_owned).then(|| self.owned.clone());
        (self.says_all, self.says_owned) = (false, false);
        Beat {
            member_id: self.id.clone(),
            has_own_id: true,
            epoch: self.epoch,
            instance_id: self.instance.clone(),
            rebalance_timeout_ms: if full { 20_000 } else { -1 },
            names: full.then(|| self.names.clone()),
            pattern: self.pattern.clone().filter(|_| full),
            owned,
            ..Beat::default()
        }
    }
}

/// What a client had when it ended, or was told that it is fenced.
struct Ghost {
    id: String,
    epoch: i32,
    owned: Partitions,
}

struct World {
    rules: Rules,
    topics: Topics,
    now_ms: i64,
    group: Group,
    durable: ConsumerItem,
    journal: VecDeque<ConsumerItem>,
    is_full: bool,
    clients: Vec<Client>,
    /// Places that clients once had.
    ghosts: Vec<Ghost>,
    next: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            rules: Rules { max_size: MAX_SIZE, ..rules() },
            topics: Topics::of(&[("t1", 3), ("t2", 2)]),
            now_ms: 0,
            group: Group::new("g", 0),
            durable: ConsumerItem::default(),
            journal: VecDeque::new(),
            is_full: false,
            clients: vec![Client::default(); INSTANCES.len()],
            ghosts: Vec::new(),
            next: 0,
        };
        for (at, instance) in INSTANCES.iter().enumerate() {
            world.clients[at].instance = instance.map(str::to_owned);
            world.clients[at].names = vec!["t1".to_owned()];
            world.begin_anew(at);
        }
        world
    }

    /// Another process, which has nothing of what was there before.
    fn begin_anew(&mut self, at: usize) {
        self.next += 1;
        self.lose_place(at);
        self.clients[at].id = format!("c{at}-{}", self.next);
    }

    /// A client owns nothing any more. What the same process had before does not count beside what it had last.
    fn lose_place(&mut self, at: usize) {
        if let Some(ghost) = self.clients[at].reset() {
            self.ghosts.retain(|older| older.id != ghost.id);
            self.ghosts.push(ghost);
        }
    }

    fn perform(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Store(GroupItem::Consumer(_), _) if self.is_full => {
                    let mut out = Vec::new();
                    self.group.stored(Err(GroupError::NotAvailable("full".to_owned())), &mut out);
                    self.perform(out);
                }
                Effect::Store(GroupItem::Consumer(item), _) => self.journal.push_back(item),
                Effect::Beaten(ticket, answer) => {
                    if let Some(at) = self.clients.iter().position(|client| client.in_flight == Some(ticket)) {
                        self.clients[at].in_flight = None;
                        self.hear(at, answer);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        self.check();
    }

    fn hear(&mut self, at: usize, answer: Result<Beaten, GroupError>) {
        let client = &mut self.clients[at];
        match answer {
            Ok(beaten) => {
                client.epoch = beaten.epoch;
                if let Some(assignment) = beaten.assignment {
                    client.told = assignment;
                    // It says again what it owns, also if that is the same.
                    client.says_owned = true;
                }
            }
            Err(GroupError::NotAvailable(_)) => client.says_all = true,
            Err(GroupError::FencedMemberEpoch | GroupError::UnknownMember) => {
                self.lose_place(at);
            }
            Err(GroupError::FencedInstance | GroupError::UnreleasedInstance | GroupError::GroupFull) => {
                self.begin_anew(at);
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn send(&mut self, at: usize, beat: &Beat) {
        self.next += 1;
        self.clients[at].in_flight = Some(self.next);
        let mut out = Vec::new();
        let around = Around { rules: &self.rules, topics: &self.topics, now_ms: self.now_ms };
        self.group.heartbeat(self.next, beat, &around, &mut out);
        self.perform(out);
    }

    fn heartbeat(&mut self, at: usize) {
        if self.clients[at].in_flight.is_none() {
            let beat = self.clients[at].beat();
            self.send(at, &beat);
        }
    }

    /// A client takes what it was told to take, once it has given up what it was told to give up.
    fn apply(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.epoch <= 0 || client.in_flight.is_some() || client.says_all {
            return;
        }
        let kept = &client.owned & &client.told;
        client.says_owned |= client.owned != client.told;
        client.owned = if kept == client.owned { client.told.clone() } else { kept };
        self.check();
    }

    fn leave(&mut self, at: usize, for_a_while: bool) {
        let client = &self.clients[at];
        if client.in_flight.is_some() || client.epoch <= 0 {
            return;
        }
        let epoch = if for_a_while && client.instance.is_some() { AWAY } else { LEAVE };
        let beat = Beat { instance_id: client.instance.clone(), ..alive(&client.id, epoch) };
        self.lose_place(at);
        self.send(at, &beat);
        self.clients[at].in_flight = None;
        self.begin_anew(at);
    }

    fn sync(&mut self) {
        if let Some(item) = self.journal.pop_front() {
            self.durable = item;
            let mut out = Vec::new();
            self.group.stored(Ok(()), &mut out);
            self.perform(out);
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        let mut out = Vec::new();
        self.group.tick(self.now_ms, &mut out);
        assert!(self.group.next_deadline().is_none_or(|at| at > self.now_ms));
        self.perform(out);
    }

    fn crash(&mut self, syncs: usize) {
        (0..syncs).for_each(|_| self.sync());
        self.journal.clear();
        let item = serde_json::from_value(serde_json::to_value(&self.durable).unwrap()).unwrap();
        self.group = Group::restore("g", item, &self.rules, self.now_ms);
        self.topics.version = 1;
        for client in &mut self.clients {
            client.says_all |= client.in_flight.take().is_some();
        }
        self.check();
    }

    fn change_topics(&mut self, number: u16) {
        let name = NAMES[usize::from(number) % NAMES.len()];
        let partitions = self.topics.shapes.get(name).map_or(0, |shape| shape.partitions);
        match number / 3 % 4 {
            0 if partitions > 0 => self.topics.remove(name),
            _ => self.topics.put(name, (partitions + 1).min(5)),
        }
    }

    fn resubscribe(&mut self, at: usize, number: u16) {
        let client = &mut self.clients[at];
        let wanted = |bit: &usize| number & (1 << bit) != 0;
        client.names = (0..NAMES.len()).filter(wanted).map(|bit| NAMES[bit].to_owned()).collect();
        client.pattern = Some(if number & 8 != 0 { "t.*".to_owned() } else { String::new() });
        client.says_all = true;
    }

    fn step(&mut self, (what, at, number): Step) {
        let at = at % self.clients.len();
        match what {
            0..40 => self.heartbeat(at),
            40..60 => self.apply(at),
            60..80 => self.sync(),
            80..84 => self.pass(i64::from(number % 30_000)),
            84..86 => self.leave(at, number % 2 == 0),
            86 => self.begin_anew(at),
            87..89 => self.crash(usize::from(number % 3)),
            89..91 => self.change_topics(number),
            91..93 => self.resubscribe(at, number),
            93..96 => {
                // The answer is lost.
                let client = &mut self.clients[at];
                client.says_all |= client.in_flight.take().is_some();
            }
            96 => self.clients[at].says_all |= self.clients[at].in_flight.is_none(),
            _ => self.is_full = number % 3 == 0,
        }
    }

    fn may_commit(&self, ghost: &Ghost, place: TopicPartition) -> bool {
        let member = MemberRef { id: ghost.id.clone(), instance_id: None, generation: ghost.epoch };
        self.group.check_commit(&member, false).is_ok() && self.group.check_place(&member, place, false).is_ok()
    }

    /// No two members own one partition: not those that are, nor those that were and may still commit it. Clients that are no
    /// members any more may not know it yet.
    fn check(&self) {
        let is_member = |id: &str| self.group.check_epoch(id, ENTER) != Err(GroupError::UnknownMember);
        let members = self.clients.iter().filter(|client| is_member(&client.id));
        let mut owners = BTreeMap::new();
        for client in members {
            for place in &client.owned {
                let other = owners.insert(*place, &client.id);
                assert_eq!(other, None, "{place:?} is owned twice, also by {}", client.id);
            }
        }
        for ghost in self.ghosts.iter().filter(|ghost| self.clients.iter().all(|client| client.id != ghost.id)) {
            for place in ghost.owned.iter().filter(|place| self.may_commit(ghost, **place)) {
                let owner = owners.entry(*place).or_insert(&ghost.id);
                assert_eq!(*owner, &ghost.id, "{place:?} has an owner, and may be committed by another member");
            }
        }
    }

    /// Everybody does what it should for a while: then every partition that somebody wants is owned.
    fn settle(&mut self) {
        self.is_full = false;
        for _ in 0..60 {
            for at in 0..self.clients.len() {
                self.heartbeat(at);
                (0..4).for_each(|_| self.sync());
                self.apply(at);
                self.apply(at);
            }
            self.pass(2_000);
        }
        assert_eq!(self.group.state(), "Stable");
        let members: Vec<_> =
            self.clients.iter().filter(|client| self.group.check_epoch(&client.id, client.epoch).is_ok()).collect();
        assert!(members.len() >= MAX_SIZE.min(self.clients.len() - 1), "all but one of the two that claim one name");
        let wants = |client: &Client, name: &str| {
            let by_pattern = client.pattern.as_deref() == Some("t.*") && name.starts_with('t');
            by_pattern || client.names.iter().any(|wanted| wanted == name)
        };
        for shape in self.topics.shapes.values() {
            for partition in 0..shape.partitions {
                let place = TopicPartition { topic: shape.id, partition };
                let owners = members.iter().filter(|client| client.owned.contains(&place)).count();
                let wanted = members.iter().any(|client| wants(client, &shape.name));
                assert_eq!(owners, usize::from(wanted), "{place:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 5_000 }))]

    #[test]
    fn a_partition_has_one_owner_whatever_happens(
        steps in proptest::collection::vec((0..100_u8, 0..8_usize, any::<u16>()), 1..400),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
    }
}
