//! Offsets by time and by epoch. Entries and pages of the manifest carry their greatest timestamp and its first offset, so
//! that no question scans history, whatever the clocks did.
use super::cold::TimeHit;
use super::partition::Partition;
use super::sealed::{Sealed, archive_error};
use super::{FoundOffset, Isolation, OffsetQuery, ReadError};
use crate::record::{BatchError, for_each_record};

/// What a batch of the WAL may unpack to: it passed this when it was produced.
const UNPACKED_MAX: u64 = i32::MAX as u64;

const NONE: FoundOffset = FoundOffset { offset: -1, timestamp: -1, leader_epoch: -1 };

impl Partition {
    /// Answers an offset query.
    ///
    /// # Errors
    /// [`ReadError::Storage`] and [`ReadError::Damaged`] when what has to be looked at cannot be read.
    pub async fn find(&self, query: OffsetQuery, isolation: Isolation) -> Result<FoundOffset, ReadError> {
        let (ends, hot_start, sealed_end) = {
            let state = self.state();
            (state.ends(), state.hot.start(), state.sealed_end)
        };
        let at = |offset: i64| FoundOffset { offset, timestamp: -1, leader_epoch: self.epoch_of(offset) };
        Ok(match query {
            OffsetQuery::Earliest => at(ends.log_start),
            // What is written there will be of this epoch.
            OffsetQuery::Latest => {
                let leader_epoch = self.0.core.leader_epoch();
                FoundOffset { offset: ends.end_for(isolation), timestamp: -1, leader_epoch }
            }
            OffsetQuery::EarliestLocal => at(hot_start.unwrap_or(sealed_end).max(ends.log_start)),
            OffsetQuery::LatestTiered if sealed_end > ends.log_start => at(sealed_end - 1),
            OffsetQuery::LatestTiered => NONE,
            OffsetQuery::EarliestUnsealed => at(sealed_end.max(ends.log_start)),
            OffsetQuery::MaxTimestamp => self.found(self.max_timestamp().await?),
            OffsetQuery::AtOrAfter(timestamp) => {
                let hit = match self.sealed().at_or_after(ends.log_start, timestamp).await? {
                    Some(hit) => Some(hit),
                    None => self.hot_at_or_after(ends.log_start.max(sealed_end), timestamp).await?,
                };
                self.found(hit.filter(|hit| hit.offset < ends.end_for(isolation)))
            }
        })
    }

    /// For `OffsetForLeaderEpoch`: the greatest epoch at or below `epoch` that has records, and its end offset;
    /// (-1, -1) if there is none.
    ///
    /// # Errors
    /// [`ReadError::Storage`] when a page of the manifest cannot be read.
    pub async fn end_of_epoch(&self, epoch: i32) -> Result<(i32, i64), ReadError> {
        let (known, log_end) = {
            let state = self.state();
            (state.epochs.clone(), state.high_watermark)
        };
        if epoch < 0 || epoch > self.0.core.leader_epoch() {
            return Ok((-1, -1));
        }
        let above = known.partition_point(|(e, _)| *e <= epoch);
        let end = known.get(above).map_or(log_end, |(_, first)| *first);
        if above > 0 {
            return Ok((known[above - 1].0, end));
        }
        let versions = &self.0.versions;
        let older = match versions.view().epoch_end(epoch).await {
            Err(e) if e.is_missing() => versions.view().epoch_end(epoch).await,
            older => older,
        };
        let older = older.map_err(archive_error)?;
        Ok(match older.at_or_below {
            Some(start) => (start.epoch(), older.above.map_or(end, |next| next.first_offset())),
            None if known.is_empty() => (epoch, log_end),
            None => (-1, -1),
        })
    }

    fn epoch_of(&self, offset: i64) -> i32 {
        let state = self.state();
        // What is written at the end will be of this epoch.
        let to_come = || if offset == state.log_end { self.0.core.leader_epoch() } else { -1 };
        state.epoch_at(offset).unwrap_or_else(to_come)
    }

    fn found(&self, hit: Option<TimeHit>) -> FoundOffset {
        hit.map_or(NONE, |h| FoundOffset {
            offset: h.offset,
            timestamp: h.timestamp,
            leader_epoch: self.epoch_of(h.offset),
        })
    }

    fn sealed(&self) -> Sealed {
        Sealed { versions: self.0.versions.clone(), cold: self.0.core.cold.clone(), target: self.cold_target() }
    }

    async fn hot_at_or_after(&self, from: i64, timestamp: i64) -> Result<Option<TimeHit>, ReadError> {
        let mut at = from;
        loop {
            let span = self.state().hot.at_or_after(at, timestamp);
            let Some(span) = span else { return Ok(None) };
            if let Some(hit) = self.in_batch(span.base, from, timestamp).await? {
                return Ok(Some(hit));
            }
            at = span.next;
        }
    }

    /// The first record at or after `timestamp` in the batch of the WAL that begins at `base`.
    async fn in_batch(&self, base: i64, from: i64, timestamp: i64) -> Result<Option<TimeHit>, ReadError> {
        let fetched = self.read(base.max(from), 1, true, Isolation::ReadUncommitted).await?;
        let mut hit = None;
        for batch in fetched.batches {
            for_each_record::<BatchError>(&batch, UNPACKED_MAX, &mut Vec::new(), |r| {
                if hit.is_none() && r.offset >= from && r.timestamp >= timestamp {
                    hit = Some(TimeHit { offset: r.offset, timestamp: r.timestamp });
                }
                Ok(())
            })
            .map_err(|e| ReadError::Damaged(format!("{}-{} offset {base}: {e}", self.topic(), self.number())))?;
        }
        Ok(hit)
    }

    async fn max_timestamp(&self) -> Result<Option<TimeHit>, ReadError> {
        let (log_start, sealed_end) = {
            let state = self.state();
            (state.log_start, state.sealed_end)
        };
        let mut best = self.sealed().max_timestamp(log_start).await?;
        let from = log_start.max(sealed_end);
        let hot = self.state().hot.max_timestamp(from).filter(|t| *t >= 0);
        if let Some(greatest) = hot.filter(|t| best.is_none_or(|b| b.timestamp < *t)) {
            best = self.hot_at_or_after(from, greatest).await?.or(best);
        }
        Ok(best)
    }
}
