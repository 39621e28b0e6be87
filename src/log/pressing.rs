//! Which open transaction keeps the WAL from being released, when space is scarce.
use super::{Log, Partition};

impl Log {
    /// The producer whose transaction is to be aborted so that the WAL can go on: four fifths of the budget are pinned, the
    /// store answers, everything that is decided in the transaction's partition is sealed, and what it holds back lies in the
    /// oldest file that could be released.
    pub fn pressing_transaction(&self) -> Option<i64> {
        let core = &self.0.core;
        let space = core.wal.space();
        if space.pinned < space.budget / 5 * 4 || core.fence.store_is_away() {
            return None;
        }
        let oldest = space.files.iter().find(|file| !file.released && !file.kept)?.last_group;
        let partitions = self.0.registry.partitions(None).unwrap_or_default();
        let held = partitions.iter().filter_map(Partition::held_back);
        held.filter(|(group, _)| *group <= oldest).min().map(|(_, producer_id)| producer_id)
    }
}

impl Partition {
    /// The oldest group that cannot be sealed because of an open transaction, with its producer.
    fn held_back(&self) -> Option<(u64, i64)> {
        let state = self.state();
        let (producer_id, first) = state.transactions.open().min_by_key(|(_, first)| *first)?;
        if state.sealed_end < first.min(state.ends().last_stable) {
            return None; // something before it has to be sealed first
        }
        let span = state.hot.from(first).next()?;
        Some((span.position.group, producer_id))
    }
}
