//! One transactional id (pure).
//!
//! A call asks a [`Transaction`], which answers with what would follow: the id's new [`Entry`], or an [`Ending`]. Whoever asks
//! writes that and only then takes it over, so a refused write changes nothing. What is written is in the order of the log, so
//! an entry counts from the moment at which the log has taken it, and only answers wait for the disk. The exception is an
//! end: until it is durable its transaction is neither open nor closed, and callers are told to try again.
//!
//! | state | init | add | end | fence |
//! |---|---|---|---|---|
//! | empty, committed, aborted | empty, next epoch | ongoing | retry: the same answer; else refused, but for an abort of TV2 | - |
//! | ongoing | aborted (fenced), and the caller tries again | ongoing | committed or aborted | aborted, next epoch |
//! | ending | try again | try again | try again, or refused | - |
//!
//! Kafka's `PrepareCommit` and `PrepareAbort` are the ending; there is nothing of them to store, for markers and entry are
//! written as one. With TV2 (KIP-890, `version` 2) every end raises the epoch, so that nothing sent before it can be taken for
//! a part of the next transaction. The last epoch but one is never given out, so that there is always one left to fence with.
use std::collections::BTreeSet;

use super::entry::{Entry, Identity, NO_EPOCH, Places, Status, TV2, is_exhausted};
use crate::coordinator::error::TxnError;
use crate::coordinator::items::TopicPartition;
use crate::log::TransactionEnd;
use crate::record::Outcome;

/// The end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The id afterwards.
    pub entry: Entry,
    /// What the markers say.
    pub marker: TransactionEnd,
    /// Where they go.
    pub partitions: Places,
    /// Groups whose offsets it decides.
    pub groups: BTreeSet<String>,
}

/// What an InitProducerId comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Init {
    /// The producer gets the id and the epoch of this entry.
    Given(Entry),
    /// First the open transaction is aborted; the caller tries again.
    AbortFirst(Ending),
}

/// What an EndTxn comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The transaction ends.
    Now(Ending),
    /// It ended that way before: the answer has been lost. The producer goes on as this.
    Before(Identity),
}

/// An EndTxn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndCall {
    /// Who calls.
    pub producer: Identity,
    /// How it shall end.
    pub outcome: Outcome,
    /// The version of the protocol that the caller speaks.
    pub version: i8,
}

/// A transactional id at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// What the log has taken.
    pub entry: Entry,
    /// An end that is not durable yet.
    pub ending: Option<Outcome>,
}

impl Transaction {
    /// An id as it was stored.
    pub fn new(entry: Entry) -> Self {
        Self { entry, ending: None }
    }

    /// A producer comes, or comes again. `expected`: who it believes to be. `fresh`: a producer id that was never given out.
    ///
    /// # Errors
    /// [`TxnError::Concurrent`], [`TxnError::Fenced`].
    pub fn init(
        &self,
        expected: Option<Identity>,
        timeout_ms: i32,
        now_ms: i64,
        fresh: impl FnOnce() -> i64,
    ) -> Result<Init, TxnError> {
        let entry = &self.entry;
        if self.ending.is_some() {
            return Err(TxnError::Concurrent);
        }
        if let Some(expected) = expected {
            let before = expected.id == entry.previous_producer_id && is_exhausted(expected.epoch);
            let known = expected.epoch == entry.epoch && !before || expected.epoch == entry.last_epoch;
            if !known || !(expected.id == entry.producer_id || before) {
                return Err(entry.fenced(expected.epoch));
            }
        }
        if entry.is_open() {
            // Kafka has anybody abort it who knows the producer id; here only its present instance, or a new one. The present
            // one goes on with the epoch that the abort gives it.
            return match expected {
                Some(expected) if expected.epoch != entry.epoch => Err(entry.fenced(expected.epoch)),
                Some(expected) => Ok(Init::AbortFirst(self.fence_from(expected.epoch, now_ms))),
                None => Ok(Init::AbortFirst(self.fence_from(NO_EPOCH, now_ms))),
            };
        }
        let mut next = Entry { timeout_ms, start_ms: -1, ..entry.settled(Status::Empty, now_ms) };
        let again = expected.is_some_and(|expected| expected.epoch == entry.last_epoch);
        if again && entry.epoch < i16::MAX {
            return Ok(Init::Given(next)); // the answer to the same call was lost
        }
        next.last_epoch = expected.map_or(NO_EPOCH, |expected| expected.epoch);
        if entry.is_exhausted() {
            (next.producer_id, next.epoch, next.previous_producer_id) = (fresh(), 0, entry.producer_id);
        } else {
            next.epoch += 1;
        }
        Ok(Init::Given(next))
    }

