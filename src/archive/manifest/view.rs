//! A snapshot of one manifest version, with its pages at hand: what readers, retention and the collector ask.
use std::sync::Arc;

use super::model::{Entry, EpochStart, Manifest, SegmentEntry};
use crate::archive::Bucket;
use crate::archive::error::ArchiveError;

/// A version of a partition's manifest; cheap to clone. Pages are read when they are needed, through a bounded cache. If
/// an object that it names is missing, the version is old: take a newer view and ask once more.
#[derive(Clone, Debug)]
pub struct View {
    bucket: Bucket,
    root: Arc<str>,
    number: u64,
    epoch: u32,
    manifest: Arc<Manifest>,
}

/// The greatest timestamp of the sealed range.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxTimestamp {
    /// Timestamp (ms) and the first offset that has it, over all segments that lie wholly at or above log start.
    pub known: Option<(i64, i64)>,
    /// A segment that log start cuts, if its records at or above log start may have a timestamp that is as great: its
    /// slices have to be looked at.
    pub cut: Option<SegmentEntry>,
}

/// An epoch around the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The greatest epoch in the manifest that is not above the one asked for.
    pub at_or_below: Option<EpochStart>,
    /// The smallest above it: where it begins is where the former ended. None: the former goes on beyond the manifest.
    pub above: Option<EpochStart>,
}

/// What retention asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// A segment may go when the smaller of its greatest timestamp and its seal time is below.
    pub before_ms: Option<i64>,
    /// The oldest segments may go while what remains has at least this many stored bytes.
    pub keep_bytes: Option<u64>,
}

impl View {
    /// What the version says.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Number of the version.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Epoch of its writer.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Path of a segment's object in the store.
    pub fn path_of(&self, segment: &SegmentEntry) -> String {
        let _ = segment;
        unimplemented!()
    }

    /// The entry that covers `offset`; none below the first and at or above `next`.
    pub async fn find(&self, offset: i64) -> Result<Option<Entry>, ArchiveError> {
        let _ = offset;
        unimplemented!()
    }

    /// Up to `count` entries in order, the first being the one that covers `offset` (or the first of all, if that lies
    /// above).
    pub async fn entries_from(&self, offset: i64, count: usize) -> Result<Vec<Entry>, ArchiveError> {
        let _ = (offset, count);
        unimplemented!()
    }

    /// The first segment that ends above `from` and has a timestamp (ms) at or after `timestamp`. If none of its records at
    /// or above `from` has one, ask again from its end.
    pub async fn find_time(&self, timestamp: i64, from: i64) -> Result<Option<SegmentEntry>, ArchiveError> {
        let _ = (timestamp, from);
        unimplemented!()
    }

    /// The greatest timestamp and its first offset.
    pub async fn max_timestamp(&self) -> Result<MaxTimestamp, ArchiveError> {
        unimplemented!()
    }

    /// The epochs around `epoch`, for OffsetForLeaderEpoch.
    pub async fn epoch_end(&self, epoch: i32) -> Result<EpochEnd, ArchiveError> {
        let _ = epoch;
        unimplemented!()
    }

    /// Where log start may move to; none: nowhere. Looks at no more than `limit` entries.
    pub async fn retention(&self, keep: Retention, limit: usize) -> Result<Option<i64>, ArchiveError> {
        let _ = (keep, limit);
        unimplemented!()
    }
}
