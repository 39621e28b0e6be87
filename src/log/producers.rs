//! Idempotence, pure: what each producer wrote last to a partition, and whether its next batch is new, repeated or wrong.
//!
//! The rules are those of Kafka's `ProducerStateManager`: the last five batches of a producer are remembered, so that a
//! batch that was sent again is answered with the offset it has; any other sequence must follow the last one, modulo 2^31.
use std::collections::{HashMap, VecDeque};

use crate::base::Limits;

/// Batches remembered for each producer: what a client may have in flight.
pub const BATCHES_REMEMBERED: usize = 5;

/// One batch as its producer numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMark {
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Its greatest timestamp, ms.
    pub timestamp: i64,
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Producer {
    /// Its newest epoch.
    pub epoch: i16,
    /// Its last batches, oldest first, at most [`BATCHES_REMEMBERED`].
    pub batches: VecDeque<BatchMark>,
    /// When it last wrote, by the broker's clock, ms.
    pub last_timestamp: i64,
    /// Records of it may have been lost with a WAL: one jump forward of its sequence is accepted.
    pub after_loss: bool,
}

/// The producers of one partition; bounded by [`Limits::PRODUCERS_PER_PARTITION_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers(HashMap<i64, Producer>);

/// A batch that may be appended, or one that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    New,
    /// It was appended before, here.
    Repeated(BatchMark),
}

/// A batch that must not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Its epoch is older than `current`.
    Fenced {
        /// The newest epoch seen.
        current: i16,
    },
    /// Its sequence is not `expected`.
    OutOfOrder {
        /// What would have followed.
        expected: i32,
    },
}

impl Producers {
    /// Whether a batch of `producer_id` with this epoch and these sequences may be appended.
    pub fn check(&self, producer_id: i64, epoch: i16, first: i32, last: i32) -> Result<Verdict, Violation> {
        let Some(known) = self.0.get(&producer_id) else { return Ok(Verdict::New) };
        if epoch < known.epoch {
            return Err(Violation::Fenced { current: known.epoch });
        }
        if epoch > known.epoch {
            return if first == 0 { Ok(Verdict::New) } else { Err(Violation::OutOfOrder { expected: 0 }) };
        }
        let same = |mark: &&BatchMark| mark.first_sequence == first && mark.last_sequence == last;
        if let Some(mark) = known.batches.iter().find(same) {
            return Ok(Verdict::Repeated(*mark));
        }
        let Some(newest) = known.batches.back() else { return Ok(Verdict::New) };
        let expected = follows(newest.last_sequence, 1);
        if first == expected || (known.after_loss && first > expected) {
            Ok(Verdict::New)
        } else {
            Err(Violation::OutOfOrder { expected })
        }
    }

    /// Remembers a batch that was appended at `now_ms`.
    pub fn record(&mut self, producer_id: i64, epoch: i16, mark: BatchMark, now_ms: i64) {
        if !self.0.contains_key(&producer_id) && self.0.len() >= Limits::PRODUCERS_PER_PARTITION_MAX {
            self.forget_the_most_silent();
        }
        let known = self.0.entry(producer_id).or_default();
        if epoch != known.epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        if known.batches.len() == BATCHES_REMEMBERED {
            known.batches.pop_front();
        }
        known.batches.push_back(mark);
        known.last_timestamp = now_ms;
        known.after_loss = false;
    }

    /// Puts back what a manifest remembered.
    pub fn restore(&mut self, producer_id: i64, producer: Producer) {
        self.0.insert(producer_id, producer);
    }

    /// Records may have been lost behind what is known: each producer may jump forward once.
    pub fn mark_loss(&mut self) {
        self.0.values_mut().for_each(|p| p.after_loss = true);
    }

    /// Forgets producers that were silent since `before_ms`.
    pub fn expire(&mut self, before_ms: i64) {
        self.0.retain(|_, p| p.last_timestamp >= before_ms);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.0.iter().map(|(id, p)| (*id, p))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn forget_the_most_silent(&mut self) {
        if let Some(id) = self.0.iter().min_by_key(|(_, p)| p.last_timestamp).map(|(id, _)| *id) {
            self.0.remove(&id);
        }
    }
}

/// The sequence `n` places after `sequence`: after `i32::MAX` comes 0.
pub fn follows(sequence: i32, n: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(n);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).expect("a remainder of 2^31 fits")
}

#[cfg(test)]
mod tests;
