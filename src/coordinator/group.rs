//! A group of any protocol, as what runs it sees it.
use super::calls::{Effect, Listed, MemberRef, Now, Then, Ticket};
use super::classic::{self, Cx};
use super::consumer::calls::{Around, ENTER};
use super::consumer::catalog::Catalog;
use super::consumer::machine::Machine;
use super::consumer::migration;
use super::consumer::{self, Beat};
use super::error::GroupError;
use super::items::consumer::ConsumerItem;
use super::items::{ClassicItem, GroupItem, TopicPartition};
use super::offsets::{Offsets, UnusedSince};
use crate::log::TopicInfo;

/// A group, by the protocol of its members.
#[derive(Debug)]
pub enum Group {
    /// JoinGroup and SyncGroup; also a group that only commits.
    Classic(classic::Group),
    /// Heartbeats alone (KIP-848).
    Consumer(consumer::Group),
}

/// A group with its offsets.
#[derive(Debug)]
pub struct Slot {
    /// Its members.
    pub group: Group,
    /// Its offsets.
    pub offsets: Offsets,
    /// The deadline that it is registered with.
    pub armed: Option<i64>,
}

impl Slot {
    /// A group of which nothing is known but the name.
    pub fn new(id: &str, now: Now) -> Self {
        Self { group: Group::Classic(classic::Group::new(id, now)), offsets: Offsets::default(), armed: None }
    }

    /// A heartbeat of the consumer protocol. A classic group becomes a consumer group when one enters, with its members, if
    /// they are consumers that the broker can assign to.
    pub fn beat(&mut self, id: &str, ticket: Ticket, beat: &Beat, around: &Around<'_>, cx: &mut Cx) {
        let error = match &mut self.group {
            Group::Consumer(group) => return group.heartbeat(ticket, beat, around, cx.out),
            Group::Classic(group) if group.state() == classic::State::Dead => {
                GroupError::NotAvailable("the group is being deleted".to_owned())
            }
            Group::Classic(_) if beat.epoch == ENTER => return self.take_over(id, ticket, beat, around, cx),
            // Kafka says here that there is no such group, which clients take for the end; this lets them enter again.
            Group::Classic(_) => GroupError::UnknownMember,
        };
        cx.out.push(Effect::Beaten(ticket, Err(error)));
    }

    /// A classic group becomes a consumer group, unless the one who enters is refused.
    fn take_over(&mut self, id: &str, ticket: Ticket, beat: &Beat, around: &Around<'_>, cx: &mut Cx) {
        let Group::Classic(group) = &mut self.group else { return };
        let taken = match group.size() {
            // As with Kafka, where a new group is in epoch 1 before its first member is there.
            0 => {
                let epoch = group.generation().max(1);
                Ok(ConsumerItem { epoch, target_epoch: epoch, ..Default::default() })
            }
            _ if !around.rules.takes_over => Err("online upgrade is disabled"),
            size if size > around.rules.max_size => Err("the group size exceeds the consumer group maximum size"),
            _ => migration::taken_over(group.known_item(), around.topics),
        };
        let item = match taken {
            Ok(item) => item,
            Err(why) => {
                let error = GroupError::CannotBeTakenOver { group: id.to_owned(), why };
                return cx.out.push(Effect::Beaten(ticket, Err(error)));
            }
        };
        let mut consumers = consumer::Group::restore(id, item, around.rules, cx.now.ms);
        consumers.heartbeat(ticket, beat, around, cx.out);
        if consumers.has_consumers() {
            tracing::info!(group = id, members = group.size(), "the consumer protocol takes a classic group over");
            group.hand_over(cx);
            self.group = Group::Consumer(consumers);
        }
    }

    /// A consumer group of which all members use the classic protocol becomes a classic one, and they join again.
    pub fn give_back(&mut self, id: &str, catalog: &dyn Catalog, cx: &mut Cx) {
        let Group::Consumer(group) = &self.group else { return };
        if !cx.rules.takes_back || group.size() > cx.rules.max_size {
            return;
        }
        if let Some(item) = group.given_back(catalog, cx.now) {
            tracing::info!(group = id, members = item.members.len(), "no member uses the consumer protocol any more");
            cx.out.push(Effect::Store(GroupItem::Classic(item.clone()), Then::Nothing));
            self.group = Group::Classic(classic::Group::restore(id, item, cx));
        }
    }

