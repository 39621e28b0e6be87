//! A version of a topic's chain, and how versions are read.
//!
//! The body (kind `topic`, format 1): `name`, `topic_id` (absent: deleted), `partitions`, `settings`, `created_ms`,
//! `changed_ms`, and `dead`: the ids of earlier lives whose objects wait to be deleted (`until_ms`), or are being deleted.
use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::archive::Bucket;
use crate::archive::error::ArchiveError;
use crate::archive::layout;
use crate::base::Uuid;
use crate::store::chain::{Chain, Head};
use crate::store::envelope::{self, EnvelopeError, Schema, Unknown};

/// Chains that are read or written at once.
pub const AT_ONCE: usize = 64;

pub const TOPIC: Schema = Schema { kind: "topic", format: 1, features: &[] };

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

impl TopicVersion {
    /// Whether the id is the live one, or of an earlier life whose objects are not all gone.
    pub fn names(&self, id: Uuid) -> bool {
        self.topic_id == Some(id) || self.dead.iter().any(|dead| dead.topic_id == id)
    }
}

/// A life of a topic that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// When it was deleted, ms since 1970.
    pub deleted_ms: i64,
    /// Until when its objects stay, ms since 1970.
    pub until_ms: i64,
    /// Since when listings of its objects were empty, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_since_ms: Option<i64>,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Lives of one name that may wait with their objects.
pub const WAITING_MAX: usize = 64;

/// Adds a life that ended. If more wait than may, the oldest has to go early: its id.
pub fn bury(all: &mut Vec<DeadTopic>, dead: DeadTopic) -> Option<Uuid> {
    let now_ms = dead.deleted_ms;
    all.push(dead);
    let waiting = |dead: &&mut DeadTopic| dead.until_ms > now_ms;
    if all.iter_mut().filter(waiting).count() <= WAITING_MAX {
        return None;
    }
    let oldest = all.iter_mut().filter(waiting).min_by_key(|dead| dead.deleted_ms)?;
    oldest.until_ms = now_ms;
    Some(oldest.topic_id)
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

/// A topic's chain as it was read.
#[derive(Clone, Debug)]
pub struct TopicHead {
    pub head: Head,
    pub version: TopicVersion,
}

/// The live topic of a version.
pub fn live(version: &TopicVersion) -> Option<Topic> {
    Some(Topic {
        name: version.name.clone(),
        id: version.topic_id?,
        partitions: version.partitions,
        settings: version.settings.clone(),
        created_ms: version.created_ms,
    })
}

pub fn chain(bucket: &Bucket, topic: &str) -> Chain {
    Chain::new(bucket.store().clone(), TOPIC, layout::topic_chain(topic))
}

/// The newest version of a name; none if it never had one.
pub async fn read(bucket: &Bucket, topic: &str) -> Result<Option<TopicHead>, ArchiveError> {
    let chain = chain(bucket, topic);
    let Some(head) = chain.head(None).await? else { return Ok(None) };
    let damaged =
        |reason: String| ArchiveError::Damaged { path: bucket.store().url_of(&chain.path_of(head.number)), reason };
    let version: TopicVersion = head.parse().map_err(|e| damaged(e.to_string()))?;
    if version.name != topic {
        return Err(damaged(format!("it is of topic '{}'", version.name)));
    }
    if version.topic_id.is_some() && version.partitions < 1 {
        return Err(damaged(format!("it has {} partitions", version.partitions)));
    }
    Ok(Some(TopicHead { head: Head { body: Bytes::new(), ..head }, version }))
}

/// Every name that has a chain.
pub async fn read_heads(bucket: &Bucket) -> Result<BTreeMap<String, TopicHead>, ArchiveError> {
    read_named(bucket, bucket.store().list_dirs(layout::TOPICS).await?).await
}

async fn read_named(bucket: &Bucket, names: Vec<String>) -> Result<BTreeMap<String, TopicHead>, ArchiveError> {
    let heads = stream::iter(names)
        .map(|name| async move { read(bucket, &name).await.map(|head| head.map(|head| (name, head))) })
        .buffer_unordered(AT_ONCE);
    heads.try_filter_map(|head| async { Ok(head) }).try_collect().await
}

/// Names that got a chain since `heads` were read.
pub async fn read_new(
    bucket: &Bucket,
    heads: &BTreeMap<String, TopicHead>,
) -> Result<BTreeMap<String, TopicHead>, ArchiveError> {
    let names = bucket.store().list_dirs(layout::TOPICS).await?;
    read_named(bucket, names.into_iter().filter(|name| !heads.contains_key(name)).collect()).await
}

/// Live topics of a bucket, read with no broker, ascending by name.
pub async fn read_all(bucket: &Bucket) -> Result<Vec<Topic>, ArchiveError> {
    Ok(read_heads(bucket).await?.values().filter_map(TopicHead::live).collect())
}

impl TopicHead {
    /// The live topic, if there is one.
    pub fn live(&self) -> Option<Topic> {
        live(&self.version)
    }

    /// Refuses, by name, a version that asks for what this build does not have to be followed by another.
    pub fn check_writable(&self) -> Result<(), EnvelopeError> {
        envelope::check_writable(&TOPIC, &self.head.features)
    }

    /// Earlier lives whose objects are still being deleted.
    pub fn dead(&self) -> &[DeadTopic] {
        &self.version.dead
    }
}
