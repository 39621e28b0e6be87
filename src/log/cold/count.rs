//! What the cold tier counts.
use crate::base::metrics::{Counter, Gauge, Histogram};
use crate::base::{ByteBudget, Metrics};

/// Counters of cold reads; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Slices that were there when a reader came.
    pub(super) hits: Counter,
    /// Slices that were on their way, for another reader or read ahead.
    pub(super) joins: Counter,
    /// Slices that the reader had to have fetched.
    pub(super) misses: Counter,
    /// Slices fetched before anybody asked.
    pub(super) ahead: Counter,
    /// Read-ahead that the budgets did not allow.
    pub(super) ahead_refused: Counter,
    pub(super) decodes: Counter,
    pub(super) failures: Counter,
    pub(super) gets: Counter,
    pub(super) fetched_bytes: Counter,
    pub(super) decoded_bytes: Counter,
    pub(super) served_bytes: Counter,
    pub(super) footers: Counter,
    pub(super) wait: Histogram,
    budget_in_use: Gauge,
    budget_waiters: Gauge,
    unread_bytes: Gauge,
    cache_bytes: Gauge,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let slices = metrics.counters(
            "cold_slices",
            "Slices that readers asked for, by how they were found: hit, joined a fetch under way, or missed",
        );
        let found = |how: &str| slices.get_or_create(&vec![("found", how.to_owned())]).clone();
        Self {
            hits: found("hit"),
            joins: found("joined"),
            misses: found("missed"),
            ahead: metrics.counter("cold_slices_ahead", "Slices fetched before a reader asked for them"),
            ahead_refused: metrics
                .counter("cold_ahead_refused", "Times that read-ahead stopped because a budget was used up"),
            decodes: metrics.counter("cold_decodes", "Slices decoded and encoded again as batches"),
            failures: metrics.counter("cold_failures", "Fetches of slices or footers that failed"),
            gets: metrics.counter("cold_gets", "Range requests for slices"),
            fetched_bytes: metrics
                .counter("cold_fetched_bytes", "Bytes fetched for slices; divided by served bytes: read amplification"),
            decoded_bytes: metrics.counter("cold_payload_bytes", "Payload of decoded slices in bytes"),
            served_bytes: metrics.counter("cold_served_bytes", "Bytes of batches given to readers"),
            footers: metrics.counter("cold_footers", "Segment footers fetched"),
            wait: metrics.seconds("cold_wait_seconds", "Time that a reader waited for its first slice, if it had to"),
            budget_in_use: metrics
                .gauge("cold_budget_used_bytes", "Bytes of fetches under way: stored, decompressed and encoded"),
            budget_waiters: metrics.gauge("cold_budget_waiters", "Fetches that wait for bytes of the budget"),
            unread_bytes: metrics
                .gauge("cold_unread_bytes", "Bytes that were read ahead and that nobody asked for yet"),
            cache_bytes: metrics.gauge("cold_cache_bytes", "Bytes of encoded slices in the cache"),
        }
    }

    /// Sets the gauges.
    pub(super) fn observe(&self, work: &ByteBudget, unread: &ByteBudget, cache_bytes: u64) {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.budget_in_use.set(signed(work.in_use()));
        self.budget_waiters.set(signed(work.waiters()));
        self.unread_bytes.set(signed(unread.in_use()));
        self.cache_bytes.set(signed(cache_bytes));
    }
}
