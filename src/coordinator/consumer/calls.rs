//! What members of the consumer protocol ask, and what they are told.
use super::assignor::Assignor;
use super::catalog::Catalog;
use super::partitions::Partitions;
use crate::coordinator::items::consumer::{ClassicSide, MemberState};

/// Epoch of a call that enters the group.
pub const ENTER: i32 = 0;
/// Epoch of a call that leaves it.
pub const LEAVE: i32 = -1;
/// Epoch of a call by which a static member leaves for a while.
pub use crate::coordinator::items::consumer::AWAY;

/// A heartbeat: what a member says. `None` is what did not change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beat {
    /// Its id; made up by its client.
    pub member_id: String,
    /// Whether its client makes its id up itself (version 1); otherwise one without gets `new_member_id`.
    pub has_own_id: bool,
    /// A fresh id.
    pub new_member_id: String,
    /// The epoch that it has, or [`ENTER`], [`LEAVE`], [`AWAY`].
    pub epoch: i32,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// How long it may take to give partitions up; -1: as before.
    pub rebalance_timeout_ms: i32,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// Topics that it wants by name.
    pub names: Option<Vec<String>>,
    /// Pattern of the topics that it wants; empty: none any more.
    pub pattern: Option<String>,
    /// The assignor that it wants.
    pub assignor: Option<String>,
    /// The partitions that it owns.
    pub owned: Option<Partitions>,
    /// What a client of the classic protocol says beside that.
    pub classic: Option<ClassicSide>,
}

impl Beat {
    /// Whether it says everything, as a client does that may have missed an answer.
    pub fn is_full(&self) -> bool {
        let subscribed = self.names.is_some() || self.pattern.is_some();
        self.epoch == ENTER || (self.rebalance_timeout_ms != -1 && subscribed && self.owned.is_some())
    }

    /// Whether it says nothing but that the member is alive.
    pub fn is_bare(&self) -> bool {
        let says = self.rack_id.is_some() || self.names.is_some() || self.pattern.is_some() || self.assignor.is_some();
        self.epoch != ENTER && !says && self.rebalance_timeout_ms == -1
    }
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beaten {
    /// Its member id.
    pub member_id: String,
    /// Its epoch from now on.
    pub epoch: i32,
    /// When the next heartbeat is due.
    pub interval_ms: i32,
    /// What it may own; `None`: as before.
    pub assignment: Option<Partitions>,
}

/// What the operator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_ms: i32,
    /// `group.consumer.session.timeout.ms`.
    pub session_ms: i64,
    /// `group.consumer.max.size`.
    pub max_size: usize,
    /// `group.consumer.assignors`; the first one is the default.
    pub assignors: Vec<Assignor>,
    /// Bytes of a group's item.
    pub max_bytes: usize,
    /// `group.consumer.migration.policy` allows that classic groups are taken over, with their members.
    pub takes_over: bool,
}

/// The surroundings of a call.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// What is allowed.
    pub rules: &'a Rules,
    /// The topics that there are.
    pub topics: &'a dyn Catalog,
    /// The time, by a clock that never jumps.
    pub now_ms: i64,
}

/// A group as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumers {
    /// Name of the state.
    pub state: &'static str,
    /// Epoch of the group.
    pub epoch: i32,
    /// Epoch of the targets.
    pub target_epoch: i32,
    /// Name of the assignor.
    pub assignor: &'static str,
    /// The members.
    pub members: Vec<DescribedConsumer>,
}

/// A member as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub epoch: i32,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// Topics that it wants by name.
    pub names: Vec<String>,
    /// Pattern of the topics that it wants.
    pub pattern: Option<String>,
    /// Whether it uses the classic protocol.
    pub is_classic: bool,
    /// What it waits for.
    pub state: MemberState,
    /// What it has.
    pub assigned: Partitions,
    /// What it will have.
    pub target: Partitions,
}
