//! A partition's manifest chain: its one writer, and a reader with no broker.
use std::sync::Arc;

use super::{Change, Manifest, Producers, View};
use crate::archive::error::{ArchiveError, CommitError};
use crate::archive::{Bucket, Ownership};
use crate::base::Uuid;

/// The writer of one partition's manifest; cheap to clone, commits one change at a time. It is made by
/// [`Survey::adopt`](crate::archive::Survey::adopt) and [`Topics::create`](crate::archive::Topics::create) only, once for
/// each partition.
#[derive(Clone, Debug)]
pub struct PartitionArchive {}

/// A name for a segment that is being written. While it lives the collector leaves the object alone: drop it after the
/// commit, or when the upload was given up.
#[derive(Debug)]
pub struct InFlight {
    name: String,
    path: String,
}

impl InFlight {
    /// For the manifest entry: relative to the topic's root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For the upload: relative to the store's root.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl PartitionArchive {
    /// Topic name.
    pub fn topic(&self) -> &str {
        unimplemented!()
    }

    /// The topic's id.
    pub fn topic_id(&self) -> Uuid {
        unimplemented!()
    }

    /// Partition number.
    pub fn partition(&self) -> i32 {
        unimplemented!()
    }

    /// The newest version that was read or committed here.
    pub fn head(&self) -> Arc<Manifest> {
        unimplemented!()
    }

    /// The same, with its pages.
    pub fn view(&self) -> View {
        unimplemented!()
    }

    /// Producers as of the head's `next`.
    pub async fn producers(&self) -> Result<Arc<Producers>, ArchiveError> {
        unimplemented!()
    }

    /// A name for a segment that begins at `first`; never given before.
    pub fn begin_segment(&self, first: i64) -> InFlight {
        let _ = first;
        unimplemented!()
    }

    /// Makes `change` the next version. Planned on the head, checked, and planned anew if somebody of this epoch came
    /// first. A change that was applied before is a success that writes nothing.
    pub async fn commit(&self, change: Change) -> Result<Arc<Manifest>, CommitError> {
        let _ = change;
        unimplemented!()
    }
}

/// Reads one partition's manifest with no broker and no claim; cheap to clone.
#[derive(Clone, Debug)]
pub struct PartitionReader {}

impl PartitionReader {
    /// Reads the head of a partition that the topic's chain names.
    pub async fn open(bucket: &Bucket, topic: &str, topic_id: Uuid, partition: i32) -> Result<Self, ArchiveError> {
        let _ = (bucket, topic, topic_id, partition);
        unimplemented!()
    }

    /// The newest version that was read here.
    pub fn view(&self) -> View {
        unimplemented!()
    }

    /// Reads the head again.
    pub async fn refresh(&self) -> Result<View, ArchiveError> {
        unimplemented!()
    }
}

#[allow(unused)]
fn placeholder(_: &Ownership) {}