    /// Whether a producer may write to its transaction now, or begin one.
    ///
    /// # Errors
    /// [`TxnError::UnknownProducerId`], [`TxnError::Fenced`], [`TxnError::Concurrent`].
    pub fn check(&self, producer: Identity) -> Result<(), TxnError> {
        self.entry.check(producer)?;
        match self.ending {
            Some(_) => Err(TxnError::Concurrent),
            None => Ok(()),
        }
    }

    /// What becomes of it when partitions and groups are added. `None`: they are all there.
    ///
    /// # Errors
    /// As [`Transaction::check`].
    pub fn add(
        &self,
        producer: Identity,
        (places, group): (&[TopicPartition], Option<&str>),
        version: i8,
        now_ms: i64,
    ) -> Result<Option<Entry>, TxnError> {
        self.check(producer)?;
        let entry = &self.entry;
        let complete = places.iter().all(|place| entry.has(*place))
            && group.is_none_or(|group| entry.groups.contains(group))
            && entry.version == version;
        if entry.is_open() && complete {
            return Ok(None);
        }
        let mut next = Entry { version, update_ms: entry.update_ms.max(now_ms), ..entry.clone() };
        if !entry.is_open() {
            next = Entry { start_ms: now_ms, status: Status::Ongoing, ..next };
        }
        for place in places {
            next.partitions.entry(place.topic).or_default().insert(place.partition);
        }
        next.groups.extend(group.map(str::to_owned));
        Ok(Some(next))
    }

    /// Whether a partition is in the producer's open transaction.
    ///
    /// # Errors
    /// As [`Transaction::check`], and [`TxnError::Abortable`].
    pub fn verify(&self, producer: Identity, place: TopicPartition) -> Result<(), TxnError> {
        self.check(producer)?;
        if self.entry.is_open() && self.entry.has(place) { Ok(()) } else { Err(TxnError::Abortable) }
    }

    /// Whether a group is in the producer's open transaction.
    ///
    /// # Errors
    /// As [`Transaction::verify`].
    pub fn verify_group(&self, producer: Identity, group: &str) -> Result<(), TxnError> {
        self.check(producer)?;
        if self.entry.is_open() && self.entry.groups.contains(group) { Ok(()) } else { Err(TxnError::Abortable) }
    }

    /// The producer ends its transaction.
    ///
    /// # Errors
    /// [`TxnError::UnknownProducerId`], [`TxnError::Fenced`], [`TxnError::Concurrent`], [`TxnError::InvalidState`].
    pub fn end(&self, call: EndCall, now_ms: i64, fresh: impl FnOnce() -> i64) -> Result<End, TxnError> {
        let again = self.is_again(&call);
        if !again {
            self.entry.check(call.producer)?;
        }
        let same = match self.entry.status {
            Status::Committed => call.outcome == Outcome::Committed,
            Status::Aborted => call.outcome == Outcome::Aborted,
            Status::Empty | Status::Ongoing => false,
        };
        let refused = Err(TxnError::InvalidState(self.state_name()));
        if self.ending.is_some() {
            return if same { Err(TxnError::Concurrent) } else { refused };
        }
        match self.entry.status {
            Status::Ongoing => Ok(End::Now(self.ending_of(call, now_ms, fresh))),
            _ if again && same => Ok(End::Before(self.entry.identity())),
            _ if again => refused,
            // With TV2 an abort is how a client leaves a transaction of which nothing may have arrived.
            _ if call.version >= TV2 && call.outcome == Outcome::Aborted => {
                Ok(End::Now(self.ending_of(call, now_ms, fresh)))
            }
            _ => refused,
        }
    }

