//! The one read path: a position, and whatever tier has it.
//!
//! From the first offset in the WAL on everything is hot, also what is sealed already; below, it is cold. Batches of the hot
//! tier go out as they came in. A position with no record between it and the end gets one COMMIT control batch at the last
//! offset, so that it reaches the end (DESIGN 6).
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;

use super::cold::{ColdError, ColdRequest, ColdTarget};
use super::hot::Span;
use super::partition::Partition;
use super::settings::ReplayCompression;
use super::{Ends, Fetched, Isolation, ReadError};
use crate::record::Codec;
use crate::wal::{Position, WalError};

/// How often a read may be sent from one tier to the other before it is answered empty: each time a WAL file was recycled
/// under it or a gap was skipped.
const ROUNDS_MAX: usize = 8;
/// How often a partition whose data cannot be read says so.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

enum Plan {
    /// Nothing is there yet.
    Nothing,
    /// No record up to the end.
    Marker {
        last_offset: i64,
    },
    Hot(Vec<Span>),
    Cold {
        until: i64,
    },
}

impl Partition {
    /// Reads batches from `from` on, up to about `max_bytes`; the first batch always goes, whatever its size, if
    /// `first_always`. An empty answer means that nothing is readable there now.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] outside of the log; [`ReadError::Storage`] and [`ReadError::Damaged`] name the object.
    pub async fn read(
        &self,
        from: i64,
        max_bytes: usize,
        first_always: bool,
        isolation: Isolation,
    ) -> Result<Fetched, ReadError> {
        let read = self.read_tiers(from, max_bytes, first_always, isolation).await;
        if let Err(error @ (ReadError::Damaged(_) | ReadError::Storage(_))) = &read {
            self.complain(from, error);
        }
        read
    }

