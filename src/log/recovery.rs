//! What the WAL holds when a broker starts, and what a partition makes of it, pure.
//!
//! The manifest is complete as of its `next`: producers, open transactions, everything. So a partition begins with what the
//! manifest says and enters every frame that ends at or above `next`, whole and in order; what lies below decides nothing,
//! for condensing may have left any part of it. Of the sealed frames the run without a hole up to `next` stays hot, with the
//! transactions that were aborted in it, for its readers.
use std::collections::BTreeMap;

use super::hot::{HotIndex, Span};
use super::producers::{BatchMark, Producers, follows};
use super::transactions::{Role, Transactions};
use crate::archive::manifest::{self as archive, Manifest};
use crate::record::BatchHeader;
use crate::wal::{Damage, FrameKind, FrameMeta, Position};
use wrote::Wrote;

mod wrote;

/// What the WAL holds of one partition, in its order.
#[derive(Debug, Default)]
pub struct Held {
    batches: HotIndex,
    wrote: wrote::Log,
    /// Number of batches, and the end of the last one, also of those that were forgotten.
    count: usize,
    end: Option<i64>,
    /// First offset of each leader epoch, ascending.
    epochs: Vec<(i32, i64)>,
    /// The newest log start, and the oldest group that says so.
    log_start: Option<(i64, u64)>,
    /// Ranges that will never hold records: given up, or left out.
    lost: Vec<Lost>,
    /// Frames that cannot be read, and that nobody gave up.
    damaged: Vec<Damage>,
    /// The last group with a batch.
    last_group: u64,
}

/// A range of offsets that will never hold records and that the manifest does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// First offset.
    pub first: i64,
    /// First offset after.
    pub next: i64,
    /// The group of the WAL that says so.
    pub group: u64,
}

/// Groups of the WAL of which nobody knows what they held, and that were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLoss {
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
}

/// What is not known about the end of the WAL.
#[derive(Clone, Debug, Default)]
pub struct Doubts {
    /// Acknowledged groups may be missing at its end, so that partitions go on at `reserved`.
    pub end_is_uncertain: bool,
    /// Groups that were given up, contents unknown.
    pub unknown_losses: Vec<UnknownLoss>,
}

/// What a partition begins with.
#[derive(Debug, Default)]
pub struct Beginning {
    /// Batches in the WAL: those that are not sealed, and below them what is without a hole.
    pub hot: HotIndex,
    /// Producers as of the end of the WAL.
    pub producers: Producers,
    /// Transactions as of the end of the WAL.
    pub transactions: Transactions,
    /// First offset of each epoch in the WAL, ascending.
    pub epochs: Vec<(i32, i64)>,
    /// The newest log start in the WAL that the manifest does not know, and the oldest group that says so.
    pub log_start: Option<(i64, u64)>,
    /// Ranges above the sealed one that will never hold records.
    pub lost: Vec<Lost>,
    /// Why this partition must not be served.
    pub damaged: Option<Damaged>,
    /// One past the last offset that is known to have been given out.
    pub known_end: i64,
    /// The next offset to give out: above `known_end` where more may have been given out than is known.
    pub end: i64,
}

/// Why a partition is not served: acknowledged records of it cannot be read. Its WAL stays pinned until the file is restored
/// or the loss is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// What is wrong, where, and the ways out.
    pub why: String,
    /// The first group that must stay.
    pub group: u64,
}

impl Held {
    /// Takes in a frame; `hold`: also where its batch lies.
    pub fn visit(&mut self, meta: &FrameMeta, position: Position, payload: Result<&[u8], &Damage>, hold: bool) {
        match (meta.kind, payload) {
            (FrameKind::BATCH, Ok(batch)) => {
                self.count += 1;
                self.end = Some(meta.last_offset + 1);
                self.last_group = position.group;
                if self.epochs.last().is_none_or(|(epoch, _)| *epoch < meta.epoch) {
                    self.epochs.push((meta.epoch, meta.base_offset));
                }
                if hold {
                    self.hold(meta, position, batch);
                }
            }
            (FrameKind::LOG_START, Ok(_)) => {
                let (to, group) = self.log_start.unwrap_or((0, position.group));
                self.log_start = Some((to.max(meta.base_offset), group));
            }
            (FrameKind::GAP, Ok(_)) => self.lose(meta, position.group),
            (_, Err(damage)) if !damage.accepted => self.damaged.push(damage.clone()),
            _ => {}
        }
    }

