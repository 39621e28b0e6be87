//! The gate that every request passes: permits by class, time-out, counters.
use std::future::Future;
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::StoreOptions;
use crate::base::metrics::{Counter, Gauge, Histogram, Labels};
use crate::base::{ByteBudget, BytePermit, Metrics};

/// Requests that must not wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Whole small objects, listings, deletions: what commits are made of.
    Small,
    /// Ranges of segments.
    Read,
    /// New segments.
    Upload,
}

/// Kinds of request, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Get,
    Stat,
    Put,
    Create,
    Delete,
    List,
    Range,
    Upload,
    Part,
    Complete,
}

impl Op {
    fn class(self) -> Class {
        match self {
            Self::Get | Self::Stat | Self::Put | Self::Create | Self::Delete | Self::List => Class::Small,
            Self::Range => Class::Read,
            Self::Upload | Self::Part | Self::Complete => Class::Upload,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Stat => "stat",
            Self::Put => "put",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Range => "range",
            Self::Upload => "upload",
            Self::Part => "part",
            Self::Complete => "complete",
        }
    }
}

#[derive(Debug)]
struct Lane {
    requests: Semaphore,
    bytes: ByteBudget,
    seconds: Histogram,
    in_flight: Gauge,
}

/// Permits and counters of one store.
#[derive(Debug)]
pub(super) struct Gate {
    small: Lane,
    read: Lane,
    upload: Lane,
    timeout: Duration,
    requests: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    bytes: Family<Labels, Counter>,
}

/// A request that was let in.
pub(super) struct Entered<'a> {
    _request: SemaphorePermit<'a>,
    _bytes: Option<BytePermit>,
    in_flight: &'a Gauge,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

impl Gate {
    pub(super) fn new(options: &StoreOptions, metrics: &Metrics) -> Self {
        let in_flight = metrics.gauges("store_requests_in_flight", "Requests to the store under way, by class");
        let lane = |name: &'static str, help: &str| Lane {
            requests: Semaphore::new(options.requests.clamp(1, 10_000)),
            bytes: ByteBudget::new(name, options.bytes.max(StoreOptions::BYTES_MIN)),
            seconds: metrics.seconds(&format!("store_{name}_seconds"), help),
            in_flight: in_flight.get_or_create(&vec![("class", name.to_string())]).clone(),
        };
        Self {
            small: lane("small", "Time of one request for a small object, a listing or a deletion"),
            read: lane("read", "Time of one range read"),
            upload: lane("upload", "Time of one request of an upload"),
            timeout: Duration::from_millis(options.request_timeout_ms.max(StoreOptions::TIMEOUT_MS_MIN)),
            requests: metrics.counters("store_requests", "Requests to the store, each attempt, by kind and result"),
            retries: metrics.counters("store_retries", "Requests that were repeated, by kind"),
            bytes: metrics.counters("store_bytes", "Bytes of bodies read from or written to the store, by kind"),
        }
    }

    fn lane(&self, op: Op) -> &Lane {
        match op.class() {
            Class::Small => &self.small,
            Class::Read => &self.read,
            Class::Upload => &self.upload,
        }
    }

    /// Waits for room for one request with a body of `bytes`.
    pub(super) async fn enter(&self, op: Op, bytes: u64) -> Entered<'_> {
        let lane = self.lane(op);
        let _bytes = if bytes > 0 { Some(lane.bytes.acquire(bytes).await) } else { None };
        let _request = lane.requests.acquire().await.expect("the semaphore is never closed");
        lane.in_flight.inc();
        Entered { _request, _bytes, in_flight: &lane.in_flight }
    }

    /// Waits for room for a body whose size only the answer told.
    pub(super) async fn body(&self, op: Op, bytes: u64) -> BytePermit {
        self.lane(op).bytes.acquire(bytes).await
    }

    /// Runs one attempt; None is a time-out.
    pub(super) async fn timed<T>(&self, attempt: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.timeout, attempt).await.ok()
    }

    /// Counts one attempt.
    pub(super) fn count(&self, op: Op, result: &str, took: Duration) {
        self.requests.get_or_create(&vec![("op", op.as_str().to_string()), ("result", result.to_string())]).inc();
        self.lane(op).seconds.observe(took.as_secs_f64());
    }

    /// Counts one repetition.
    pub(super) fn count_retry(&self, op: Op) {
        self.retries.get_or_create(&vec![("op", op.as_str().to_string())]).inc();
    }

    /// Counts bytes of a body.
    pub(super) fn count_bytes(&self, op: Op, bytes: usize) {
        self.bytes.get_or_create(&vec![("op", op.as_str().to_string())]).inc_by(bytes as u64);
    }

    /// How long one attempt may take, in ms.
    pub(super) fn timeout_ms(&self) -> u128 {
        self.timeout.as_millis()
    }
}
