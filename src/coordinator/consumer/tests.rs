//! The pure machine: what each call does and why it is refused; and a model under random interleavings.
mod answers;
mod classic;
mod commits;
mod epochs;
mod model;

use std::collections::BTreeMap;

use super::assignor::Assignor;
use super::calls::{AWAY, Around, Beat, Beaten, ENTER, LEAVE, Rules};
use super::catalog::{Catalog, TopicShape};
use super::machine::Machine;
use super::partitions::Partitions;
use crate::base::Uuid;
use crate::coordinator::error::GroupError;
use crate::coordinator::items::TopicPartition;
use crate::coordinator::items::consumer::{ConsumerItem, MemberState};

fn rules() -> Rules {
    Rules {
        heartbeat_ms: 5_000,
        session_ms: 45_000,
        max_size: 4,
        assignors: Assignor::ALL.to_vec(),
        max_bytes: 1 << 20,
        takes_over: true,
    }
}

/// Topics `t1`, `t2`, ... with ids of that number.
#[derive(Debug, Default, Clone)]
struct Topics {
    shapes: BTreeMap<String, TopicShape>,
    version: u64,
}

impl Topics {
    fn of(sizes: &[(&str, i32)]) -> Self {
        let mut topics = Self::default();
        sizes.iter().for_each(|(name, partitions)| topics.put(name, *partitions));
        topics
    }

    fn put(&mut self, name: &str, partitions: i32) {
        self.version += 1;
        let id = self.shapes.get(name).map_or_else(|| id(name), |shape| shape.id);
        self.shapes.insert(name.to_owned(), TopicShape { name: name.to_owned(), id, partitions });
    }

    fn remove(&mut self, name: &str) {
        self.version += 1;
        self.shapes.remove(name);
    }
}

impl Catalog for Topics {
    fn version(&self) -> u64 {
        self.version
    }

    fn shape(&self, name: &str) -> Option<TopicShape> {
        self.shapes.get(name).cloned()
    }

    fn name_of(&self, id: Uuid) -> Option<String> {
        self.shapes.values().find(|shape| shape.id == id).map(|shape| shape.name.clone())
    }

    fn shapes(&self) -> Vec<TopicShape> {
        self.shapes.values().cloned().collect()
    }
}

fn id(name: &str) -> Uuid {
    Uuid([*name.as_bytes().last().unwrap(); 16])
}

fn places(of: &[(&str, &[i32])]) -> Partitions {
    of.iter()
        .flat_map(|(t, numbers)| numbers.iter().map(|&partition| TopicPartition { topic: id(t), partition }))
        .collect()
}

/// A heartbeat that enters the group.
fn enter(member: &str, names: &[&str]) -> Beat {
    Beat {
        member_id: member.to_owned(),
        has_own_id: true,
        epoch: ENTER,
        rebalance_timeout_ms: 60_000,
        names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        owned: Some(Partitions::new()),
        ..Beat::default()
    }
}

/// A heartbeat that says nothing new.
fn alive(member: &str, epoch: i32) -> Beat {
    Beat { member_id: member.to_owned(), has_own_id: true, epoch, rebalance_timeout_ms: -1, ..Beat::default() }
}

fn owns(member: &str, epoch: i32, owned: &Partitions) -> Beat {
    Beat { owned: Some(owned.clone()), ..alive(member, epoch) }
}

fn of_instance(beat: Beat, instance: &str) -> Beat {
    Beat { instance_id: Some(instance.to_owned()), ..beat }
}

/// A group in its surroundings.
struct Setup {
    machine: Machine,
    topics: Topics,
    rules: Rules,
    now_ms: i64,
}

impl Setup {
    fn new(sizes: &[(&str, i32)]) -> Self {
        Self { machine: Machine::new("g", 0), topics: Topics::of(sizes), rules: rules(), now_ms: 1_000 }
    }

    fn beat(&mut self, beat: &Beat) -> Result<Beaten, GroupError> {
        let around = Around { rules: &self.rules, topics: &self.topics, now_ms: self.now_ms };
        self.machine.heartbeat(beat, &around)
    }

    /// Epoch and assignment of an answer.
    fn told(&mut self, beat: &Beat) -> (i32, Option<Partitions>) {
        let beaten = self.beat(beat).unwrap();
        (beaten.epoch, beaten.assignment)
    }

    fn state(&self, member: &str) -> MemberState {
        self.machine.member(member).unwrap().state
    }

    fn restart(&mut self) {
        let item: ConsumerItem =
            serde_json::from_value(serde_json::to_value(self.machine.item()).unwrap()).expect("reads what it wrote");
        assert_eq!(&item, self.machine.item());
        self.machine = Machine::restore("g", item, &self.rules, self.now_ms);
        self.topics.version = 1;
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.machine.tick(self.now_ms);
    }
}
