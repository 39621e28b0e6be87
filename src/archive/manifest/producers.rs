//! Idempotent and transactional producers of a partition as of the end of its sealed range: what is needed to go on
//! without a duplicate when the WAL is gone.
use serde::{Deserialize, Serialize};

use crate::store::envelope::Unknown;

/// All producers of a partition, and the aborted transactions that the sealed range cuts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producers {
    /// Ascending by producer id.
    pub producers: Vec<Producer>,
    /// Aborted transactions that began below `next` and end at or above it, ascending by first offset.
    pub aborted: Vec<AbortedTransaction>,
    /// End of the newest `wal-lost` gap: a producer whose newest batch lies below it may continue with any higher
    /// sequence once, for what it sent in between was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_until: Option<i64>,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// One producer id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// The producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Time of its last batch, ms since 1970.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker, or -1.
    pub coordinator_epoch: i32,
    /// First offset of the transaction open here, or -1.
    pub open_from: i64,
    /// Its newest batches, oldest first, at most [`Producer::BATCHES_MAX`].
    pub batches: Vec<ProducerBatch>,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// One remembered batch; `[first sequence, last sequence, first offset, last offset, timestamp]` in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i32, i32, i64, i64, i64)", into = "(i32, i32, i64, i64, i64)")]
pub struct ProducerBatch {
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Its largest timestamp, ms.
    pub timestamp: i64,
}

/// A transaction that was aborted; `[producer id, first offset, last offset]` in the bucket, the last being the marker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, i64)", into = "(i64, i64, i64)")]
pub struct AbortedTransaction {
    /// The producer id.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its marker.
    pub last_offset: i64,
}

impl Producer {
    /// Batches that Kafka clients may have in flight, and so may send again.
    pub const BATCHES_MAX: usize = 5;
}

impl Producers {
    /// These producers after the WAL above `next` was lost up to `reserved`: no transaction is open, none crosses.
    pub fn after_loss(&self, reserved: i64) -> Self {
        let mut producers = self.producers.clone();
        producers.iter_mut().for_each(|producer| producer.open_from = -1);
        Self { producers, aborted: Vec::new(), lost_until: Some(reserved), unknown: self.unknown.clone() }
    }

    /// Keeps `count` producers: those that are silent for longest go first, one with an open transaction last.
    pub fn forget_beyond(&mut self, count: usize) {
        if self.producers.len() <= count {
            return;
        }
        self.producers.sort_by_key(|producer| (producer.open_from < 0, std::cmp::Reverse(producer.last_timestamp)));
        self.producers.truncate(count);
        self.producers.sort_by_key(|producer| producer.id);
    }
}

impl From<(i32, i32, i64, i64, i64)> for ProducerBatch {
    fn from((first_sequence, last_sequence, first_offset, last_offset, timestamp): (i32, i32, i64, i64, i64)) -> Self {
        Self { first_sequence, last_sequence, first_offset, last_offset, timestamp }
    }
}

impl From<ProducerBatch> for (i32, i32, i64, i64, i64) {
    fn from(b: ProducerBatch) -> Self {
        (b.first_sequence, b.last_sequence, b.first_offset, b.last_offset, b.timestamp)
    }
}

impl From<(i64, i64, i64)> for AbortedTransaction {
    fn from((producer_id, first_offset, last_offset): (i64, i64, i64)) -> Self {
        Self { producer_id, first_offset, last_offset }
    }
}

impl From<AbortedTransaction> for (i64, i64, i64) {
    fn from(t: AbortedTransaction) -> Self {
        (t.producer_id, t.first_offset, t.last_offset)
    }
}
