//! What the log counts.
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Metrics;
use crate::base::metrics::{Counter, Gauge, Histogram};
use crate::record::Checked;

/// Counters of one open log.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    records_in: Counter,
    payload_in: Counter,
    batch_bytes_in: Counter,
    batch_size: Histogram,
    pub rejected: Counter,
    pub hot_bytes_out: Counter,
    pub cold_bytes_out: Counter,
    pub seals: Counter,
    pub seal_failures: Counter,
    pub sealed_records: Counter,
    pub sealed_payload: Counter,
    pub sealed_stored: Counter,
    pub seal_seconds: Histogram,
    pub rewritten_segments: Counter,
    pub rewritten_payload: Counter,
    pub compacted_records: Counter,
    pub unsealed_bytes: Gauge,
    pub oldest_unsealed_ms: Gauge,
    pub partitions: Gauge,
    pub store_away: Gauge,
    pub pinned_bytes: Gauge,
    pub index_bytes: Gauge,
    mixed: Arc<Mutex<HashSet<(String, &'static str)>>>,
    mixed_topics: Counter,
}

impl Counts {
    pub fn new(m: &Metrics) -> Self {
        Self {
            records_in: m.counter("appended_records", "Records that were checked and handed to the WAL"),
            payload_in: m.counter("appended_payload_bytes", "Bytes of keys, values and headers of those records"),
            batch_bytes_in: m.counter("appended_batch_bytes", "Bytes of batches as the producers sent them"),
            batch_size: m.sizes("appended_batch_size_bytes", "Sizes of batches as the producers sent them"),
            rejected: m.counter("rejected_batches", "Batches that were refused"),
            hot_bytes_out: m.counter("read_hot_bytes", "Bytes of batches that readers got from the hot tier"),
            cold_bytes_out: m.counter("read_cold_bytes", "Bytes of batches that readers got from the cold tier"),
            seals: m.counter("seals", "Segments that were sealed and committed"),
            seal_failures: m.counter("seal_failures", "Seals that failed and will be tried again"),
            sealed_records: m.counter("sealed_records", "Records in those segments"),
            sealed_payload: m.counter("sealed_payload_bytes", "Bytes of keys, values and headers in those segments"),
            sealed_stored: m.counter("sealed_stored_bytes", "Bytes of those segments in the bucket"),
            seal_seconds: m.seconds("seal_seconds", "Time from the first read of a seal to its commit"),
            rewritten_segments: m.counter("rewritten_segments", "Segments that were compacted or merged into others"),
            rewritten_payload: m
                .counter("rewritten_payload_bytes", "Bytes of keys, values and headers in those segments"),
            compacted_records: m.counter("compacted_records", "Records that gave way to newer ones of their keys"),
            unsealed_bytes: m.gauge("unsealed_bytes", "Bytes of batches that are in the WAL only"),
            oldest_unsealed_ms: m
                .gauge("oldest_unsealed_age_milliseconds", "Age of the oldest record that is in the WAL only"),
            partitions: m.gauge("partitions", "Partitions of live topics"),
            store_away: m.gauge("store_away", "1 while the object store does not answer"),
            pinned_bytes: m.gauge(
                "wal_pinned_bytes",
                "Bytes of WAL files that unsealed records or state keep from being recycled",
            ),
            index_bytes: m
                .gauge("hot_index_bytes", "Bytes of memory that the positions of the batches in the WAL take"),
            mixed: Arc::default(),
            mixed_topics: m.counter("mixed_columns", "Topics and columns that hold both UTF-8 and other bytes"),
        }
    }

    /// Whether this is the first time that a topic's column was seen to mix UTF-8 and other bytes.
    pub fn first_mixed(&self, topic: &str, setting: &'static str) -> bool {
        let first = self.mixed.lock().unwrap_or_else(PoisonError::into_inner).insert((topic.to_owned(), setting));
        if first {
            self.mixed_topics.inc();
        }
        first
    }

    pub fn produced(&self, checked: &Checked, bytes: usize) {
        self.records_in.inc_by(u64::try_from(checked.header.record_count).unwrap_or(0));
        self.payload_in.inc_by(checked.payload_bytes);
        self.batch_bytes_in.inc_by(bytes as u64);
        self.batch_size.observe(bytes as f64);
    }
}
