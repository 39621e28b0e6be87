//! What members do between two rebalances: sync, say that they are alive, commit, leave.
use std::collections::BTreeMap;

use super::{Cx, Group, State};
use crate::coordinator::calls::{Effect, Leaving, MemberRef, Now, SyncGroup, Synced, Then, Ticket};
use crate::coordinator::error::GroupError;

impl Group {
    /// A member asks for its assignment, and the leader brings all of them.
    pub fn sync(&mut self, ticket: Ticket, sync: SyncGroup, cx: &mut Cx) {
        if let Err(error) = self.check_sync(&sync) {
            return cx.out.push(Effect::Synced(ticket, Err(error)));
        }
        let id = sync.member.id;
        self.unsynced.remove(&id);
        if self.unsynced.is_empty() {
            self.sync_deadline = None;
        }
        let Some(member) = self.members.get_mut(&id) else { return };
        if self.state == State::Stable {
            let synced = Synced {
                protocol_type: self.protocol_type.clone(),
                protocol: self.protocol.clone(),
                assignment: member.assignment.clone(),
            };
            return cx.out.push(Effect::Synced(ticket, Ok(synced)));
        }
        if let Some(older) = member.syncing.replace(ticket) {
            cx.out.push(Effect::Synced(older, Err(GroupError::RebalanceInProgress)));
        }
        if self.leader_is(&id) {
            let mut assignments = sync.assignments;
            assignments.retain(|id, _| self.members.contains_key(id));
            self.store_assignments(assignments, cx);
        }
    }

    fn check_sync(&self, sync: &SyncGroup) -> Result<(), GroupError> {
        self.check_alive()?;
        self.check_member(&sync.member.id, sync.member.instance_id.as_deref())?;
        if sync.member.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |asked: &Option<String>, own: &Option<String>| asked.is_some() && own.is_some() && asked != own;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.state {
            State::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            State::Completing if !self.told => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn store_assignments(&mut self, assignments: BTreeMap<String, bytes::Bytes>, cx: &mut Cx) {
        let given = |id: &str| assignments.get(id).cloned().unwrap_or_default();
        let (size, item) = (self.check_size(|id| given(id).len(), cx), self.item_with(false, given));
        let then = Then::Settle { generation: self.generation, assignments };
        match size {
            Ok(()) => cx.out.push(Effect::Store(item, then)),
            Err(error) => self.stored(then, Err(error), cx),
        }
    }

    /// Whether the group is small enough to be stored, with assignments of these lengths.
    pub(super) fn check_size(&self, assignment: impl Fn(&str) -> usize, cx: &Cx) -> Result<(), GroupError> {
        let members = self.members.iter();
        let bytes = members.map(|(id, member)| id.len() + member.weight(assignment(id))).sum::<usize>();
        if bytes <= cx.rules.max_bytes {
            return Ok(());
        }
        let error = GroupError::GroupTooLarge { bytes, most: cx.rules.max_bytes };
        tracing::warn!(group = self.id, %error, "the group cannot be stored, so it cannot become stable");
        Err(error)
    }

    /// A member says that it is alive.
    ///
    /// # Errors
    /// [`GroupError::RebalanceInProgress`] tells it to join again; others that it has lost its place.
    pub fn heartbeat(&mut self, member: &MemberRef, now: Now) -> Result<(), GroupError> {
        self.check_alive()?;
        self.check_member(&member.id, member.instance_id.as_deref())?;
        if member.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.touch(&member.id, now);
        match self.state {
            State::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Members leave, or are removed. One answer each.
    ///
    /// # Errors
    /// [`GroupError::NotAvailable`] while the group is being deleted.
    pub fn leave(&mut self, leaving: &[Leaving], cx: &mut Cx) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        self.check_alive()?;
        let answers: Vec<_> = leaving.iter().map(|one| self.leave_one(one, cx)).collect();
        if answers.iter().any(Result::is_ok) {
            match self.state {
                State::Stable | State::Completing => self.prepare(cx),
                _ => self.go_on_if_all_joined(cx),
            }
        }
        Ok(answers)
    }

    fn leave_one(&mut self, leaving: &Leaving, cx: &mut Cx) -> Result<(), GroupError> {
        let id = match (leaving.member_id.as_str(), &leaving.instance_id) {
            ("", Some(instance)) => self.statics.get(instance).cloned().ok_or(GroupError::UnknownMember)?,
            ("", None) => return Err(GroupError::UnknownMember),
            (id, _) if self.invited.contains_key(id) => id.to_owned(),
            (id, instance) => {
                self.check_member(id, instance.as_deref())?;
                id.to_owned()
            }
        };
        tracing::info!(group = self.id, member = id, "a member left");
        self.remove(&id, cx);
        Ok(())
    }

    /// Whether a client may commit offsets; a member that does is alive. Commits of a transaction do not depend on the state
    /// of the group, and old clients of transactions do not say who they are.
    ///
    /// # Errors
    /// Those of a member that has lost its place, or whose generation is not complete.
    pub fn check_commit(&mut self, member: &MemberRef, transactional: bool, now: Now) -> Result<(), GroupError> {
        self.check_alive()?;
        if member.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if member.generation >= 0 || !member.id.is_empty() || member.instance_id.is_some() {
            self.check_member(&member.id, member.instance_id.as_deref())?;
            if member.generation != self.generation {
                return Err(GroupError::IllegalGeneration);
            }
        } else if !transactional && self.state != State::Empty {
            return Err(GroupError::UnknownMember);
        }
        match (self.state, transactional) {
            (_, true) => Ok(()),
            (State::Completing, _) => Err(GroupError::RebalanceInProgress),
            _ => {
                self.touch(&member.id, now);
                Ok(())
            }
        }
    }

    fn touch(&mut self, id: &str, now: Now) {
        if let Some(member) = self.members.get_mut(id) {
            member.touch(now.ms);
        }
    }

    fn check_alive(&self) -> Result<(), GroupError> {
        match self.state {
            State::Dead => Err(GroupError::NotAvailable("the group is being deleted".to_owned())),
            _ => Ok(()),
        }
    }
}
