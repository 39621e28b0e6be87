//! State items: the coordinator's durable state as keys and values, of which the last value wins. This is a format.
//!
//! | key | value |
//! |---|---|
//! | `group/<group id>` | an object with `type`: see [`ClassicItem`] for `classic`, [`consumer::ConsumerItem`] for `consumer` |
//! | `group-settings/<group id>` | the group's own settings: texts by name |
//! | `offset/<topic id>/<partition / 64>/<group id>` | by partition: `[offset, leader epoch, metadata, commit ms]`, and `expire ms` if the commit named one; see [`OffsetBlock`] |
//! | `pending/<producer id>/<topic id>/<partition>/<group id>` | the same of one partition, of a transaction that is not decided |
//! | `txn/<transactional id>` | see [`Entry`](super::transactions::entry::Entry) |
//! | [`LOSS_KEY`] | id of the WAL that began with a loss, once groups have begun anew because of it |
//! | [`TXN_LOSS_KEY`] | the same, once transactional ids were forgotten because of it |
//!
//! Keys of others (the log's `broker-settings/`) are passed over. Group ids and transactional ids stand last, so they may hold
//! any character. Fields that are not known are ignored.
pub mod consumer;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::{Json, Uuid};

/// Resulting values by key; `None` removes. One set is one frame: all of it is there after a crash, or nothing.
pub use crate::log::Changes;

/// All items of a broker, as recovered.
pub type Items = BTreeMap<String, Json>;

/// Says that groups know of a loss.
pub const LOSS_KEY: &str = "lost-wal/groups";

const GROUP: &str = "group/";
const OFFSET: &str = "offset/";
const PENDING: &str = "pending/";
const TXN: &str = "txn/";
const SETTINGS: &str = "group-settings/";

/// Says that transactional ids know of a loss.
pub const TXN_LOSS_KEY: &str = "lost-wal/transactions";

/// An item that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state item '{key}' cannot be read: {why}")]
pub struct BadItem {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// Where an offset belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Id of the topic: one that is created again under the same name has another.
    pub topic: Uuid,
    /// Number of the partition.
    pub partition: i32,
}

/// The partitions of a topic whose offsets stand in one item of a group: 64 of them, so that a group of many partitions costs
/// few items, and a commit does not write all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetBlock {
    /// Id of the topic.
    pub topic: Uuid,
    /// Number of its first partition, divided by [`OffsetBlock::PARTITIONS`].
    pub number: i32,
}

impl OffsetBlock {
    /// Partitions in a block.
    pub const PARTITIONS: i32 = 64;
    /// Most bytes of metadata in an item, as written; so an item takes at most 64 KiB, for one offset without its metadata takes
    /// less than [`OffsetBlock::NUMBERS_BYTES`].
    pub const METADATA_BYTES_MAX: usize = (64 << 10) - Self::PARTITIONS as usize * Self::NUMBERS_BYTES;
    /// A partition, four numbers, and what stands between them.
    const NUMBERS_BYTES: usize = 120;

    /// The block of a partition.
    pub fn of(place: TopicPartition) -> Self {
        Self { topic: place.topic, number: place.partition.div_euclid(Self::PARTITIONS) }
    }

    /// Its first partition, and its last.
    pub fn bounds(self) -> (TopicPartition, TopicPartition) {
        let first = self.number.saturating_mul(Self::PARTITIONS);
        let place = |partition| TopicPartition { topic: self.topic, partition };
        (place(first), place(first.saturating_add(Self::PARTITIONS - 1)))
    }
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset that comes next.
    pub offset: i64,
    /// Leader epoch of the record before it, or -1.
    pub leader_epoch: i32,
    /// What the client wants to remember with it.
    pub metadata: String,
    /// When it was committed, ms since 1970.
    pub commit_ms: i64,
    /// When it expires, if the client said so (OffsetCommit 2 to 4).
    pub expire_ms: Option<i64>,
}

impl Serialize for Committed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let four = (self.offset, self.leader_epoch, &self.metadata, self.commit_ms);
        match self.expire_ms {
            None => four.serialize(to),
            Some(expire) => (four.0, four.1, four.2, four.3, expire).serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Committed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            Five(i64, i32, String, i64, i64),
            Four(i64, i32, String, i64),
        }
        let (offset, leader_epoch, metadata, commit_ms, expire_ms) = match Shape::deserialize(from)? {
            Shape::Five(offset, epoch, metadata, commit, expire) => (offset, epoch, metadata, commit, Some(expire)),
            Shape::Four(offset, epoch, metadata, commit) => (offset, epoch, metadata, commit, None),
        };
        Ok(Self { offset, leader_epoch, metadata, commit_ms, expire_ms })
    }
}

