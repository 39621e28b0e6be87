//! A change on a head gives the next version; pure.
use std::sync::Arc;

use super::change::{Change, Replace, Seal};
use super::lookup;
use super::model::{
    CleanPoint, EPOCH_PAGE_ITEMS, EPOCHS, EPOCHS_MAX, Entry, EpochPage, EpochPageRef, EpochStart, GapReason, Manifest,
    PAGE_ITEMS, PRODUCERS, PRODUCERS_INLINE_BYTES, ProducersAt, RESERVE, RemovedBy, RemovedObject, Sums,
};
use super::producers::Producers;
use super::tree::{self, Draft, Hindrance, Loaded, Need, NewObject};
use super::{cleaned, removed};
use crate::archive::layout::Names;
use crate::base::Limits;
use crate::store::envelope::{self, Enveloped, Features, Unknown};

/// What a change comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Planned {
    /// A version, and the objects that have to be there before it.
    Next(Box<Manifest>, Vec<NewObject>),
    /// It was applied before.
    Already,
}

/// What planning takes from its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Pages at hand.
    pub loaded: &'a Loaded,
    /// Gives fresh names.
    pub names: &'a Names,
    /// ms since 1970.
    pub now_ms: i64,
}

type Plan<T = ()> = Result<T, Hindrance>;

fn unfit<T>(reason: String) -> Plan<T> {
    Err(Hindrance::Unfit(reason))
}

/// Applies `change` to `head`.
pub fn plan(head: &Manifest, change: &Change, context: Context<'_>) -> Plan<Planned> {
    let Context { loaded, names, now_ms } = context;
    let mut next = head.clone();
    let (topic_id, partition) = (head.topic_id, head.partition);
    let (made, removed) = Default::default();
    let loaded = loaded.clone();
    let mut draft = Draft { topic_id, partition, names, loaded, now_ms, made, removed, by: RemovedBy::Delete };
    if !step(&mut next, change, &mut draft)? {
        return Ok(Planned::Already);
    }
    next.removed.append(&mut draft.removed);
    removed::fold(&mut next, &mut draft);
    next.written_ms = now_ms;
    Ok(Planned::Next(Box::new(next), draft.made))
}

/// Applies one change to the version that is being made; whether there was anything to do.
fn step(next: &mut Manifest, change: &Change, draft: &mut Draft<'_>) -> Plan<bool> {
    if applied(next, change, draft)? {
        return Ok(false);
    }
    match change {
        Change::Seal(change) => by(RemovedBy::Delete, draft, |draft| seal(next, change, draft))?,
        Change::Reserve { to } => next.reserved = *to,
        Change::LogStart { to } => by(RemovedBy::Delete, draft, |draft| log_start(next, *to, draft))?,
        Change::Retention { to } => by(RemovedBy::Retention, draft, |draft| log_start(next, *to, draft))?,
        Change::Replace(change) if change.dropped.records == 0 => {
            by(RemovedBy::Merge, draft, |draft| replace(next, change, draft))?;
        }
        Change::Replace(change) => by(RemovedBy::Compaction, draft, |draft| replace(next, change, draft))?,
        Change::Cleaned { to, delete_retention_ms } => cleaned(next, *to, *delete_retention_ms, draft.now_ms)?,
        Change::WalLost { next: end } if *end != next.next => {
            return unfit(format!("the sealed range ends at {}, not at {end}", next.next));
        }
        Change::WalLost { .. } => wal_lost(next, draft)?,
        Change::TakeOver => {}
        Change::Forget(gone) => removed::forget(next, gone, draft),
        Change::All(changes) => {
            let mut any = false;
            for change in changes {
                any |= step(next, change, draft)?;
            }
            return Ok(any);
        }
    }
    Ok(true)
}

/// Does something by which segments are removed for this reason.
fn by(reason: RemovedBy, draft: &mut Draft<'_>, change: impl FnOnce(&mut Draft<'_>) -> Plan) -> Plan {
    draft.by = reason;
    change(draft)
}

/// Whether the head says already what the change wants; an error where it can never say it.
fn applied(head: &Manifest, change: &Change, draft: &Draft<'_>) -> Plan<bool> {
    Ok(match change {
        Change::Seal(seal) if head.next > seal.first => {
            if head.next < seal.next || !all_known(head, &seal.entries, draft)? {
                return unfit(format!("offsets from {} are sealed already, up to {}", seal.first, head.next));
            }
            true
        }
        Change::Seal(_) | Change::TakeOver | Change::All(_) => false,
        Change::Reserve { to } => *to <= head.reserved,
        Change::LogStart { to } | Change::Retention { to } => *to <= head.log_start,
        Change::Replace(replace) => {
            let names = |entries: &[Entry]| entries.iter().any(|entry| entry.segment().is_some());
            names(&replace.outputs) && all_known(head, &replace.outputs, draft)?
        }
        Change::Cleaned { to, .. } => head.cleaned.last().map_or(head.log_start, |clean| clean.0) >= *to,
        Change::WalLost { next } => *next < head.next,
        Change::Forget(gone) => !removed::knows_any(head, gone),
    })
}

