//! The rules of a manifest, by name, checked before every commit and after every read.
use std::collections::HashSet;
use std::fmt;

use super::model::{
    CLEAN_POINTS_MAX, ENTRIES_MAX, EPOCHS_MAX, Entry, EpochStart, Manifest, PAGE_ITEMS, Page, PageItems, PageRef,
    ProducersAt, REMOVED_MAX,
};
use super::producers::Producer;
use crate::base::Limits;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Entries and pages are contiguous, end at `next`, and none is empty (I5).
    Contiguous,
    /// Log start, `next` and `reserved` never go back, and `next` never passes `reserved`.
    Monotone,
    /// No name is live twice, or both live and removed.
    UniqueNames,
    /// A segment's records, control, aborted and compacted add up to its range; a page's sums are those of its items.
    AddsUp,
    /// Epochs rise, and so do their first offsets; the version's epoch is not lower than its predecessor's (I10).
    Epochs,
    /// Clean points rise.
    Cleaned,
    /// No more entries, epochs, removed things and producers than a version may hold; the levels of pages fit the tree.
    Bounded,
    /// The version is of this topic and partition.
    Identity,
}

/// A rule that is broken, and how.
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

type Check = Result<(), Violation>;

fn ensure(holds: bool, invariant: Invariant, detail: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation { invariant, detail: detail() }) }
}

/// Checks a version by itself.
pub fn check(manifest: &Manifest) -> Check {
    contiguous(manifest)?;
    unique_names(manifest)?;
    for entry in &manifest.entries {
        check_entry(entry)?;
    }
    check_epochs(manifest)?;
    let rises = manifest.cleaned.is_sorted_by(|a, b| a.0 < b.0);
    ensure(rises, Invariant::Cleaned, || format!("{:?}", manifest.cleaned))?;
    bounded(manifest)
}

/// Checks a version as the successor of `head`, which was written under `head_epoch`, when it is written under `epoch`.
pub fn check_next(head: &Manifest, head_epoch: u32, next: &Manifest, epoch: u32) -> Check {
    let same = (head.topic_id, head.partition) == (next.topic_id, next.partition);
    ensure(same, Invariant::Identity, || {
        format!("{}-{} after {}-{}", next.topic_id, next.partition, head.topic_id, head.partition)
    })?;
    ensure(epoch >= head_epoch, Invariant::Epochs, || format!("epoch {epoch} after {head_epoch}"))?;
    for (what, before, after) in [
        ("log start", head.log_start, next.log_start),
        ("next", head.next, next.next),
        ("reserved", head.reserved, next.reserved),
    ] {
        ensure(before <= after, Invariant::Monotone, || format!("{what} {after} after {before}"))?;
    }
    check(next)
}

/// Checks the content of a page against the reference to it.
pub fn check_page(page: &Page, reference: &PageRef) -> Check {
    let bounds = match &page.items {
        PageItems::Entries(entries) => {
            entries.iter().try_for_each(check_entry)?;
            adjacent(entries.iter().map(|entry| (entry.first(), entry.next())))
        }
        PageItems::Pages(pages) => {
            let fit = pages.iter().all(|child| child.level + 1 == page.level);
            ensure(fit, Invariant::Bounded, || {
                format!("a page of level {} holds others of a wrong level", page.level)
            })?;
            adjacent(pages.iter().map(|page| (page.sums.first, page.sums.next)))
        }
    };
    bounds.map_err(|detail| Violation { invariant: Invariant::Contiguous, detail })?;
    let fits = matches!(page.items, PageItems::Entries(_)) == (page.level == 0) && page.level == reference.level;
    ensure(fits, Invariant::Bounded, || format!("level {} where {} was expected", page.level, reference.level))?;
    let sums = page.sums();
    ensure(sums.as_ref().is_some_and(|sums| sums.agrees(&reference.sums)), Invariant::AddsUp, || {
        format!("the page's items sum up to {sums:?}, its reference says {:?}", reference.sums)
    })
}

/// The first and last offset of contiguous, non-empty ranges; what is wrong otherwise.
fn adjacent(ranges: impl Iterator<Item = (i64, i64)>) -> Result<(), String> {
    let mut end = None;
    for (first, next) in ranges {
        if first >= next {
            return Err(format!("{first}..{next} is empty"));
        }
        if end.is_some_and(|end| end != first) {
            return Err(format!("{first}..{next} follows what ends at {}", end.unwrap_or_default()));
        }
        end = Some(next);
    }
    Ok(())
}

