//! Making batches out of records: cold replay, the command line and the library write what a producer would.
use bytes::Bytes;

use super::batch::{BatchError, BatchHeader};
use super::codec::Codec;
use super::codec::pack::compress;
use super::model::{RecordRef, TimestampType};
use super::varint::{put_varint, varint_len, zigzag};

/// Collects records and encodes them as v2 batches, one after the other, reusing its buffers.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    /// Room for the header, then the encoded records; empty while there is none.
    encoded: Vec<u8>,
    /// What the first record decided; `None` while there is none.
    batch: Option<Open>,
    producer: Option<Producer>,
    attributes: i16,
}

/// A batch that has its first record.
#[derive(Clone, Copy, Debug)]
struct Open {
    base_offset: i64,
    last_offset: i64,
    base_timestamp: i64,
    max_timestamp: i64,
    timestamp_type: TimestampType,
    leader_epoch: i32,
    count: u32,
}

/// Largest batch, header included: what an i32 length can say, and a little less.
const BATCH_MAX: usize = i32::MAX as usize;
/// Upper bound of a record's bytes besides key, value and headers: its length, attributes, two deltas, two lengths and
/// the number of headers.
const RECORD_FRAME_MAX: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;

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

impl Producer {
    /// Neither idempotent nor transactional.
    pub const NONE: Self = Self { id: -1, epoch: -1, base_sequence: -1 };
}

impl BatchBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets producer id, epoch and sequence of the batch being built; `finish` forgets them.
    pub fn set_producer(&mut self, producer: Producer) {
        self.producer = Some(producer);
    }

    /// Marks the batch being built as part of a transaction; `finish` forgets it.
    pub fn set_transactional(&mut self) {
        self.attributes |= BatchHeader::TRANSACTIONAL_BIT;
    }

    /// Marks the batch being built as a control batch; `finish` forgets it.
    pub fn set_control(&mut self) {
        self.attributes |= BatchHeader::CONTROL_BIT;
    }

    /// Adds a record; offsets must rise.
    ///
    /// Errors: [`BatchError::Build`] for a record that fits no batch, or whose offset does not rise.
    pub fn push(&mut self, record: &RecordRef<'_>) -> Result<Pushed, BatchError> {
        let fail = |problem| Err(BatchError::Build { offset: record.offset, problem });
        let (timestamp_delta, offset_delta) = match &self.batch {
            None => (0, 0),
            Some(open) if record.offset <= open.last_offset => return fail("its offset is not above the last one's"),
            Some(open) => match open.deltas(record) {
                None => return Ok(Pushed::NeedsNewBatch),
                Some(deltas) => deltas,
            },
        };
        let start = self.encoded.len().max(BatchHeader::LEN);
        let length = encoded_len(record, timestamp_delta, offset_delta);
        if start + length + RECORD_FRAME_MAX > BATCH_MAX {
            return if self.batch.is_some() { Ok(Pushed::NeedsNewBatch) } else { fail("it is larger than 2 GiB") };
        }
        self.encoded.resize(start, 0);
        self.encoded.reserve(length + RECORD_FRAME_MAX);
        put_record(&mut self.encoded, record, length, timestamp_delta, offset_delta);
        self.batch.get_or_insert_with(|| Open::first(record)).add(record);
        Ok(Pushed::Added)
    }

    /// Records in the batch being built.
    pub fn count(&self) -> u32 {
        self.batch.map_or(0, |open| open.count)
    }

    /// Whether no record is in it.
    pub fn is_empty(&self) -> bool {
        self.batch.is_none()
    }

    /// Bytes of the batch being built if it were finished now without compression; 0 without records.
    pub fn size_estimate(&self) -> usize {
        self.encoded.len()
    }

    /// Encodes the batch and empties the builder. `level` is the codec's own (gzip 0-9, zstd up to 22), `None` its
    /// default; snappy and lz4 have none. Append time records share one timestamp per batch, so a batch of them holds
    /// records of one append.
    ///
    /// Errors: [`BatchError::Header`] when no record was pushed: empty batches stall some clients.
    pub fn finish(&mut self, codec: Codec, level: Option<i32>) -> Result<Bytes, BatchError> {
        let open = self.batch.take().ok_or(BatchError::Header("a batch needs a record"))?;
        let mut batch = match codec {
            // The next batch is likely to be as long as this one.
            Codec::None => {
                let room = Vec::with_capacity(self.encoded.len());
                std::mem::replace(&mut self.encoded, room)
            }
            _ => {
                let mut packed = vec![0; BatchHeader::LEN];
                compress(codec, level, &self.encoded[BatchHeader::LEN..], &mut packed);
                self.encoded.clear();
                packed
            }
        };
        let attributes = std::mem::take(&mut self.attributes) | i16::from(codec.code());
        let producer = self.producer.take().unwrap_or(Producer::NONE);
        let length = i32::try_from(batch.len() - BatchHeader::LENGTH_END)
            .map_err(|_| BatchError::Header("it is larger than 2 GiB after compression"))?;
        let mut header = open.header(attributes, producer, length);
        batch[..BatchHeader::LEN].copy_from_slice(&header.encode());
        header.crc = crc32c::crc32c(&batch[BatchHeader::CRC_START..]);
        batch[..BatchHeader::LEN].copy_from_slice(&header.encode());
        Ok(batch.into())
    }
}

