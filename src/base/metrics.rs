//! Prometheus metrics: every module registers its own, with a help text and a unit in the name; one page serves all.
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::Registry;

pub use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;

/// The registry of a process; cheap to clone. Names are given without the `esker_` prefix and `_total` suffix.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

/// Label pairs of a family, for example `[("tier", "hot".into())]`.
pub type Labels = Vec<(&'static str, String)>;

/// Gauges of one name, as of now.
#[derive(Debug)]
pub struct Rows {
    /// Name.
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
    /// A value for each set of labels.
    pub rows: Vec<(Labels, i64)>,
}

/// Computes gauges when the page is made.
struct Computed<F>(F);

impl<F> fmt::Debug for Computed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Computed")
    }
}

impl<F: Fn() -> Vec<Rows> + Send + Sync + 'static> Collector for Computed<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Rows { name, help, rows } in (self.0)() {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in rows {
                match labels.is_empty() {
                    true => family.encode_gauge(&value)?,
                    false => family.encode_family(&labels)?.encode_gauge(&value)?,
                }
            }
        }
        Ok(())
    }
}

impl Metrics {
    /// An empty registry with the prefix `esker`.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("esker"))))
    }

    /// A number that only rises.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let metric = Counter::default();
        self.lock().register(name, help, metric.clone());
        metric
    }

    /// A number that rises and falls.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let metric = Gauge::default();
        self.lock().register(name, help, metric.clone());
        metric
    }

    /// Counters by label.
    pub fn counters(&self, name: &str, help: &str) -> Family<Labels, Counter> {
        let metric = Family::<Labels, Counter>::default();
        self.lock().register(name, help, metric.clone());
        metric
    }

    /// Gauges by label.
    pub fn gauges(&self, name: &str, help: &str) -> Family<Labels, Gauge> {
        let metric = Family::<Labels, Gauge>::default();
        self.lock().register(name, help, metric.clone());
        metric
    }

    /// Gauges that are computed whenever the page is made: for labels that come and go. `compute` must not register anything.
    pub fn computed(&self, compute: impl Fn() -> Vec<Rows> + Send + Sync + 'static) {
        self.lock().register_collector(Box::new(Computed(compute)));
    }

    /// A histogram of seconds from 10 us to 160 s, in powers of two.
    pub fn seconds(&self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, exponential_buckets(0.000_01, 2.0, 24))
    }

    /// A histogram of counts or bytes from 1 to 2^27, in powers of four.
    pub fn sizes(&self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, exponential_buckets(1.0, 4.0, 15))
    }

    fn histogram(&self, name: &str, help: &str, buckets: impl Iterator<Item = f64>) -> Histogram {
        let metric = Histogram::new(buckets);
        self.lock().register(name, help, metric.clone());
        metric
    }

    /// The page for Prometheus, in the OpenMetrics text format.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.lock())?;
        Ok(text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computed_gauges_are_as_of_the_page() {
        let metrics = Metrics::new();
        let values = Arc::new(Mutex::new(vec![("a", 1)]));
        let read = values.clone();
        metrics.computed(move || {
            let row = |(name, value): &(&str, i64)| (vec![("name", (*name).to_owned())], *value);
            vec![Rows { name: "things", help: "Things", rows: read.lock().unwrap().iter().map(row).collect() }]
        });
        let page = metrics.page().unwrap();
        assert!(page.contains("# HELP esker_things Things") && page.contains("esker_things{name=\"a\"} 1\n"), "{page}");
        *values.lock().unwrap() = vec![("b\"", 2)];
        let page = metrics.page().unwrap();
        assert!(!page.contains("\"a\"") && page.contains("esker_things{name=\"b\\\"\"} 2\n"), "{page}");
    }
}
