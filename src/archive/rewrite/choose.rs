//! What to rewrite, and when; pure.
use crate::archive::manifest::model::{CleanPoint, Entry, GapReason, SegmentEntry};

mod merge;

pub use merge::{GROWTH, LEFT_MAX, Look, Size, is_merged, merge, open_from};

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
    /// Payload of a rewritten segment, in bytes.
    pub segment_bytes: u64,
    /// Of the hashes; the same for all passes, as each takes a range of them.
    pub seeds: [u64; 2],
}

/// Whether it is time to compact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// This range.
    Now(Dirty),
    /// Not before this time (ms since 1970), unless more is sealed.
    NotBefore(i64),
}

/// The dirty range, if it is time to compact it. `clean_bytes`: payload below the clean point; `above`: the entries that end
/// above it.
pub fn dirty(clean_bytes: u64, above: &[Entry], policy: &Policy, now_ms: i64) -> Due {
    let is_old = |entry: &&Entry| entry.segment().is_none_or(|segment| age_ms(segment, now_ms) >= policy.min_lag_ms);
    let (dirty, young) = above.split_at(above.iter().take_while(is_old).count());
    let segments = || dirty.iter().filter_map(Entry::segment);
    let bytes: u64 = segments().map(|segment| segment.meta.payload_bytes).sum();
    let records = segments().map(|segment| segment.meta.records).sum();
    let share = bytes as f64 / (clean_bytes + bytes).max(1) as f64;
    let overdue_at = segments().map(|segment| oldest_ms(segment).saturating_add(policy.max_lag_ms)).min();
    match (dirty.first(), dirty.last()) {
        (Some(first), Some(last))
            if records > 0 && (share >= policy.dirty_ratio || overdue_at.is_some_and(|at| at <= now_ms)) =>
        {
            Due::Now(Dirty { first: first.first(), next: last.next(), records })
        }
        _ => {
            let old_at = young.first().and_then(Entry::segment).map(|s| newest_ms(s).saturating_add(policy.min_lag_ms));
            Due::NotBefore(overdue_at.into_iter().chain(old_at).min().unwrap_or(i64::MAX))
        }
    }
}

/// When a segment's newest record was written: by its timestamp, but not in the future of its seal.
fn newest_ms(segment: &SegmentEntry) -> i64 {
    segment.meta.max_timestamp.unwrap_or(segment.sealed_ms).min(segment.sealed_ms)
}

/// When its oldest one was.
fn oldest_ms(segment: &SegmentEntry) -> i64 {
    segment.meta.min_timestamp.unwrap_or(segment.sealed_ms).min(segment.sealed_ms)
}

fn age_ms(segment: &SegmentEntry, now_ms: i64) -> i64 {
    now_ms.saturating_sub(newest_ms(segment))
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
        let bytes = entry.segment().map_or(0, |segment| segment.meta.weight());
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

/// The runs of `entries` that what follows cannot make longer, and of how many entries they are; all of them if `is_all`,
/// or if one run takes them all.
pub(super) fn closed_runs(entries: &[Entry], segment_bytes: u64, is_all: bool) -> (Vec<Run>, usize) {
    let mut runs = runs(entries, i64::MAX, segment_bytes);
    match runs.last().copied() {
        Some(last) if !is_all && last.to == entries.len() && last.from > 0 => {
            runs.pop();
            (runs, last.from)
        }
        _ => (runs, entries.len()),
    }
}

/// A run; joining segments is worth it where none of them is most of it.
fn run(entries: &[Entry], from: usize, to: usize) -> Run {
    let bytes = entries[from..to].iter().filter_map(Entry::segment).map(|segment| segment.meta.weight());
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

#[cfg(test)]
mod tests;