    /// A consumer group without members becomes a classic one when somebody joins.
    pub fn make_classic(&mut self, id: &str, cx: &mut Cx) {
        if let Group::Consumer(group) = &self.group
            && group.is_idle()
        {
            let item = ClassicItem { generation: group.epoch(), since_ms: cx.now.wall_ms, ..ClassicItem::default() };
            self.group = Group::Classic(classic::Group::restore(id, item, cx));
        }
    }

    /// Whether there is nothing in it that anybody could miss.
    pub fn is_blank(&self) -> bool {
        self.group.is_blank() && self.offsets.is_empty()
    }
}

impl Group {
    /// A group as its item says.
    pub fn restore(id: &str, item: GroupItem, consumers: &consumer::Rules, cx: &mut Cx) -> Self {
        match item {
            GroupItem::Classic(item) => Self::Classic(classic::Group::restore(id, item, cx)),
            GroupItem::Consumer(item) => Self::Consumer(consumer::Group::restore(id, item, consumers, cx.now.ms)),
        }
    }

    /// The item of a group that lost its members with the disk on which they were known.
    pub fn without_members(item: GroupItem, now: Now) -> GroupItem {
        match item {
            GroupItem::Classic(item) => GroupItem::Classic(classic::Group::without_members(item, now)),
            GroupItem::Consumer(item) => GroupItem::Consumer(Machine::without_members(&item)),
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, cx: &mut Cx) {
        match self {
            Self::Classic(group) => group.tick(cx),
            Self::Consumer(group) => group.tick(cx.now.ms, cx.out),
        }
    }

    /// When there is something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        match self {
            Self::Classic(group) => group.next_deadline(),
            Self::Consumer(group) => group.next_deadline(),
        }
    }

    /// An item of the group is durable, or is not.
    pub fn stored(&mut self, then: Then, stored: Result<(), GroupError>, cx: &mut Cx) {
        match self {
            Self::Classic(group) => group.stored(then, stored, cx),
            Self::Consumer(group) => match then {
                Then::Beats => group.stored(stored, cx.out),
                // Of the classic group that it was. Whoever waited has heard so.
                Then::Nothing | Then::Begin { .. } | Then::Settle { .. } | Then::Joined(..) => {}
            },
        }
    }

    /// For a list of groups.
    pub fn listed(&self) -> Listed {
        match self {
            Self::Classic(group) => group.listed(),
            Self::Consumer(group) => group.listed(),
        }
    }

    /// Whether a client may commit offsets.
    ///
    /// # Errors
    /// As the protocol of the group has them.
    pub fn check_commit(&mut self, member: &MemberRef, transactional: bool, now: Now) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.check_commit(member, transactional, now),
            Self::Consumer(group) => group.check_commit(member, transactional),
        }
    }

    /// Whether a client that may commit may do so of this partition.
    ///
    /// # Errors
    /// As the protocol of the group has them.
    pub fn check_place(
        &self,
        member: &MemberRef,
        place: TopicPartition,
        transactional: bool,
    ) -> Result<(), GroupError> {
        match self {
            Self::Classic(_) => Ok(()),
            Self::Consumer(group) => group.check_place(member, place, transactional),
        }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`], [`GroupError::GroupNotFound`].
    pub fn check_delete(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.check_delete(),
            Self::Consumer(group) => group.check_delete(),
        }
    }

    /// Whether offsets may be deleted, at least of some topics.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`], [`GroupError::GroupNotFound`].
    pub fn check_delete_offsets(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.check_delete_offsets(),
            Self::Consumer(group) => group.check_delete_offsets(),
        }
    }

    /// It is being deleted.
    pub fn bury(&mut self) {
        match self {
            Self::Classic(group) => group.bury(),
            Self::Consumer(group) => group.bury(),
        }
    }

    /// Whether a member may be working on a topic.
    pub fn is_subscribed(&self, topic: &TopicInfo) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed(&topic.name),
            Self::Consumer(group) => group.is_subscribed(topic.id),
        }
    }

    /// From when on its offsets count as unused.
    pub fn unused_since(&self) -> Option<UnusedSince> {
        match self {
            Self::Classic(group) => group.unused_since(),
            Self::Consumer(_) => Some(UnusedSince::Commit),
        }
    }

    /// Whether it has no members, and none on their way.
    pub fn is_unused(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_unused(),
            Self::Consumer(group) => group.is_unused(),
        }
    }

    /// How many members it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Classic(group) => group.size(),
            Self::Consumer(group) => group.size(),
        }
    }

    fn is_blank(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_blank(),
            Self::Consumer(group) => group.is_blank(),
        }
    }
}