fn contiguous(m: &Manifest) -> Check {
    let pages = m.pages.iter().map(|page| (page.sums.first, page.sums.next));
    let ranges = pages.chain(m.entries.iter().map(|entry| (entry.first(), entry.next())));
    let last = m.entries.last().map(Entry::next).or_else(|| m.pages.last().map(|page| page.sums.next));
    adjacent(ranges).map_err(|detail| Violation { invariant: Invariant::Contiguous, detail })?;
    ensure(last.is_none_or(|last| last == m.next), Invariant::Contiguous, || {
        format!("entries end at {last:?}, next is {}", m.next)
    })?;
    // Nothing listed begins above log start, unless all of it is gone: then log start is at or above `next`.
    ensure(m.first() <= m.log_start.max(0), Invariant::Contiguous, || {
        format!("the first entry begins at {}, log start is {}", m.first(), m.log_start)
    })?;
    let ordered = 0 <= m.log_start && 0 <= m.next && m.next <= m.reserved;
    ensure(ordered, Invariant::Monotone, || {
        format!("log start {}, next {}, reserved {}", m.log_start, m.next, m.reserved)
    })
}

fn unique_names(m: &Manifest) -> Check {
    let live = m.entries.iter().filter_map(Entry::segment).map(|segment| segment.name.as_str());
    let pages = m.pages.iter().map(|page| page.object.name.as_str());
    let epochs = m.epoch_pages.iter().map(|page| page.object.name.as_str());
    let producers = match &m.producers {
        ProducersAt::Object(object) => Some(object.name.as_str()),
        ProducersAt::Inline(_) => None,
    };
    let removed = m.removed.iter().map(|removed| removed.what.name());
    let removed = removed.chain(m.removed_pages.iter().map(|page| page.object.name.as_str()));
    let mut seen = HashSet::new();
    for name in live.chain(pages).chain(epochs).chain(producers).chain(removed) {
        ensure(seen.insert(name), Invariant::UniqueNames, || format!("'{name}' is named twice"))?;
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Check {
    let Some(segment) = entry.segment() else { return Ok(()) };
    let offsets = entry.next() - entry.first();
    let parts = [segment.meta.records, segment.control, segment.aborted, segment.compacted];
    let sum = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(*part));
    ensure(sum == u64::try_from(offsets).ok(), Invariant::AddsUp, || {
        format!("'{}' has {offsets} offsets, but {parts:?} records, control, aborted, compacted", segment.name)
    })
}

fn check_epochs(m: &Manifest) -> Check {
    let pages = m.epoch_pages.iter().flat_map(|page| {
        let single = page.first == page.last;
        std::iter::once(page.first).chain((!single).then_some(page.last))
    });
    let all: Vec<EpochStart> = pages.chain(m.epochs.iter().copied()).collect();
    let rise = all.is_sorted_by(|a, b| a.epoch() < b.epoch() && a.first_offset() < b.first_offset());
    ensure(rise, Invariant::Epochs, || format!("{all:?} do not rise"))?;
    let last = all.last().map_or(-1, |start| start.first_offset());
    ensure(last < m.next, Invariant::Epochs, || format!("an epoch begins at {last}, not below next {}", m.next))
}

fn bounded(m: &Manifest) -> Check {
    let entries = m.entries.len();
    ensure(entries <= ENTRIES_MAX, Invariant::Bounded, || format!("{entries} entries"))?;
    let epochs = m.epochs.len();
    ensure(epochs <= EPOCHS_MAX, Invariant::Bounded, || format!("{epochs} epochs"))?;
    let removed = m.removed.len();
    ensure(removed <= REMOVED_MAX, Invariant::Bounded, || format!("{removed} removed things"))?;
    let cleaned = m.cleaned.len();
    ensure(cleaned <= CLEAN_POINTS_MAX, Invariant::Bounded, || format!("{cleaned} clean points"))?;
    let longest = m.pages.chunk_by(|a, b| a.level == b.level).map(<[PageRef]>::len).max().unwrap_or(0);
    ensure(longest <= 2 * PAGE_ITEMS + ENTRIES_MAX, Invariant::Bounded, || format!("{longest} pages of one level"))?;
    if let ProducersAt::Inline(producers) = &m.producers {
        let count = producers.producers.len();
        ensure(count <= Limits::PRODUCERS_PER_PARTITION_MAX, Invariant::Bounded, || format!("{count} producers"))?;
        let batches = producers.producers.iter().map(|producer| producer.batches.len()).max().unwrap_or(0);
        ensure(batches <= Producer::BATCHES_MAX, Invariant::Bounded, || format!("{batches} batches of one producer"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
