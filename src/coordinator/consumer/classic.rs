//! Members of the classic protocol in a group of the consumer protocol: they join, sync and say that they are alive as in a
//! classic group, and the broker assigns to them as to everybody else. Their generation is their member epoch.
//!
//! A join is a member's heartbeat that says everything; what it says that it owns is all it owns, so what it had to give up
//! is given up. A rebalance is over for a member when it has synced; one that does not join or sync in time is gone.
use super::calls::{Around, Beat, ENTER};
use super::machine::Machine;
use super::migration::{named, places, version};
use super::partitions::Partitions;
use crate::coordinator::calls::{JoinGroup, Joined, Leaving, MemberRef, SyncGroup, Synced};
use crate::coordinator::classic::CONSUMER;
use crate::coordinator::embedded::{Assignment, Subscription};
use crate::coordinator::error::GroupError;
use crate::coordinator::items::consumer::{ClassicSide, ConsumerMember, MemberState};
use crate::coordinator::items::{Blob, TopicPartition};

impl Machine {
    /// A client joins, or joins again.
    ///
    /// # Errors
    /// Those of JoinGroup; nothing has changed then.
    pub fn join(&mut self, join: &JoinGroup, around: &Around<'_>) -> Result<Joined, GroupError> {
        let is_new = join.member_id.is_empty();
        let subscription = self.subscription_of(join).ok_or(GroupError::InconsistentProtocol)?;
        if is_new && join.instance_id.is_none() && join.knows_member_id_required {
            return Err(GroupError::MemberIdRequired);
        }
        let id = if is_new { join.new_member_id.clone() } else { join.member_id.clone() };
        let replaced = self.admit_classic(&id, join, around)?;
        let beat = said(&id, join, subscription, around);
        let has =
            |place| self.member(&id).is_some_and(|has| has.assigned.contains(place) || has.revoking.contains(place));
        if !is_new && !beat.owned.iter().flatten().all(has) {
            // It believes to own what may have had another owner since: it has to lose it and begin anew.
            return Err(GroupError::UnknownMember);
        }
        let before = self.item().members.get(replaced.as_ref().unwrap_or(&id)).cloned();
        let member = self.updated(&id, before.clone(), replaced.is_some(), &beat, around)?;
        self.go_on(id.clone(), replaced, before, member, &beat, around)?;
        self.expect(&id, around.now_ms, true);
        Ok(Joined {
            generation: self.member(&id).map_or(ENTER, |member| member.epoch),
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: join.protocols.first().map(|(name, _)| name.clone()),
            member_id: id,
            ..Joined::default()
        })
    }

    /// What it says of itself, if it is a consumer that shares a protocol with the other classic members.
    fn subscription_of(&self, join: &JoinGroup) -> Option<Subscription> {
        let sides = || self.item().members.values().filter_map(|member| member.classic.as_ref());
        let knows = |side: &ClassicSide, name: &String| side.protocols.iter().any(|(known, _)| known == name);
        let shares_one = join.protocols.iter().any(|(name, _)| sides().all(|side| knows(side, name)));
        if join.protocol_type != CONSUMER || !shares_one {
            return None;
        }
        Subscription::read(&join.protocols.first()?.1)
    }

    /// Whether a client may join. Returns the id under which it was known so far, if that is another one.
    fn admit_classic(&self, id: &str, join: &JoinGroup, around: &Around<'_>) -> Result<Option<String>, GroupError> {
        let is_new = join.member_id.is_empty();
        match join.instance_id.as_ref().map(|instance| self.owner_of(instance)) {
            Some(Some(old)) if old == id => return Ok(None),
            Some(Some(old)) if is_new => return Ok(Some(old.to_owned())),
            Some(Some(_)) => return Err(GroupError::FencedInstance),
            Some(None) if !is_new => return Err(GroupError::UnknownMember),
            None if self.member(id).is_some() => return Ok(None),
            Some(None) | None => {}
        }
        if self.item().members.len() >= around.rules.max_size {
            return Err(GroupError::GroupFull);
        }
        Ok(None)
    }

