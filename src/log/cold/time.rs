//! The first offset at or after a timestamp, inside a segment: the slices' bounds say which slice may hold it, and only
//! that one is read, through the cache, where the reader that will ask for the offset next finds it.
use std::sync::Arc;

use super::encode::EncodedBatch;
use super::engine::{Engine, Flight};
use super::error::ColdError;
use super::plan;
use super::reader::{ColdReader, ColdTarget};
use super::source::SegmentRef;
use crate::record::batch::BatchHeader;
use crate::record::{BatchError, for_each_record};

/// Batches of our own making are never larger unpacked.
const UNPACKED_MAX: u64 = i32::MAX as u64;

/// A record found by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeHit {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in ms.
    pub timestamp: i64,
}

/// Why a walk over a batch ended early.
enum Stop {
    Found(TimeHit),
    Bad(BatchError),
}

impl From<BatchError> for Stop {
    fn from(error: BatchError) -> Self {
        Self::Bad(error)
    }
}

impl ColdReader {
    /// The first record of `segment` at or above offset `from` whose timestamp is at or after `timestamp` (in ms, from 0);
    /// timestamps need not be in order. Reads nothing but the slices that can hold it: those before it, whose greatest
    /// timestamp is smaller, are passed over by the index.
    ///
    /// Errors: as [`ColdReader::read`].
    pub async fn first_at_or_after(
        &self,
        target: &ColdTarget,
        segment: &SegmentRef,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<TimeHit>, ColdError> {
        let open = self.engine.open(segment).await?;
        let slices = open.slices();
        for (index, slice) in slices.iter().enumerate().skip(plan::slice_at(slices, from)) {
            if slice.max_timestamp.is_none_or(|max| max < timestamp) {
                continue;
            }
            let encoded = match self.engine.slice(segment, &open, index..index + 1, target.codec) {
                Flight::Landed(encoded) => encoded,
                Flight::Underway(waiter) => Engine::landed(&segment.path, waiter).await?,
            };
            for batch in encoded.batches.iter().filter(|batch| batch.last_offset >= from) {
                match first_in(batch, from, timestamp) {
                    Ok(None) => {}
                    Ok(hit) => return Ok(hit),
                    Err(error) => {
                        let message: Arc<str> = format!("a batch made of it cannot be read: {error}").into();
                        return Err(ColdError::Damaged { path: segment.path.clone(), message });
                    }
                }
            }
        }
        Ok(None)
    }
}

fn first_in(batch: &EncodedBatch, from: i64, timestamp: i64) -> Result<Option<TimeHit>, BatchError> {
    if BatchHeader::parse(&batch.bytes)?.max_timestamp < timestamp {
        return Ok(None);
    }
    let walked = for_each_record(&batch.bytes, UNPACKED_MAX, &mut Vec::new(), |record| {
        if record.offset >= from && record.timestamp >= timestamp {
            return Err(Stop::Found(TimeHit { offset: record.offset, timestamp: record.timestamp }));
        }
        Ok(())
    });
    match walked {
        Ok(_) => Ok(None),
        Err(Stop::Found(hit)) => Ok(Some(hit)),
        Err(Stop::Bad(error)) => Err(error),
    }
}
