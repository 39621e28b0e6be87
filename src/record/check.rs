//! What produce demands of a batch before it is numbered: everything that could go wrong later goes wrong here.
use bytes::Bytes;

use super::batch::{BatchError, BatchHeader};
use super::model::TimestampType;

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

/// Checks one whole batch of a producer: length, format, CRC, header, and every record, unpacked under a cap.
pub fn check(_batch: &Bytes, _limits: &CheckLimits) -> Result<Checked, Reject> {
    unimplemented!()
}
