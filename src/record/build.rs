//! Making batches out of records: cold replay, the command line and the library write what a producer would.
use bytes::Bytes;

use super::batch::BatchError;
use super::codec::Codec;
use super::model::RecordRef;

/// Collects records and encodes them as v2 batches, one after the other, reusing its buffers.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    _p: (),
}

/// What became of a pushed record.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the batch.
    Added,
    /// It cannot share a batch with those before it (other timestamp type, leader epoch or append time, a delta that does
    /// not fit, or 2 GiB): `finish` this one, then push again.
    NeedsNewBatch,
}

/// What an idempotent or transactional producer puts into its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Producer id.
    pub id: i64,
    /// Producer epoch.
    pub epoch: i16,
    /// Sequence number of the batch's first record.
    pub base_sequence: i32,
}

impl BatchBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets producer id, epoch and sequence of the batch being built; `finish` forgets them.
    pub fn set_producer(&mut self, _producer: Producer) {
        unimplemented!()
    }

    /// Marks the batch being built as part of a transaction; `finish` forgets it.
    pub fn set_transactional(&mut self) {
        unimplemented!()
    }

    /// Marks the batch being built as a control batch; `finish` forgets it.
    pub fn set_control(&mut self) {
        unimplemented!()
    }

    /// Adds a record; offsets must rise.
    ///
    /// Errors: [`BatchError::Build`] for a record that fits no batch, or whose offset does not rise.
    pub fn push(&mut self, _record: &RecordRef<'_>) -> Result<Pushed, BatchError> {
        unimplemented!()
    }

    /// Records in the batch being built.
    pub fn count(&self) -> u32 {
        unimplemented!()
    }

    /// Whether no record is in it.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Bytes of the batch being built if it were finished now without compression.
    pub fn size_estimate(&self) -> usize {
        unimplemented!()
    }

    /// Encodes the batch and empties the builder. `level` is the codec's own (gzip 0-9, zstd 1-22), `None` its default.
    ///
    /// Errors: [`BatchError::Header`] when no record was pushed: empty batches stall some clients.
    pub fn finish(&mut self, _codec: Codec, _level: Option<i32>) -> Result<Bytes, BatchError> {
        unimplemented!()
    }
}

/// A control batch whose single record, at `last_offset`, commits a transaction of nobody. It moves a reader over a range
/// without records: clients skip it and advance, where an empty batch would stall sarama, kafkajs, kafka-go and brod.
pub fn commit_marker(_last_offset: i64, _leader_epoch: i32, _timestamp: i64) -> Bytes {
    unimplemented!()
}
