//! What may happen to a manifest. A change names what it replaces and is planned anew on each head ([`super::plan`]).
use std::collections::BTreeSet;

use super::model::{Entry, EpochStart};
use super::producers::Producers;
use crate::record::HashSum;

/// A change of one partition's manifest. Applying one that was applied before changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The range from the head's `next` up is sealed.
    Seal(Seal),
    /// No offset at or above `to` was given out before: offsets up to there may be from now on.
    Reserve {
        /// New value of `reserved`.
        to: i64,
    },
    /// Readers may not ask for offsets below `to` any more (DeleteRecords, retention). What lies wholly below is removed.
    /// `to` may lie beyond `next`.
    LogStart {
        /// New log start.
        to: i64,
    },
    /// Live entries give way to others of the same range (merge, compaction).
    Replace(Replace),
    /// The same, by retention.
    Retention {
        /// New log start.
        to: i64,
    },
    /// Everything below `to` was compacted: a clean point with the time of the commit.
    Cleaned {
        /// Where the clean part ends.
        to: i64,
        /// `delete.retention.ms`: how long tombstones stay, which says how close clean points have to lie.
        delete_retention_ms: i64,
    },
    /// The WAL above `next` is lost: a `wal-lost` gap [next, reserved), no open transaction, appends from `reserved`.
    WalLost {
        /// The head's `next`, where the gap begins: applied once only.
        next: i64,
    },
    /// A new version that says the same, so that the chain's epoch is the owner's.
    TakeOver,
    /// Removed things whose objects were deleted.
    Forget(Gone),
    /// Several at once, one after the other in one version: what can wait rides on what is due. Those of them that were
    /// applied before are left out.
    All(Vec<Change>),
}

/// Removed things whose objects are gone, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Names as they stand in `removed`.
    pub names: BTreeSet<String>,
    /// Names of pages of removed things all of which are gone; the pages themselves are not yet.
    pub pages: BTreeSet<String>,
}

impl Gone {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.pages.is_empty()
    }
}

/// A range of the WAL that was sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct Seal {
    /// Where it begins: the head's `next`.
    pub first: i64,
    /// Where it ends.
    pub next: i64,
    /// The log's end at that moment: `reserved` becomes that plus [`RESERVE`](super::model::RESERVE).
    pub log_end: i64,
    /// Segments and gaps, contiguous from `first` to `next`. Segments get their names from
    /// [`begin_segment`](super::PartitionArchive::begin_segment).
    pub entries: Vec<Entry>,
    /// First offset of each epoch in the range that holds records; an epoch that is known already is left as it is.
    pub epochs: Vec<EpochStart>,
    /// Producers as of `next`.
    pub producers: Producers,
}

/// Live entries that give way to others.
#[derive(Clone, Debug, PartialEq)]
pub struct Replace {
    /// First offset of the range; an entry begins there.
    pub first: i64,
    /// End of the range; an entry ends there.
    pub next: i64,
    /// Names of all live segments in the range, in order. One that is gone cancels the change.
    pub inputs: Vec<String>,
    /// What comes instead, contiguous from `first` to `next`.
    pub outputs: Vec<Entry>,
    /// What the outputs hold less than the inputs: nothing for a merge.
    pub dropped: Dropped,
}

/// Records that a rewrite leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub records: u64,
    /// The sum of their hashes.
    pub hash: HashSum,
}