    /// A member asks for its assignment.
    ///
    /// # Errors
    /// [`GroupError::RebalanceInProgress`] tells it to join again; others that it has lost its place.
    pub fn sync(&mut self, sync: &SyncGroup, around: &Around<'_>) -> Result<Synced, GroupError> {
        let (id, member, side) = self.check_classic(&sync.member)?;
        let first = side.protocols.first().map(|(name, _)| name);
        let differs = |asked: &Option<String>, own: Option<&str>| asked.is_some() && asked.as_deref() != own;
        if differs(&sync.protocol_type, Some(CONSUMER)) || differs(&sync.protocol, first.map(String::as_str)) {
            return Err(GroupError::InconsistentProtocol);
        }
        if self.item().epoch > member.epoch && member.state != MemberState::Unrevoked {
            self.expect(&id, around.now_ms, false);
            return Err(GroupError::RebalanceInProgress);
        }
        let assignment = Assignment::write(version(side), &named(&member.assigned, around.topics));
        self.touch(&id, around);
        self.expect_nothing(&id);
        Ok(Synced { protocol_type: sync.protocol_type.clone(), protocol: sync.protocol.clone(), assignment })
    }

    /// A member says that it is alive.
    ///
    /// # Errors
    /// [`GroupError::RebalanceInProgress`] tells it to join again; others that it has lost its place.
    pub fn classic_heartbeat(&mut self, member: &MemberRef, around: &Around<'_>) -> Result<(), GroupError> {
        let (id, member, _) = self.check_classic(member)?;
        let has_to_join = match member.state {
            _ if member.epoch < self.item().epoch => true,
            MemberState::Stable => false,
            MemberState::Unrevoked => true,
            MemberState::Unreleased => self.is_all_free(&member.target - &member.assigned),
        };
        self.touch(&id, around);
        if !has_to_join {
            return Ok(());
        }
        self.expect(&id, around.now_ms, false);
        Err(GroupError::RebalanceInProgress)
    }

    fn is_all_free(&self, places: Partitions) -> bool {
        places.iter().all(|place: &TopicPartition| !self.is_held(place))
    }

    fn check_classic(&self, asked: &MemberRef) -> Result<(String, &ConsumerMember, &ClassicSide), GroupError> {
        if let Some(instance) = &asked.instance_id {
            match self.owner_of(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(owner) if owner != asked.id => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        let member = self.member(&asked.id).ok_or(GroupError::UnknownMember)?;
        let side = member.classic.as_ref().ok_or(GroupError::UnknownMember)?;
        if member.epoch != asked.generation {
            return Err(GroupError::IllegalGeneration);
        }
        Ok((asked.id.clone(), member, side))
    }

    /// A member leaves, or is removed by an administrator; of whichever protocol it is.
    ///
    /// # Errors
    /// [`GroupError::UnknownMember`], [`GroupError::FencedInstance`].
    pub fn remove_member(&mut self, leaving: &Leaving) -> Result<(), GroupError> {
        let id = match &leaving.instance_id {
            None => leaving.member_id.clone(),
            Some(instance) => match self.owner_of(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(owner) if !leaving.member_id.is_empty() && owner != leaving.member_id => {
                    return Err(GroupError::FencedInstance);
                }
                Some(owner) => owner.to_owned(),
            },
        };
        self.member(&id).ok_or(GroupError::UnknownMember)?;
        self.leave_for_good(&id);
        Ok(())
    }
}

/// A join as a heartbeat that says everything.
fn said(id: &str, join: &JoinGroup, subscription: Subscription, around: &Around<'_>) -> Beat {
    let protocols = join.protocols.iter().map(|(name, metadata)| (name.clone(), Blob(metadata.clone()))).collect();
    Beat {
        member_id: id.to_owned(),
        epoch: ENTER,
        instance_id: join.instance_id.clone(),
        rack_id: subscription.rack,
        rebalance_timeout_ms: join.rebalance_timeout_ms,
        client_id: join.client_id.clone(),
        client_host: join.client_host.clone(),
        names: Some(subscription.topics.into_iter().collect()),
        owned: Some(places(&subscription.owned, around.topics)),
        classic: Some(ClassicSide { session_ms: join.session_timeout_ms, protocols }),
        ..Beat::default()
    }
}
