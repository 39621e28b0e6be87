//! The rules of a manifest, by name, checked before every commit.
use std::fmt;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Entries and pages are contiguous, end at `next`, and none is empty (I5).
    Contiguous,
    /// Log start, `next` and `reserved` never go back, and `next` never passes `reserved`.
    Monotone,
    /// No name is live twice, or both live and removed.
    UniqueNames,
    /// A segment's records, control, aborted and compacted add up to its range; sums of pages and rewrites hold.
    AddsUp,
    /// Epochs rise, and so do their first offsets; the version's epoch is not lower than its predecessor's (I10).
    Epochs,
    /// Clean points rise.
    Cleaned,
    /// No more entries, epochs and producers than a version may hold.
    Bounded,
    /// The version is of this topic and partition.
    Identity,
}

/// A rule that a version would break, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: Invariant,
    /// What breaks it.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}
