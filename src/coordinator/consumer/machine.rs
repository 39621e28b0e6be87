//! The members of a group, their epochs and their partitions.
//!
//! The group's epoch rises with every change of members, subscriptions and topics. A target for each member is made for an
//! epoch by an assignor, at the next heartbeat; each member is then taken there, step by step, by its own heartbeats
//! (`reconcile`). A partition is in `held` while a member owns it, or has not said yet that it gave it up.
use std::collections::{BTreeMap, BTreeSet};

use super::assignor::{Assignor, Subscriber};
use super::calls::{AWAY, Around, Beat, Beaten, ENTER, LEAVE, Rules};
use super::catalog::{Catalog, Subscribed};
use super::checks::{check, check_epoch, weight};
use super::partitions::{Given, Partitions};
use super::pattern::Pattern;
use super::reconcile::{self, Said};
use crate::base::Uuid;
use crate::coordinator::error::GroupError;
use crate::coordinator::items::TopicPartition;
use crate::coordinator::items::consumer::{ConsumerItem, ConsumerMember, MemberState};

/// When a member is gone.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    /// Unless it says a word.
    session: i64,
    /// Unless it gives partitions up.
    rebalance: Option<i64>,
}

impl Deadlines {
    fn first(self) -> i64 {
        self.rebalance.map_or(self.session, |at| at.min(self.session))
    }
}

/// A group of the consumer protocol.
#[derive(Debug)]
pub struct Machine {
    id: String,
    item: ConsumerItem,
    deadlines: BTreeMap<String, Deadlines>,
    /// Member ids of static members, by instance id.
    statics: BTreeMap<String, String>,
    /// Partitions that some member owns.
    held: Partitions,
    /// Version of the catalog that subscriptions were last looked up in.
    seen: Option<u64>,
    /// The topics that members want by name, as of then.
    names: BTreeMap<String, Uuid>,
    /// The item is not what it was when it was last taken.
    changed: bool,
}

impl Machine {
    /// A group without members, whose epochs go on from the one that is given.
    pub fn new(id: &str, epoch: i32) -> Self {
        Self::of(id, ConsumerItem { epoch, target_epoch: epoch, ..ConsumerItem::default() })
    }

    /// A group as its item says. Its members have a whole session to say that they are alive.
    pub fn restore(id: &str, item: ConsumerItem, rules: &Rules, now_ms: i64) -> Self {
        let mut machine = Self::of(id, item);
        for (id, member) in &machine.item.members {
            let session = now_ms + session_ms(member, rules);
            if let Some(instance) = &member.instance {
                machine.statics.insert(instance.clone(), id.clone());
            }
            machine.held.extend(member.assigned.iter().chain(&member.revoking));
            let rebalance = rebalance_deadline(member, now_ms);
            machine.deadlines.insert(id.clone(), Deadlines { session, rebalance });
        }
        machine
    }

    fn of(id: &str, item: ConsumerItem) -> Self {
        Self {
            id: id.to_owned(),
            item,
            deadlines: BTreeMap::new(),
            statics: BTreeMap::new(),
            held: Partitions::new(),
            seen: None,
            names: BTreeMap::new(),
            changed: false,
        }
    }

    /// The item of a group that lost its members with the disk on which they were known.
    pub fn without_members(item: &ConsumerItem) -> ConsumerItem {
        let epoch = next(item.epoch);
        ConsumerItem { epoch, target_epoch: epoch, ..ConsumerItem::default() }
    }

    /// All that lasts.
    pub fn item(&self) -> &ConsumerItem {
        &self.item
    }

    /// Whether the item is another one since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A member by its id.
    pub fn member(&self, id: &str) -> Option<&ConsumerMember> {
        self.item.members.get(id)
    }

