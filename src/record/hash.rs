//! The record hash: what is equal over WAL, caches, segments, Kafka clients, SQL and Iceberg readers if and only if the
//! records are.
//!
//! XXH3-64 with seed 0 over, little-endian and without padding:
//! ```text
//! topic id        16 bytes
//! partition       i32
//! offset          i64
//! timestamp       i64, milliseconds since 1970, -1 none
//! timestamp type  u8, 0 create, 1 append
//! leader epoch    i32
//! key, value      each an i32 length (-1 null), then the bytes
//! headers         a u32 count, then for each its key and its value, likewise
//! ```
//! The hash of a set of records (a block, a segment, a topic) is the wrapping sum of theirs, so that merging, compaction
//! and erasure are checked by adding and subtracting. In text a hash is 16 lower-case hex digits.
//!
//! # Worked examples
//! Also in `tests/fixtures/record_hash.json`, made with the reference implementation of xxHash. The topic id is the bytes
//! 00 to 0f, `AAECAwQFBgcICQoLDA0ODw`.
//!
//! Partition 0, offset 0, no timestamp, create, epoch 0, null key, null value, no headers: `2167bcf9ca6217f8`
//! ```text
//! 000102030405060708090a0b0c0d0e0f 00000000 0000000000000000 ffffffffffffffff 00 00000000
//! ffffffff ffffffff 00000000
//! ```
//! Partition 5, offset 42, timestamp 1700000000123, create, epoch 7, key `user-1`, value `{"ok":true}`, no headers:
//! `7e0974834a4cc5ff`
//! ```text
//! 000102030405060708090a0b0c0d0e0f 05000000 2a00000000000000 7b68e5cf8b010000 00 07000000
//! 06000000757365722d31 0b0000007b226f6b223a747275657d 00000000
//! ```
//! Partition 2^31-1, offset 2^53+1, timestamp -86400000, append, epoch 2^31-1, key ff 00 fe, empty value, headers
//! (`trace`, `a1`), (`trace`, null), (`é`, empty), (empty, 80): `17fd370a540009c8`
//! ```text
//! 000102030405060708090a0b0c0d0e0f ffffff7f 0100000000002000 00a4d9faffffffff 01 ffffff7f
//! 03000000ff00fe 00000000 04000000
//! 050000007472616365 020000006131  050000007472616365 ffffffff  02000000c3a9 00000000  00000000 0100000080
//! ```
use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::model::RecordRef;
use crate::base::Uuid;

/// Topic id and partition: the same for every record of a partition.
const PREFIX_LEN: usize = 16 + 4;

/// Hashes records of one partition. Gathers a record in a buffer that it keeps, and hashes it in one go: feeding a
/// streaming hasher field by field costs more than the copy.
#[derive(Clone, Debug)]
pub struct RecordHasher {
    scratch: Vec<u8>,
}

impl RecordHasher {
    /// For the records of `partition` of the topic `topic_id`.
    pub fn new(topic_id: Uuid, partition: i32) -> Self {
        let mut scratch = topic_id.0.to_vec();
        scratch.extend_from_slice(&partition.to_le_bytes());
        Self { scratch }
    }

    /// The hash of one record.
    pub fn hash(&mut self, record: &RecordRef<'_>) -> u64 {
        let out = &mut self.scratch;
        out.truncate(PREFIX_LEN);
        let mut fixed = [0; 21];
        fixed[0..8].copy_from_slice(&record.offset.to_le_bytes());
        fixed[8..16].copy_from_slice(&record.timestamp.to_le_bytes());
        fixed[16] = record.timestamp_type.code();
        fixed[17..21].copy_from_slice(&record.leader_epoch.to_le_bytes());
        out.extend_from_slice(&fixed);
        put_nullable(out, record.key);
        put_nullable(out, record.value);
        out.extend_from_slice(&(record.headers.count() as u32).to_le_bytes());
        for (key, value) in record.headers {
            put_nullable(out, Some(key));
            put_nullable(out, value);
        }
        XxHash3_64::oneshot(out)
    }
}

/// Appends a length as i32 (-1 null) and the bytes; no part of a record reaches 2 GiB.
#[inline]
fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.extend_from_slice(&(-1i32).to_le_bytes()),
        Some(bytes) => {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

/// The hash of one record; [`RecordHasher`] is faster for many.
pub fn hash_record(topic_id: Uuid, partition: i32, record: &RecordRef<'_>) -> u64 {
    RecordHasher::new(topic_id, partition).hash(record)
}

/// The hash of a set of records: the wrapping sum of theirs. Written as 16 hex digits, also in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashSum(pub u64);

/// A text that is not 16 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a hash: expected 16 lower-case hex digits")]
pub struct BadHash(String);

impl HashSum {
    /// The hash of no records.
    pub const ZERO: Self = Self(0);

    /// Adds the hash of one record.
    #[inline]
    pub fn add(&mut self, record_hash: u64) {
        self.0 = self.0.wrapping_add(record_hash);
    }

    /// Takes away the hash of one record.
    #[inline]
    pub fn subtract(&mut self, record_hash: u64) {
        self.0 = self.0.wrapping_sub(record_hash);
    }
}

impl AddAssign for HashSum {
    fn add_assign(&mut self, other: Self) {
        self.add(other.0);
    }
}

impl SubAssign for HashSum {
    fn sub_assign(&mut self, other: Self) {
        self.subtract(other.0);
    }
}

impl std::iter::Sum for HashSum {
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::ZERO, |mut total, sum| {
            total += sum;
            total
        })
    }
}

impl fmt::Display for HashSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for HashSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HashSum {
    type Err = BadHash;
    fn from_str(text: &str) -> Result<Self, BadHash> {
        let bad = || BadHash(text.chars().take(64).collect());
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !digits {
            return Err(bad());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| bad())
    }
}

impl TryFrom<String> for HashSum {
    type Error = BadHash;
    fn try_from(text: String) -> Result<Self, BadHash> {
        text.parse()
    }
}

impl From<HashSum> for String {
    fn from(sum: HashSum) -> String {
        sum.to_string()
    }
}

#[cfg(test)]
mod tests;
