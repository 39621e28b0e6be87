//! The map of a segment: where each page lies, and its checksum.
use std::ops::Range;

use bytes::Bytes;

use super::{Decoder, SegmentError, SegmentMeta, SliceBytes};
use crate::record::RecordRef;
use crate::store::Store;

/// A parsed and checked footer. Immutable; put it in an `Arc` to share it.
#[derive(Debug)]
pub struct Footer {
    slices: Vec<SliceInfo>,
}

/// One slice: one page of each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceInfo {
    /// The block it is part of.
    pub block: u32,
    /// Which page of each column chunk of the block.
    pub page: u32,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its last record plus one; what follows up to the next slice's first offset is a gap.
    pub next_offset: i64,
    /// Number of records.
    pub records: u32,
    /// Bytes of keys, values and headers.
    pub payload_bytes: u64,
    /// Smallest timestamp in ms, of those records that have one.
    pub min_timestamp: Option<i64>,
    /// Largest timestamp in ms, of those records that have one.
    pub max_timestamp: Option<i64>,
}

impl Footer {
    /// Reads the footer of the object at `path`: one range request when `meta` (from the manifest) is given. Without it the
    /// object's own trailer holds the checksum: one request for the size and one or two for the tail.
    pub async fn load(_store: &Store, _path: &str, _meta: Option<&SegmentMeta>) -> Result<Self, SegmentError> {
        unimplemented!()
    }

    /// Parses the tail of an object of `size` bytes, `tail` being its bytes from `meta.index_at` on; without `meta`, any
    /// tail that reaches down to where the indexes begin.
    pub fn parse(_path: &str, _tail: &Bytes, _size: u64, _meta: Option<&SegmentMeta>) -> Result<Self, SegmentError> {
        unimplemented!()
    }

    /// The slices, by offset.
    pub fn slices(&self) -> &[SliceInfo] {
        &self.slices
    }

    /// The first slice that holds a record at or above `offset`; the number of slices when there is none.
    pub fn find(&self, offset: i64) -> usize {
        self.slices.partition_point(|slice| slice.next_offset <= offset)
    }

    /// The byte ranges to fetch for decoding `slices`: ascending, apart, and joined where little lies between.
    pub fn ranges(&self, _slices: Range<usize>) -> Vec<Range<u64>> {
        unimplemented!()
    }

    /// Memory that this footer takes, in bytes: its weight in a cache.
    pub fn memory_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Decodes one slice and hands its records to `f`, in order. Every page is checked against its checksum before it is
    /// looked at. `bytes` must hold what [`Footer::ranges`] asked for.
    pub fn decode<E: From<SegmentError>>(
        &self,
        _slice: usize,
        _bytes: &SliceBytes,
        _decoder: &mut Decoder,
        _f: impl FnMut(RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        unimplemented!()
    }
}
