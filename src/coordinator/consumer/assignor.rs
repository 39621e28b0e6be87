//! Who gets which partitions: the assignors of the broker (KIP-848), `uniform` and `range`. Pure functions.
//!
//! | file | what it does |
//! |---|---|
//! | `range` | each topic cut into ranges of neighbours, in the order of the members |
//! | `uniform` | as many partitions for everybody as possible, and as few of them moved as possible |
mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use super::partitions::Partitions;
use crate::base::Uuid;

/// A way of assigning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assignor {
    /// Balanced over all topics, and sticky.
    Uniform,
    /// Ranges of each topic, so that partitions of equal numbers meet in one member.
    Range,
}

impl Assignor {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// The partitions of each member, in the order of `members`. Every partition of a topic that somebody is subscribed to
    /// gets exactly one owner, who is subscribed to it.
    pub fn assign(self, members: &[Subscriber<'_>], topics: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
        match self {
            Self::Uniform => uniform::assign(members, topics),
            Self::Range => range::assign(members, topics),
        }
    }
}

/// A member as assignors see it.
#[derive(Debug, Clone)]
pub struct Subscriber<'a> {
    /// Its member id.
    pub id: &'a str,
    /// Its `group.instance.id`.
    pub instance_id: Option<&'a str>,
    /// The topics that it is subscribed to, all of which exist.
    pub topics: &'a BTreeSet<Uuid>,
    /// What it would have had so far.
    pub had: &'a Partitions,
}

#[cfg(test)]
mod tests;
