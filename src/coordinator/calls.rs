//! What is asked of groups and what they answer, as plain types; and what a group wants done.
use std::collections::BTreeMap;

use bytes::Bytes;

use super::consumer::Beaten;
use super::error::GroupError;
use super::items::GroupItem;

/// The time of a call: deadlines are counted by a clock that never jumps, what is stored bears the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the broker's start; never goes back.
    pub ms: i64,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

/// A call that waits for its answer.
pub type Ticket = u64;

/// A client that wants to be a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JoinGroup {
    /// Its member id, empty if it has none yet.
    pub member_id: String,
    /// The id that it gets if it has none: a fresh one.
    pub new_member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// Without a word for so long, it is gone.
    pub session_timeout_ms: i32,
    /// How long it may take to join again when the group rebalances.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, ...
    pub protocol_type: String,
    /// Protocols that it knows, and what it says of itself in each; the preferred one first.
    pub protocols: Vec<(String, Bytes)>,
    /// Whether its client knows MEMBER_ID_REQUIRED (JoinGroup 4).
    pub knows_member_id_required: bool,
    /// Whether its client knows `skip_assignment` (JoinGroup 9).
    pub knows_skip_assignment: bool,
}

/// A member's place in a new generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Joined {
    /// Number of the generation.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The protocol that was chosen.
    pub protocol: Option<String>,
    /// Member id of the leader.
    pub leader: String,
    /// The leader has nothing to assign: the old assignment stands.
    pub skip_assignment: bool,
    /// Its own member id.
    pub member_id: String,
    /// For the leader: all members.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// What it says of itself in the chosen protocol.
    pub metadata: Bytes,
}

/// A join that was refused, with the member id to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRefused {
    /// The id to join with again, or the one that the client gave, or empty.
    pub member_id: String,
    /// Why.
    pub error: GroupError,
}

/// A member that asks for its assignment; the leader brings all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncGroup {
    /// Who asks.
    pub member: MemberRef,
    /// The protocol type that it believes the group to have.
    pub protocol_type: Option<String>,
    /// The protocol that it believes was chosen.
    pub protocol: Option<String>,
    /// Assignments by member id.
    pub assignments: BTreeMap<String, Bytes>,
}

/// A member's assignment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The group's protocol.
    pub protocol: Option<String>,
    /// What the leader gave it.
    pub assignment: Bytes,
}

/// Who calls: a member in a generation; no id and generation -1 for a client that only commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRef {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// Generation (or member epoch).
    pub generation: i32,
}

impl Default for MemberRef {
    fn default() -> Self {
        Self { id: String::new(), instance_id: None, generation: -1 }
    }
}

/// A member that leaves, or is removed by an administrator, who names the instance only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaving {
    /// Member id, or empty.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
}

/// A group as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    /// Name of the state.
    pub state: &'static str,
    /// The group's protocol type, or empty.
    pub protocol_type: String,
    /// The chosen protocol, when the group is stable.
    pub protocol: String,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// What it says of itself, when the group is stable.
    pub metadata: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub group: String,
    /// The group's protocol type, or empty.
    pub protocol_type: String,
    /// Name of the state.
    pub state: &'static str,
    /// `classic` or `consumer`.
    pub kind: &'static str,
}

/// What a group wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answer a join that waits.
    Joined(Ticket, Result<Joined, JoinRefused>),
    /// Answer a sync that waits.
    Synced(Ticket, Result<Synced, GroupError>),
    /// Answer a heartbeat of the consumer protocol.
    Beaten(Ticket, Result<Beaten, GroupError>),
    /// Write the group's item; when that is durable, or has failed, go on with [`Then`].
    Store(GroupItem, Then),
}

/// What waits for an item to be durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// Heartbeats of the consumer protocol are answered.
    Beats,
    /// The members are told of the generation.
    Begin {
        /// Which one.
        generation: i32,
    },
    /// The generation counts, with these assignments.
    Settle {
        /// Which one.
        generation: i32,
        /// By member id.
        assignments: BTreeMap<String, Bytes>,
    },
    /// The answer to a static member that took its place back.
    Joined(Ticket, Joined),
}
