//! Looking things up in a manifest and its pages; pure.
use std::ops::ControlFlow;

use super::model::{Entry, EpochStart, Manifest, PageItems, PageRef, SegmentEntry, Sums};
use super::tree::{Loaded, Need};
use super::view::{EpochEnd, MaxTimestamp, Retention};

/// Calls `visit` with the entries that end above `from`, in order, until it breaks. Pages whose sums `skip` are not opened.
pub fn walk(
    manifest: &Manifest,
    loaded: &Loaded,
    from: i64,
    skip: &dyn Fn(&Sums) -> bool,
    visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
) -> Result<(), Need> {
    if walk_pages(&manifest.pages, loaded, from, skip, visit)?.is_continue() {
        let _ = walk_entries(&manifest.entries, from, visit);
    }
    Ok(())
}

fn walk_pages(
    pages: &[PageRef],
    loaded: &Loaded,
    from: i64,
    skip: &dyn Fn(&Sums) -> bool,
    visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Need> {
    let begin = pages.partition_point(|page| page.sums.next <= from);
    for page in pages[begin..].iter().filter(|page| !skip(&page.sums)) {
        let flow = match &loaded.page(page)?.items {
            PageItems::Entries(entries) => walk_entries(entries, from, visit),
            PageItems::Pages(pages) => walk_pages(pages, loaded, from, skip, visit)?,
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn walk_entries(entries: &[Entry], from: i64, visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>) -> ControlFlow<()> {
    let begin = entries.partition_point(|entry| entry.next() <= from);
    entries[begin..].iter().try_for_each(visit)
}

const NONE: &dyn Fn(&Sums) -> bool = &|_| false;

/// The entry that covers `offset`.
pub fn find(manifest: &Manifest, loaded: &Loaded, offset: i64) -> Result<Option<Entry>, Need> {
    if offset < manifest.first() {
        return Ok(None);
    }
    Ok(entries_from(manifest, loaded, offset, 1)?.pop())
}

/// Up to `count` entries that end above `offset`.
pub fn entries_from(manifest: &Manifest, loaded: &Loaded, offset: i64, count: usize) -> Result<Vec<Entry>, Need> {
    entries_where(manifest, loaded, offset, count, NONE)
}

/// The same without those in pages whose sums are skipped.
pub fn entries_where(
    manifest: &Manifest,
    loaded: &Loaded,
    offset: i64,
    count: usize,
    skip: &dyn Fn(&Sums) -> bool,
) -> Result<Vec<Entry>, Need> {
    let mut entries = Vec::new();
    walk(manifest, loaded, offset, skip, &mut |entry| {
        if entries.len() < count {
            entries.push(entry.clone());
        }
        if entries.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(entries)
}

/// The first segment that ends above `from` and has a timestamp at or after `timestamp`.
pub fn find_time(
    manifest: &Manifest,
    loaded: &Loaded,
    timestamp: i64,
    from: i64,
) -> Result<Option<SegmentEntry>, Need> {
    let too_early = |sums: &Sums| sums.max_timestamp.is_none_or(|max| max < timestamp);
    let mut found = None;
    walk(manifest, loaded, from, &too_early, &mut |entry| match entry.segment() {
        Some(segment) if segment.meta.max_timestamp.is_some_and(|max| max >= timestamp) => {
            found = Some(segment.clone());
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })?;
    Ok(found)
}

/// The greatest timestamp at or above log start, without opening a page that log start does not cut.
pub fn max_timestamp(manifest: &Manifest, loaded: &Loaded) -> Result<MaxTimestamp, Need> {
    let mut max = Max { log_start: manifest.log_start, known: None, cut: None };
    max.pages(&manifest.pages, loaded)?;
    max.entries(&manifest.entries);
    let Max { known, cut, .. } = max;
    // On a tie the cut segment, being the first, has the first offset.
    let cut = cut.filter(|cut| cut.meta.max_timestamp >= known.map(|(timestamp, _)| timestamp));
    Ok(match cut {
        Some(cut) => match cut.meta.max_timestamp.zip(cut.meta.offset_of_first_max) {
            Some((timestamp, offset)) if offset >= manifest.log_start => {
                MaxTimestamp { known: Some((timestamp, offset)), cut: None }
            }
            _ => MaxTimestamp { known, cut: Some(cut) },
        },
        None => MaxTimestamp { known, cut: None },
    })
}

struct Max {
    log_start: i64,
    known: Option<(i64, i64)>,
    cut: Option<SegmentEntry>,
}

impl Max {
    fn pages(&mut self, pages: &[PageRef], loaded: &Loaded) -> Result<(), Need> {
        let log_start = self.log_start;
        for page in pages.iter().filter(|page| page.sums.next > log_start) {
            if page.sums.first >= log_start {
                self.whole(&page.sums);
                continue;
            }
            match &loaded.page(page)?.items {
                PageItems::Entries(entries) => self.entries(entries),
                PageItems::Pages(pages) => self.pages(pages, loaded)?,
            }
        }
        Ok(())
    }

    fn entries(&mut self, entries: &[Entry]) {
        let log_start = self.log_start;
        for entry in entries.iter().filter(|entry| entry.next() > log_start) {
            if entry.first() >= log_start {
                self.whole(&Sums::of(entry));
            } else if let Some(segment) = entry.segment().filter(|segment| segment.meta.max_timestamp.is_some()) {
                self.cut = Some(segment.clone());
            }
        }
    }

    fn whole(&mut self, sums: &Sums) {
        if let Some((timestamp, offset)) = sums.max_timestamp.zip(sums.offset_of_first_max)
            && self.known.is_none_or(|(known, _)| timestamp > known)
        {
            self.known = Some((timestamp, offset));
        }
    }
}

/// The epochs around `epoch`.
pub fn epoch_end(manifest: &Manifest, loaded: &Loaded, epoch: i32) -> Result<EpochEnd, Need> {
    let inline = around(&manifest.epochs, epoch);
    if inline.at_or_below.is_some() {
        return Ok(inline);
    }
    let begun = manifest.epoch_pages.partition_point(|page| page.first.epoch() <= epoch);
    let later = manifest.epoch_pages.get(begun).map(|page| page.first).or(inline.above);
    let Some(page) = begun.checked_sub(1).map(|at| &manifest.epoch_pages[at]) else {
        return Ok(EpochEnd { at_or_below: None, above: later });
    };
    if page.last.epoch() <= epoch {
        return Ok(EpochEnd { at_or_below: Some(page.last), above: later });
    }
    Ok(around(&loaded.epoch_page(page)?.epochs, epoch))
}

fn around(epochs: &[EpochStart], epoch: i32) -> EpochEnd {
    let above = epochs.partition_point(|start| start.epoch() <= epoch);
    let at_or_below = above.checked_sub(1).map(|at| epochs[at]);
    EpochEnd { at_or_below, above: epochs.get(above).copied() }
}

/// Where log start may move to.
pub fn retention(manifest: &Manifest, loaded: &Loaded, keep: Retention, limit: usize) -> Result<Option<i64>, Need> {
    let mut bytes = manifest.sums().map_or(0, |sums| sums.stored_bytes);
    let (mut to, mut looked) = (None, 0);
    walk(manifest, loaded, manifest.log_start, NONE, &mut |entry| {
        looked += 1;
        if looked > limit {
            return ControlFlow::Break(());
        }
        let Some(segment) = entry.segment() else { return ControlFlow::Continue(()) };
        let rest = bytes.saturating_sub(segment.meta.size);
        let too_old = keep.before_ms.is_some_and(|before| segment.retained_by_ms() < before);
        let too_many = keep.keep_bytes.is_some_and(|keep| rest >= keep);
        if !too_old && !too_many {
            return ControlFlow::Break(());
        }
        bytes = rest;
        to = Some(entry.next());
        ControlFlow::Continue(())
    })?;
    Ok(to)
}

/// Sums over everything listed below `offset`, the entry that it cuts left out.
pub fn sums_below(manifest: &Manifest, loaded: &Loaded, offset: i64) -> Result<Option<Sums>, Need> {
    let pages = pages_below(&manifest.pages, loaded, offset)?;
    let entries = entries_below(&manifest.entries, offset);
    Ok(pages.into_iter().chain(entries).reduce(Sums::and))
}

fn pages_below(pages: &[PageRef], loaded: &Loaded, offset: i64) -> Result<Option<Sums>, Need> {
    let whole = pages.partition_point(|page| page.sums.next <= offset);
    let cut = match pages.get(whole).filter(|page| page.sums.first < offset) {
        None => None,
        Some(page) => match &loaded.page(page)?.items {
            PageItems::Entries(entries) => entries_below(entries, offset),
            PageItems::Pages(pages) => pages_below(pages, loaded, offset)?,
        },
    };
    Ok(pages[..whole].iter().map(|page| page.sums.clone()).chain(cut).reduce(Sums::and))
}

fn entries_below(entries: &[Entry], offset: i64) -> Option<Sums> {
    let whole = entries.partition_point(|entry| entry.next() <= offset);
    entries[..whole].iter().map(Sums::of).reduce(Sums::and)
}

/// Whether a page of what was removed names the object, or a tree that it may lie below; the newest first.
pub fn is_removed_in_pages(manifest: &Manifest, loaded: &Loaded, name: &str, first: Option<i64>) -> Result<bool, Need> {
    for page in manifest.removed_pages.iter().rev() {
        if loaded.removed_page(page)?.removed.iter().any(|removed| removed.what.covers(name, first)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the tree holds a page of this name, which begins at `first` and is of `level`.
pub fn has_page(manifest: &Manifest, loaded: &Loaded, name: &str, first: i64, level: u8) -> Result<bool, Need> {
    let mut pages = manifest.pages.clone();
    loop {
        let at = pages.partition_point(|page| page.sums.next <= first);
        let Some(page) = pages.get(at).filter(|page| page.level >= level) else { return Ok(false) };
        if page.level == level {
            return Ok(page.object.name == name);
        }
        let page = loaded.page(page)?;
        match &page.items {
            PageItems::Pages(below) => pages = below.clone(),
            PageItems::Entries(_) => return Ok(false),
        }
    }
}
