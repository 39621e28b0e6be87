//! The item of a group of the consumer protocol (KIP-848), which is also what is held of it in memory.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::Uuid;
use crate::coordinator::consumer::partitions::{self, Given, Partitions};
use crate::coordinator::items::Blob;

/// A group of the consumer protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConsumerItem {
    /// Epoch of the group: the number of its changes so far.
    pub epoch: i32,
    /// Epoch that the targets are of.
    pub target_epoch: i32,
    /// Topics that somebody is subscribed to, with their number of partitions: what the epoch is based on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topics: BTreeMap<Uuid, i32>,
    /// Patterns that somebody is subscribed to, with the topics that they matched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patterns: BTreeMap<String, BTreeSet<Uuid>>,
    /// The members by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<String, ConsumerMember>,
}

/// A member of such a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConsumerMember {
    /// `group.instance.id` of a static member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `client.rack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// How long it may take to give partitions up.
    pub rebalance_ms: i32,
    /// Topics that it wants by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<String>,
    /// Pattern of the topics that it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The assignor that it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignor: Option<String>,
    /// Its epoch; [`AWAY`] while a static member is away.
    pub epoch: i32,
    /// The epoch that it had before: its client may not have heard of the present one.
    pub previous_epoch: i32,
    /// What it waits for.
    pub state: MemberState,
    /// Partitions that it owns, or is told to own.
    #[serde(default, with = "partitions", skip_serializing_if = "Partitions::is_empty")]
    pub assigned: Partitions,
    /// Partitions that it has not given up yet.
    #[serde(default, with = "partitions", skip_serializing_if = "Partitions::is_empty")]
    pub revoking: Partitions,
    /// In which epochs it was given those that it owns and those that it has not given up. Without it: in the present one.
    #[serde(default, skip_serializing_if = "Given::is_empty")]
    pub given: Given,
    /// Partitions that it shall own in the end.
    #[serde(default, with = "partitions", skip_serializing_if = "Partitions::is_empty")]
    pub target: Partitions,
    /// What it says beside that, if it uses the classic protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classic: Option<ClassicSide>,
}

/// What a member says that uses the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassicSide {
    /// Session time-out in ms.
    pub session_ms: i32,
    /// Names of the protocols that it knows, and what it says of itself in each, the preferred one first; never none.
    pub protocols: Vec<(String, Blob)>,
}

/// Epoch of a static member that has left for a while.
pub const AWAY: i32 = -2;

/// What a member waits for before it has its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// Nothing: it is where the target of its epoch wants it.
    #[default]
    Stable,
    /// Its client has to give partitions up.
    Unrevoked,
    /// Others have to give partitions up.
    Unreleased,
}
