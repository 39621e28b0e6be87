//! Groups of the classic protocol (pure): members join, a leader assigns, all sync.
//!
//! ```text
//!            join                 all joined, or time                leader's sync, durable
//!   Empty ---------> Preparing ----------------------> Completing --------------------------> Stable
//!     ^                |  ^                                |                                     |
//!     '-- none left ---'  '--------- a member joins, leaves, changes, or is gone <---------------'
//! ```
//! A call that can be answered at once returns its answer. One that waits has a ticket; its answer is an [`Effect`], and each
//! ticket is answered exactly once. A generation is stored twice: before its members are told of it, so that its number never
//! comes again and a static member that was replaced stays so (Kafka forgets both if it crashes there); and with the
//! leader's assignments, before those go out. After a restart in between, the members have to join again.
//!
//! | file | what it does |
//! |---|---|
//! | `join` | who may join, static members (KIP-345), ids before the first join (KIP-394) |
//! | `rebalance` | from one generation to the next; time-outs |
//! | `live` | syncs, heartbeats, leaving, commits |
//! | `member` | one member |
mod join;
mod live;
mod member;
mod rebalance;

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Described, Effect, Listed, Now, Ticket};
use super::embedded::Subscription;
use super::error::GroupError;
use super::items::{ClassicItem, GroupItem};
use super::offsets::UnusedSince;
use member::Member;

/// The protocol type of consumers.
pub const CONSUMER: &str = "consumer";

/// What the operator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How long the first rebalance waits for more members.
    pub initial_delay_ms: i64,
    /// Members of a group.
    pub max_size: usize,
    /// Bytes of a group's item.
    pub max_bytes: usize,
    /// `group.consumer.migration.policy` allows that a group of the consumer protocol becomes a classic one.
    pub takes_back: bool,
}

/// The surroundings of a call.
#[derive(Debug)]
pub struct Cx<'a> {
    /// What is allowed.
    pub rules: &'a Rules,
    /// The time.
    pub now: Now,
    /// Where effects go.
    pub out: &'a mut Vec<Effect>,
}

/// The state of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No members.
    Empty,
    /// Members join the next generation.
    Preparing {
        /// The group was empty: it waits for more members, also when all that it knows have joined.
        initial: bool,
    },
    /// The generation has its members; they are told once that is durable, and then wait for the leader's assignment.
    Completing,
    /// Everybody has an assignment, or can have it.
    Stable,
    /// Being deleted.
    Dead,
}

impl State {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing { .. } => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// When a rebalance goes on, whoever has joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JoinTimer {
    /// The first members of a group: more may be on their way, so it is put off while some come.
    Initial { at: i64, delay_ms: i64, remaining_ms: i64 },
    /// Members that were told to join again.
    Rebalance { at: i64 },
}

impl JoinTimer {
    fn at(self) -> i64 {
        match self {
            Self::Initial { at, .. } | Self::Rebalance { at } => at,
        }
    }
}

/// A group.
#[derive(Debug, Clone)]
pub struct Group {
    id: String,
    state: State,
    /// Since when, by the time of day.
    since_ms: i64,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Member ids of static members, by instance id.
    statics: BTreeMap<String, String>,
    /// Ids that were given out and have not joined yet, with their deadline.
    invited: BTreeMap<String, i64>,
    join_timer: Option<JoinTimer>,
    /// Whether the members were told of this generation.
    told: bool,
    /// Members of this generation that have not synced yet, and until when they may.
    unsynced: BTreeSet<String>,
    sync_deadline: Option<i64>,
    /// Somebody joined since the initial delay was last put off.
    newcomers: bool,
    /// Topics that members of type `consumer` are subscribed to, if all of them can be read.
    subscribed: Option<BTreeSet<String>>,
}

impl Group {
    /// A group without members and without a protocol: so far somebody only commits.
    pub fn new(id: &str, now: Now) -> Self {
        Self {
            id: id.to_owned(),
            state: State::Empty,
            since_ms: now.wall_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            invited: BTreeMap::new(),
            join_timer: None,
            told: true,
            unsynced: BTreeSet::new(),
            sync_deadline: None,
            newcomers: false,
            subscribed: None,
        }
    }

    /// A group as its item says. Its members have a whole session to say that they are alive.
    pub fn restore(id: &str, item: ClassicItem, cx: &mut Cx) -> Self {
        let mut group = Self::new(id, cx.now);
        group.since_ms = item.since_ms;
        group.generation = item.generation;
        group.protocol_type = item.protocol_type;
        group.protocol = item.protocol;
        group.leader = item.leader;
        for member in item.members {
            let id = member.id.clone();
            if let Some(instance) = &member.instance {
                group.statics.insert(instance.clone(), id.clone());
            }
            let mut member = Member::restore(member);
            member.touch(cx.now.ms);
            group.members.insert(id, member);
        }
        if !group.leader.as_ref().is_some_and(|leader| group.members.contains_key(leader)) {
            group.leader = group.members.keys().next().cloned();
        }
        group.state = if group.members.is_empty() { State::Empty } else { State::Stable };
        group.subscribed = group.read_subscriptions();
        // If the limit is lower than it was, those who join last are refused.
        if !group.members.is_empty() && (item.rebalancing || group.members.len() > cx.rules.max_size) {
            group.prepare(cx);
        }
        group
    }

