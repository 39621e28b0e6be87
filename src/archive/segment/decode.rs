//! Pages in, records out.
use std::ops::Range;

use bytes::Bytes;

/// Fetched ranges of a segment.
#[derive(Clone, Debug, Default)]
pub struct SliceBytes {
    parts: Vec<(u64, Bytes)>,
}

impl SliceBytes {
    /// `bytes[i]` is what lies at `ranges[i]`; ranges ascend and do not overlap.
    pub fn new(ranges: &[Range<u64>], bytes: Vec<Bytes>) -> Self {
        Self { parts: ranges.iter().map(|range| range.start).zip(bytes).collect() }
    }

    /// Bytes held.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The memory of a reader: a decompressor and buffers, to be used again for the next slice. One per thread.
#[derive(Default)]
pub struct Decoder {
    _scratch: Vec<u8>,
}

impl Decoder {
    /// An empty one; grows to about two slices.
    pub fn new() -> Self {
        Self::default()
    }
}
