//! What produce demands of a batch before it is numbered: everything that could go wrong later goes wrong here.
use std::cell::RefCell;
use std::ops::RangeInclusive;

use bytes::Bytes;

use super::batch::{BatchError, BatchHeader, verify_crc};
use super::model::{Headers, RecordRef, TimestampType};
use super::varint::Reader;
use super::walk::{Encoded, unpacked};

/// What a topic allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckLimits {
    /// `max.message.bytes`: largest batch as sent, in bytes.
    pub message_max_bytes: u32,
    /// Most bytes that a batch may unpack to.
    pub unpacked_max_bytes: u64,
    /// The broker's time, in ms.
    pub now_ms: i64,
    /// `message.timestamp.type`: for append time the producer's timestamps are not looked at.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie in the past.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// Whether a null key is refused (compacted topics).
    pub key_required: bool,
}

/// What a check found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The header as sent, except `max_timestamp`: the true one (`stamp` puts it right in the batch). For append time it
    /// is still to be stamped and reads `now_ms`.
    pub header: BatchHeader,
    /// Largest timestamp of a record that has one, ms; -1 if none has; `now_ms` for append time.
    pub max_timestamp: i64,
    /// Offset delta of the first record with `max_timestamp`.
    pub offset_delta_of_max_timestamp: i32,
    /// How many records have no timestamp; 0 for append time.
    pub null_timestamps: u32,
    /// Bytes of keys, values and headers, unpacked.
    pub payload_bytes: u64,
}

/// Why a batch was refused; each kind is one Kafka error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// CORRUPT_MESSAGE: the bytes are not what the producer summed, or are cut off.
    #[error("corrupt batch: {0}")]
    Corrupt(BatchError),
    /// MESSAGE_TOO_LARGE: as sent, or unpacked.
    #[error("batch too large: {0}")]
    TooLarge(String),
    /// INVALID_RECORD: the producer summed what is not a batch.
    #[error("invalid batch: {0}")]
    InvalidRecord(String),
    /// INVALID_TIMESTAMP: out of the topic's window, or of what a segment can hold.
    #[error("invalid timestamp: {0}")]
    InvalidTimestamp(String),
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT: magic 0 or 1, or one of the future.
    #[error("message format {0} is not supported, only 2 is; the client must be Kafka 0.11 or later")]
    UnsupportedFormat(i8),
    /// UNSUPPORTED_COMPRESSION_TYPE: a codec that Kafka does not define.
    #[error("compression codec {0} is unknown; known are 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd")]
    UnsupportedCodec(u8),
}

impl From<BatchError> for Reject {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Magic(magic) => Self::UnsupportedFormat(magic),
            BatchError::UnknownCodec(code) => Self::UnsupportedCodec(code),
            BatchError::Truncated { .. } | BatchError::Length(_) | BatchError::Crc { .. } => Self::Corrupt(error),
            BatchError::UnpackedTooLarge { .. } => Self::TooLarge(error.to_string()),
            BatchError::Unpack { .. }
            | BatchError::Record { .. }
            | BatchError::Header(_)
            | BatchError::Build { .. } => Self::InvalidRecord(error.to_string()),
        }
    }
}

/// Attribute bits that a producer may set: codec, timestamp type (refused by its own name) and transactional.
const PRODUCER_BITS: i16 = 0b111 | BatchHeader::TIMESTAMP_TYPE_BIT | BatchHeader::TRANSACTIONAL_BIT;
/// Largest buffer for unpacked records that a thread keeps for its next batch.
const SCRATCH_KEPT_MAX: usize = 4 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Checks one whole batch of a producer: length, format, CRC, header, and every record, unpacked under a cap. What passes
/// can be sealed.
///
/// Errors: the first thing that is wrong, see [`Reject`].
pub fn check(batch: &Bytes, limits: &CheckLimits) -> Result<Checked, Reject> {
    if batch.len() > limits.message_max_bytes as usize {
        let (length, max) = (batch.len(), limits.message_max_bytes);
        return Err(Reject::TooLarge(format!("it has {length} bytes, max.message.bytes is {max}")));
    }
    let header = verify_crc(batch)?;
    if header.total_len() != batch.len() {
        return Err(Reject::Corrupt(BatchError::Header("bytes follow the batch")));
    }
    check_header(&header)?;
    SCRATCH.with_borrow_mut(|scratch| {
        let records = unpacked(batch, &header, limits.unpacked_max_bytes, scratch)?;
        let result = check_records(records, header, limits);
        if scratch.capacity() > SCRATCH_KEPT_MAX {
            *scratch = Vec::new();
        }
        result
    })
}

