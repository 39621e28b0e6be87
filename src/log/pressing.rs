//! Which open transaction keeps the WAL from being released, when space is scarce.
use super::{Log, Partition};

impl Log {
    /// The producer whose transaction is to be aborted so that the WAL can go on: four fifths of the budget are pinned, the
    /// store answers, and of all that is still needed the begin of that transaction is the oldest.
    pub fn pressing_transaction(&self) -> Option<i64> {
        let core = &self.0.core;
        let space = core.wal.space();
        if space.pinned < space.capacity() / 5 * 4 || core.fence.store_is_away() {
            return None;
        }
        let oldest = space.files.iter().find(|file| !file.released && !file.kept)?.last_group;
        let partitions = self.0.registry.partitions(None).unwrap_or_default();
        let pinned = partitions.iter().filter_map(|partition| Some((partition.state().pinned_group()?, partition)));
        let (group, partition) = pinned.min_by_key(|(group, _)| *group)?;
        let (held, producer_id) = partition.held_back()?;
        (group == held && group <= oldest).then_some(producer_id)
    }
}

impl Partition {
    /// The group in which its oldest open transaction begins, and whose that is.
    fn held_back(&self) -> Option<(u64, i64)> {
        let state = self.state();
        let (producer_id, first) = state.transactions.open().min_by_key(|(_, first)| *first)?;
        let span = state.hot.from(first).next()?;
        Some((span.position.group, producer_id))
    }
}