impl Open {
    fn first(record: &RecordRef<'_>) -> Self {
        Self {
            base_offset: record.offset,
            last_offset: record.offset,
            base_timestamp: record.timestamp,
            max_timestamp: record.timestamp,
            timestamp_type: record.timestamp_type,
            leader_epoch: record.leader_epoch,
            count: 0,
        }
    }

    /// Timestamp and offset as deltas, if `record` can be in this batch.
    #[inline]
    fn deltas(&self, record: &RecordRef<'_>) -> Option<(i64, i32)> {
        let fits = record.timestamp_type == self.timestamp_type
            && record.leader_epoch == self.leader_epoch
            && (self.timestamp_type == TimestampType::Create || record.timestamp == self.base_timestamp)
            && self.count < i32::MAX.cast_unsigned();
        let timestamp_delta = record.timestamp.checked_sub(self.base_timestamp)?;
        let offset_delta = i32::try_from(record.offset.checked_sub(self.base_offset)?).ok()?;
        fits.then_some((timestamp_delta, offset_delta))
    }

    #[inline]
    fn add(&mut self, record: &RecordRef<'_>) {
        self.last_offset = record.offset;
        self.count += 1;
        // None is no timestamp, though a negative one is smaller.
        let none = RecordRef::NO_TIMESTAMP;
        if record.timestamp != none && (self.max_timestamp == none || record.timestamp > self.max_timestamp) {
            self.max_timestamp = record.timestamp;
        }
    }

    fn header(&self, attributes: i16, producer: Producer, batch_length: i32) -> BatchHeader {
        let timestamp_bit = match self.timestamp_type {
            TimestampType::Create => 0,
            TimestampType::Append => BatchHeader::TIMESTAMP_TYPE_BIT,
        };
        BatchHeader {
            base_offset: self.base_offset,
            batch_length,
            leader_epoch: self.leader_epoch,
            magic: BatchHeader::MAGIC,
            crc: 0,
            attributes: attributes | timestamp_bit,
            last_offset_delta: (self.last_offset - self.base_offset) as i32,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: producer.base_sequence,
            record_count: self.count.cast_signed(),
        }
    }
}

/// Bytes of the record after its length field.
#[inline]
fn encoded_len(record: &RecordRef<'_>, timestamp_delta: i64, offset_delta: i32) -> usize {
    let mut length = 1
        + varint_len(timestamp_delta)
        + varint_len(i64::from(offset_delta))
        + nullable_len(record.key)
        + nullable_len(record.value)
        + varint_len(record.headers.count() as i64);
    if !record.headers.is_empty() {
        for (key, value) in record.headers {
            length += nullable_len(Some(key)) + nullable_len(value);
        }
    }
    length
}

#[inline]
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_len(bytes.len() as i64) + bytes.len())
}

/// All numbers up to the key are gathered first: a vector asks for room with every byte that it is given.
#[inline]
fn put_record(out: &mut Vec<u8>, record: &RecordRef<'_>, length: usize, timestamp_delta: i64, offset_delta: i32) {
    let mut head = Numbers::default();
    head.put(length as i64);
    head.put(0); // the attributes: a byte, and 0 is one as a varint too
    head.put(timestamp_delta);
    head.put(i64::from(offset_delta));
    head.put(record.key.map_or(-1, |key| key.len() as i64));
    out.extend_from_slice(head.bytes());
    out.extend_from_slice(record.key.unwrap_or_default());
    put_nullable(out, record.value);
    put_varint(out, record.headers.count() as i64);
    if !record.headers.is_empty() {
        for (key, value) in record.headers {
            put_nullable(out, Some(key));
            put_nullable(out, value);
        }
    }
}

/// A few varints on the stack.
#[derive(Default)]
struct Numbers {
    bytes: [u8; 32],
    len: usize,
}

impl Numbers {
    #[inline]
    fn put(&mut self, value: i64) {
        let mut word = zigzag(value);
        while word >= 0x80 {
            self.bytes[self.len] = (word & 0x7f) as u8 | 0x80;
            self.len += 1;
            word >>= 7;
        }
        self.bytes[self.len] = word as u8;
        self.len += 1;
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[inline]
fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
