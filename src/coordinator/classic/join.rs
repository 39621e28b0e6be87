//! Who may join, and under which id.
use super::member::Member;
use super::{Cx, Group, State, turn_away};
use crate::coordinator::calls::{Effect, JoinGroup, JoinRefused, Joined, Then, Ticket};
use crate::coordinator::error::GroupError;

/// A new member that waits for its first generation is forgotten after that long: its client may be gone without a word, and
/// one that is still there tries again.
const NEW_MEMBER_MS: i64 = 5 * 60 * 1000;
/// Ids of one group that were given out and have not joined yet.
const INVITED_MAX: usize = 10_000;

impl Group {
    /// A member joins, or joins again.
    pub fn join(&mut self, ticket: Ticket, join: JoinGroup, cx: &mut Cx) {
        let is_new = join.member_id.is_empty();
        if !self.has_room_for(&join.member_id, cx) {
            self.remove(&join.member_id, cx);
            return refuse(cx, ticket, "", GroupError::GroupFull);
        }
        if self.state == State::Dead {
            let error = GroupError::NotAvailable("the group is being deleted".to_owned());
            return refuse(cx, ticket, &join.member_id, error);
        }
        if !self.accepts_protocols(&join) {
            return refuse(cx, ticket, &join.member_id, GroupError::InconsistentProtocol);
        }
        if is_new { self.join_new(ticket, join, cx) } else { self.join_again(ticket, join, cx) }
    }

    fn has_room_for(&self, member: &str, cx: &Cx) -> bool {
        match self.state {
            State::Empty | State::Dead => true,
            // Who has joined has its place. The others are counted by those who have, so that when the limit was lowered
            // those who come last are the ones who have to go.
            State::Preparing { .. } => {
                let waits = |member: &Member| member.joining.is_some();
                self.members.get(member).is_some_and(waits)
                    || self.members.values().filter(|member| waits(member)).count() < cx.rules.max_size
            }
            State::Completing | State::Stable => {
                self.members.contains_key(member) || self.members.len() < cx.rules.max_size
            }
        }
    }

    fn accepts_protocols(&self, join: &JoinGroup) -> bool {
        if self.state == State::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(join.protocol_type.as_str())
            && join.protocols.iter().any(|(name, _)| self.members.values().all(|member| member.knows(name)))
    }

    fn join_new(&mut self, ticket: Ticket, mut join: JoinGroup, cx: &mut Cx) {
        let id = std::mem::take(&mut join.new_member_id);
        let known = join.instance_id.as_ref().and_then(|instance| self.statics.get(instance)).cloned();
        match known {
            Some(old) => self.replace_static(ticket, join, &old, id, cx),
            None if join.instance_id.is_none() && join.knows_member_id_required => {
                if self.invited.len() >= INVITED_MAX {
                    return refuse(cx, ticket, "", GroupError::GroupFull);
                }
                self.invited.insert(id.clone(), cx.now.ms + i64::from(join.session_timeout_ms));
                refuse(cx, ticket, &id, GroupError::MemberIdRequired);
            }
            None => self.add(ticket, id, join, cx),
        }
    }

    fn join_again(&mut self, ticket: Ticket, join: JoinGroup, cx: &mut Cx) {
        let id = join.member_id.clone();
        if join.instance_id.is_none() && self.invited.contains_key(&id) {
            return self.add(ticket, id, join, cx);
        }
        if let Err(error) = self.check_member(&id, join.instance_id.as_deref()) {
            return refuse(cx, ticket, &id, error);
        }
        let unchanged = self.members[&id].protocols == join.protocols;
        match self.state {
            // All will be told in a moment.
            State::Completing if unchanged && !self.told => self.update(ticket, &id, join, cx),
            // It has not heard the answer, or did not need to ask: the generation stands.
            State::Completing if unchanged => self.tell(ticket, &id, cx),
            State::Stable if unchanged && !self.leader_is(&id) => self.tell(ticket, &id, cx),
            // A leader that joins again wants to assign anew: topics or partitions may have changed.
            State::Preparing { .. } | State::Completing | State::Stable => {
                self.update(ticket, &id, join, cx);
                self.rebalance_or_go_on(cx);
            }
            State::Empty | State::Dead => refuse(cx, ticket, &id, GroupError::UnknownMember),
        }
    }

