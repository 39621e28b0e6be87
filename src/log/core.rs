//! What every partition needs and nobody owns alone: the WAL, the cold reader, the fence, counters.
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::Env;
use super::cold::ColdReader;
use super::count::Counts;
use super::fence::Fence;
use super::state::StateLog;
use crate::archive::Ownership;
use crate::wal::Wal;

/// Shared by all partitions of one open log.
pub(super) struct Core {
    pub env: Env,
    pub wal: Wal,
    pub cold: ColdReader,
    pub fence: Fence,
    pub state: StateLog,
    pub ownership: Ownership,
    pub metrics: Counts,
    producer_ids: AtomicU32,
    index_is_full: AtomicBool,
}

impl Core {
    pub fn new(env: Env, wal: Wal, cold: ColdReader, fence: Fence, state: StateLog, ownership: Ownership) -> Self {
        let metrics = Counts::new(&env.metrics);
        Self {
            env,
            wal,
            cold,
            fence,
            state,
            ownership,
            metrics,
            producer_ids: AtomicU32::new(0),
            index_is_full: AtomicBool::new(false),
        }
    }

    /// The epoch that records of this life carry.
    pub fn leader_epoch(&self) -> i32 {
        self.ownership.leader_epoch()
    }

    /// Takes note of how much memory the hot index takes.
    pub fn set_index_bytes(&self, bytes: u64) {
        self.metrics.index_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.index_is_full.store(bytes > self.env.limits.hot_index_max_bytes(), Ordering::Relaxed);
    }

    /// Whether there is no memory for the positions of more batches.
    pub fn index_is_full(&self) -> bool {
        self.index_is_full.load(Ordering::Relaxed)
    }

    /// A producer id that was never given out: the broker's life in the upper half, a count in the lower.
    pub fn new_producer_id(&self) -> i64 {
        let count = self.producer_ids.fetch_add(1, Ordering::SeqCst);
        (i64::from(self.leader_epoch()) << 32) | i64::from(count)
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("epoch", &self.leader_epoch()).finish_non_exhaustive()
    }
}
