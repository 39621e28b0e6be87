//! The committed offsets of one group (pure).
//!
//! A change is planned, handed to the journal, begun once the journal has taken it, and finished once it is durable. Readers
//! see what is finished. Plans are finished in the order in which they were begun.
//!
//! The offsets of 64 partitions stand in one item, so its new value is made from what the journal has taken last, durable or not.
//!
//! An offset that a transaction commits is pending until the end of the transaction is durable: whoever asks for stable offsets
//! is never told the one before. Of two commits of one partition the later one
//! counts, whatever the order in which transactions end: a commit removes what was pending before it.
use std::collections::{BTreeMap, BTreeSet};

use super::error::GroupError;
use super::items::{Changes, Committed, OffsetBlock, TopicPartition, offset_key, pending_key, value_of};
use crate::base::Uuid;

/// The offsets of a group.
#[derive(Debug, Default)]
pub struct Offsets {
    committed: BTreeMap<TopicPartition, Entry>,
    /// By producer id.
    pending: BTreeMap<i64, BTreeMap<TopicPartition, Pending>>,
    /// How many removals of pending commits are begun and not finished.
    deciding: BTreeMap<TopicPartition, u32>,
    /// Number of the next pending commit: tells which one is later.
    next: u64,
}

#[derive(Debug, Default)]
struct Entry {
    visible: Option<Committed>,
    /// What the newest change says that is begun and not finished; `None` inside: nothing any more.
    queued: Option<Option<Committed>>,
    /// Changes that are begun and not finished.
    writing: u32,
}

