//! What the WAL counts.
use super::{Append, Space};
use crate::base::Metrics;
use crate::base::metrics::{Counter, Gauge, Histogram};

/// The WAL's metrics.
pub(crate) struct WalMetrics {
    pub sync_seconds: Histogram,
    groups: Counter,
    frames: Counter,
    records: Counter,
    bytes: Counter,
    frames_per_group: Histogram,
    records_per_group: Histogram,
    budget: Gauge,
    used: Gauge,
    pinned: Gauge,
    disk_full: Gauge,
}

impl WalMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            sync_seconds: metrics.seconds("wal_sync_seconds", "Time of one sync of the WAL, in seconds"),
            groups: metrics.counter("wal_groups", "Groups written, each with one sync"),
            frames: metrics.counter("wal_frames", "Batches and state changes written"),
            records: metrics.counter("wal_records", "Records written"),
            bytes: metrics.counter("wal_written_bytes", "Bytes written to the WAL, with headers and padding"),
            frames_per_group: metrics.sizes("wal_frames_per_sync", "Batches and state changes that one sync covered"),
            records_per_group: metrics.sizes("wal_records_per_sync", "Records that one sync covered"),
            budget: metrics.gauge("wal_budget_bytes", "Bytes of disk that the WAL may use (wal.bytes)"),
            used: metrics.gauge("wal_used_bytes", "Bytes of all WAL files"),
            pinned: metrics.gauge("wal_pinned_bytes", "Bytes of WAL files that cannot be recycled yet"),
            disk_full: metrics.gauge("wal_disk_full", "1 while the disk has no room for the next WAL file"),
        }
    }

    /// A group was written.
    pub fn wrote(&self, frames: &[&Append], bytes: u64) {
        let records = frames.iter().map(|f| u64::from(f.meta.records)).sum();
        self.groups.inc();
        self.frames.inc_by(frames.len() as u64);
        self.records.inc_by(records);
        self.bytes.inc_by(bytes);
        if !frames.is_empty() {
            self.frames_per_group.observe(frames.len() as f64);
            self.records_per_group.observe(records as f64);
        }
    }

    /// The files changed.
    pub fn space(&self, space: &Space) {
        let set = |gauge: &Gauge, value: u64| _ = gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.budget, space.budget);
        set(&self.used, space.used);
        set(&self.pinned, space.pinned);
        set(&self.disk_full, u64::from(space.disk_full));
    }
}