    /// Holds a batch: where it lies, and what its producer wrote.
    pub fn hold(&mut self, meta: &FrameMeta, position: Position, batch: &[u8]) {
        let header = BatchHeader::parse(batch).ok();
        let role = header.as_ref().map(Role::of).unwrap_or_default();
        let span = Span {
            base: meta.base_offset,
            next: meta.last_offset + 1,
            position,
            max_timestamp: meta.max_timestamp,
            append_time: meta.append_time,
            role,
        };
        if self.batches.push(span) {
            self.wrote.push(meta.epoch, &Wrote::of(header.as_ref(), role, batch));
        }
    }

    /// Forgets the batches, for want of memory: they are read again when it is known which of them are needed.
    pub fn forget_batches(&mut self) {
        (self.batches, self.wrote) = Default::default();
    }

    /// Bytes of memory that the batches take.
    pub fn memory(&self) -> u64 {
        self.batches.memory() + self.wrote.memory()
    }

    /// Takes note that the records of a frame, or of a range, were given up.
    pub fn lose(&mut self, meta: &FrameMeta, group: u64) {
        if matches!(meta.kind, FrameKind::BATCH | FrameKind::GAP) {
            self.lost.push(Lost { first: meta.base_offset, next: meta.last_offset + 1, group });
        }
    }

    /// Number of batches.
    pub fn batches(&self) -> usize {
        self.count
    }

    /// One past the last offset of a batch.
    pub fn end(&self) -> Option<i64> {
        self.end
    }

    /// The first group at or above `r` that holds something of it.
    pub fn first_group_from(&self, r: u64) -> Option<u64> {
        let batches = self.batches.from(0).map(|span| span.position.group);
        let damaged = self.damaged.iter().map(|damage| *damage.groups.start());
        batches.chain(damaged).filter(|group| *group >= r).min()
    }

    /// The last group that says where it goes on: with a batch, or with a range that was left out.
    fn last_group(&self) -> u64 {
        self.lost.iter().map(|lost| lost.group).max().unwrap_or(0).max(self.last_group)
    }

    /// The batches, with their leader epochs and with what their producers wrote.
    fn entries(&self) -> impl Iterator<Item = (Span, i32, Wrote)> {
        let both = self.batches.from(i64::MIN).zip(self.wrote.iter());
        both.map(|(span, (epoch, wrote))| (span, epoch, wrote))
    }
}

/// Enters a batch into the books of a partition.
fn enter(producers: &mut Producers, transactions: &mut Transactions, (span, leader_epoch, wrote): (Span, i32, Wrote)) {
    match wrote {
        Wrote::Nothing => {}
        Wrote::Batch { producer_id, epoch, base_sequence, timestamp } => {
            let count = i32::try_from(span.next - span.base - 1).unwrap_or(i32::MAX);
            let mark = BatchMark {
                first_sequence: base_sequence,
                last_sequence: follows(base_sequence, count),
                first_offset: span.base,
                last_offset: span.next - 1,
                timestamp,
            };
            producers.record(producer_id, epoch, mark, span.append_time);
        }
        Wrote::Control { producer_id, epoch, ends } => {
            producers.record_end(producer_id, epoch, leader_epoch, span.append_time);
            if let Some(outcome) = ends {
                transactions.ends(producer_id, outcome, span.base);
                transactions.durable(span.next);
            }
        }
    }
    if let Role::Part(producer_id) = span.role {
        transactions.part(producer_id, span.base);
    }
}

impl Doubts {
    fn in_groups(&self, from: u64, to: u64) -> Option<&UnknownLoss> {
        self.unknown_losses.iter().find(|loss| loss.last >= from && loss.first <= to)
    }
}

impl Beginning {
    /// What a partition begins with of which the WAL holds nothing.
    pub fn of(manifest: &Manifest) -> Self {
        Self::new("", manifest, &archive::Producers::default(), Held::default(), &Doubts::default())
    }

