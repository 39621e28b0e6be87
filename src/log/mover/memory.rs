//! Keeps what grows with small batches and with many producers within its share of memory.
//!
//! The hot index: beyond its share sealed batches are forgotten, oldest first, and read from the bucket; what is not sealed is
//! sealed early. While that cannot be done, produce is refused before the index takes more than twice its share
//! ([`Core::index_is_full`](crate::log::core::Core)). Producers: when there are too many in all, a new one takes the place of
//! the one of its partition that was silent for longest.
use super::{MEMORY_EVERY_MS, Mover, due};
use crate::base::Limits;
use crate::log::partition::Partition;

impl Mover {
    /// Looks at both once a second; says below which group everything should be sealed for want of memory.
    pub(super) fn bound_memory(&self, partitions: &[Partition], now_ms: i64) -> Option<u64> {
        if !due(&mut self.times().memory_ms, now_ms, MEMORY_EVERY_MS) {
            return self.times().no_room_below;
        }
        self.bound_producers(partitions);
        let below = self.bound_index(partitions, self.core.env.limits.hot_index_bytes());
        self.times().no_room_below = below;
        below
    }

    /// Measures the index and forgets what is beyond `share`; says below which group the rest should be sealed.
    pub(in crate::log) fn bound_index(&self, partitions: &[Partition], share: u64) -> Option<u64> {
        let used: u64 = partitions.iter().map(|partition| partition.state().hot.memory()).sum();
        self.core.set_index_bytes(used);
        if used <= share {
            return None;
        }
        let enough = share / 8 * 7;
        if let Some(group) = cutoff(by_group(partitions, true), used - enough) {
            partitions.iter().for_each(|partition| partition.forget_below(group));
        }
        let unsealed = by_group(partitions, false);
        let held: u64 = unsealed.iter().map(|(_, bytes)| bytes).sum();
        if held > share { cutoff(unsealed, held - enough) } else { None }
    }
}

impl Mover {
    /// Lets partitions remember as many producers as all of them together may.
    fn bound_producers(&self, partitions: &[Partition]) {
        let known: usize = partitions.iter().map(|partition| partition.state().producers.len()).sum();
        let max = producers_each(known, partitions.len(), self.core.env.limits.producers_max());
        partitions.iter().for_each(|partition| partition.state().producers.set_max(max));
    }
}

/// How many producers each of `partitions` may remember, where they know `known` together and may know `max`.
fn producers_each(known: usize, partitions: usize, max: usize) -> usize {
    match known < max {
        true => Limits::PRODUCERS_PER_PARTITION_MAX,
        false => (max / partitions.max(1)).clamp(1, Limits::PRODUCERS_PER_PARTITION_MAX),
    }
}

/// How much of the index there is up to which group of the WAL: of what is sealed, or of what is not.
fn by_group(partitions: &[Partition], sealed: bool) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    for partition in partitions {
        let state = partition.state();
        all.extend(state.hot.by_group(state.sealed_end, sealed));
    }
    all
}

/// The group below which at least `excess` bytes lie, or all that there is.
fn cutoff(mut by_group: Vec<(u64, u64)>, excess: u64) -> Option<u64> {
    by_group.sort_unstable();
    let mut sum = 0;
    let reached = by_group.iter().position(|(_, bytes)| {
        sum += bytes;
        sum >= excess
    });
    let at = reached.or(by_group.len().checked_sub(1))?;
    Some(by_group[at].0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_producers_may_be_in_one_partition_and_many_have_to_share() {
        assert_eq!(producers_each(999, 20_000, 1_000), Limits::PRODUCERS_PER_PARTITION_MAX);
        assert_eq!(producers_each(1_000, 10, 1_000), 100);
        assert_eq!(producers_each(1_000, 20_000, 1_000), 1);
        assert_eq!(producers_each(1_000_000, 1, 100_000), Limits::PRODUCERS_PER_PARTITION_MAX);
        assert_eq!(producers_each(1, 0, 0), 1);
    }

    #[test]
    fn the_oldest_groups_go_that_make_up_the_excess() {
        let held = || vec![(9, 10), (3, 10), (5, 10), (3, 5)];
        assert_eq!(cutoff(held(), 1), Some(4));
        assert_eq!(cutoff(held(), 15), Some(4));
        assert_eq!(cutoff(held(), 16), Some(6));
        assert_eq!(cutoff(held(), 1000), Some(10));
        assert_eq!(cutoff(Vec::new(), 1), None);
    }
}
