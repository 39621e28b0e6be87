//! The real source of segments: objects of the bucket, opened by `archive::segment`, fetched through the store's range
//! reads, which have permits of their own.
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use super::error::ColdError;
use super::source::{Bench, OpenSegment, SegmentRef, SegmentSource};
use crate::archive::segment::{Footer, SegmentError, SliceBytes, SliceInfo};
use crate::record::BatchError;
use crate::store::{Kind, Store, StoreError};

/// A parsed footer takes about as much as the bytes that it was parsed from, and both are there while it is parsed.
const OPEN_FACTOR: u64 = 3;

/// Segments in a bucket.
#[derive(Debug)]
pub(super) struct StoredSegments {
    pub(super) store: Store,
}

struct StoredSegment {
    path: Arc<str>,
    footer: Footer,
}

impl SegmentSource for StoredSegments {
    fn open_bytes(&self, segment: &SegmentRef) -> u64 {
        segment.meta.size.saturating_sub(segment.meta.index_at) * OPEN_FACTOR
    }

    fn open<'a>(&'a self, segment: &'a SegmentRef) -> BoxFuture<'a, Result<Arc<dyn OpenSegment>, ColdError>> {
        async move {
            let footer = Footer::load(&self.store, &segment.path, Some(&segment.meta))
                .await
                .map_err(|error| segment_error(&segment.path, error))?;
            Ok(Arc::new(StoredSegment { path: segment.path.clone(), footer }) as Arc<dyn OpenSegment>)
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, path: &'a str, ranges: &'a [Range<u64>]) -> BoxFuture<'a, Result<Vec<Bytes>, ColdError>> {
        let gets = ranges.iter().map(|range| self.store.get_range(path, range.clone()));
        try_join_all(gets).map(move |bytes| bytes.map_err(|error| store_error(&path.into(), error))).boxed()
    }
}

impl OpenSegment for StoredSegment {
    fn slices(&self) -> &[SliceInfo] {
        self.footer.slices()
    }

    fn memory_bytes(&self) -> u64 {
        self.footer.memory_bytes()
    }

    fn ranges(&self, slices: Range<usize>) -> Vec<Range<u64>> {
        self.footer.ranges(slices)
    }

    fn encode(&self, slice: usize, stored: &SliceBytes, bench: &mut Bench) -> Result<(), ColdError> {
        let Bench { decoder, encoder } = bench;
        self.footer.decode(slice, stored, decoder, |record| encoder.push(&record).map_err(Unfit::Record)).map_err(
            |unfit| match unfit {
                Unfit::Segment(error) => segment_error(&self.path, error),
                Unfit::Record(error) => {
                    ColdError::Damaged { path: self.path.clone(), message: error.to_string().into() }
                }
            },
        )
    }
}

/// Why a slice did not become batches.
enum Unfit {
    Segment(SegmentError),
    /// It holds a record that no batch can hold; sealing would not have written it.
    Record(BatchError),
}

impl From<SegmentError> for Unfit {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

fn segment_error(path: &Arc<str>, error: SegmentError) -> ColdError {
    match error {
        SegmentError::Store(error) => store_error(path, error),
        SegmentError::Damaged { at, problem, .. } => {
            ColdError::Damaged { path: path.clone(), message: format!("at byte {at}, {problem}").into() }
        }
        SegmentError::Unsupported { what, .. } => ColdError::Unsupported { path: path.clone(), what: what.into() },
        // What only an encoder says.
        other => ColdError::Damaged { path: path.clone(), message: other.to_string().into() },
    }
}

fn store_error(path: &Arc<str>, error: StoreError) -> ColdError {
    let path = path.clone();
    match error.kind {
        Kind::NotFound => ColdError::Missing { path },
        Kind::Corrupt => ColdError::Damaged { path, message: error.message.into() },
        _ => ColdError::Store { path, retriable: error.is_retriable(), message: error.message.into() },
    }
}

#[cfg(test)]
mod tests;
