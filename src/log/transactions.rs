//! Transactions as a partition sees them, pure: which are open, and which were aborted.
//!
//! The last stable offset is the first offset of the oldest open transaction. An end counts when its marker is durable. Those
//! that were aborted are remembered for as long as their records are hot: hot readers are told of them, and a seal leaves
//! their records out.
use std::collections::{BTreeMap, VecDeque};

use super::hot::Span;
use crate::archive::manifest::{self as archive, GapReason};
use crate::record::{BatchHeader, Outcome};

/// What a batch is to transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// It belongs to the transaction of this producer.
    Part(i64),
    /// It is a control batch.
    Control,
}

impl Role {
    /// The role of a batch.
    pub fn of(header: &BatchHeader) -> Self {
        match (header.is_control(), header.is_transactional()) {
            (true, _) => Self::Control,
            (false, true) => Self::Part(header.producer_id),
            (false, false) => Self::Plain,
        }
    }

    /// As the token of a frame, which comes back when the frame is durable. Producer ids are not negative.
    pub fn to_token(self) -> u64 {
        match self {
            Self::Plain => 0,
            Self::Control => u64::MAX,
            Self::Part(producer_id) => producer_id.unsigned_abs() + 1,
        }
    }

    /// What [`Role::to_token`] made a token of.
    pub fn of_token(token: u64) -> Self {
        match token {
            0 => Self::Plain,
            u64::MAX => Self::Control,
            token => Self::Part((token - 1).cast_signed()),
        }
    }
}

/// A transaction whose records do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Whose.
    pub producer_id: i64,
    /// Its first offset here.
    pub first: i64,
    /// The offset of its marker.
    pub last: i64,
}

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ending {
    producer_id: i64,
    outcome: Outcome,
    /// Its first offset here, if it wrote anything.
    first: Option<i64>,
    /// The offset of its marker.
    last: i64,
}

/// The transactions of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    /// First offset of each open transaction, by producer: one whose marker is appended is not open any more.
    open: BTreeMap<i64, i64>,
    /// Ends whose markers are not durable yet, by marker.
    ending: VecDeque<Ending>,
    /// By marker.
    aborted: VecDeque<Aborted>,
}

impl Transactions {
    /// What a manifest holds open as of the end of its sealed range.
    pub fn open_as_of(known: &archive::Producers) -> Self {
        let open = known.producers.iter().filter(|producer| producer.open_from >= 0);
        Self { open: open.map(|producer| (producer.id, producer.open_from)).collect(), ..Self::default() }
    }

    /// Adds transactions that were aborted before all that are known here: for readers, they decide nothing.
    pub fn remember_aborted(&mut self, before: Self) {
        let after = std::mem::replace(&mut self.aborted, before.aborted);
        self.aborted.extend(after);
    }

    /// A batch of a transaction is appended at `offset`.
    pub fn part(&mut self, producer_id: i64, offset: i64) {
        self.open.entry(producer_id).or_insert(offset);
    }

    /// The marker of a producer's transaction is appended at `offset`. It counts with [`Transactions::durable`].
    pub fn ends(&mut self, producer_id: i64, outcome: Outcome, offset: i64) {
        let first = self.open.remove(&producer_id);
        self.ending.push_back(Ending { producer_id, outcome, first, last: offset });
    }

    /// Everything below `end` is durable.
    pub fn durable(&mut self, end: i64) {
        while let Some(Ending { producer_id, outcome, first, last }) = self.ending.pop_front_if(|e| e.last < end) {
            if let (Some(first), Outcome::Aborted) = (first, outcome) {
                self.aborted.push_back(Aborted { producer_id, first, last });
            }
        }
    }

    /// First offset of the oldest transaction that is not decided.
    pub fn first_open(&self) -> Option<i64> {
        let ending = self.ending.iter().filter_map(|ending| ending.first);
        self.open.values().copied().chain(ending).min()
    }

    /// The open ones: producer id and first offset.
    pub fn open(&self) -> impl Iterator<Item = (i64, i64)> {
        self.open.iter().map(|(producer_id, first)| (*producer_id, *first))
    }

    /// Where the open transaction of a producer begins.
    pub fn open_from(&self, producer_id: i64) -> Option<i64> {
        self.open.get(&producer_id).copied()
    }

    /// The aborted ones that have offsets in `from..until`.
    pub fn aborted_in(&self, from: i64, until: i64) -> impl Iterator<Item = &Aborted> {
        let first = self.aborted.partition_point(|aborted| aborted.last < from);
        self.aborted.range(first..).filter(move |aborted| aborted.first < until)
    }

    /// Whether the batch at `base`, which is decided, belongs to an aborted transaction.
    pub fn is_aborted(&self, role: Role, base: i64) -> bool {
        match role {
            Role::Part(producer_id) => {
                // The first end behind it decides: later transactions of the same producer begin behind that.
                let mut behind = self.aborted_in(base, i64::MAX).filter(|aborted| aborted.producer_id == producer_id);
                behind.next().is_some_and(|aborted| aborted.first <= base)
            }
            Role::Plain | Role::Control => false,
        }
    }

    /// Why the records of a batch, which is decided, are not kept when it is sealed.
    pub fn dead(&self, span: &Span) -> Option<GapReason> {
        match span.role {
            Role::Control => Some(GapReason::Control),
            role => self.is_aborted(role, span.base).then_some(GapReason::Aborted),
        }
    }

    /// Forgets aborted transactions that end below `hot_start`.
    pub fn forget_below(&mut self, hot_start: i64) {
        while self.aborted.pop_front_if(|aborted| aborted.last < hot_start).is_some() {}
    }
}

#[cfg(test)]
mod tests;
