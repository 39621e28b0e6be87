//! Questions about time to the sealed range of a partition, with or without a broker.
use super::ReadError;
use super::cold::{ColdReader, ColdTarget, TimeHit};
use super::entries::segment_ref;
use super::read::read_error;
use crate::archive::ArchiveError;
use crate::archive::manifest::{SegmentEntry, View};

/// The sealed range of a partition.
pub(super) struct Sealed {
    pub view: View,
    pub cold: ColdReader,
    pub target: ColdTarget,
}

impl Sealed {
    /// The first record at or above `log_start` whose timestamp (ms) is at or after `timestamp`.
    pub async fn at_or_after(&self, log_start: i64, timestamp: i64) -> Result<Option<TimeHit>, ReadError> {
        let mut from = log_start;
        while let Some(segment) = self.view.find_time(timestamp, from).await.map_err(archive_error)? {
            if let Some(hit) = self.in_segment(&segment, from, timestamp).await? {
                return Ok(Some(hit));
            }
            from = segment.meta.next_offset;
        }
        Ok(None)
    }

    /// The first record that has the greatest timestamp at or above `log_start`.
    pub async fn max_timestamp(&self, log_start: i64) -> Result<Option<TimeHit>, ReadError> {
        let sealed = self.view.max_timestamp().await.map_err(archive_error)?;
        let known = sealed.known.map(|(timestamp, offset)| TimeHit { offset, timestamp });
        let Some(cut) = &sealed.cut else { return Ok(known) };
        let in_cut = self.max_in_cut(cut, log_start).await?;
        Ok(match (in_cut, known) {
            (Some(a), Some(b)) if a.timestamp < b.timestamp => Some(b),
            (a, b) => a.or(b),
        })
    }

    async fn in_segment(&self, segment: &SegmentEntry, from: i64, ts: i64) -> Result<Option<TimeHit>, ReadError> {
        let segment = segment_ref(&self.view, segment);
        self.cold.first_at_or_after(&self.target, &segment, from, ts).await.map_err(read_error)
    }

    /// The greatest timestamp at or above `from` in a segment that the log start cuts: by halving the range of times, for the
    /// index knows the whole segment only.
    async fn max_in_cut(&self, segment: &SegmentEntry, from: i64) -> Result<Option<TimeHit>, ReadError> {
        let (Some(min), Some(max)) = (segment.meta.min_timestamp, segment.meta.max_timestamp) else { return Ok(None) };
        let mut best = self.in_segment(segment, from, min).await?;
        let (mut low, mut high) = (best.map_or(max, |b| b.timestamp), max);
        while best.is_some() && low < high {
            let middle = low + (high - low + 1) / 2;
            match self.in_segment(segment, from, middle).await? {
                Some(hit) => {
                    low = hit.timestamp;
                    best = Some(hit);
                }
                None => high = middle - 1,
            }
        }
        Ok(best)
    }
}

/// What a reader is told when the manifest cannot be read.
pub(super) fn archive_error(error: ArchiveError) -> ReadError {
    match error {
        e @ (ArchiveError::Damaged { .. } | ArchiveError::Missing { .. }) => ReadError::Damaged(e.to_string()),
        e => ReadError::Storage(e.to_string()),
    }
}
