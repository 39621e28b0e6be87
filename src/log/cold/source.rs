//! What a cold read needs from elsewhere, as narrow as can be: who lies where ([`EntryLookup`]), and how a segment is opened,
//! fetched and decoded ([`SegmentSource`], [`OpenSegment`]). Tests put fakes here; `segments` has the real ones.
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::encode::SliceEncoder;
use super::error::ColdError;
use crate::archive::segment::{Decoder, SegmentMeta, SliceBytes, SliceInfo};

/// How hard a lookup should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// In the manifest as it is known.
    Known,
    /// In the manifest as the bucket has it now: an object that the known one names was missing. A writer, whose own head
    /// is the truth, may answer from memory.
    Again,
}

/// A partition's live segments and gaps.
pub trait EntryLookup: Send + Sync + 'static {
    /// The entry that covers `offset`, or else the first one above it; `None` at and above the end of what is sealed.
    fn entry_at(&self, offset: i64, look: Look) -> BoxFuture<'_, Result<Option<Entry>, ColdError>>;
}

/// One entry of a manifest.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A segment.
    Segment(SegmentRef),
    /// Offsets without records.
    Gap {
        /// The first of them.
        first_offset: i64,
        /// The first after them.
        next_offset: i64,
    },
}

impl Entry {
    /// The first offset that it covers.
    pub fn first_offset(&self) -> i64 {
        match self {
            Self::Segment(segment) => segment.first_offset(),
            Self::Gap { first_offset, .. } => *first_offset,
        }
    }

    /// The first offset after it.
    pub fn next_offset(&self) -> i64 {
        match self {
            Self::Segment(segment) => segment.next_offset(),
            Self::Gap { next_offset, .. } => *next_offset,
        }
    }
}

/// A live segment: the object's path from the bucket's root, and what the manifest says about it. Paths are never used
/// twice, so a path names its content for ever: it is the cache's key.
#[derive(Clone, Debug)]
pub struct SegmentRef {
    /// Path of the object.
    pub path: Arc<str>,
    /// Its description in the manifest.
    pub meta: Arc<SegmentMeta>,
}

impl SegmentRef {
    /// The first offset that it covers.
    pub fn first_offset(&self) -> i64 {
        self.meta.first_offset
    }

    /// The first offset after it.
    pub fn next_offset(&self) -> i64 {
        self.meta.next_offset
    }
}

/// Opens segments.
pub trait SegmentSource: Send + Sync + 'static {
    /// Bytes that opening `segment` may take while it runs: what is fetched and what is made of it.
    fn open_bytes(&self, segment: &SegmentRef) -> u64;

    /// Fetches and checks the footer.
    fn open<'a>(&'a self, segment: &'a SegmentRef) -> BoxFuture<'a, Result<Arc<dyn OpenSegment>, ColdError>>;

    /// Fetches ranges of the object, in parallel; as many GETs as ranges.
    fn fetch<'a>(&'a self, path: &'a str, ranges: &'a [Range<u64>]) -> BoxFuture<'a, Result<Vec<Bytes>, ColdError>>;
}

/// A segment whose footer is in memory.
pub trait OpenSegment: Send + Sync {
    /// Its slices, in order.
    fn slices(&self) -> &[SliceInfo];

    /// Bytes of memory that it takes.
    fn memory_bytes(&self) -> u64;

    /// The byte ranges of the object that hold `slices` (adjacent, of one block), coalesced.
    fn ranges(&self, slices: Range<usize>) -> Vec<Range<u64>>;

    /// Checks, decodes and hands every record of `slice` to the bench's encoder. `stored` has what [`OpenSegment::ranges`]
    /// named for a run that includes the slice. Runs on a blocking thread.
    fn encode(&self, slice: usize, stored: &SliceBytes, bench: &mut Bench) -> Result<(), ColdError>;
}

/// The reusable memory of one decoding thread.
pub struct Bench {
    /// Pages to records.
    pub decoder: Decoder,
    /// Records to batches.
    pub encoder: SliceEncoder,
}
