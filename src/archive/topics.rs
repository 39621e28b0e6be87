//! Topics: one chain per *name*, which alone decides the topic's life.
//!
//! The body of a version (kind `topic`, format 1): `name`, `topic_id` (absent: deleted), `partitions`, `settings`,
//! `created_ms`, `changed_ms`, and `dead`: the ids of earlier lives whose objects are still being deleted.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, CommitError};
use super::layout::BadTopicName;
use super::manifest::PartitionArchive;
use crate::base::Uuid;
use crate::store::envelope::{Schema, Unknown};

const TOPIC: Schema = Schema { kind: "topic", format: 1, features: &[] };

/// A version of a topic's chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopicVersion {
    /// The name.
    pub name: String,
    /// Id of the live topic; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<Uuid>,
    /// Number of its partitions.
    pub partitions: i32,
    /// Settings that differ from the broker's defaults.
    pub settings: BTreeMap<String, String>,
    /// When this life began, ms since 1970.
    pub created_ms: i64,
    /// When this version was made, ms since 1970.
    pub changed_ms: i64,
    /// Earlier lives whose objects are still being deleted.
    pub dead: Vec<DeadTopic>,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A life of a topic that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// When it was deleted, ms since 1970.
    pub deleted_ms: i64,
    /// Since when listings of its objects were empty, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_since_ms: Option<i64>,
}

/// A live topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// The name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// Number of partitions, numbered from 0.
    pub partitions: i32,
    /// Settings that differ from the broker's defaults.
    pub settings: BTreeMap<String, String>,
    /// When it was created, ms since 1970.
    pub created_ms: i64,
}

/// Why a topic was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopicError {
    /// The name is not allowed.
    #[error(transparent)]
    BadName(#[from] BadTopicName),
    /// It is there already.
    #[error("topic '{0}' exists already")]
    Exists(String),
    /// It is not there.
    #[error("there is no topic '{0}'")]
    Unknown(String),
    /// Partitions only grow, and there is at least one.
    #[error("topic '{topic}' has {now} partitions and cannot have {asked}: partitions can only be added")]
    Partitions {
        /// The name.
        topic: String,
        /// As it is.
        now: i32,
        /// As it was asked for.
        asked: i32,
    },
    /// The bucket could not be read or written, or another broker owns it.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// The topics of an owned bucket; cheap to clone. One change of a name at a time.
#[derive(Clone, Debug)]
pub struct Topics {}

impl Topics {
    /// Live topics, ascending by name.
    pub fn list(&self) -> Vec<Topic> {
        unimplemented!()
    }

    /// A live topic.
    pub fn get(&self, name: &str) -> Option<Topic> {
        let _ = name;
        unimplemented!()
    }

    /// Creates a topic: version 1 of every partition's manifest first, then the version that names the new id.
    pub async fn create(
        &self,
        name: &str,
        partitions: i32,
        settings: BTreeMap<String, String>,
    ) -> Result<(Topic, Vec<PartitionArchive>), TopicError> {
        let _ = (name, partitions, settings);
        unimplemented!()
    }

    /// Adds partitions up to `total`; returns the new ones.
    pub async fn add_partitions(&self, name: &str, total: i32) -> Result<(Topic, Vec<PartitionArchive>), TopicError> {
        let _ = (name, total);
        unimplemented!()
    }

    /// Replaces a topic's settings by what `change` makes of them; nothing is written where it changes nothing.
    pub async fn alter(&self, name: &str, change: impl Fn(&mut BTreeMap<String, String>)) -> Result<Topic, TopicError> {
        let _ = (name, change);
        unimplemented!()
    }

    /// Deletes a topic. Its objects go later, when the collector comes by.
    pub async fn delete(&self, name: &str) -> Result<Topic, TopicError> {
        let _ = name;
        unimplemented!()
    }
}

/// Live topics of a bucket, read with no broker, ascending by name.
pub async fn read_all(bucket: &super::Bucket) -> Result<Vec<Topic>, ArchiveError> {
    let _ = bucket;
    unimplemented!()
}