    fn add(&mut self, ticket: Ticket, id: String, join: JoinGroup, cx: &mut Cx) {
        if self.state == (State::Preparing { initial: true }) {
            self.newcomers = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        if let Some(instance) = &join.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.invited.remove(&id);
        self.leader.get_or_insert_with(|| id.clone());
        let mut member = Member::new(join, ticket);
        member.deadline = Some(cx.now.ms + NEW_MEMBER_MS);
        self.members.insert(id, member);
        self.rebalance_or_go_on(cx);
    }

    fn update(&mut self, ticket: Ticket, id: &str, join: JoinGroup, cx: &mut Cx) {
        let Some(member) = self.members.get_mut(id) else { return };
        // The same member asks twice: only its newest call can still matter to it.
        let older = member.update(join, ticket);
        turn_away(cx.out, older, id, GroupError::RebalanceInProgress);
    }

    /// A static member is back, with nothing but its instance id: it takes its place again under a new member id, and whoever
    /// still uses the old one is fenced.
    fn replace_static(&mut self, ticket: Ticket, join: JoinGroup, old: &str, id: String, cx: &mut Cx) {
        let Some(mut member) = self.members.remove(old) else { return };
        turn_away(cx.out, member.joining.take(), old, GroupError::FencedInstance);
        if let Some(ticket) = member.syncing.take() {
            cx.out.push(Effect::Synced(ticket, Err(GroupError::FencedInstance)));
        }
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        let old_leader = self.leader.clone();
        if self.leader_is(old) {
            self.leader = Some(id.clone());
        }
        self.unsynced.remove(old);
        member.is_new = false;
        member.touch(cx.now.ms);
        self.members.insert(id.clone(), member);
        let knows_skip = join.knows_skip_assignment;
        self.update(ticket, &id, join, cx);
        match self.state {
            State::Stable if self.choose_protocol() == self.protocol => {
                // Nothing changes for the others, so there is no rebalance; the new id must last before it is told.
                let mut joined = self.joined(&id);
                match knows_skip {
                    true => joined.skip_assignment = self.leader_is(&id),
                    // A client that cannot skip must not take itself for the leader, or it would assign.
                    false => {
                        joined.members.clear();
                        joined.leader = old_leader.unwrap_or_default();
                    }
                }
                cx.out.push(Effect::Store(self.item(), Then::Joined(ticket, joined)));
            }
            State::Stable => self.rebalance_or_go_on(cx),
            // The leader may be assigning to the old id at this moment.
            State::Completing => self.prepare(cx),
            _ => self.go_on_if_all_joined(cx),
        }
    }

    /// Tells a member what the generation is.
    fn tell(&mut self, ticket: Ticket, id: &str, cx: &mut Cx) {
        let mut joined = self.joined(id);
        if self.state == State::Stable {
            joined.members.clear();
        }
        cx.out.push(Effect::Joined(ticket, Ok(joined)));
    }

    /// What a member is told of the generation that it is in.
    pub(super) fn joined(&self, id: &str) -> Joined {
        let protocol = self.protocol.as_deref();
        let members = match self.leader_is(id) {
            true => self.members.iter().map(|(id, member)| member.joined(id, protocol)).collect(),
            false => Vec::new(),
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: id.to_owned(),
            members,
        }
    }
}

fn refuse(cx: &mut Cx, ticket: Ticket, member_id: &str, error: GroupError) {
    cx.out.push(Effect::Joined(ticket, Err(JoinRefused { member_id: member_id.to_owned(), error })));
}