    /// Whether a call that ends a transaction is one that has been done: with TV2 its epoch is the one before then.
    fn is_again(&self, call: &EndCall) -> bool {
        let entry = &self.entry;
        if matches!(entry.status, Status::Empty | Status::Ongoing) {
            return false;
        }
        if call.version < TV2 {
            return call.producer == entry.identity();
        }
        if entry.version < TV2 {
            return false;
        }
        let rotated = entry.epoch == 0 && call.producer.id == entry.previous_producer_id;
        let raised = call.producer.id == entry.producer_id && entry.epoch == call.producer.epoch.saturating_add(1);
        call.producer.epoch == entry.last_epoch && (rotated || raised)
    }

    fn ending_of(&self, call: EndCall, now_ms: i64, fresh: impl FnOnce() -> i64) -> Ending {
        let status = match call.outcome {
            Outcome::Committed => Status::Committed,
            Outcome::Aborted => Status::Aborted,
        };
        let mut next = Entry { version: call.version, ..self.entry.settled(status, now_ms) };
        if !self.entry.is_open() {
            next.start_ms = now_ms; // nothing was in it: it began with its end
        }
        let mut marker_epoch = self.entry.epoch;
        if call.version >= TV2 {
            marker_epoch = marker_epoch.saturating_add(1);
            next.last_epoch = self.entry.epoch;
            next.epoch = marker_epoch;
            if self.entry.is_exhausted() {
                (next.producer_id, next.epoch, next.previous_producer_id) = (fresh(), 0, self.entry.producer_id);
            }
        }
        self.ending_to(next, marker_epoch, call.outcome)
    }

    /// Aborts the open transaction, if there is one, so that nothing more is written to it: for the time-out, or for somebody
    /// who has a reason. Its producer goes on with the new epoch: it learns it with TV2 when it aborts too, else when it asks for
    /// its id again.
    pub fn fence(&self, now_ms: i64) -> Option<Ending> {
        (self.entry.is_open() && self.ending.is_none()).then(|| self.fence_from(self.entry.epoch, now_ms))
    }

    fn fence_from(&self, last_epoch: i16, now_ms: i64) -> Ending {
        let epoch = self.entry.epoch.saturating_add(1);
        let next = Entry { epoch, last_epoch, ..self.entry.settled(Status::Aborted, now_ms) };
        self.ending_to(next, epoch, Outcome::Aborted)
    }

    fn ending_to(&self, next: Entry, producer_epoch: i16, outcome: Outcome) -> Ending {
        let Entry { producer_id, partitions, groups, .. } = self.entry.clone();
        Ending { entry: next, marker: TransactionEnd { producer_id, producer_epoch, outcome }, partitions, groups }
    }

    /// The log has taken an end.
    pub fn begin(&mut self, ending: Ending) {
        self.ending = Some(ending.marker.outcome);
        self.entry = ending.entry;
    }

    /// The end is durable.
    pub fn ended(&mut self) {
        self.ending = None;
    }

    /// Kafka's name of its state.
    pub fn state_name(&self) -> &'static str {
        match (self.ending, self.entry.status) {
            (Some(Outcome::Committed), _) => "PrepareCommit",
            (Some(Outcome::Aborted), _) => "PrepareAbort",
            (None, Status::Empty) => "Empty",
            (None, Status::Ongoing) => "Ongoing",
            (None, Status::Committed) => "CompleteCommit",
            (None, Status::Aborted) => "CompleteAbort",
        }
    }
}

#[cfg(test)]
mod tests;
