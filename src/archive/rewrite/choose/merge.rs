//! Which small neighbours become one segment; pure.
//!
//! A run is a stretch of neighbours that together are at least [`GROWTH`] times as large as the largest of them, and one
//! segment at most; smaller ones among them go along. So whatever a record is part of grows eightfold with each rewrite,
//! and a record is written again at most log8 of (size of a segment / size of the first that it was part of) times: six
//! times from 2 KiB to 512 MiB. Runs of the smallest come first.
//!
//! What is left of a stretch that nothing will be added to - it is followed by what cannot be joined, or nothing was sealed
//! for a while - is merged at its end until [`LEFT_MAX`] are left, as long as it grows threefold: those at its end are
//! usually the smallest.
use super::{Run, is_joinable};
use crate::archive::manifest::model::{Entry, SegmentEntry, Sums};

/// What merging goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Payload of a segment that is large enough, in bytes.
    pub segment_bytes: u64,
    /// No merged segment spans more time than this, in ms: retention takes whole segments.
    pub span_max_ms: Option<i64>,
}

/// So many times as large as its largest input is a merged segment.
pub const GROWTH: u64 = 8;
/// The same at the end of a stretch that nothing will be added to.
const LAST_GROWTH: u64 = 3;
/// Segments that such a stretch may keep.
pub const LEFT_MAX: usize = 4;

impl Size {
    /// A segment above this is in no run.
    fn small_max(&self) -> u64 {
        self.segment_bytes / GROWTH
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Entries in order; where one does not begin where the one before ends, large ones lie between.
    pub entries: &'a [Entry],
    /// Segments that cannot be read, or must not be rewritten.
    pub avoid: &'a (dyn Fn(&SegmentEntry) -> bool + Sync),
    /// Whether nothing will be added at the end for a while.
    pub is_quiet: bool,
}

impl Look<'_> {
    /// Whether entry `at` may be part of a run whose segments weigh up to `max`.
    fn is_part(&self, at: usize, max: u64) -> bool {
        let entry = &self.entries[at];
        is_joinable(entry)
            && entry.segment().is_none_or(|segment| segment.meta.weight() <= max && !(self.avoid)(segment))
    }

    /// Whether entry `at` follows the one before it.
    fn follows(&self, at: usize) -> bool {
        at > 0 && self.entries[at - 1].next() == self.entries[at].first()
    }
}

/// Whether pages with these sums hold nothing but what is large enough, on average.
pub fn is_merged(sums: &Sums, size: &Size) -> bool {
    sums.payload_bytes >= sums.segments.saturating_mul(size.small_max() / 2)
}

/// Index of the first entry of the stretch at the end that may still be merged with what follows.
pub fn open_from(look: &Look<'_>, size: &Size) -> usize {
    let mut at = look.entries.len();
    while at > 0 && look.is_part(at - 1, size.small_max()) {
        at -= 1;
        if !look.follows(at) {
            break;
        }
    }
    at
}

/// The next run to merge: of the smallest neighbours, the first.
pub fn merge(look: &Look<'_>, size: &Size) -> Option<Run> {
    let largest = look.entries.iter().filter_map(Entry::segment).map(|segment| segment.meta.weight());
    let largest = largest.max()?.min(size.small_max());
    let bounds = (0..u64::BITS).map(|log| (1u64 << log) | ((1 << log) - 1));
    bounds
        .take_while(|bound| bound >> 1 < largest)
        .find_map(|bound| grown(look, size, bound.min(size.small_max())))
        .or_else(|| last(look, size))
}

/// A run that grows.
#[derive(Clone, Copy, Debug)]
struct Sum {
    bytes: u64,
    max: u64,
    count: usize,
    oldest_ms: i64,
    newest_ms: i64,
}

impl Sum {
    const NOTHING: Self = Self { bytes: 0, max: 0, count: 0, oldest_ms: i64::MAX, newest_ms: i64::MIN };

    /// With one more; none: that would be too large, or span too much time.
    fn with(self, segment: &SegmentEntry, size: &Size) -> Option<Self> {
        let meta = &segment.meta;
        let sum = Self {
            bytes: self.bytes + meta.weight(),
            max: self.max.max(meta.weight()),
            count: self.count + 1,
            oldest_ms: self.oldest_ms.min(meta.min_timestamp.unwrap_or(segment.sealed_ms)),
            newest_ms: self.newest_ms.max(meta.max_timestamp.unwrap_or(segment.sealed_ms)),
        };
        let too_long = size.span_max_ms.is_some_and(|max| sum.newest_ms.saturating_sub(sum.oldest_ms) > max);
        (sum.bytes <= size.segment_bytes && !too_long).then_some(sum)
    }

    fn grows(&self, times: u64) -> bool {
        self.count > 1 && self.bytes >= self.max.saturating_mul(times)
    }
}

/// The first run of segments that weigh up to `bound` each and grow [`GROWTH`]-fold.
fn grown(look: &Look<'_>, size: &Size, bound: u64) -> Option<Run> {
    let mut from = 0;
    while from < look.entries.len() {
        let (mut sum, mut to, mut at) = (Sum::NOTHING, from, from);
        let is_limited = loop {
            if at == look.entries.len() || !look.is_part(at, bound) || (at > from && !look.follows(at)) {
                break false;
            }
            if let Some(segment) = look.entries[at].segment() {
                match sum.with(segment, size) {
                    None => break true,
                    Some(more) => (sum, to) = (more, at + 1),
                }
            }
            at += 1;
        };
        if sum.grows(GROWTH) {
            return Some(Run { from, to, is_worth_it: true });
        }
        // One that was as long as it may be may be longer from its second entry on; another has no better part.
        from = if is_limited { from + 1 } else { at.max(from + 1) };
    }
    None
}

/// The end of the first stretch that keeps more than it may, and that nothing will be added to.
fn last(look: &Look<'_>, size: &Size) -> Option<Run> {
    let mut from = 0;
    while from < look.entries.len() {
        let mut to = from;
        while to < look.entries.len() && look.is_part(to, size.small_max()) && (to == from || look.follows(to)) {
            to += 1;
        }
        if to < look.entries.len() || look.is_quiet {
            let run = last_of(&look.entries[from..to], size);
            if let Some(run) = run {
                return Some(Run { from: from + run.from, to: from + run.to, ..run });
            }
        }
        from = to.max(from + 1);
    }
    None
}

fn last_of(stretch: &[Entry], size: &Size) -> Option<Run> {
    let segments: Vec<(usize, &SegmentEntry)> =
        stretch.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.segment()?))).collect();
    let too_many = segments.len().checked_sub(LEFT_MAX).filter(|many| *many > 0)?;
    let to = segments.last()?.0 + 1;
    let (mut sum, mut longest) = (Sum::NOTHING, None);
    for (from, segment) in segments.iter().rev() {
        let Some(more) = sum.with(segment, size) else { break };
        sum = more;
        if sum.grows(LAST_GROWTH) {
            longest = Some(Run { from: *from, to, is_worth_it: true });
            if sum.count > too_many {
                break;
            }
        }
    }
    longest
}

#[cfg(test)]
mod tests;
