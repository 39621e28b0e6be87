//! From one generation to the next, and what time does.
use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Cx, Group, JoinTimer, State, next_generation, turn_away};
use crate::coordinator::calls::{Effect, Synced, Then};
use crate::coordinator::error::GroupError;

/// What is due.
enum Due {
    /// An id that was given out was not used.
    Invited(String),
    /// A member has not said that it is alive.
    Member(String),
    /// The time to join is over.
    Join,
    /// The time to sync is over.
    Sync,
}

impl Group {
    /// Does what is due.
    pub fn tick(&mut self, cx: &mut Cx) {
        while let Some(due) = self.due(cx.now.ms) {
            match due {
                Due::Invited(id) => {
                    self.invited.remove(&id);
                    self.go_on_without(cx);
                }
                Due::Member(id) => self.expire_member(&id, cx),
                Due::Join => self.end_join(cx),
                Due::Sync => self.end_sync(cx),
            }
        }
    }

    fn due(&self, now_ms: i64) -> Option<Due> {
        let passed = |at: i64| at <= now_ms;
        if let Some((id, _)) = self.invited.iter().find(|(_, at)| passed(**at)) {
            return Some(Due::Invited(id.clone()));
        }
        if let Some((id, _)) = self.members.iter().find(|(_, member)| member.deadline.is_some_and(passed)) {
            return Some(Due::Member(id.clone()));
        }
        if self.join_timer.is_some_and(|timer| passed(timer.at())) {
            return Some(Due::Join);
        }
        self.sync_deadline.is_some_and(passed).then_some(Due::Sync)
    }

