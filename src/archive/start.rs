//! A start: what the bucket says is read before the claim, and written to only after it.
use std::collections::BTreeMap;

use super::error::{ArchiveError, CommitError};
use super::manifest::PartitionArchive;
use super::{Bucket, Ownership, StateChain, Topics};
use crate::base::Uuid;

/// All that a start has to know of the bucket; nothing was written to read it.
#[derive(Debug)]
pub struct Survey {
    bucket: Bucket,
}

/// A bucket that is owned: what the log writes to.
#[derive(Debug)]
pub struct Archive {
    /// The bucket.
    pub bucket: Bucket,
    /// The claim.
    pub ownership: Ownership,
    /// Its topics.
    pub topics: Topics,
    /// Every partition of every live topic, by topic id and number.
    pub partitions: BTreeMap<(Uuid, i32), PartitionArchive>,
    /// Its state.
    pub state: StateChain,
}

impl Survey {
    /// Reads owner, topics, manifests and state.
    pub async fn load(bucket: &Bucket) -> Result<Self, ArchiveError> {
        let _ = bucket;
        unimplemented!()
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Gives every chain whose newest epoch is below the WAL's `born` a version, and hands out what can be written now.
    pub async fn adopt(self, ownership: &Ownership) -> Result<Archive, CommitError> {
        let _ = ownership;
        unimplemented!()
    }
}
