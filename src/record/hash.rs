//! The record hash.
use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::model::RecordRef;
use crate::base::Uuid;

/// Hashes records of one partition; reuses its buffer.
#[derive(Clone, Debug)]
pub struct RecordHasher {
    scratch: Vec<u8>,
}

impl RecordHasher {
    /// For the records of `partition` of the topic `topic_id`.
    pub fn new(topic_id: Uuid, _partition: i32) -> Self {
        Self { scratch: topic_id.0.to_vec() }
    }

    /// The hash of one record.
    pub fn hash(&mut self, _record: &RecordRef<'_>) -> u64 {
        self.scratch.truncate(20);
        unimplemented!()
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
