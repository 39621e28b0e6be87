//! Questions about time to the sealed range of a partition, with or without a broker.
use super::ReadError;
use super::cold::{ColdError, ColdReader, ColdTarget, TimeHit};
use super::entries::{Versions, segment_ref};
use super::read::read_error;
use crate::archive::ArchiveError;
use crate::archive::manifest::{SegmentEntry, View};

/// The sealed range of a partition.
pub(super) struct Sealed {
    pub versions: Versions,
    pub cold: ColdReader,
    pub target: ColdTarget,
}

/// Why a version of the manifest could not answer.
enum Failed {
    Archive(ArchiveError),
    Cold(ColdError),
}

impl Failed {
    /// An object that the version names is gone: a newer one does not name it any more.
    fn is_missing(&self) -> bool {
        match self {
            Self::Archive(e) => e.is_missing(),
            Self::Cold(e) => matches!(e, ColdError::Missing { .. }),
        }
    }
}

impl From<ArchiveError> for Failed {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<ColdError> for Failed {
    fn from(error: ColdError) -> Self {
        Self::Cold(error)
    }
}

impl From<Failed> for ReadError {
    fn from(error: Failed) -> Self {
        match error {
            Failed::Archive(e) => archive_error(e),
            Failed::Cold(e) => read_error(e),
        }
    }
}

impl Sealed {
    /// The first record at or above `log_start` whose timestamp (ms) is at or after `timestamp`.
    pub async fn at_or_after(&self, log_start: i64, timestamp: i64) -> Result<Option<TimeHit>, ReadError> {
        let found = match self.first_in(&self.versions.view(), log_start, timestamp).await {
            Err(e) if e.is_missing() => self.first_in(&self.newer().await?, log_start, timestamp).await,
            found => found,
        };
        Ok(found?)
    }

    /// The first record that has the greatest timestamp at or above `log_start`.
    pub async fn max_timestamp(&self, log_start: i64) -> Result<Option<TimeHit>, ReadError> {
        let found = match self.max_in(&self.versions.view(), log_start).await {
            Err(e) if e.is_missing() => self.max_in(&self.newer().await?, log_start).await,
            found => found,
        };
        Ok(found?)
    }

    async fn newer(&self) -> Result<View, ReadError> {
        self.versions.newer().await.map_err(archive_error)
    }

    async fn first_in(&self, view: &View, log_start: i64, timestamp: i64) -> Result<Option<TimeHit>, Failed> {
        let mut from = log_start;
        while let Some(segment) = view.find_time(timestamp, from).await? {
            if let Some(hit) = self.in_segment(view, &segment, from, timestamp).await? {
                return Ok(Some(hit));
            }
            from = segment.meta.next_offset;
        }
        Ok(None)
    }

    async fn max_in(&self, view: &View, log_start: i64) -> Result<Option<TimeHit>, Failed> {
        let sealed = view.max_timestamp().await?;
        let known = sealed.known.map(|(timestamp, offset)| TimeHit { offset, timestamp });
        let Some(cut) = &sealed.cut else { return Ok(known) };
        let in_cut = self.max_in_cut(view, cut, log_start).await?;
        Ok(match (in_cut, known) {
            (Some(a), Some(b)) if a.timestamp < b.timestamp => Some(b),
            (a, b) => a.or(b),
        })
    }

    async fn in_segment(
        &self,
        view: &View,
        segment: &SegmentEntry,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<TimeHit>, ColdError> {
        self.cold.first_at_or_after(&self.target, &segment_ref(view, segment), from, timestamp).await
    }

    /// The greatest timestamp at or above `from` in a segment that the log start cuts: by halving the range of times, for the
    /// index knows the whole segment only.
    async fn max_in_cut(&self, view: &View, segment: &SegmentEntry, from: i64) -> Result<Option<TimeHit>, ColdError> {
        let (Some(min), Some(max)) = (segment.meta.min_timestamp, segment.meta.max_timestamp) else { return Ok(None) };
        let mut best = self.in_segment(view, segment, from, min).await?;
        let (mut low, mut high) = (best.map_or(max, |b| b.timestamp), max);
        while best.is_some() && low < high {
            let middle = low + (high - low + 1) / 2;
            match self.in_segment(view, segment, from, middle).await? {
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
