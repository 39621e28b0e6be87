//! A group of any protocol, as what runs it sees it.
use super::calls::{Listed, MemberRef, Now, Then};
use super::classic::{self, Cx};
use super::error::GroupError;
use super::items::GroupItem;
use super::offsets::{Offsets, UnusedSince};

/// A group, by the protocol of its members.
#[derive(Debug)]
pub enum Group {
    /// JoinGroup and SyncGroup; also a group that only commits.
    Classic(classic::Group),
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

    /// Whether there is nothing in it that anybody could miss.
    pub fn is_blank(&self) -> bool {
        self.group.is_blank() && self.offsets.is_empty()
    }
}

impl Group {
    /// A group as its item says.
    pub fn restore(id: &str, item: GroupItem, cx: &mut Cx) -> Self {
        match item {
            GroupItem::Classic(item) => Self::Classic(classic::Group::restore(id, item, cx)),
        }
    }

    /// The item of a group that lost its members with the disk on which they were known.
    pub fn without_members(item: GroupItem, now: Now) -> GroupItem {
        match item {
            GroupItem::Classic(item) => GroupItem::Classic(classic::Group::without_members(item, now)),
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, cx: &mut Cx) {
        match self {
            Self::Classic(group) => group.tick(cx),
        }
    }

    /// When there is something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        match self {
            Self::Classic(group) => group.next_deadline(),
        }
    }

    /// An item of the group is durable, or is not.
    pub fn stored(&mut self, then: Then, stored: Result<(), GroupError>, cx: &mut Cx) {
        match self {
            Self::Classic(group) => group.stored(then, stored, cx),
        }
    }

    /// For a list of groups.
    pub fn listed(&self) -> Listed {
        match self {
            Self::Classic(group) => group.listed(),
        }
    }

    /// Whether a client may commit offsets.
    ///
    /// # Errors
    /// As the protocol of the group has them.
    pub fn check_commit(&mut self, member: &MemberRef, transactional: bool, now: Now) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.check_commit(member, transactional, now),
        }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`], [`GroupError::GroupNotFound`].
    pub fn check_delete(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.check_delete(),
        }
    }

    /// Whether offsets may be deleted, at least of some topics.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`], [`GroupError::GroupNotFound`].
    pub fn check_delete_offsets(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.check_delete_offsets(),
        }
    }

    /// It is being deleted.
    pub fn bury(&mut self) {
        match self {
            Self::Classic(group) => group.bury(),
        }
    }

    /// Whether a member may be working on a topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed(topic),
        }
    }

    /// From when on its offsets count as unused.
    pub fn unused_since(&self) -> Option<UnusedSince> {
        match self {
            Self::Classic(group) => group.unused_since(),
        }
    }

    /// Whether it has no members, and none on their way.
    pub fn is_unused(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_unused(),
        }
    }

    /// How many members it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Classic(group) => group.size(),
        }
    }

    fn is_blank(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_blank(),
        }
    }
}
