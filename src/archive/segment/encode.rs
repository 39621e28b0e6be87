//! Records in, bytes of a Parquet object out.
use bytes::Bytes;

use super::{SegmentError, SegmentMeta, SegmentSpec};
use crate::record::RecordRef;

/// Encodes one segment. Holds one slice of rows and the encoded pages of one block.
pub struct SegmentEncoder {
    spec: SegmentSpec,
}

impl SegmentEncoder {
    /// Begins a segment.
    pub fn new(spec: SegmentSpec) -> Result<Self, SegmentError> {
        Ok(Self { spec })
    }

    /// Adds a record; offsets must rise. Errors with [`SegmentError::Record`] when a segment cannot hold it.
    pub fn push(&mut self, _record: &RecordRef<'_>) -> Result<(), SegmentError> {
        let _ = &self.spec;
        unimplemented!()
    }

    /// Number of records pushed so far.
    pub fn records(&self) -> u64 {
        unimplemented!()
    }

    /// Payload pushed so far, in bytes.
    pub fn payload_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Whether some keys, and whether some values, are UTF-8 while others are not: a topic that should be asked for
    /// `esker.key.type=binary` or `esker.value.type=binary`.
    pub fn mixed(&self) -> (bool, bool) {
        unimplemented!()
    }

    /// Bytes of memory held, output that was not taken included.
    pub fn memory_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Takes the finished bytes: the object from where the last call ended, in order. Empty until a block is full.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        unimplemented!()
    }

    /// Ends the segment, which stands for the offsets up to `next_offset`: the rest of the object, and what the manifest
    /// has to know. Errors with [`SegmentError::Empty`] when there was no record.
    pub fn finish(self, _next_offset: i64) -> Result<(Vec<Bytes>, SegmentMeta), SegmentError> {
        unimplemented!()
    }
}