/// Kafka's own rules (`LogValidator.validateBatch`, `UnifiedLog.analyzeAndValidateRecords`).
fn check_header(header: &BatchHeader) -> Result<(), Reject> {
    let invalid = |what| Err(Reject::from(BatchError::Header(what)));
    if header.is_control() {
        return invalid("producers may not write control batches");
    }
    if header.attributes & !PRODUCER_BITS != 0 {
        return invalid("it has attribute bits that producers may not set");
    }
    if header.timestamp_type() == TimestampType::Append {
        return Err(Reject::InvalidTimestamp("producers may not set the timestamp type LogAppendTime".into()));
    }
    if header.base_offset != 0 {
        return invalid("the base offset of a produced batch must be 0");
    }
    if header.record_count <= 0 {
        return invalid("it must have at least one record");
    }
    if header.last_offset_delta != header.record_count - 1 {
        return invalid("the last offset delta is not the number of records less one");
    }
    if header.has_producer() && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return invalid("a producer id needs an epoch and a sequence number of 0 or more");
    }
    if header.is_transactional() && !header.has_producer() {
        return invalid("a transactional batch needs a producer id");
    }
    Ok(())
}

fn check_records(records: &[u8], header: BatchHeader, limits: &CheckLimits) -> Result<Checked, Reject> {
    let mut timestamps = Timestamps::new(&header, limits);
    let mut payload_bytes = 0;
    let mut reader = Reader::new(records);
    for index in 0..header.record_count.cast_unsigned() {
        let fail = |problem| Reject::from(BatchError::Record { index, problem });
        let record = Encoded::read(&mut reader).map_err(fail)?;
        if record.offset_delta.cast_unsigned() != index {
            return Err(fail("its offset delta is not its place in the batch"));
        }
        if limits.key_required && record.key.is_none() {
            return Err(fail("it has no key, which a compacted topic needs"));
        }
        let headers = record.headers.count();
        if headers > Headers::COUNT_MAX {
            let text = format!("record {index} has {headers} headers, at most {} are taken", Headers::COUNT_MAX);
            return Err(Reject::InvalidRecord(text));
        }
        payload_bytes += record.key.map_or(0, |k| k.len() as u64) + record.value.map_or(0, |v| v.len() as u64);
        for (key, value) in record.headers {
            if std::str::from_utf8(key).is_err() {
                return Err(fail("a header key is not UTF-8"));
            }
            payload_bytes += key.len() as u64 + value.map_or(0, |v| v.len() as u64);
        }
        timestamps.see(index, record.timestamp_delta)?;
    }
    if !reader.is_empty() {
        return Err(BatchError::Header("bytes follow the last record").into());
    }
    Ok(timestamps.finish(header, payload_bytes))
}

/// Follows the timestamps of a batch.
struct Timestamps {
    /// `None` for append time: there is nothing to look at.
    window: Option<RangeInclusive<i64>>,
    base: i64,
    /// Largest so far and the record that has it first.
    max: Option<(i64, i32)>,
    now_ms: i64,
    nulls: u32,
}

impl Timestamps {
    fn new(header: &BatchHeader, limits: &CheckLimits) -> Self {
        let window = limits.now_ms.saturating_sub(limits.timestamp_before_max_ms)
            ..=limits.now_ms.saturating_add(limits.timestamp_after_max_ms);
        Self {
            window: (limits.timestamp_type == TimestampType::Create).then_some(window),
            base: header.base_timestamp,
            max: None,
            now_ms: limits.now_ms,
            nulls: 0,
        }
    }

    #[inline]
    fn see(&mut self, index: u32, delta: i64) -> Result<(), Reject> {
        let Some(window) = &self.window else { return Ok(()) };
        // Segments hold microseconds.
        let held = self.base.checked_add(delta).filter(|ms| ms.checked_mul(1000).is_some());
        let Some(timestamp) = held else {
            let text = format!("record {index} has a timestamp that does not fit 64 bits in microseconds");
            return Err(Reject::InvalidTimestamp(text));
        };
        if timestamp == RecordRef::NO_TIMESTAMP {
            self.nulls += 1;
            return Ok(());
        }
        if !window.contains(&timestamp) {
            let (from, to) = (window.start(), window.end());
            return Err(Reject::InvalidTimestamp(format!(
                "record {index} has timestamp {timestamp} ms, allowed are {from} to {to} \
                 (message.timestamp.before.max.ms, message.timestamp.after.max.ms)"
            )));
        }
        if self.max.is_none_or(|(max, _)| timestamp > max) {
            self.max = Some((timestamp, index.cast_signed()));
        }
        Ok(())
    }

    fn finish(self, header: BatchHeader, payload_bytes: u64) -> Checked {
        let (max_timestamp, offset_delta_of_max_timestamp) = match self.window {
            None => (self.now_ms, 0),
            Some(_) => self.max.unwrap_or((RecordRef::NO_TIMESTAMP, 0)),
        };
        Checked {
            header: BatchHeader { max_timestamp, ..header },
            max_timestamp,
            offset_delta_of_max_timestamp,
            null_timestamps: self.nulls,
            payload_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
