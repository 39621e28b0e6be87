//! Idempotence, pure: what each producer wrote last to a partition, and whether its next batch is new, repeated or wrong.
//!
//! The rules are those of Kafka's `ProducerStateManager`: the last five batches of a producer are remembered, so that a
//! batch that was sent again is answered with the offset it has; any other sequence must follow the last one, modulo 2^31.
use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::archive::manifest as archive;
use crate::base::Limits;
use crate::record::BatchHeader;
use crate::store::envelope::Unknown;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its newest epoch.
    pub epoch: i16,
    /// Its last batches, oldest first, at most [`BATCHES_REMEMBERED`].
    pub batches: VecDeque<BatchMark>,
    /// When it last wrote, by the broker's clock, ms.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that wrote its last marker; -1 before the first one.
    pub coordinator_epoch: i32,
    /// What a later build said of it in the manifest: kept as long as the producer is remembered, whatever it writes here.
    pub unknown: Unknown,
}

impl Default for Producer {
    fn default() -> Self {
        Self { epoch: 0, batches: VecDeque::new(), last_timestamp: 0, coordinator_epoch: -1, unknown: Unknown::new() }
    }
}

/// The producers of one partition; bounded by [`Limits::PRODUCERS_PER_PARTITION_MAX`], or by less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producers {
    known: HashMap<i64, Producer>,
    /// At so many a new one takes the place of others.
    max: usize,
    /// End of the newest `wal-lost` gap: what a producer sent between its newest batch below and its next one was lost, so
    /// that it may jump forward once.
    lost_until: Option<i64>,
    /// What a later build said of them all in the manifest.
    unknown: Unknown,
}

impl Default for Producers {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            max: Limits::PRODUCERS_PER_PARTITION_MAX,
            lost_until: None,
            unknown: Unknown::new(),
        }
    }
}

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
        let Some(known) = self.known.get(&producer_id) else { return Ok(Verdict::New) };
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
        let newest = known.batches.back();
        let expected = newest.map_or(0, |newest| follows(newest.last_sequence, 1));
        let after_loss = self.lost_until.is_some_and(|end| newest.is_none_or(|newest| newest.last_offset < end));
        if first == expected || (after_loss && first > expected) {
            Ok(Verdict::New)
        } else {
            Err(Violation::OutOfOrder { expected })
        }
    }

    /// Remembers a batch that was appended at `now_ms`.
    pub fn record(&mut self, producer_id: i64, epoch: i16, mark: BatchMark, now_ms: i64) {
        let known = self.entry(producer_id);
        if epoch != known.epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        if known.batches.len() == BATCHES_REMEMBERED {
            known.batches.pop_front();
        }
        known.batches.push_back(mark);
        known.last_timestamp = now_ms;
    }

    /// Remembers a stored batch that was appended at `now_ms`: what its producer sent, or the marker that ended its
    /// transaction.
    pub fn observe(&mut self, header: &BatchHeader, now_ms: i64) {
        let (id, epoch) = (header.producer_id, header.producer_epoch);
        if header.has_producer() && header.is_control() {
            self.record_end(id, epoch, header.leader_epoch, now_ms);
        } else if header.has_producer() {
            let mark = BatchMark {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                first_offset: header.base_offset,
                last_offset: header.last_offset(),
                timestamp: header.max_timestamp,
            };
            self.record(id, epoch, mark, now_ms);
        }
    }

    /// Remembers a marker: its epoch is the lowest that may go on, and where it is a new one sequences begin anew. So they do
    /// where a transaction had the partition and wrote nothing to it.
    /// The coordinator is this broker, so its epoch is the leader epoch.
    pub fn record_end(&mut self, producer_id: i64, epoch: i16, coordinator_epoch: i32, now_ms: i64) {
        let known = self.entry(producer_id);
        known.last_timestamp = now_ms;
        known.coordinator_epoch = coordinator_epoch;
        if epoch > known.epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
    }

    fn entry(&mut self, producer_id: i64) -> &mut Producer {
        if !self.known.contains_key(&producer_id) && self.known.len() >= self.max {
            self.forget_the_most_silent();
        }
        self.known.entry(producer_id).or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// From now on a new one takes the place of others when there are so many; those that are there stay.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.known.iter().map(|(id, producer)| (*id, producer))
    }

    /// Records up to `end` may have been lost: each producer that wrote below may jump forward once.
    pub fn lost_until(&mut self, end: i64) {
        self.lost_until = self.lost_until.max(Some(end));
    }

    /// Forgets producers that were silent since `before_ms`, but for those with an open transaction.
    pub fn expire(&mut self, before_ms: i64, is_open: impl Fn(i64) -> bool) {
        self.known.retain(|id, p| p.last_timestamp >= before_ms || is_open(*id));
    }

    /// As a manifest remembers them: with where the transactions begin that are open, by producer, and those that were aborted
    /// and that the end of the sealed range cuts.
    pub fn to_archive(
        &self,
        open: &BTreeMap<i64, i64>,
        aborted: Vec<archive::AbortedTransaction>,
    ) -> archive::Producers {
        let mark = |m: &BatchMark| archive::ProducerBatch {
            first_sequence: m.first_sequence,
            last_sequence: m.last_sequence,
            first_offset: m.first_offset,
            last_offset: m.last_offset,
            timestamp: m.timestamp,
        };
        let one = |(id, p): (&i64, &Producer)| archive::Producer {
            id: *id,
            epoch: p.epoch,
            last_timestamp: p.last_timestamp,
            coordinator_epoch: p.coordinator_epoch,
            open_from: open.get(id).copied().unwrap_or(-1),
            batches: p.batches.iter().map(mark).collect(),
            unknown: p.unknown.clone(),
        };
        let mut producers: Vec<_> = self.known.iter().map(one).collect();
        producers.sort_by_key(|p| p.id);
        archive::Producers { producers, aborted, lost_until: self.lost_until, unknown: self.unknown.clone() }
    }

    /// As they were when a manifest remembered them.
    pub fn from_archive(from: &archive::Producers) -> Self {
        let mark = |b: &archive::ProducerBatch| BatchMark {
            first_sequence: b.first_sequence,
            last_sequence: b.last_sequence,
            first_offset: b.first_offset,
            last_offset: b.last_offset,
            timestamp: b.timestamp,
        };
        let one = |p: &archive::Producer| {
            let batches = p.batches.iter().map(mark).collect();
            let archive::Producer { id, epoch, last_timestamp, coordinator_epoch, .. } = *p;
            (id, Producer { epoch, batches, last_timestamp, coordinator_epoch, unknown: p.unknown.clone() })
        };
        let known = from.producers.iter().map(one).collect();
        Self { known, lost_until: from.lost_until, unknown: from.unknown.clone(), ..Self::default() }
    }

    /// Forgets a sixteenth at once, so that a stream of new ones does not look through all of them each time.
    fn forget_the_most_silent(&mut self) {
        let mut all: Vec<(i64, i64)> = self.known.iter().map(|(id, p)| (p.last_timestamp, *id)).collect();
        let gone = (all.len() / 16).max(1);
        if gone < all.len() {
            all.select_nth_unstable(gone);
        }
        all.iter().take(gone).for_each(|(_, id)| drop(self.known.remove(id)));
    }
}

/// The sequence `n` places after `sequence`: after `i32::MAX` comes 0.
pub fn follows(sequence: i32, n: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(n);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).expect("a remainder of 2^31 fits")
}

#[cfg(test)]
mod tests;
