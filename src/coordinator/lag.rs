//! How far groups are behind: computed when the metrics are asked for, so that nothing has to be removed with a group, and
//! nothing is kept. Groups are taken in the order of their names, as long as there is room; how many partitions did not fit
//! stands beside it.
use std::sync::{Arc, Weak};

use super::Inner;
use crate::base::metrics::Rows;
use crate::base::{Limits, Metrics};

/// Registers the gauges.
pub(super) fn measure(metrics: &Metrics, inner: Weak<Inner>) {
    metrics.computed(move || inner.upgrade().map(|inner| inner.lags(Limits::GROUP_LAGS_MAX)).unwrap_or_default());
}

impl Inner {
    /// The lags of `most` partitions at most, and how many are left out.
    pub(super) fn lags(&self, most: usize) -> Vec<Rows> {
        let mut groups: Vec<Arc<str>> = Vec::new();
        for shard in self.shards.all() {
            groups.extend(shard.shard().slots.keys().cloned());
        }
        groups.sort_unstable();
        let mut lags = Vec::new();
        let mut left_out = 0;
        for group in groups {
            let shard = self.shards.lock(&group);
            let Some(slot) = shard.get(&group) else { continue };
            for place in slot.offsets.places() {
                if lags.len() >= most {
                    left_out += 1;
                    continue;
                }
                let Some(topic) = self.topics.topic(place.topic) else { continue };
                let Ok(Some(committed)) = slot.offsets.get(place, false) else { continue };
                let lag = self.topics.records_from(&topic.name, place.partition, committed.offset);
                let Some(lag) = lag else { continue };
                let labels = vec![
                    ("group", group.to_string()),
                    ("topic", topic.name.clone()),
                    ("partition", place.partition.to_string()),
                ];
                lags.push((labels, lag));
            }
        }
        vec![
            Rows {
                name: "group_lag",
                help: "Records between a group's committed offset and the end; gaps do not count",
                rows: lags,
            },
            Rows {
                name: "group_lag_left_out",
                help: "Partitions of groups whose lag is not shown, because there are too many",
                rows: vec![(Vec::new(), left_out)],
            },
        ]
    }
}
