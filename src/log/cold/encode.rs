//! Records of a slice as Kafka v2 batches: what the slice cache keeps and what readers get.
use bytes::Bytes;

use crate::archive::segment::SliceInfo;
use crate::record::{BatchBuilder, BatchError, Codec, Pushed, RecordRef};

/// No batch is larger before compression, unless a single record is: small enough to fit every fetch, large enough that
/// its header and the compression window do not matter.
pub(super) const BATCH_BYTES_MAX: u32 = 256 << 10;
/// No slice is cut into smaller batches than this for the sake of evenness.
const BATCH_BYTES_MIN: u64 = 64 << 10;
/// How far the estimate of a batch's length may be off before the slice gets another one.
const BATCH_SLACK: u64 = 4 << 10;
/// What the fields of a record usually take besides payload.
const RECORD_OVERHEAD_USUAL: u64 = 10;
/// What the fields of a record take besides payload, at most; each header takes [`HEADER_OVERHEAD`] more.
const RECORD_OVERHEAD: u64 = 40;
const HEADER_OVERHEAD: u64 = 10;
/// Replay with zstd wants speed: Kafka clients see 3 from producers, 1 decodes as fast and encodes twice as fast.
const ZSTD_LEVEL: i32 = 1;

/// One batch of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EncodedBatch {
    /// Offset of its last record.
    pub(super) last_offset: i64,
    /// The whole batch.
    pub(super) bytes: Bytes,
}

/// A slice as batches, in order, each in memory of its own, so that a response that keeps one keeps only that one.
#[derive(Debug)]
pub(super) struct EncodedSlice {
    pub(super) batches: Vec<EncodedBatch>,
}

impl EncodedSlice {
    /// Bytes of memory that it takes.
    pub(super) fn memory_bytes(&self) -> u64 {
        let bookkeeping = size_of::<Self>() + self.batches.capacity() * (size_of::<EncodedBatch>() + 64);
        bookkeeping as u64 + self.batches.iter().map(|batch| batch.bytes.len() as u64).sum::<u64>()
    }
}

/// Turns the records of one slice after the other into batches; keeps its buffers.
#[derive(Debug)]
pub struct SliceEncoder {
    builder: BatchBuilder,
    codec: Codec,
    batches: Vec<EncodedBatch>,
    last_offset: i64,
    records: u32,
    /// Bytes at which a batch of this slice ends.
    limit: u64,
}

impl SliceEncoder {
    /// An encoder that compresses with `codec`.
    pub fn new(codec: Codec) -> Self {
        let limit = u64::from(BATCH_BYTES_MAX);
        Self { builder: BatchBuilder::new(), codec, batches: Vec::new(), last_offset: -1, records: 0, limit }
    }

    /// Begins a slice: its batches will be compressed with `codec`, and about equally long. (A slice of 260 KiB as one
    /// full batch and a remnant would cost clients a batch for a handful of records, and the builder its buffer.)
    pub(super) fn begin(&mut self, codec: Codec, slice: &SliceInfo) {
        let bytes = slice.payload_bytes + u64::from(slice.records) * RECORD_OVERHEAD_USUAL;
        let record = bytes / u64::from(slice.records.max(1));
        let even = bytes / bytes.div_ceil(u64::from(BATCH_BYTES_MAX) - 2 * BATCH_SLACK).max(1);
        self.codec = codec;
        self.limit = (even + record + BATCH_SLACK).clamp(BATCH_BYTES_MIN, u64::from(BATCH_BYTES_MAX));
    }

    /// Adds a record; offsets must rise within a slice.
    ///
    /// Errors: [`BatchError`] for a record that no batch can hold.
    #[inline]
    pub fn push(&mut self, record: &RecordRef<'_>) -> Result<(), BatchError> {
        if !self.builder.is_empty() {
            let headers = record.headers.count() as u64 * HEADER_OVERHEAD;
            let size = self.builder.size_estimate() as u64 + record.payload_bytes() + RECORD_OVERHEAD + headers;
            if size > self.limit {
                self.end_batch()?;
            }
        }
        if self.builder.push(record)? == Pushed::NeedsNewBatch {
            self.end_batch()?;
            let _added = self.builder.push(record)?; // an empty builder takes what it can hold, or errs
        }
        self.last_offset = record.offset;
        self.records += 1;
        Ok(())
    }

    /// Ends the slice and begins the next. Errors when it did not have the records that the index promised.
    pub(super) fn finish(&mut self, slice: &SliceInfo) -> Result<EncodedSlice, String> {
        if !self.builder.is_empty() {
            self.end_batch().map_err(|e| e.to_string())?;
        }
        let batches = std::mem::take(&mut self.batches);
        let records = std::mem::take(&mut self.records);
        if records != slice.records {
            return Err(format!(
                "the slice at offset {} has {records} records where its index says {}",
                slice.first_offset, slice.records
            ));
        }
        Ok(EncodedSlice { batches })
    }

    fn end_batch(&mut self) -> Result<(), BatchError> {
        let level = (self.codec == Codec::Zstd).then_some(ZSTD_LEVEL);
        let bytes = exact(self.builder.finish(self.codec, level)?);
        self.batches.push(EncodedBatch { last_offset: self.last_offset, bytes });
        Ok(())
    }
}

/// The same bytes in memory of about their length: a buffer that grew may have room for twice as much, and the cache
/// counts lengths.
fn exact(bytes: Bytes) -> Bytes {
    const SLACK: usize = 16;
    match bytes.try_into_mut() {
        Ok(buffer) if buffer.capacity() - buffer.len() > buffer.len() / SLACK => Bytes::copy_from_slice(&buffer),
        Ok(buffer) => buffer.freeze(),
        Err(bytes) => bytes,
    }
}

#[cfg(test)]
mod tests;