    /// When [`Machine::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.values().map(|deadlines| deadlines.first()).min()
    }

    /// Removes the members whose time is over.
    pub fn tick(&mut self, now_ms: i64) {
        let is_over = |deadlines: &Deadlines| deadlines.first() <= now_ms;
        let gone: Vec<String> = self.deadlines.iter().filter(|(_, at)| is_over(at)).map(|(id, _)| id.clone()).collect();
        for member in gone {
            tracing::info!(group = self.id, member, "a member is gone: it said nothing, or did not give partitions up");
            self.leave_for_good(&member);
        }
    }

    /// A member says that it is alive, and what has changed; it enters, or leaves.
    ///
    /// # Errors
    /// Those of KIP-848; nothing has changed then.
    pub fn heartbeat(&mut self, beat: &Beat, around: &Around<'_>) -> Result<Beaten, GroupError> {
        check(beat, around.rules)?;
        if beat.epoch < ENTER {
            return self.leave(beat);
        }
        let id = match beat.member_id.as_str() {
            "" => beat.new_member_id.clone(),
            id => id.to_owned(),
        };
        let replaced = self.admit(&id, beat, around.rules)?;
        if self.has_nothing_to_do(&id, beat, around) {
            self.touch(&id, around);
            return Ok(self.beaten(&id, beat.is_full(), around));
        }
        let before = self.item.members.get(replaced.as_ref().unwrap_or(&id)).cloned();
        let member = self.updated(&id, before.clone(), replaced.is_some(), beat, around)?;
        self.go_on(id, replaced, before, member, beat, around)
    }

    /// Changes what was found to be right: nothing is refused from here on.
    pub(super) fn go_on(
        &mut self,
        id: String,
        replaced: Option<String>,
        before: Option<ConsumerMember>,
        member: ConsumerMember,
        beat: &Beat,
        around: &Around<'_>,
    ) -> Result<Beaten, GroupError> {
        let subscription = |member: &ConsumerMember| (member.names.clone(), member.pattern.clone());
        let resubscribed = before.as_ref().map(subscription) != Some(subscription(&member));
        if let Some(old) = &replaced {
            self.remove(old);
        }
        self.put(&id, member, around.now_ms);
        self.renew_epoch(resubscribed, around.topics);
        self.renew_targets(around.rules);
        if let (Some(_), Some(member)) = (&replaced, self.item.members.get_mut(&id)) {
            // Under this id it has had nothing: what it may have begun as an earlier member of the group is not its own.
            member.given = Given::all_in(self.item.target_epoch, &member.assigned);
        }
        let wanted = self.item.members.get(&id).filter(|_| resubscribed).map(|member| self.wanted(member));
        let said = Said { owned: beat.owned.as_ref(), wanted: wanted.as_ref() };
        self.reconcile(&id, said, around.now_ms);
        self.touch(&id, around);
        let after = self.item.members.get(&id);
        self.changed |= replaced.is_some() || after != before.as_ref();
        let assigned = |member: Option<&ConsumerMember>| member.map(|member| member.assigned.clone());
        let tell = beat.is_full() || assigned(after) != assigned(before.as_ref());
        Ok(self.beaten(&id, tell, around))
    }

    /// Whether a member may speak. Returns the id under which it was known so far, if that is another one.
    fn admit(&self, id: &str, beat: &Beat, rules: &Rules) -> Result<Option<String>, GroupError> {
        let enters = beat.epoch == ENTER;
        let known = match &beat.instance_id {
            None => self.item.members.get_key_value(id),
            Some(instance) => match self.statics.get(instance) {
                Some(old) => self.item.members.get_key_value(old),
                None if enters => self.item.members.get_key_value(id),
                None => None,
            },
        };
        match known {
            Some((old, member)) if old != id => match enters {
                true if member.epoch == AWAY || member.classic.is_some() => Ok(Some(old.clone())),
                true => Err(GroupError::UnreleasedInstance),
                false => Err(GroupError::FencedInstance),
            },
            // The same client again, after it has said that it goes.
            Some((_, member)) if enters && member.epoch == AWAY => Ok(None),
            Some((_, member)) => check_epoch(member, beat).map(|()| None),
            None if !enters => Err(GroupError::UnknownMember),
            None if self.item.members.len() >= rules.max_size => Err(GroupError::GroupFull),
            None => Ok(None),
        }
    }

    fn has_nothing_to_do(&self, id: &str, beat: &Beat, around: &Around<'_>) -> bool {
        let settled = |member: &ConsumerMember| reconcile::is_settled(member, self.item.epoch);
        let same_client =
            |member: &ConsumerMember| member.client_id == beat.client_id && member.client_host == beat.client_host;
        // A heartbeat of a member that was a classic one makes it one of the consumer protocol.
        let was_so = |member: &ConsumerMember| member.classic.is_none();
        beat.is_bare()
            && self.seen == Some(around.topics.version())
            && self.item.epoch == self.item.target_epoch
            && self.item.members.get(id).is_some_and(|member| settled(member) && same_client(member) && was_so(member))
    }

    /// A member with what it says of itself.
    pub(super) fn updated(
        &self,
        id: &str,
        before: Option<ConsumerMember>,
        is_back: bool,
        beat: &Beat,
        around: &Around<'_>,
    ) -> Result<ConsumerMember, GroupError> {
        let is_back = is_back || before.as_ref().is_some_and(|member| member.epoch == AWAY);
        let mut member = before.unwrap_or_default();
        if is_back {
            // It owns nothing so far and gets what it had.
            (member.epoch, member.previous_epoch, member.state) = (ENTER, ENTER, MemberState::Stable);
            member.revoking.clear();
        }
        if beat.epoch == ENTER {
            // Whoever enters says all that it wants; another process under the same name may want something else.
            (member.names, member.pattern) = (BTreeSet::new(), None);
        }
        let update = |own: &mut Option<String>, said: &Option<String>| {
            if said.is_some() {
                own.clone_from(said);
            }
        };
        update(&mut member.instance, &beat.instance_id);
        update(&mut member.rack, &beat.rack_id);
        update(&mut member.assignor, &beat.assignor);
        member.classic.clone_from(&beat.classic);
        member.client_id.clone_from(&beat.client_id);
        member.client_host.clone_from(&beat.client_host);
        if beat.rebalance_timeout_ms != -1 {
            member.rebalance_ms = beat.rebalance_timeout_ms;
        }
        if let Some(names) = &beat.names {
            member.names = names.iter().cloned().collect();
        }
        if let Some(pattern) = &beat.pattern {
            member.pattern = Some(pattern.clone()).filter(|pattern| !pattern.is_empty());
            member.pattern.as_deref().map(Pattern::new).transpose()?;
        }
        let others = self.item.members.iter().filter(|(other, _)| *other != id);
        let bytes = weight(id, &member) + others.map(|(id, member)| weight(id, member)).sum::<usize>();
        match bytes <= around.rules.max_bytes {
            true => Ok(member),
            false => Err(GroupError::GroupTooLarge { bytes, most: around.rules.max_bytes }),
        }
    }

    fn put(&mut self, id: &str, member: ConsumerMember, now_ms: i64) {
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), id.to_owned());
        }
        self.held.extend(member.assigned.iter().chain(&member.revoking));
        self.item.members.insert(id.to_owned(), member);
        self.deadlines.entry(id.to_owned()).or_insert(Deadlines { session: now_ms, rebalance: None });
    }

    fn remove(&mut self, id: &str) -> Option<ConsumerMember> {
        let member = self.item.members.remove(id)?;
        self.deadlines.remove(id);
        self.release(&member);
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        Some(member)
    }

    fn release(&mut self, member: &ConsumerMember) {
        for place in member.assigned.iter().chain(&member.revoking) {
            self.held.remove(place);
        }
    }

    fn leave(&mut self, beat: &Beat) -> Result<Beaten, GroupError> {
        let id = match &beat.instance_id {
            None => &beat.member_id,
            Some(instance) => match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(owner) if *owner != beat.member_id => return Err(GroupError::FencedInstance),
                Some(owner) => owner,
            },
        }
        .clone();
        if !self.item.members.contains_key(&id) {
            return Err(GroupError::UnknownMember);
        }
        tracing::info!(group = self.id, member = id, epoch = beat.epoch, "a member left");
        match beat.epoch {
            LEAVE => self.leave_for_good(&id),
            _ => self.leave_for_a_while(&id),
        }
        Ok(Beaten { member_id: id, epoch: beat.epoch, interval_ms: 0, assignment: None })
    }

    pub(super) fn leave_for_good(&mut self, id: &str) {
        if self.remove(id).is_some() {
            self.item.epoch = next(self.item.epoch);
            self.seen = None;
            self.changed = true;
        }
    }

    /// A static member goes and will be back: its partitions wait for it, for one session.
    fn leave_for_a_while(&mut self, id: &str) {
        let Some(member) = self.item.members.get_mut(id) else { return };
        let revoked = std::mem::take(&mut member.revoking);
        self.held.retain(|place| !revoked.contains(place));
        (member.epoch, member.state) = (AWAY, MemberState::Stable);
        // Nobody else gets them meanwhile, so that it has had them all the time when it comes back, whatever its epoch.
        member.given = Given::all_in(ENTER, &member.assigned);
        self.changed = true;
        if let Some(deadlines) = self.deadlines.get_mut(id) {
            deadlines.rebalance = None;
        }
    }

    /// Raises the epoch if members want something else, or what they want is not the same any more.
    fn renew_epoch(&mut self, resubscribed: bool, topics: &dyn Catalog) {
        let version = topics.version();
        let mut raise = resubscribed;
        if resubscribed || self.seen != Some(version) {
            let Subscribed { names, topics, patterns } = Subscribed::resolve(self.item.members.values(), topics);
            raise |= topics != self.item.topics || patterns != self.item.patterns;
            (self.item.topics, self.item.patterns) = (topics, patterns);
            (self.names, self.seen) = (names, Some(version));
        }
        if raise {
            self.item.epoch = next(self.item.epoch);
            self.changed = true;
            tracing::debug!(group = self.id, epoch = self.item.epoch, "the group changes");
        }
    }

    /// Says what everybody shall own, if that was not said for this epoch.
    fn renew_targets(&mut self, rules: &Rules) {
        if self.item.epoch == self.item.target_epoch {
            return;
        }
        let wanted: Vec<BTreeSet<Uuid>> = self.item.members.values().map(|member| self.wanted(member)).collect();
        let mut members = Vec::with_capacity(wanted.len());
        for ((id, member), topics) in self.item.members.iter().zip(&wanted) {
            members.push(Subscriber { id, instance_id: member.instance.as_deref(), topics, had: &member.target });
        }
        let targets = self.assignor(rules).assign(&members, &self.item.topics);
        for (member, target) in self.item.members.values_mut().zip(targets) {
            member.target = target;
        }
        self.item.target_epoch = self.item.epoch;
        self.changed = true;
    }

    /// The topics that a member is subscribed to, of those that exist.
    fn wanted(&self, member: &ConsumerMember) -> BTreeSet<Uuid> {
        let matched = member.pattern.as_ref().and_then(|pattern| self.item.patterns.get(pattern));
        let named = member.names.iter().filter_map(|name| self.names.get(name));
        named.chain(matched.into_iter().flatten()).copied().collect()
    }

    /// The assignor that most members want; the default if nobody wants one.
    pub fn assignor(&self, rules: &Rules) -> Assignor {
        let mut votes = BTreeMap::<Assignor, usize>::new();
        let named = self.item.members.values().filter_map(|member| Assignor::named(member.assignor.as_deref()?));
        named.for_each(|assignor| *votes.entry(assignor).or_default() += 1);
        let first = votes.into_iter().max_by_key(|(assignor, votes)| (*votes, std::cmp::Reverse(*assignor)));
        first.map(|(assignor, _)| assignor).or(rules.assignors.first().copied()).unwrap_or(Assignor::Uniform)
    }

    fn reconcile(&mut self, id: &str, said: Said<'_>, now_ms: i64) {
        let Some(mut member) = self.item.members.remove(id) else { return };
        let before = member.clone();
        self.release(&member);
        reconcile::step(&mut member, self.item.target_epoch, said, |place| !self.held.contains(place));
        for place in member.assigned.iter().chain(&member.revoking) {
            let is_new = self.held.insert(*place);
            debug_assert!(is_new, "{place:?} has an owner already");
        }
        if let Some(deadlines) = self.deadlines.get_mut(id).filter(|_| member != before) {
            deadlines.rebalance = rebalance_deadline(&member, now_ms);
        }
        self.item.members.insert(id.to_owned(), member);
    }

    pub(super) fn touch(&mut self, id: &str, around: &Around<'_>) {
        let session_ms = self.item.members.get(id).map_or(0, |member| session_ms(member, around.rules));
        if let Some(deadlines) = self.deadlines.get_mut(id) {
            deadlines.session = around.now_ms + session_ms;
        }
    }

    /// A classic member has to join, or to sync, within its rebalance time-out; from now on if `anew`.
    pub(super) fn expect(&mut self, id: &str, now_ms: i64, anew: bool) {
        let Some(member) = self.item.members.get(id) else { return };
        let at = now_ms + i64::from(member.rebalance_ms.max(0));
        if let Some(deadlines) = self.deadlines.get_mut(id).filter(|deadlines| anew || deadlines.rebalance.is_none()) {
            deadlines.rebalance = Some(at);
        }
    }

    /// A classic member has synced.
    pub(super) fn expect_nothing(&mut self, id: &str) {
        if let Some(deadlines) = self.deadlines.get_mut(id) {
            deadlines.rebalance = None;
        }
    }

    /// Member id of a static member.
    pub(super) fn owner_of(&self, instance: &str) -> Option<&str> {
        self.statics.get(instance).map(String::as_str)
    }

    /// Whether some member owns a partition.
    pub(super) fn is_held(&self, place: &TopicPartition) -> bool {
        self.held.contains(place)
    }

    fn beaten(&self, id: &str, tell: bool, around: &Around<'_>) -> Beaten {
        let member = self.item.members.get(id);
        Beaten {
            member_id: id.to_owned(),
            epoch: member.map_or(ENTER, |member| member.epoch),
            interval_ms: around.rules.heartbeat_ms,
            assignment: member.filter(|_| tell).map(|member| member.assigned.clone()),
        }
    }
}

/// Without a word for so long, a member is gone.
fn session_ms(member: &ConsumerMember, rules: &Rules) -> i64 {
    member.classic.as_ref().map_or(rules.session_ms, |classic| i64::from(classic.session_ms))
}

/// Until when a member has to give partitions up, if it has to. A classic one does so by joining again.
fn rebalance_deadline(member: &ConsumerMember, now_ms: i64) -> Option<i64> {
    (member.state == MemberState::Unrevoked && member.classic.is_none())
        .then(|| now_ms + i64::from(member.rebalance_ms.max(0)))
}

/// The epoch after another one.
fn next(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}