/// Whether each of these segments is live, or was and is removed.
fn all_known(head: &Manifest, entries: &[Entry], draft: &Draft<'_>) -> Result<bool, Need> {
    for segment in entries.iter().filter_map(Entry::segment) {
        let (name, first) = (segment.name.as_str(), segment.meta.first_offset);
        let live = lookup::find(head, &draft.loaded, first)?;
        let is_live = live.as_ref().and_then(Entry::segment).is_some_and(|live| live.name == name);
        let is_removed =
            || head.removed.iter().chain(&draft.removed).any(|removed| removed.what.covers(name, Some(first)));
        if !is_live && !is_removed() && !lookup::is_removed_in_pages(head, &draft.loaded, name, Some(first))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn seal(next: &mut Manifest, seal: &Seal, draft: &mut Draft<'_>) -> Plan {
    if seal.first != next.next {
        return unfit(format!("the seal begins at {}, the sealed range ends at {}", seal.first, next.next));
    }
    covers(&seal.entries, seal.first, seal.next)?;
    if seal.log_end < seal.next {
        return unfit(format!("the log ends at {}, before the seal's end {}", seal.log_end, seal.next));
    }
    seal.entries.iter().for_each(|entry| tree::append(next, entry.clone()));
    next.next = seal.next;
    next.reserved = next.reserved.max(seal.log_end.saturating_add(RESERVE));
    let known = |next: &Manifest| {
        next.epochs.last().copied().or_else(|| next.epoch_pages.last().map(|page| page.last)).map(EpochStart::epoch)
    };
    for start in &seal.epochs {
        if known(next).is_none_or(|known| start.epoch() > known) {
            next.epochs.push(*start);
        }
    }
    producers(next, seal.producers.clone(), draft)?;
    tree::cut(next, draft)?;
    tree::fold(next, draft);
    fold_epochs(next, draft)?;
    Ok(())
}

/// Whether `entries` are contiguous from `first` to `next`.
fn covers(entries: &[Entry], first: i64, next: i64) -> Plan {
    let end = entries.iter().try_fold(first, |at, entry| (entry.first() == at).then(|| entry.next()));
    match end == Some(next) && first < next {
        true => Ok(()),
        false => unfit(format!("its entries do not cover offsets {first}..{next} without a hole")),
    }
}

fn log_start(next: &mut Manifest, to: i64, draft: &mut Draft<'_>) -> Plan {
    next.log_start = to;
    tree::cut(next, draft)?;
    next.cleaned.retain(|clean| clean.0 > to);
    // The newest epoch at or below log start stays: it holds the first record.
    let inline = next.epochs.partition_point(|start| start.first_offset() <= to);
    if inline > 0 {
        let pages = std::mem::take(&mut next.epoch_pages);
        pages.into_iter().for_each(|page| draft.remove(RemovedObject::object(page.object.name)));
        next.epochs.drain(..inline - 1);
    } else {
        let pages = next.epoch_pages.partition_point(|page| page.first.first_offset() <= to);
        let dead: Vec<EpochPageRef> = next.epoch_pages.drain(..pages.saturating_sub(1)).collect();
        dead.into_iter().for_each(|page| draft.remove(RemovedObject::object(page.object.name)));
    }
    Ok(())
}

fn replace(next: &mut Manifest, change: &Replace, draft: &mut Draft<'_>) -> Plan {
    covers(&change.outputs, change.first, change.next)?;
    let inputs = tree::splice(next, change.first, change.next, change.outputs.clone(), draft)?;
    let live: Vec<&str> = inputs.iter().filter_map(Entry::segment).map(|segment| segment.name.as_str()).collect();
    if live != change.inputs {
        return unfit(format!(
            "the segments in {}..{} are no longer those it was planned on",
            change.first, change.next
        ));
    }
    let total =
        |entries: &[Entry]| entries.iter().map(Sums::of).reduce(Sums::and).map(|sums| (sums.records, sums.hash));
    let (before, after) = (total(&inputs).unwrap_or_default(), total(&change.outputs).unwrap_or_default());
    let hash = [after.1, change.dropped.hash].into_iter().sum();
    if before != (after.0 + change.dropped.records, hash) {
        return unfit(format!(
            "counts and hashes do not add up: inputs {} records {}, outputs {} and {} dropped, together {hash}",
            before.0, before.1, after.0, change.dropped.records
        ));
    }
    inputs.iter().for_each(|entry| draft.remove_entry(entry));
    tree::fold(next, draft);
    Ok(())
}

fn cleaned(next: &mut Manifest, to: i64, delete_retention_ms: i64, now_ms: i64) -> Plan {
    if to > next.next {
        return unfit(format!("the clean point {to} lies beyond the sealed range, which ends at {}", next.next));
    }
    cleaned::add(&mut next.cleaned, CleanPoint(to, now_ms), delete_retention_ms);
    Ok(())
}

fn wal_lost(next: &mut Manifest, draft: &mut Draft<'_>) -> Plan {
    let reserved = next.reserved;
    let before = match &next.producers {
        ProducersAt::Inline(producers) => producers.clone(),
        ProducersAt::Object(_) => loaded_producers(draft)?.body.clone(),
    };
    if next.next < reserved {
        tree::append(next, Entry::gap(next.next, reserved, GapReason::WalLost));
        next.next = reserved;
    }
    next.reserved = reserved.saturating_add(RESERVE);
    producers(next, before.after_loss(reserved), draft)?;
    tree::cut(next, draft)?;
    tree::fold(next, draft);
    Ok(())
}

fn loaded_producers(draft: &Draft<'_>) -> Result<Arc<Enveloped<Producers>>, Need> {
    draft.loaded.producers.clone().ok_or(Need::Producers)
}

/// Puts the producers into the version, or into an object if they are too many; the same object again if it says the same.
/// What the object before asked for is asked for by the next one, and where there was one that asks for something they do
/// not go back into the version.
fn producers(next: &mut Manifest, mut producers: Producers, draft: &mut Draft<'_>) -> Plan {
    let mut features = Features::default();
    if let ProducersAt::Object(old) = &next.producers {
        features = loaded_producers(draft)?.features.clone();
        envelope::check_writable(&PRODUCERS, &features)
            .map_err(|error| Hindrance::Asks { name: old.name.clone(), error })?;
    }
    producers.forget_beyond(Limits::PRODUCERS_PER_PARTITION_MAX);
    let bytes = serde_json::to_vec(&producers).expect("plain data with text keys is JSON").len();
    let now = if bytes <= PRODUCERS_INLINE_BYTES && features == Features::default() {
        ProducersAt::Inline(producers)
    } else {
        let name = draft.names.producers(next.next);
        let producers = Enveloped { features, body: producers };
        let object = draft.object(&PRODUCERS, name, &producers);
        draft.loaded.producers = Some(Arc::new(producers));
        match &next.producers {
            ProducersAt::Object(old) if (&old.crc32c, old.bytes) == (&object.crc32c, object.bytes) => {
                draft.made.pop();
                return Ok(());
            }
            _ => ProducersAt::Object(object),
        }
    };
    if let ProducersAt::Object(old) = std::mem::replace(&mut next.producers, now) {
        draft.remove(RemovedObject::object(old.name));
    }
    Ok(())
}

/// Moves old epochs to the last page of epochs, or to a new one when that is full.
fn fold_epochs(next: &mut Manifest, draft: &mut Draft<'_>) -> Plan {
    if next.epochs.len() <= EPOCHS_MAX {
        return Ok(());
    }
    let (mut epochs, mut unknown) = (Vec::new(), (Unknown::new(), Unknown::new()));
    let mut features = Features::default();
    if let Some(last) = next.epoch_pages.last().filter(|last| last.count < EPOCH_PAGE_ITEMS as u64).cloned() {
        let page = draft.loaded.epoch_page(&last)?;
        // One that this build may not write anew stays as it is.
        if envelope::check_collectable(&EPOCHS, &page.features).is_ok() {
            epochs.extend_from_slice(&page.epochs);
            unknown = (page.unknown.clone(), last.unknown.clone());
            features = page.features.clone();
            draft.remove(RemovedObject::object(last.object.name));
            next.epoch_pages.pop();
        }
    }
    epochs.extend(next.epochs.drain(..PAGE_ITEMS));
    let (first, last) = (epochs[0], epochs[epochs.len() - 1]);
    let count = epochs.len() as u64;
    let name = draft.names.epochs(first.epoch());
    let page = EpochPage { topic_id: next.topic_id, partition: next.partition, epochs, unknown: unknown.0 };
    let page = Enveloped { features, body: page };
    let object = draft.object(&EPOCHS, name.clone(), &page);
    draft.loaded.epochs.insert(name, Arc::new(page));
    next.epoch_pages.push(EpochPageRef { object, first, last, count, unknown: unknown.1 });
    Ok(())
}

#[cfg(test)]
mod tests;
