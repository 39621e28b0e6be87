//! What is known of a transactional id, and stored: the format of its item.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::Uuid;
use crate::coordinator::error::TxnError;
use crate::coordinator::items::TopicPartition;

/// No producer id.
pub const NO_ID: i64 = -1;
/// No epoch.
pub const NO_EPOCH: i16 = -1;
/// The version of the protocol that adds partitions as they are written to, and raises the epoch with every transaction.
pub const TV2: i8 = 2;

/// Partitions by topic.
pub type Places = BTreeMap<Uuid, BTreeSet<i32>>;

/// A producer as it names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// Where a transactional id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing was written since its producer came.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// The last transaction was committed.
    Committed,
    /// The last transaction was aborted.
    Aborted,
}

/// What is known of a transactional id: the value of its item. This is a format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its producer id.
    pub producer_id: i64,
    /// The epoch of that.
    pub epoch: i16,
    /// The epoch from which the present one was made by the producer's own call, which it may send again; else -1.
    pub last_epoch: i16,
    /// The producer id before, when its epochs were used up; else -1.
    pub previous_producer_id: i64,
    /// A transaction that is open for longer is aborted.
    pub timeout_ms: i32,
    /// Where it stands.
    pub status: Status,
    /// Partitions of the open transaction.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partitions: Places,
    /// Groups whose offsets the open transaction commits.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// When the open or last transaction began, ms since 1970; else -1.
    pub start_ms: i64,
    /// When anything changed last, ms since 1970.
    pub update_ms: i64,
    /// The version of the protocol that its producer spoke last.
    pub version: i8,
}

impl Entry {
    /// An id of which nothing is known, for a producer that has just come.
    pub fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            epoch: 0,
            last_epoch: NO_EPOCH,
            previous_producer_id: NO_ID,
            timeout_ms,
            status: Status::Empty,
            partitions: Places::new(),
            groups: BTreeSet::new(),
            start_ms: -1,
            update_ms: now_ms,
            version: 0,
        }
    }

    /// Its producer.
    pub fn identity(&self) -> Identity {
        Identity { id: self.producer_id, epoch: self.epoch }
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.status == Status::Ongoing
    }

    /// Whether the open transaction has the partition.
    pub fn has(&self, place: TopicPartition) -> bool {
        self.partitions.get(&place.topic).is_some_and(|partitions| partitions.contains(&place.partition))
    }

    /// When the open transaction is aborted.
    pub fn deadline_ms(&self) -> Option<i64> {
        self.is_open().then(|| self.start_ms.saturating_add(i64::from(self.timeout_ms)))
    }

    /// Whether nobody has used it for `keep_ms`.
    pub fn is_expired(&self, now_ms: i64, keep_ms: i64) -> bool {
        !self.is_open() && now_ms.saturating_sub(self.update_ms) >= keep_ms
    }

    /// Whether its producer id has no epoch left to give out.
    pub(super) fn is_exhausted(&self) -> bool {
        is_exhausted(self.epoch)
    }

    pub(super) fn fenced(&self, got: i16) -> TxnError {
        TxnError::Fenced { got, current: self.epoch }
    }

    /// Whether a call comes from its producer.
    pub(super) fn check(&self, producer: Identity) -> Result<(), TxnError> {
        if producer.id != self.producer_id {
            return Err(TxnError::UnknownProducerId);
        }
        if producer.epoch != self.epoch {
            return Err(self.fenced(producer.epoch));
        }
        Ok(())
    }

    /// The same without a transaction: as of `now_ms`.
    pub(super) fn settled(&self, status: Status, now_ms: i64) -> Self {
        let (partitions, groups) = (Places::new(), BTreeSet::new());
        Self { status, partitions, groups, update_ms: self.update_ms.max(now_ms), ..self.clone() }
    }
}

pub(super) fn is_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}