    fn expire_member(&mut self, id: &str, cx: &mut Cx) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.deadline = None;
        if member.is_excused() {
            return;
        }
        tracing::info!(
            group = self.id,
            member = id,
            "a member is gone: nothing was heard of it for its session time-out"
        );
        self.remove(id, cx);
        match self.state {
            State::Stable | State::Completing => self.prepare(cx),
            _ => self.go_on_without(cx),
        }
    }

    /// Somebody for whom a rebalance waited does not come any more.
    fn go_on_without(&mut self, cx: &mut Cx) {
        if matches!(self.state, State::Preparing { .. }) && self.have_all_joined() {
            self.complete_join(cx);
        }
    }

    fn end_join(&mut self, cx: &mut Cx) {
        match self.join_timer {
            Some(JoinTimer::Initial { delay_ms, remaining_ms, .. }) if self.newcomers && remaining_ms > 0 => {
                self.newcomers = false;
                let next_ms = cx.rules.initial_delay_ms.min(remaining_ms).max(1);
                self.join_timer = Some(JoinTimer::Initial {
                    at: cx.now.ms + next_ms,
                    delay_ms: next_ms,
                    remaining_ms: (remaining_ms - delay_ms).max(0),
                });
            }
            _ => self.complete_join(cx),
        }
    }

    /// Members that joined but never asked for their assignment are gone.
    fn end_sync(&mut self, cx: &mut Cx) {
        self.sync_deadline = None;
        let silent = std::mem::take(&mut self.unsynced);
        if silent.is_empty() || !matches!(self.state, State::Completing | State::Stable) {
            return;
        }
        tracing::info!(group = self.id, members = ?silent, "members that did not sync are removed");
        silent.iter().for_each(|id| self.remove(id, cx));
        self.prepare(cx);
    }

    /// Begins a rebalance if the group is not in one; otherwise looks whether it can go on.
    pub(super) fn rebalance_or_go_on(&mut self, cx: &mut Cx) {
        match self.state {
            State::Empty | State::Completing | State::Stable => self.prepare(cx),
            _ => self.go_on_if_all_joined(cx),
        }
    }

    /// Goes on if everybody has joined, unless more are expected because the group is only beginning.
    pub(super) fn go_on_if_all_joined(&mut self, cx: &mut Cx) {
        if self.state == (State::Preparing { initial: false }) && self.have_all_joined() {
            self.complete_join(cx);
        }
    }

    /// Begins a rebalance: members learn of it by their heartbeats and join again.
    pub(super) fn prepare(&mut self, cx: &mut Cx) {
        if self.state == State::Completing {
            self.take_assignments_back(&GroupError::RebalanceInProgress, cx);
        }
        self.unsynced.clear();
        self.sync_deadline = None;
        let initial = self.state == State::Empty;
        self.enter(State::Preparing { initial }, cx.now);
        if initial {
            let delay_ms = cx.rules.initial_delay_ms;
            let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            self.newcomers = false;
            self.join_timer = Some(JoinTimer::Initial { at: cx.now.ms + delay_ms, delay_ms, remaining_ms });
        } else if self.have_all_joined() {
            self.complete_join(cx);
        } else {
            self.wait_for_joins(cx);
        }
    }

    fn wait_for_joins(&mut self, cx: &mut Cx) {
        self.join_timer = Some(JoinTimer::Rebalance { at: cx.now.ms + self.rebalance_timeout_ms().max(1) });
    }

    fn have_all_joined(&self) -> bool {
        self.invited.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| member.rebalance_ms).max().unwrap_or(0)
    }

    /// The members are known: the next generation begins. Dynamic members that have not joined are not part of it; static
    /// ones are, until their session ends.
    fn complete_join(&mut self, cx: &mut Cx) {
        self.join_timer = None;
        let late = |(id, member): (&String, &super::Member)| {
            (member.joining.is_none() && member.instance_id.is_none()).then(|| id.clone())
        };
        let late: Vec<String> = self.members.iter().filter_map(late).collect();
        if !late.is_empty() {
            tracing::info!(group = self.id, members = ?late, "members that did not join again in time are removed");
        }
        late.iter().for_each(|id| self.remove(id, cx));
        if !self.members.is_empty() && !self.elect_leader() {
            // Static members only, all of them silent: wait until they are back, or their sessions end.
            return self.wait_for_joins(cx);
        }
        self.generation = next_generation(self.generation);
        self.unsynced.clear();
        self.sync_deadline = None;
        if self.members.is_empty() {
            self.protocol = None;
            self.subscribed = self.read_subscriptions();
            self.enter(State::Empty, cx.now);
            cx.out.push(Effect::Store(self.item(), Then::Nothing));
            return;
        }
        self.protocol = self.choose_protocol();
        self.subscribed = self.read_subscriptions();
        self.enter(State::Completing, cx.now);
        self.told = false;
        let then = Then::Begin { generation: self.generation };
        match self.check_size(|_| 0, cx) {
            Ok(()) => cx.out.push(Effect::Store(self.item_with(true, |_| Bytes::new()), then)),
            Err(error) => self.stored(then, Err(error), cx),
        }
    }

    /// Nobody will hear of this generation: who has joined shall try again.
    fn call_off(&mut self, error: &GroupError, cx: &mut Cx) {
        for (id, member) in &mut self.members {
            let ticket = member.joining.take();
            if ticket.is_some() {
                member.is_new = false;
                member.touch(cx.now.ms);
            }
            turn_away(cx.out, ticket, id, error.clone());
        }
        self.enter(State::Preparing { initial: false }, cx.now);
        self.wait_for_joins(cx);
    }

    /// Tells everybody who has joined.
    fn begin_generation(&mut self, cx: &mut Cx) {
        tracing::info!(
            group = self.id,
            generation = self.generation,
            members = self.members.len(),
            protocol = self.protocol,
            "a generation begins"
        );
        self.told = true;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in &ids {
            let joined = self.joined(id);
            let Some(member) = self.members.get_mut(id) else { continue };
            if let Some(ticket) = member.joining.take() {
                cx.out.push(Effect::Joined(ticket, Ok(joined)));
            }
            member.is_new = false;
            member.touch(cx.now.ms);
        }
        self.unsynced = ids.into_iter().collect();
        self.sync_deadline = Some(cx.now.ms + self.rebalance_timeout_ms().max(1));
    }

    /// Sees to it that the leader is one who has joined; returns whether there is one.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let found = self.members.keys().find(|id| has_joined(id)).cloned();
        let elected = found.is_some();
        if elected {
            self.leader = found;
        }
        elected
    }

    /// Of the protocols that all members know, the one that most of them prefer.
    pub(super) fn choose_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        let common = |name: &str| self.members.values().all(|member| member.knows(name));
        let first = self.members.values().next()?;
        let candidates: Vec<&str> =
            first.protocols.iter().map(|(name, _)| name.as_str()).filter(|name| common(name)).collect();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| candidates.contains(&name.as_str())) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        // A tie goes to what the first member prefers, so that it does not depend on chance.
        candidates.into_iter().find(|name| votes.get(name) == Some(&most)).map(str::to_owned)
    }

    /// Takes a member out. Whatever it waits for is answered.
    pub(super) fn remove(&mut self, id: &str, cx: &mut Cx) {
        self.invited.remove(id);
        self.unsynced.remove(id);
        let Some(member) = self.members.remove(id) else { return };
        turn_away(cx.out, member.joining, "", GroupError::UnknownMember);
        if let Some(ticket) = member.syncing {
            cx.out.push(Effect::Synced(ticket, Err(GroupError::UnknownMember)));
        }
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if self.leader_is(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// An item is durable, or is not.
    pub fn stored(&mut self, then: Then, stored: Result<(), GroupError>, cx: &mut Cx) {
        match then {
            Then::Nothing | Then::Beats => {}
            Then::Joined(ticket, joined) => {
                // It may have been replaced meanwhile, and told so.
                let member = self.members.get_mut(&joined.member_id).filter(|member| member.joining == Some(ticket));
                if let Some(member) = member {
                    member.joining = None;
                    member.touch(cx.now.ms);
                    match stored {
                        Ok(()) => cx.out.push(Effect::Joined(ticket, Ok(joined))),
                        Err(error) => turn_away(cx.out, Some(ticket), "", error),
                    }
                }
            }
            // Members may have come or gone meanwhile; then another generation follows.
            Then::Begin { generation } if self.state != State::Completing || self.generation != generation => {}
            Then::Begin { .. } => match stored {
                Ok(()) => self.begin_generation(cx),
                Err(error) => self.call_off(&error, cx),
            },
            Then::Settle { generation, .. } if self.state != State::Completing || self.generation != generation => {}
            Then::Settle { assignments, .. } => match stored {
                Ok(()) => self.settle(assignments, cx),
                Err(error) => {
                    self.take_assignments_back(&error, cx);
                    self.prepare(cx);
                }
            },
        }
    }

    fn settle(&mut self, mut assignments: BTreeMap<String, Bytes>, cx: &mut Cx) {
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
            if let Some(ticket) = member.syncing.take() {
                let synced = Synced {
                    protocol_type: self.protocol_type.clone(),
                    protocol: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                };
                cx.out.push(Effect::Synced(ticket, Ok(synced)));
                member.touch(cx.now.ms);
            }
        }
        self.enter(State::Stable, cx.now);
    }

    fn take_assignments_back(&mut self, error: &GroupError, cx: &mut Cx) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.syncing.take() {
                cx.out.push(Effect::Synced(ticket, Err(error.clone())));
                member.touch(cx.now.ms);
            }
        }
    }
}
