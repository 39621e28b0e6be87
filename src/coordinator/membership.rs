//! The calls of members.
use std::fmt::Write;

use super::calls::{JoinGroup, JoinRefused, Leaving, MemberRef, Now, SyncGroup};
use super::consumer::calls::{Around, ENTER};
use super::consumer::{Beat, Rules};
use super::error::GroupError;
use super::group::{Group, Slot};
use super::shards::{BeatAnswer, JoinAnswer, SyncAnswer};
use super::{Coordinator, Inner};
use crate::base::{Random, Uuid};

impl Coordinator {
    /// A client joins, or joins again; answered when the next generation begins. The call is made when this returns, and is
    /// not taken back when the future is dropped.
    pub fn join(&self, group: &str, mut join: JoinGroup) -> impl Future<Output = JoinAnswer> + Send + use<> {
        let member_id = join.member_id.clone();
        let refused = move |error| JoinRefused { member_id: member_id.clone(), error };
        let rules = self.0.settings.rules_of(group);
        let waiting = self.check_join(group, &join).and_then(|()| {
            let mut shard = self.0.shards.lock(group);
            if join.member_id.is_empty() {
                join.new_member_id = new_member_id(&self.0.random, &join);
                shard.add(group, self.0.options().max_groups)?;
            }
            if shard.get(group).is_none() {
                return Err(GroupError::UnknownMember);
            }
            let (ticket, answered) = shard.join_ticket();
            shard.ask(group, |slot, cx| {
                if join.member_id.is_empty() {
                    slot.make_classic(group, cx);
                }
                match &mut slot.group {
                    Group::Classic(group) => group.join(ticket, join, cx),
                    Group::Consumer(group) => group.join(ticket, join, &self.0.around(&rules, cx.now), cx.out),
                }
            });
            Ok(answered)
        });
        async move {
            match waiting {
                Ok(answered) => answered.await.unwrap_or_else(|_| Err(refused(ended()))),
                Err(error) => Err(refused(error)),
            }
        }
    }

    fn check_join(&self, group: &str, join: &JoinGroup) -> Result<(), GroupError> {
        check_id(group)?;
        let options = self.0.options();
        let (least, most) = (options.min_session_timeout_ms, options.max_session_timeout_ms);
        let asked = join.session_timeout_ms;
        if (least..=most).contains(&asked) {
            Ok(())
        } else {
            Err(GroupError::InvalidSessionTimeout { asked, least, most })
        }
    }

    /// A member asks for its assignment; answered when the leader has brought it, and it is durable. Made when this returns.
    pub fn sync(&self, group: &str, sync: SyncGroup) -> impl Future<Output = SyncAnswer> + Send + use<> {
        let rules = self.0.settings.rules_of(group);
        let waiting = check_id(group).and_then(|()| {
            let mut shard = self.0.shards.lock(group);
            if shard.get(group).is_none() {
                return Err(GroupError::UnknownMember);
            }
            let (ticket, answered) = shard.sync_ticket();
            shard.ask(group, |slot, cx| match &mut slot.group {
                Group::Classic(group) => group.sync(ticket, sync, cx),
                Group::Consumer(group) => group.sync(ticket, &sync, &self.0.around(&rules, cx.now), cx.out),
            });
            Ok(answered)
        });
        async move { waiting?.await.unwrap_or_else(|_| Err(ended())) }
    }

    /// A member says that it is alive.
    ///
    /// # Errors
    /// [`GroupError::RebalanceInProgress`] tells it to join again; others that it has lost its place.
    pub fn heartbeat(&self, group: &str, member: &MemberRef) -> Result<(), GroupError> {
        check_id(group)?;
        let rules = self.0.settings.rules_of(group);
        let beat = |slot: &mut Slot, cx: &mut super::Cx| match &mut slot.group {
            Group::Classic(group) => group.heartbeat(member, cx.now),
            Group::Consumer(group) => group.classic_heartbeat(member, &self.0.around(&rules, cx.now)),
        };
        self.0.shards.lock(group).ask(group, beat).unwrap_or(Err(GroupError::UnknownMember))
    }

    /// A member of the consumer protocol says that it is alive, and what has changed; it enters, or leaves. Answered when what
    /// the answer tells is durable. Made when this returns.
    pub fn consumer_heartbeat(&self, group: &str, mut beat: Beat) -> impl Future<Output = BeatAnswer> + Send + use<> {
        let rules = self.0.settings.rules_of(group);
        let named = if group.is_empty() { Err(GroupError::InvalidCall("GroupId can't be empty.")) } else { Ok(()) };
        let waiting = named.and_then(|()| {
            beat.new_member_id = Uuid::random(&self.0.random).to_string();
            let mut shard = self.0.shards.lock(group);
            if beat.epoch == ENTER {
                shard.add(group, self.0.options().max_groups)?;
            }
            // Kafka says here that there is no such group, which clients take for the end. But it keeps groups in which there
            // is nothing for a while, and here they are gone at once: a member that was silent for too long enters again.
            if shard.get(group).is_none() {
                return Err(GroupError::UnknownMember);
            }
            let (ticket, answered) = shard.beat_ticket();
            shard.ask(group, |slot, cx| {
                slot.beat(group, ticket, &beat, &self.0.around(&rules, cx.now), cx);
            });
            Ok(answered)
        });
        async move { waiting?.await.unwrap_or_else(|_| Err(ended())) }
    }

    /// Members leave, or are removed by an administrator. One answer each.
    ///
    /// # Errors
    /// [`GroupError`] where none of them was looked at.
    pub fn leave(&self, group: &str, leaving: &[Leaving]) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        check_id(group)?;
        let nobody = || Ok(vec![Err(GroupError::UnknownMember); leaving.len()]);
        let leave = |slot: &mut Slot, cx: &mut super::Cx| match &mut slot.group {
            Group::Classic(group) => group.leave(leaving, cx),
            Group::Consumer(group) => group.leave(leaving, cx.out),
        };
        self.0.shards.lock(group).ask(group, leave).unwrap_or_else(nobody)
    }
}

impl Inner {
    fn around<'a>(&'a self, rules: &'a Rules, now: Now) -> Around<'a> {
        Around { rules, topics: &*self.topics, now_ms: now.ms }
    }
}

/// A group with members has a name.
pub(super) fn check_id(group: &str) -> Result<(), GroupError> {
    if group.is_empty() { Err(GroupError::InvalidGroupId) } else { Ok(()) }
}

/// What is said to those who wait when the broker ends.
pub(super) fn ended() -> GroupError {
    GroupError::NotCoordinator("the broker has ended".to_owned())
}

/// An id that nobody had before: the client's name, or the instance's, and a random UUID.
fn new_member_id(random: &Random, join: &JoinGroup) -> String {
    let mut bytes = random.bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut id = join.instance_id.as_ref().unwrap_or(&join.client_id).clone();
    for (at, byte) in bytes.iter().enumerate() {
        let dash = if matches!(at, 0 | 4 | 6 | 8 | 10) { "-" } else { "" };
        let _ = write!(id, "{dash}{byte:02x}");
    }
    id
}