    /// Names for the operator what cannot be read; not with every attempt, for clients try again without end.
    fn complain(&self, offset: i64, error: &ReadError) {
        let now = self.0.core.env.clock.elapsed();
        let mut last = self.0.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now.saturating_sub(last) >= COMPLAIN_EVERY) {
            *last = Some(now);
            tracing::error!(topic = self.topic(), partition = self.number(), offset, %error, "cannot be read");
        }
    }

    async fn read_tiers(
        &self,
        from: i64,
        max_bytes: usize,
        first_always: bool,
        isolation: Isolation,
    ) -> Result<Fetched, ReadError> {
        let mut at = from;
        for _ in 0..ROUNDS_MAX {
            let (ends, plan) = self.plan(from, at, max_bytes, first_always, isolation)?;
            let aborted = match (&plan, isolation) {
                (Plan::Hot(spans), Isolation::ReadCommitted) => self.aborted_among(spans),
                _ => Vec::new(),
            };
            let batches = match plan {
                Plan::Nothing => Vec::new(),
                Plan::Marker { last_offset } => vec![self.marker(last_offset)],
                Plan::Hot(spans) => match self.read_hot(&spans).await? {
                    Some(batches) => batches,
                    None => continue,
                },
                Plan::Cold { until } => {
                    let (batches, next) = self.read_cold(at, until, max_bytes, first_always).await?;
                    if batches.is_empty() && next > at {
                        at = next;
                        continue;
                    }
                    batches
                }
            };
            return Ok(Fetched { batches, ends, aborted });
        }
        Ok(Fetched { batches: Vec::new(), ends: self.ends(), aborted: Vec::new() })
    }

    fn plan(
        &self,
        from: i64,
        at: i64,
        max_bytes: usize,
        first_always: bool,
        isolation: Isolation,
    ) -> Result<(Ends, Plan), ReadError> {
        let state = self.state();
        let ends = state.ends();
        if from < ends.log_start || from > ends.high_watermark {
            return Err(ReadError::OutOfRange { offset: from, log_start: ends.log_start, end: ends.high_watermark });
        }
        let until = ends.end_for(isolation);
        let hot_start = state.hot.start().unwrap_or(ends.high_watermark);
        let plan = if at >= until {
            if from < until { Plan::Marker { last_offset: until - 1 } } else { Plan::Nothing }
        } else if at >= hot_start || at >= state.sealed_end {
            if let Some(damaged) = &state.damaged {
                return Err(ReadError::Damaged(damaged.why.clone()));
            }
            let sealed = until.min(state.sealed_end);
            match state.hot.take(at, until, max_bytes, first_always) {
                // Where the WAL has a hole in what is sealed, the bucket has the records.
                spans if at < sealed && spans.first().is_none_or(|s| s.base > at) => {
                    let until = state.hot.from(at).next().map_or(sealed, |s| s.base.min(sealed));
                    match until > at {
                        true => Plan::Cold { until },
                        false if spans.is_empty() => Plan::Nothing, // larger than max_bytes
                        false => Plan::Hot(spans),
                    }
                }
                spans if !spans.is_empty() => Plan::Hot(up_to_a_sealed_hole(spans, sealed)),
                _ if state.hot.from(at).next().is_some_and(|s| s.base < until) => Plan::Nothing, // larger than max_bytes
                _ => Plan::Marker { last_offset: until - 1 },
            }
        } else {
            Plan::Cold { until: until.min(state.sealed_end) }
        };
        Ok((ends, plan))
    }

    /// The aborted transactions with records in `spans`: producer id and first offset.
    fn aborted_among(&self, spans: &[Span]) -> Vec<(i64, i64)> {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Vec::new() };
        let state = self.state();
        state.transactions.aborted_in(first.base, last.next).map(|a| (a.producer_id, a.first)).collect()
    }

    /// The batches of `spans`; `None` when one of them was recycled meanwhile: it is cold now.
    async fn read_hot(&self, spans: &[Span]) -> Result<Option<Vec<Bytes>>, ReadError> {
        let positions: Vec<Position> = spans.iter().map(|s| s.position).collect();
        let bytes: u64 = positions.iter().map(|p| u64::from(p.len)).sum();
        let core = &self.0.core;
        let batches = match core.wal.read_memory(&positions, true) {
            Some(batches) => Ok(batches),
            None => {
                let wal = core.wal.clone();
                let read = core.env.tasks.blocking_hot(move || wal.read(&positions, true));
                read.await.map_err(|e| ReadError::Storage(format!("reading the WAL was cut off: {e}")))?
            }
        };
        match batches {
            Ok(batches) => {
                core.metrics.hot_bytes_out.inc_by(bytes);
                Ok(Some(batches))
            }
            Err(WalError::Recycled(position)) => self.recycled(position).map(|()| None),
            Err(e @ WalError::Damaged(_)) => Err(ReadError::Damaged(e.to_string())),
            Err(e) => Err(ReadError::Storage(e.to_string())),
        }
    }

    /// Drops from the hot index what lies up to a batch that the WAL holds no more, for it is in the bucket. What is not there
    /// and was recycled all the same is lost: that is said, never passed over.
    fn recycled(&self, position: Position) -> Result<(), ReadError> {
        self.forget_below(position.group + 1);
        let state = self.state();
        match state.hot.from(state.sealed_end).find(|span| span.position == position) {
            None => Ok(()),
            Some(span) => Err(ReadError::Damaged(format!(
                "{}-{}: offsets {}..{} were in file {} of the WAL, which was recycled before they were sealed",
                self.topic(),
                self.number(),
                span.base,
                span.next,
                position.file
            ))),
        }
    }

    /// Drops from the hot index what the WAL has recycled.
    pub(super) fn forget_recycled(&self) {
        self.forget_below(self.0.core.wal.oldest_group());
    }

    /// Drops from the hot index what is sealed and lies in groups below `oldest`.
    pub(super) fn forget_below(&self, oldest: u64) {
        let mut state = self.state();
        let sealed_end = state.sealed_end;
        state.hot.forget_below(oldest, sealed_end);
        let hot_start = state.hot.start().unwrap_or(sealed_end);
        state.transactions.forget_below(hot_start);
    }

    async fn read_cold(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
        first_always: bool,
    ) -> Result<(Vec<Bytes>, i64), ReadError> {
        let want = ColdRequest { from, until, min_bytes: 0, max_bytes };
        let read = self.0.core.cold.read(&self.cold_target(), &self.0.entries, want).await.map_err(read_error)?;
        if !first_always && read.bytes > max_bytes {
            return Ok((Vec::new(), from));
        }
        self.0.core.metrics.cold_bytes_out.inc_by(read.bytes as u64);
        Ok((read.batches, read.next))
    }

    pub(super) fn cold_target(&self) -> ColdTarget {
        let codec = match self.settings().replay_compression {
            ReplayCompression::None => Codec::None,
            ReplayCompression::Lz4 => Codec::Lz4,
            ReplayCompression::Zstd => Codec::Zstd,
        };
        ColdTarget { topic_id: self.topic_id(), partition: self.number(), codec }
    }

    fn marker(&self, last_offset: i64) -> Bytes {
        let epoch = self.state().epoch_at(last_offset).unwrap_or_else(|| self.0.core.leader_epoch());
        crate::record::commit_marker(last_offset, epoch, self.0.core.env.clock.now_ms())
    }
}

/// The first of these batches that lie side by side, as far as they are sealed: what is missing between them is in the bucket.
fn up_to_a_sealed_hole(mut spans: Vec<Span>, sealed: i64) -> Vec<Span> {
    let hole = spans.windows(2).position(|pair| pair[0].next < pair[1].base && pair[0].next < sealed);
    spans.truncate(hole.map_or(spans.len(), |at| at + 1));
    spans
}

/// What a reader is told of a failure of the cold tier.
pub(super) fn read_error(error: ColdError) -> ReadError {
    match error {
        e @ (ColdError::Damaged { .. } | ColdError::Missing { .. }) => ReadError::Damaged(e.to_string()),
        e => ReadError::Storage(e.to_string()),
    }
}