/// A group, by the protocol of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum GroupItem {
    /// JoinGroup and SyncGroup.
    Classic(ClassicItem),
    /// KIP-848.
    Consumer(consumer::ConsumerItem),
}

/// A classic group: what lets its members go on after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClassicItem {
    /// Number of the generation.
    pub generation: i32,
    /// `consumer`, `connect`, ...; none for a group that only commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_type: Option<String>,
    /// The protocol that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Member id of the leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The generation has its members and no assignment yet: after a restart they have to join again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebalancing: bool,
    /// Since when the group is in this state, ms since 1970.
    pub since_ms: i64,
    /// The members with their assignment.
    #[serde(default)]
    pub members: Vec<ClassicMember>,
}

/// A member of a classic group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassicMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// Session time-out in ms.
    pub session_ms: i32,
    /// Rebalance time-out in ms.
    pub rebalance_ms: i32,
    /// Names of the protocols that the member knows, and what it says of itself in each, the preferred one first.
    pub protocols: Vec<(String, Blob)>,
    /// What the leader gave it.
    pub assignment: Blob,
}

/// Opaque bytes, in base64 without padding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD_NO_PAD.decode(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes.into()))
    }
}

/// An item of a group or of its offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A group.
    Group(String, GroupItem),
    /// Committed offsets of a group: topic, and an offset for each partition.
    Offsets(String, Uuid, BTreeMap<i32, Committed>),
    /// One of a transaction that is not decided: group, producer id, place, offset.
    Pending(String, i64, TopicPartition, Committed),
    /// A group's own settings.
    Settings(String, BTreeMap<String, String>),
}

impl Item {
    /// Reads an item; `None` for those of others.
    pub fn read(key: &str, value: &Json) -> Result<Option<Self>, BadItem> {
        let bad = |why: String| BadItem { key: key.to_owned(), why };
        let json = |error: serde_json::Error| bad(error.to_string());
        let shape = || bad("its key has too few parts, or one that is no number or id".to_owned());
        if let Some(group) = key.strip_prefix(GROUP) {
            return Ok(Some(Self::Group(group.to_owned(), value.read().map_err(json)?)));
        }
        if let Some(group) = key.strip_prefix(SETTINGS) {
            return Ok(Some(Self::Settings(group.to_owned(), value.read().map_err(json)?)));
        }
        if let Some(rest) = key.strip_prefix(OFFSET) {
            let (TopicPartition { topic, partition: number }, group) = place_and_group(rest).ok_or_else(shape)?;
            let offsets: BTreeMap<i32, Committed> = value.read().map_err(json)?;
            let is_other = |partition: &i32| {
                OffsetBlock::of(TopicPartition { topic, partition: *partition }) != OffsetBlock { topic, number }
            };
            return match offsets.keys().copied().find(is_other) {
                Some(partition) => Err(bad(format!("partition {partition} does not belong there"))),
                None => Ok(Some(Self::Offsets(group, topic, offsets))),
            };
        }
        if let Some(rest) = key.strip_prefix(PENDING) {
            let (producer, rest) = rest.split_once('/').ok_or_else(shape)?;
            let producer = producer.parse().map_err(|_| shape())?;
            let (place, group) = place_and_group(rest).ok_or_else(shape)?;
            return Ok(Some(Self::Pending(group, producer, place, value.read().map_err(json)?)));
        }
        Ok(None)
    }
}

fn place_and_group(rest: &str) -> Option<(TopicPartition, String)> {
    let mut parts = rest.splitn(3, '/');
    let topic = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    Some((TopicPartition { topic, partition }, parts.next()?.to_owned()))
}

/// Key of a group.
pub fn group_key(group: &str) -> String {
    format!("{GROUP}{group}")
}

/// Key of a group's own settings.
pub fn settings_key(group: &str) -> String {
    format!("{SETTINGS}{group}")
}

/// Key of the committed offsets of a block of partitions.
pub fn offset_key(group: &str, block: OffsetBlock) -> String {
    format!("{OFFSET}{}/{}/{group}", block.topic, block.number)
}

/// Key of an offset of a transaction that is not decided.
pub fn pending_key(group: &str, producer_id: i64, place: TopicPartition) -> String {
    format!("{PENDING}{producer_id}/{}/{}/{group}", place.topic, place.partition)
}

/// Key of a transactional id.
pub fn txn_key(name: &str) -> String {
    format!("{TXN}{name}")
}

/// The transactional id of a key, if it is the key of one.
pub fn txn_of_key(key: &str) -> Option<&str> {
    key.strip_prefix(TXN)
}

/// The value of anything that stands in an item.
pub fn value_of(item: &impl Serialize) -> Json {
    Json::of(item)
}

#[cfg(test)]
mod tests;