    /// The item of a group that lost its members with the disk on which they were known.
    pub fn without_members(item: ClassicItem, now: Now) -> ClassicItem {
        let generation = next_generation(item.generation);
        ClassicItem { generation, protocol_type: item.protocol_type, since_ms: now.wall_ms, ..ClassicItem::default() }
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its generation.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// Whether it has no members, and none on their way.
    pub fn is_unused(&self) -> bool {
        matches!(self.state, State::Empty | State::Dead) && self.invited.is_empty()
    }

    /// Whether nothing was ever said of it that lasts.
    pub fn is_blank(&self) -> bool {
        self.state == State::Empty && self.generation == 0 && self.protocol_type.is_none() && self.invited.is_empty()
    }

    /// How many members it has.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Another protocol has taken the group over: whoever waits is told to join again.
    pub fn hand_over(&mut self, cx: &mut Cx) {
        for (id, member) in &mut self.members {
            turn_away(cx.out, member.joining.take(), id, GroupError::RebalanceInProgress);
            if let Some(ticket) = member.syncing.take() {
                cx.out.push(Effect::Synced(ticket, Err(GroupError::RebalanceInProgress)));
            }
        }
    }

    /// The item for a group of another protocol: without those who do not know yet that they are members.
    pub fn known_item(&self) -> ClassicItem {
        let mut item = self.classic_item(self.is_rebalancing(), |member| self.members[member].assignment.clone());
        item.members.retain(|member| !self.members[&member.id].is_new);
        item
    }

    fn is_rebalancing(&self) -> bool {
        !matches!(self.state, State::Stable | State::Empty)
    }

    /// The item that says all of this.
    fn item(&self) -> GroupItem {
        self.item_with(self.is_rebalancing(), |member| self.members[member].assignment.clone())
    }

    fn item_with(&self, rebalancing: bool, assignment: impl Fn(&str) -> bytes::Bytes) -> GroupItem {
        GroupItem::Classic(self.classic_item(rebalancing, assignment))
    }

    fn classic_item(&self, rebalancing: bool, assignment: impl Fn(&str) -> bytes::Bytes) -> ClassicItem {
        ClassicItem {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            rebalancing,
            since_ms: self.since_ms,
            members: self.members.iter().map(|(id, member)| member.item(id, assignment(id))).collect(),
        }
    }

    /// When [`Group::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        let members = self.members.values().filter_map(|member| member.deadline);
        let invited = self.invited.values().copied();
        let join = self.join_timer.map(JoinTimer::at);
        members.chain(invited).chain(join).chain(self.sync_deadline).min()
    }

    /// For a list of groups.
    pub fn listed(&self) -> Listed {
        Listed {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state.name(),
            kind: "classic",
        }
    }

    /// For administrators.
    pub fn described(&self) -> Described {
        let stable = self.state == State::Stable;
        let protocol = self.protocol.as_deref().filter(|_| stable);
        Described {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: self.members.iter().map(|(id, member)| member.described(id, protocol)).collect(),
        }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`]; [`GroupError::GroupNotFound`] when it is being deleted already.
    pub fn check_delete(&self) -> Result<(), GroupError> {
        match self.state {
            State::Empty => Ok(()),
            State::Dead => Err(GroupError::GroupNotFound(self.id.clone())),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    /// It is being deleted; calls that come meanwhile are told to try again.
    pub fn bury(&mut self) {
        self.state = State::Dead;
        self.invited.clear();
    }

    /// Whether offsets may be deleted, at least of some topics.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`] where nobody knows what members work on.
    pub fn check_delete_offsets(&self) -> Result<(), GroupError> {
        match self.state {
            State::Empty => Ok(()),
            State::Dead => Err(GroupError::GroupNotFound(self.id.clone())),
            _ if self.is_of_consumers() => Ok(()),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    /// Whether a member may be working on a topic. Where that cannot be known of consumers, it may.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed.as_ref().map_or_else(|| self.is_of_consumers(), |topics| topics.contains(topic))
    }

    /// From when on its offsets count as unused; `None`: they do not.
    pub fn unused_since(&self) -> Option<UnusedSince> {
        match (&self.protocol_type, self.state) {
            (None, _) => Some(UnusedSince::Commit),
            (Some(_), State::Empty) => Some(UnusedSince::At(self.since_ms)),
            (Some(_), State::Stable) if self.is_of_consumers() && self.subscribed.is_some() => {
                Some(UnusedSince::Commit)
            }
            _ => None,
        }
    }

    fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    fn enter(&mut self, state: State, now: Now) {
        self.state = state;
        self.since_ms = now.wall_ms;
    }

    fn leader_is(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    /// Whether `member` is the one that its ids say.
    fn check_member(&self, member: &str, instance: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(id) if id != member => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(GroupError::UnknownMember) }
    }

    fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        let protocol = self.protocol.as_deref();
        if protocol.is_none() && !self.members.is_empty() {
            return None;
        }
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.extend(Subscription::topics(&member.metadata(protocol))?);
        }
        Some(all)
    }
}

/// The number after a generation's.
fn next_generation(generation: i32) -> i32 {
    generation.checked_add(1).unwrap_or(1)
}

/// Answers a join that waits for a member that is no more.
fn turn_away(out: &mut Vec<Effect>, ticket: Option<Ticket>, member_id: &str, error: GroupError) {
    if let Some(ticket) = ticket {
        let refused = super::calls::JoinRefused { member_id: member_id.to_owned(), error };
        out.push(Effect::Joined(ticket, Err(refused)));
    }
}

#[cfg(test)]
mod tests;
