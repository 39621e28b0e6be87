//! What to rewrite, and when; pure.
use crate::archive::manifest::model::{CleanPoint, Entry, GapReason, SegmentEntry};

/// What compaction of a topic goes by; the names are those of Kafka's topic settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `min.cleanable.dirty.ratio`.
    pub dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// Payload of a rewritten segment, in bytes.
    pub segment_bytes: u64,
}

/// What merging goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Payload of a segment that is large enough, in bytes.
    pub segment_bytes: u64,
    /// No merged segment spans more time than this, in ms: retention takes whole segments.
    pub span_max_ms: Option<i64>,
}

/// Neighbours of one size class that make a merge worth its writes: every record is written once for each class.
pub const MERGE_MIN: usize = 8;

/// The range that was not compacted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// First offset.
    pub first: i64,
    /// One past the last one.
    pub next: i64,
    /// Records in it.
    pub records: u64,
}

/// Entries that become one: `from..to` of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Index of its first entry.
    pub from: usize,
    /// Index after its last entry.
    pub to: usize,
    /// Whether it is worth rewriting even if nothing is left out.
    pub is_worth_it: bool,
}

/// One round of compaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub dirty: Dirty,
    /// Tombstones below this offset have done their work.
    pub tombstones_below: i64,
    pub runs: Vec<Run>,
    /// Of the hashes; the same for all passes, as each takes a range of them.
    pub seeds: [u64; 2],
}

/// The dirty range, if it is time to compact it.
pub fn dirty(entries: &[Entry], cleaned_to: i64, policy: &Policy, now_ms: i64) -> Option<Dirty> {
    let begin = entries.partition_point(|entry| entry.next() <= cleaned_to);
    let (clean, rest) = entries.split_at(begin);
    let is_old = |entry: &&Entry| entry.segment().is_none_or(|segment| age_ms(segment, now_ms) >= policy.min_lag_ms);
    let dirty = &rest[..rest.iter().take_while(is_old).count()];
    let bytes = |entries: &[Entry]| {
        entries.iter().filter_map(Entry::segment).map(|segment| segment.meta.payload_bytes).sum::<u64>()
    };
    let share = bytes(dirty) as f64 / (bytes(clean) + bytes(dirty)).max(1) as f64;
    let overdue = dirty.iter().filter_map(Entry::segment).any(|segment| {
        let oldest = segment.meta.min_timestamp.unwrap_or(segment.sealed_ms).min(segment.sealed_ms);
        now_ms.saturating_sub(oldest) >= policy.max_lag_ms
    });
    let records = dirty.iter().filter_map(Entry::segment).map(|segment| segment.meta.records).sum();
    let due = records > 0 && (share >= policy.dirty_ratio || overdue);
    let (first, last) = (dirty.first()?, dirty.last()?);
    due.then(|| Dirty { first: first.first(), next: last.next(), records })
}

/// How long ago a segment's newest record was written: by its timestamp, but not in the future of its seal.
fn age_ms(segment: &SegmentEntry, now_ms: i64) -> i64 {
    let newest = segment.meta.max_timestamp.unwrap_or(segment.sealed_ms).min(segment.sealed_ms);
    now_ms.saturating_sub(newest)
}

/// Below which offset tombstones have done their work: the last clean point that is old enough.
pub fn horizon(cleaned: &[CleanPoint], delete_retention_ms: i64, now_ms: i64) -> i64 {
    let old = |point: &&CleanPoint| now_ms.saturating_sub(point.1) >= delete_retention_ms;
    cleaned.iter().rev().find(old).map_or(0, |point| point.0)
}

