//! What is counted about the protocol.
use std::time::Duration;

use prometheus_client::metrics::family::Family;

use super::errors::ErrorCode;
use super::messages::Api;
use crate::base::Metrics;
use crate::base::metrics::{Counter, Histogram, Labels};

/// Counters that are looked up once, at the start: requests are too many for a look-up by name each.
pub struct Counts {
    requests: Vec<(Api, Counter)>,
    received_bytes: Counter,
    sent_bytes: Counter,
    produce_seconds: Histogram,
    fetch_seconds: Histogram,
    other_seconds: Histogram,
    errors: Family<Labels, Counter>,
}

impl Counts {
    /// Registers all of them.
    pub fn new(metrics: &Metrics) -> Self {
        let requests = metrics.counters("kafka_requests", "Requests by API");
        let counter = |api: &Api| (*api, requests.get_or_create(&vec![("api", api.name().to_owned())]).clone());
        Self {
            requests: Api::ALL.iter().map(counter).collect(),
            received_bytes: metrics.counter("kafka_received_bytes", "Bytes of requests"),
            sent_bytes: metrics.counter("kafka_sent_bytes", "Bytes of answers"),
            produce_seconds: metrics
                .seconds("kafka_produce_seconds", "Seconds from a produce request to its answer, after the sync"),
            fetch_seconds: metrics
                .seconds("kafka_fetch_seconds", "Seconds from a fetch request to its answer, with the wait for data"),
            other_seconds: metrics.seconds("kafka_other_seconds", "Seconds from any other request to its answer"),
            errors: metrics.counters("kafka_errors", "Errors in answers, by name"),
        }
    }

    /// A request came in.
    pub fn request(&self, api: Api, bytes: usize) {
        if let Ok(at) = self.requests.binary_search_by_key(&api, |(api, _)| *api) {
            self.requests[at].1.inc();
        }
        self.received_bytes.inc_by(bytes as u64);
    }

    /// An answer was made.
    pub fn answered(&self, api: Api, bytes: usize, took: Duration) {
        self.sent_bytes.inc_by(bytes as u64);
        let seconds = match api {
            Api::Produce => &self.produce_seconds,
            Api::Fetch => &self.fetch_seconds,
            _ => &self.other_seconds,
        };
        seconds.observe(took.as_secs_f64());
    }

    /// An answer carries an error.
    pub fn error(&self, code: ErrorCode) {
        self.errors.get_or_create(&vec![("error", code.to_string())]).inc();
    }
}