    /// What the partition `name` begins with. `known` are the producers of the manifest.
    pub fn new(name: &str, manifest: &Manifest, known: &archive::Producers, mut held: Held, doubts: &Doubts) -> Self {
        let next = manifest.next;
        let mut producers = Producers::from_archive(known);
        let mut transactions = Transactions::open_as_of(known);
        let hot_from = run_up_to(next, &held.batches, manifest);
        let mut sealed = Transactions::default();
        for entry in held.entries().filter(|(span, ..)| span.next > hot_from) {
            match entry.0.next > next {
                true => enter(&mut producers, &mut transactions, entry),
                // For readers: an aborted transaction that began below what is hot begins with it.
                false => enter(&mut Producers::default(), &mut sealed, entry),
            }
        }
        transactions.remember_aborted(sealed);
        held.batches.forget_below(u64::MAX, hot_from);

        let log_start = held.log_start.filter(|(to, _)| *to > manifest.log_start);
        let lost = lost_above(next, &held, doubts);
        let damaged = damaged(name, next, log_start.map_or(manifest.log_start, |(to, _)| to), &held, &lost);
        let damaged_end = held.damaged.iter().filter_map(|d| d.frame).map(|f| f.last_offset + 1).max();
        let lost_end = lost.iter().map(|lost| lost.next).max();
        let known_end = [held.batches.end(), log_start.map(|(to, _)| to), damaged_end, lost_end];
        let known_end = known_end.into_iter().flatten().max().unwrap_or(0).max(next).max(manifest.log_start);
        let lost_behind = doubts.unknown_losses.iter().any(|loss| loss.last > held.last_group());
        let end = match doubts.end_is_uncertain || lost_behind {
            true => manifest.reserved.max(known_end),
            false => known_end,
        };
        if let Some(until) = lost_end.max((end > known_end).then_some(end)) {
            producers.lost_until(until);
        }
        let Held { batches: hot, epochs, .. } = held;
        Self { hot, producers, transactions, epochs, log_start, lost, damaged, known_end, end }
    }
}

/// Where the last batches begin that lie side by side up to `next`, or up to the batch that it cuts. What was compacted is read
/// from the bucket, also where the WAL still has what gave way.
fn run_up_to(next: i64, batches: &HotIndex, manifest: &Manifest) -> i64 {
    let from = manifest.cleaned.last().map_or(0, |clean| clean.0).max(manifest.log_start.min(next));
    let (mut begins, mut at) = (None, i64::MIN);
    for span in batches.from(i64::MIN) {
        if span.next > next {
            return if at == span.base.min(next) { begins.unwrap_or(next) } else { next };
        }
        begins = match begins {
            _ if span.next <= from => None,
            Some(begin) if span.base == at => Some(begin),
            _ => Some(span.base),
        };
        at = span.next;
    }
    if at == next { begins.unwrap_or(next) } else { next }
}

/// The ranges above `next` of which it is known that they were given up.
fn lost_above(next: i64, held: &Held, doubts: &Doubts) -> Vec<Lost> {
    let mut lost: Vec<Lost> = held.lost.iter().filter(|lost| lost.next > next).copied().collect();
    let (mut at, mut group) = (next, 0);
    for span in held.batches.from(next) {
        if span.base > at
            && let Some(unknown) = doubts.in_groups(group, span.position.group)
        {
            lost.push(Lost { first: at, next: span.base, group: unknown.first });
        }
        (at, group) = (span.next, span.position.group);
    }
    lost.sort_by_key(|lost| (lost.first, lost.next));
    lost
}

/// Whether acknowledged records of a partition cannot be read: damage that nobody accepted, or a hole that nothing explains.
fn damaged(name: &str, next: i64, log_start: i64, held: &Held, lost: &[Lost]) -> Option<Damaged> {
    let ways_out = "Restore the file, or record them as lost with `esker wal accept-loss`";
    let above = |damage: &&Damage| damage.frame.is_none_or(|frame| frame.last_offset >= next);
    if let Some(damage) = held.damaged.iter().find(above) {
        let why = format!("{name}: {damage}; these records are nowhere else. {ways_out}");
        let group = held.damaged.iter().filter(above).map(|d| *d.groups.start()).min();
        return Some(Damaged { why, group: group.unwrap_or(0) });
    }
    let mut at = next.max(log_start);
    let mut group = 0;
    let known: BTreeMap<i64, i64> = lost.iter().map(|lost| (lost.first, lost.next)).collect();
    for span in held.batches.from(next) {
        let mut from = at;
        for (first, next) in known.range(..span.base).filter(|(_, next)| **next > at) {
            if *first <= from {
                from = from.max(*next);
            }
        }
        if span.base > from {
            let why = format!(
                "{name}: offsets {from}..{} are neither in the WAL nor in the bucket, and nothing says why. {ways_out}",
                span.base
            );
            return Some(Damaged { why, group });
        }
        at = at.max(span.next);
        group = span.position.group;
    }
    None
}

#[cfg(test)]
mod tests;