/// Cuts what lies below `next` into runs of about `segment_bytes`. A range whose records are lost or deleted is in no run.
pub fn runs(entries: &[Entry], next: i64, segment_bytes: u64) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut open: Option<(usize, u64)> = None;
    let below = entries.partition_point(|entry| entry.next() <= next);
    for (at, entry) in entries[..below].iter().enumerate() {
        let bytes = entry.segment().map_or(0, |segment| segment.meta.payload_bytes);
        let fits = open.is_some_and(|(_, sum)| sum + bytes <= segment_bytes);
        if !is_joinable(entry) || !fits {
            runs.extend(open.take().map(|(from, _)| run(entries, from, at)));
        }
        if is_joinable(entry) {
            open = Some(open.map_or((at, bytes), |(from, sum)| (from, sum + bytes)));
        }
    }
    runs.extend(open.map(|(from, _)| run(entries, from, below)));
    runs.retain(|run| entries[run.from..run.to].iter().any(|entry| entry.segment().is_some()));
    runs
}

/// A run; joining segments is worth it where none of them is most of it.
fn run(entries: &[Entry], from: usize, to: usize) -> Run {
    let bytes = entries[from..to].iter().filter_map(Entry::segment).map(|segment| segment.meta.payload_bytes);
    let (count, sum, max) = bytes.fold((0, 0, 0), |(n, sum, max): (u32, u64, u64), b| (n + 1, sum + b, max.max(b)));
    Run { from, to, is_worth_it: count > 1 && max <= sum / 2 }
}

/// Whether an entry can be part of a segment: one, or a gap that a segment has a count for.
fn is_joinable(entry: &Entry) -> bool {
    match entry {
        Entry::Segment(segment) => segment.root.is_none(),
        Entry::Gap(gap) => matches!(gap.reason, GapReason::Control | GapReason::Aborted | GapReason::Compacted),
    }
}

/// Consecutive runs whose records are at most `records_max`, or one run.
pub(super) fn windows<'a>(entries: &'a [Entry], runs: &'a [Run], records_max: u64) -> impl Iterator<Item = &'a [Run]> {
    let records = |run: &Run| {
        entries[run.from..run.to].iter().filter_map(Entry::segment).map(|segment| segment.meta.records).sum::<u64>()
    };
    let mut rest = runs;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fit = rest.iter().take_while(|run| {
            sum += records(run);
            sum <= records_max
        });
        let count = fit.count().max(1).min(rest.len());
        let (window, more) = rest.split_at(count);
        rest = more;
        (!window.is_empty()).then_some(window)
    })
}

/// The first run of [`MERGE_MIN`] or more neighbours of one size class that together are one segment at most.
pub fn merge(entries: &[Entry], size: &Size) -> Option<Run> {
    let class = |segment: &SegmentEntry| {
        let parts = size.segment_bytes / segment.meta.payload_bytes.max(1);
        parts.checked_ilog2().map(|log| log / 3) // a class spans a factor of 8; none: large enough
    };
    let mut at = 0;
    while at < entries.len() {
        let Some(wanted) = entries[at].segment().filter(|_| is_joinable(&entries[at])).and_then(class) else {
            at += 1;
            continue;
        };
        let (mut bytes, mut count, mut to) = (0, 0, at);
        let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
        for (index, entry) in entries.iter().enumerate().skip(at).take_while(|(_, entry)| is_joinable(entry)) {
            let Some(segment) = entry.segment() else { continue };
            let meta = &segment.meta;
            oldest = oldest.min(meta.min_timestamp.unwrap_or(segment.sealed_ms));
            newest = newest.max(meta.max_timestamp.unwrap_or(segment.sealed_ms));
            let too_long = size.span_max_ms.is_some_and(|max| newest.saturating_sub(oldest) > max);
            if class(segment) != Some(wanted) || bytes + meta.payload_bytes > size.segment_bytes || too_long {
                break;
            }
            (bytes, count, to) = (bytes + meta.payload_bytes, count + 1, index + 1);
        }
        if count >= MERGE_MIN {
            return Some(Run { from: at, to, is_worth_it: true });
        }
        at = to.max(at + 1);
    }
    None
}

#[cfg(test)]
mod tests;
