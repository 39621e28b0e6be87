//! Stamping: what the broker writes into a batch as it numbers it. Only the 61 bytes of the header change; the records
//! are shared with the request that brought them.
use bytes::Bytes;

use super::batch::BatchHeader;

/// A batch as the log keeps it: a header of its own, and the producer's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The header, rewritten.
    pub head: [u8; BatchHeader::LEN],
    /// What follows the header, untouched.
    pub body: Bytes,
}

impl Stamped {
    /// Bytes of the whole batch.
    pub fn total_len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The batch in one piece; copies.
    pub fn to_bytes(&self) -> Bytes {
        [&self.head[..], &self.body].concat().into()
    }
}

/// Gives `batch` its place: `base_offset` and `leader_epoch`, which the CRC does not cover, and for append time
/// (`append_time_ms`) the type bit and the one timestamp of all records. `header` is [`Checked::header`]: if the producer's
/// `max_timestamp` was wrong, the right one is written.
///
/// [`Checked::header`]: super::Checked::header
pub fn stamp(
    _batch: &Bytes,
    _header: &BatchHeader,
    _base_offset: i64,
    _leader_epoch: i32,
    _append_time_ms: Option<i64>,
) -> Stamped {
    unimplemented!()
}
