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
    batch: &Bytes,
    header: &BatchHeader,
    base_offset: i64,
    leader_epoch: i32,
    append_time_ms: Option<i64>,
) -> Stamped {
    let mut header = BatchHeader { base_offset, leader_epoch, ..*header };
    if let Some(now_ms) = append_time_ms {
        header.attributes |= BatchHeader::TIMESTAMP_TYPE_BIT;
        header.max_timestamp = now_ms;
    }
    let body = batch.slice(BatchHeader::LEN..);
    let head = header.encode();
    let (old, new) = (&batch[BatchHeader::CRC_START..BatchHeader::LEN], &head[BatchHeader::CRC_START..]);
    if old != new {
        header.crc = patch_crc(header.crc, old, new, body.len());
    }
    Stamped { head: header.encode(), body }
}

/// The CRC32C after the first bytes changed from `old` to `new` (of one length) with `rest_len` bytes behind them. CRCs
/// are linear, so the difference is carried over the rest without reading it: a rest that was damaged since the check
/// does not get a CRC that blesses it.
fn patch_crc(crc: u32, old: &[u8], new: &[u8], rest_len: usize) -> u32 {
    let difference = crc32c::crc32c(old) ^ crc32c::crc32c(new);
    crc ^ multiply(x_to_8(rest_len), difference)
}

/// Castagnoli's polynomial, the highest power in the lowest bit; so 1 is the highest bit.
const POLYNOMIAL: u32 = 0x82F6_3B78;
const ONE: u32 = 1 << 31;

/// x^(2^n) modulo the polynomial.
const POWERS: [u32; 64] = {
    let mut powers = [ONE >> 1; 64];
    let mut n = 1;
    while n < 64 {
        powers[n] = multiply(powers[n - 1], powers[n - 1]);
        n += 1;
    }
    powers
};

/// x^(8 * bytes) modulo the polynomial: what running over that many bytes multiplies a CRC by. (As zlib's
/// `crc32_combine`; the crc32c crate's squares matrices, which takes longer than summing a usual batch.)
fn x_to_8(bytes: usize) -> u32 {
    let mut product = ONE;
    let mut bits = bytes as u64;
    while bits != 0 {
        let n = bits.trailing_zeros() as usize;
        product = multiply(POWERS[n + 3], product);
        bits &= bits - 1;
    }
    product
}

/// Product modulo the polynomial.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = ONE;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 == 0 { b >> 1 } else { (b >> 1) ^ POLYNOMIAL };
        bit >>= 1;
    }
    product
}

#[cfg(test)]
mod tests;
