//! Compaction of keyed topics and merging of small segments, one partition after the other, beside everything else: from the
//! memory for seals, on the cold runtime.
use super::{Mover, seal};
use crate::archive::rewrite::choose::{Policy, Size};
use crate::archive::rewrite::{Done, RewriteError, Rewriter};
use crate::log::partition::Partition;
use crate::log::settings::TopicSettings;

/// With retention by time, no merged segment spans more than this part of it: retention takes whole segments.
const RETENTION_PARTS: i64 = 8;

impl Mover {
    /// Looks at every partition once; returns at once while an earlier look is not over.
    pub(in crate::log) async fn rewrite_all(&self) {
        let Ok(_one) = self.rewriting.try_lock() else { return };
        for partition in self.registry.partitions(None).unwrap_or_default() {
            if self.core.fence.reason().is_some() || self.core.fence.store_is_away() {
                return;
            }
            match self.rewrite_one(&partition).await {
                Ok(done) => done.iter().for_each(|done| self.rewritten(&partition, done)),
                Err(error) if error.is_fenced() => return self.core.fence.fail(error.to_string()),
                Err(error) => {
                    let (topic, partition) = (partition.topic(), partition.number());
                    tracing::warn!(topic, partition, %error, "not compacted or merged; trying again");
                }
            }
        }
    }

    async fn rewrite_one(&self, partition: &Partition) -> Result<Option<Done>, RewriteError> {
        let settings = partition.settings();
        let archive = &partition.0.archive;
        let spec = seal::spec_of(partition, &settings, 0, self.budget.capacity());
        let rewriter = Rewriter {
            store: self.store.clone(),
            budget: self.budget.clone(),
            random: self.core.env.random.clone(),
            clock: self.core.env.clock.clone(),
            tasks: self.core.env.tasks.clone(),
        };
        match &settings.compaction {
            Some(compaction) => {
                let policy = Policy {
                    dirty_ratio: compaction.dirty_ratio,
                    min_lag_ms: compaction.min_lag_ms,
                    max_lag_ms: compaction.max_lag_ms,
                    delete_retention_ms: compaction.delete_retention_ms,
                    segment_bytes: settings.seal_bytes,
                };
                rewriter.compact(archive, &policy, &spec).await
            }
            None => rewriter.merge(archive, &size(&settings), &spec).await,
        }
    }

    fn rewritten(&self, partition: &Partition, done: &Done) {
        if let Some(to) = done.clean_to {
            // The WAL may still hold what gave way: from now on the bucket answers.
            let mut state = partition.state();
            state.hot.forget_below(u64::MAX, to);
        }
        let metrics = &self.core.metrics;
        metrics.rewritten_segments.inc_by(done.segments);
        metrics.rewritten_payload.inc_by(done.payload_bytes);
        metrics.compacted_records.inc_by(done.dropped);
        tracing::info!(
            topic = partition.topic(),
            partition = partition.number(),
            segments = done.segments,
            dropped = done.dropped,
            clean_to = done.clean_to,
            "rewrote segments"
        );
    }
}

fn size(settings: &TopicSettings) -> Size {
    let span_max_ms =
        (settings.deletes && settings.retention_ms >= 0).then_some(settings.retention_ms / RETENTION_PARTS);
    Size { segment_bytes: settings.seal_bytes, span_max_ms }
}
