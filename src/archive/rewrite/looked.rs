//! What earlier looks at a partition found out, so that the next one asks for nothing in vain; pure.
use std::collections::HashMap;

use super::choose::{Policy, Size};

/// How long a segment that could not be read is in no run, in ms. Then it may have been restored from a copy.
const AVOID_MS: i64 = 3600 * 1000;
/// Segments that are avoided at most; beyond, the one that is avoided for the longest is tried again.
const AVOIDED_MAX: usize = 64;

/// What was looked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum For {
    Merges(Size),
    Compaction(Policy),
}

/// What is known of one partition. Lost with the process, which costs another look.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Nothing was found for this, as long as the sealed range ends there, before this time.
    nothing: Option<(For, i64, i64)>,
    /// Below this offset nothing is to be merged to this size, whatever follows.
    merged_to: Option<(Size, i64)>,
    /// Names of segments, and until when they are in no run.
    avoid: HashMap<String, i64>,
}

impl Looked {
    /// Whether it is known that there is nothing to do.
    pub(super) fn found_nothing(&self, next: i64, looks_for: &For, now_ms: i64) -> bool {
        self.nothing.as_ref().is_some_and(|(what, end, until)| what == looks_for && *end == next && now_ms < *until)
    }

    pub(super) fn note_nothing(&mut self, next: i64, looked_for: For, until_ms: i64) {
        self.nothing = Some((looked_for, next, until_ms));
    }

    pub(super) fn merged_to(&self, size: &Size) -> i64 {
        self.merged_to.filter(|(of, _)| of == size).map_or(0, |(_, to)| to)
    }

    pub(super) fn note_merged(&mut self, size: &Size, to: i64) {
        self.merged_to = Some((*size, to));
    }

    pub(super) fn avoids(&self, name: &str, now_ms: i64) -> bool {
        self.avoid.get(name).is_some_and(|until| now_ms < *until)
    }

    pub(super) fn avoid(&mut self, name: &str, now_ms: i64) {
        self.avoid.retain(|_, until| now_ms < *until);
        if self.avoid.len() >= AVOIDED_MAX {
            let first = self.avoid.iter().min_by_key(|(_, until)| **until).map(|(name, _)| name.clone());
            first.and_then(|name| self.avoid.remove(&name));
        }
        self.avoid.insert(name.to_owned(), now_ms.saturating_add(AVOID_MS));
    }
}

#[cfg(test)]
mod tests;
