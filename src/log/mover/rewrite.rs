//! Compaction of keyed topics and merging of small segments, of a few partitions side by side, beside everything else: from
//! the memory for seals, on the cold runtime. What fails is tried again with growing pauses, and stops no other partition.
use std::collections::HashMap;

use futures::StreamExt;

use super::{Mover, key, seal};
use crate::archive::rewrite::choose::{Policy, Size};
use crate::archive::rewrite::{Done, Looked, RewriteError, Rewriter};
use crate::archive::segment::SegmentSpec;
use crate::base::Uuid;
use crate::log::partition::Partition;
use crate::log::settings::TopicSettings;

/// With retention by time, no merged segment spans more than this part of it: retention takes whole segments.
const RETENTION_PARTS: i64 = 8;
/// Partitions that are rewritten at the same time.
const REWRITES_MAX: usize = 4;
/// Merges of one partition in one look, so that a backlog of one does not keep others from theirs.
const MERGES_MAX: usize = 64;
/// First and longest pause after a failure, in ms.
const PAUSE_MS: (i64, i64) = (15_000, 600_000);

/// What is known of each partition from earlier looks.
pub(super) type Known = HashMap<(Uuid, i32), Of>;

#[derive(Debug, Default)]
pub(super) struct Of {
    looked: Looked,
    pause_ms: i64,
    not_before_ms: i64,
}

impl Mover {
    /// Looks at every partition once; returns at once while an earlier look is not over.
    pub(in crate::log) async fn rewrite_all(&self) {
        let Ok(mut known) = self.rewriting.try_lock() else { return };
        let mut before = std::mem::take(&mut *known);
        let partitions = self.registry.partitions(None).unwrap_or_default();
        let looks = partitions.into_iter().map(|partition| {
            let mut of = before.remove(&key(&partition)).unwrap_or_default();
            async move {
                self.look(&partition, &mut of).await;
                (key(&partition), of)
            }
        });
        let looks: Vec<_> = looks.collect();
        *known = futures::stream::iter(looks).buffer_unordered(REWRITES_MAX).collect().await;
    }

    /// Looks at one partition, unless it failed and has to wait.
    async fn look(&self, partition: &Partition, of: &mut Of) {
        let now_ms = self.core.env.clock.now_ms();
        if of.not_before_ms > now_ms {
            return;
        }
        for _ in 0..MERGES_MAX {
            if self.core.fence.reason().is_some() || self.core.fence.store_is_away() {
                return;
            }
            match self.rewrite_one(partition, &mut of.looked).await {
                Ok(done) => {
                    (of.pause_ms, of.not_before_ms) = (0, 0);
                    match done {
                        Some(done) => self.rewritten(partition, &done),
                        None => return,
                    }
                    if done.is_some_and(|done| done.clean_to.is_some()) {
                        return;
                    }
                }
                Err(error) if error.is_fenced() => return self.core.fence.fail(error.to_string()),
                Err(error) => {
                    of.pause_ms = (of.pause_ms * 2).clamp(PAUSE_MS.0, PAUSE_MS.1);
                    of.not_before_ms = now_ms.saturating_add(of.pause_ms);
                    let (topic, partition) = (partition.topic(), partition.number());
                    tracing::warn!(topic, partition, %error, "not compacted or merged; trying again");
                    return;
                }
            }
        }
    }

    async fn rewrite_one(&self, partition: &Partition, looked: &mut Looked) -> Result<Option<Done>, RewriteError> {
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
        let size = size(&settings, &spec);
        match &settings.compaction {
            Some(compaction) => {
                let policy = Policy {
                    dirty_ratio: compaction.dirty_ratio,
                    min_lag_ms: compaction.min_lag_ms,
                    max_lag_ms: compaction.max_lag_ms,
                    delete_retention_ms: compaction.delete_retention_ms,
                    segment_bytes: size.segment_bytes,
                };
                rewriter.compact(archive, &policy, &spec, looked).await
            }
            None => rewriter.merge(archive, &size, &spec, looked).await,
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

fn size(settings: &TopicSettings, spec: &SegmentSpec) -> Size {
    let span_max_ms =
        (settings.deletes && settings.retention_ms >= 0).then_some(settings.retention_ms / RETENTION_PARTS);
    Size { segment_bytes: settings.seal_bytes.min(spec.weight_max()), span_max_ms }
}