impl Entry {
    /// As the journal has it.
    fn newest(&self) -> Option<&Committed> {
        match &self.queued {
            Some(queued) => queued.as_ref(),
            None => self.visible.as_ref(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    number: u64,
    committed: Committed,
}

/// A change of a group's offsets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the journal gets.
    pub changes: Changes,
    /// What readers see afterwards; `None`: nothing any more.
    visible: Vec<(TopicPartition, Option<Committed>)>,
    /// Pending commits that are there afterwards (`Some`), or not any more, by producer id.
    pending: Vec<(i64, TopicPartition, Option<Committed>)>,
}

impl Plan {
    /// How many offsets it sets or removes.
    pub fn len(&self) -> usize {
        self.visible.len()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// From when on an offset counts as unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusedSince {
    /// Its commit.
    Commit,
    /// This time: the group's last member left then.
    At(i64),
}

impl Offsets {
    /// Whether there is nothing, visible or on its way.
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty() && self.deciding.is_empty()
    }

    /// How many partitions have an offset.
    pub fn len(&self) -> usize {
        self.committed.len()
    }

    /// Whether a transaction that is not decided has committed offsets here.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes in a recovered offset.
    pub fn restore(&mut self, place: TopicPartition, committed: Committed) {
        self.committed.insert(place, Entry { visible: Some(committed), ..Entry::default() });
    }

    /// Takes in a recovered pending offset; to be called in the order of their commit times.
    pub fn restore_pending(&mut self, producer_id: i64, place: TopicPartition, committed: Committed) {
        self.next += 1;
        let pending = Pending { number: self.next, committed };
        self.pending.entry(producer_id).or_default().insert(place, pending);
    }

    /// The offset of a partition, as of what is durable.
    ///
    /// # Errors
    /// [`GroupError::UnstableOffset`] where `stable` is asked for and a transaction is not decided.
    pub fn get(&self, place: TopicPartition, stable: bool) -> Result<Option<&Committed>, GroupError> {
        let is_pending = || self.pending.values().any(|places| places.contains_key(&place));
        if stable && (self.deciding.contains_key(&place) || is_pending()) {
            return Err(GroupError::UnstableOffset);
        }
        Ok(self.committed.get(&place).and_then(|entry| entry.visible.as_ref()))
    }

    /// Every partition that has an offset, in order.
    pub fn places(&self) -> impl Iterator<Item = TopicPartition> {
        self.committed.iter().filter(|(_, entry)| entry.visible.is_some()).map(|(place, _)| *place)
    }

    /// Topics of which there are offsets, visible or not.
    pub fn topics(&self) -> impl Iterator<Item = Uuid> {
        let pending = self.pending.values().flat_map(BTreeMap::keys);
        self.committed.keys().chain(pending).map(|place| place.topic)
    }

    /// Plans a commit.
    pub fn commit(&self, group: &str, offsets: Vec<(TopicPartition, Committed)>) -> Plan {
        let mut plan = Plan::default();
        for (place, committed) in offsets {
            self.drop_pending(group, place, u64::MAX, &mut plan);
            plan.visible.push((place, Some(committed)));
        }
        self.write_items(group, &mut plan);
        plan
    }

    /// Of the offsets that a commit would set, or that a `transaction` would set at its end, those for whose metadata there is no
    /// room in their items. An offset alone always has room.
    pub fn without_room(&self, offsets: &[(TopicPartition, Committed)], transaction: bool) -> Vec<TopicPartition> {
        let with_metadata = offsets.iter().filter(|(_, committed)| !committed.metadata.is_empty());
        let mut blocks: BTreeMap<OffsetBlock, BTreeMap<TopicPartition, &Committed>> = BTreeMap::new();
        for (place, committed) in with_metadata {
            blocks.entry(OffsetBlock::of(*place)).or_default().insert(*place, committed);
        }
        let full = blocks.into_iter().filter(|(block, new)| !self.has_room(*block, new, transaction));
        full.flat_map(|(_, new)| new.into_keys()).collect()
    }

    /// Whether the metadata of an item stays short enough, whichever transactions are committed.
    fn has_room(&self, block: OffsetBlock, new: &BTreeMap<TopicPartition, &Committed>, transaction: bool) -> bool {
        let (first, last) = block.bounds();
        let there = self.committed.range(first..=last).filter_map(|(place, entry)| Some((place, entry.newest()?)));
        let pending = self.pending.values().flat_map(|places| places.range(first..=last));
        let before = there.chain(pending.map(|(place, pending)| (place, &pending.committed)));
        let kept = before.filter(|(place, _)| transaction || !new.contains_key(place));
        let mut lengths: BTreeMap<TopicPartition, usize> = BTreeMap::new();
        for (place, committed) in kept.chain(new.iter().map(|(place, new)| (place, *new))) {
            let length = lengths.entry(*place).or_default();
            *length = value_of(&committed.metadata).len().max(*length);
        }
        lengths.values().sum::<usize>() <= OffsetBlock::METADATA_BYTES_MAX
    }

    /// Plans a commit within a transaction.
    pub fn commit_pending(&self, group: &str, producer_id: i64, offsets: Vec<(TopicPartition, Committed)>) -> Plan {
        let mut plan = Plan::default();
        for (place, committed) in offsets {
            plan.changes.push((pending_key(group, producer_id, place), Some(value_of(&committed))));
            plan.pending.push((producer_id, place, Some(committed)));
        }
        plan
    }

    /// Plans the end of a producer's transaction: what it committed counts from now on, or never did.
    pub fn end(&self, group: &str, producer_id: i64, commit: bool) -> Plan {
        let mut plan = Plan::default();
        for (place, pending) in self.pending.get(&producer_id).into_iter().flatten() {
            plan.changes.push((pending_key(group, producer_id, *place), None));
            plan.pending.push((producer_id, *place, None));
            if commit {
                self.drop_pending(group, *place, pending.number, &mut plan);
                plan.visible.push((*place, Some(pending.committed.clone())));
            }
        }
        self.write_items(group, &mut plan);
        plan
    }

    /// Plans the removal of offsets, pending ones with them. Those that are not there are passed over.
    pub fn remove(&self, group: &str, places: impl IntoIterator<Item = TopicPartition>) -> Plan {
        let mut plan = Plan::default();
        for place in places {
            self.drop_pending(group, place, u64::MAX, &mut plan);
            if self.committed.contains_key(&place) {
                plan.visible.push((place, None));
            }
        }
        self.write_items(group, &mut plan);
        plan
    }

    /// Plans the removal of what `chosen` chooses by topic.
    pub fn remove_topics(&self, group: &str, chosen: impl Fn(Uuid) -> bool) -> Plan {
        let pending = self.pending.values().flat_map(BTreeMap::keys);
        let all: BTreeSet<_> = self.committed.keys().chain(pending).copied().collect();
        self.remove(group, all.into_iter().filter(|place| chosen(place.topic)))
    }

    /// Plans the removal of what was not used for `retention_ms` and whose topic nobody is `subscribed` to.
    pub fn expire(
        &self,
        group: &str,
        since: UnusedSince,
        (now_ms, retention_ms): (i64, i64),
        subscribed: impl Fn(Uuid) -> bool,
    ) -> Plan {
        let is_expired = |committed: &Committed| match (committed.expire_ms, since) {
            (Some(expire_ms), _) => now_ms >= expire_ms,
            (None, UnusedSince::Commit) => now_ms - committed.commit_ms >= retention_ms,
            (None, UnusedSince::At(ms)) => now_ms - ms >= retention_ms,
        };
        let expired = self.committed.iter().filter(|(place, entry)| {
            entry.writing == 0
                && entry.visible.as_ref().is_some_and(is_expired)
                && !self.pending.values().any(|places| places.contains_key(place))
                && !subscribed(place.topic)
        });
        self.remove(group, expired.map(|(place, _)| *place).collect::<Vec<_>>())
    }

    /// The journal has taken a plan.
    pub fn begin(&mut self, plan: &Plan) {
        for (place, committed) in &plan.visible {
            let entry = self.committed.entry(*place).or_default();
            entry.writing += 1;
            entry.queued = Some(committed.clone());
        }
        for (producer_id, place, committed) in &plan.pending {
            let places = self.pending.entry(*producer_id).or_default();
            match committed {
                Some(committed) => {
                    self.next += 1;
                    places.insert(*place, Pending { number: self.next, committed: committed.clone() });
                }
                None => {
                    places.remove(place);
                    *self.deciding.entry(*place).or_default() += 1;
                }
            }
            if places.is_empty() {
                self.pending.remove(producer_id);
            }
        }
    }

    /// A plan that was begun is durable.
    pub fn finish(&mut self, plan: Plan) {
        for (_, place, _) in plan.pending.iter().filter(|(.., committed)| committed.is_none()) {
            let count = self.deciding.entry(*place).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.deciding.remove(place);
            }
        }
        for (place, committed) in plan.visible {
            let entry = self.committed.entry(place).or_default();
            entry.visible = committed;
            entry.writing = entry.writing.saturating_sub(1);
            if entry.writing == 0 {
                entry.queued = None;
            }
            if entry.visible.is_none() && entry.writing == 0 {
                self.committed.remove(&place);
            }
        }
    }

    /// Plans what the items say of the offsets that a plan sets and removes.
    fn write_items(&self, group: &str, plan: &mut Plan) {
        let blocks: BTreeSet<OffsetBlock> = plan.visible.iter().map(|(place, _)| OffsetBlock::of(*place)).collect();
        for block in blocks {
            let (first, last) = block.bounds();
            let there = self.committed.range(first..=last);
            let mut item: BTreeMap<i32, &Committed> =
                there.filter_map(|(place, entry)| Some((place.partition, entry.newest()?))).collect();
            for (place, committed) in plan.visible.iter().filter(|(place, _)| OffsetBlock::of(*place) == block) {
                match committed {
                    Some(committed) => drop(item.insert(place.partition, committed)),
                    None => drop(item.remove(&place.partition)),
                }
            }
            plan.changes.push((offset_key(group, block), (!item.is_empty()).then(|| value_of(&item))));
        }
    }

    /// Plans that pending commits of a partition that were made before number `before` never count.
    fn drop_pending(&self, group: &str, place: TopicPartition, before: u64, plan: &mut Plan) {
        for (producer_id, places) in &self.pending {
            if places.get(&place).is_some_and(|pending| pending.number < before) {
                plan.changes.push((pending_key(group, *producer_id, place), None));
                plan.pending.push((*producer_id, place, None));
            }
        }
    }
}

#[cfg(test)]
mod tests;
