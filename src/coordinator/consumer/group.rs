//! A group whose answers wait until what they tell is durable.
//!
//! One write of the group's item is under way at a time. What changes meanwhile goes into the next one, so a group of many
//! members is not written once for each of them. An answer waits for the first write that holds what it tells.
use super::calls::{Around, Beat, Beaten, DescribedConsumer, DescribedConsumers, Rules};
use super::catalog::Catalog;
use super::machine::Machine;
use super::{migration, reconcile};
use crate::base::Uuid;
use crate::coordinator::calls::{
    Effect, JoinGroup, JoinRefused, Joined, Leaving, Listed, MemberRef, Now, SyncGroup, Synced, Then, Ticket,
};
use crate::coordinator::error::GroupError;
use crate::coordinator::items::consumer::{ConsumerItem, ConsumerMember};
use crate::coordinator::items::{ClassicItem, GroupItem, TopicPartition};

/// A group of the consumer protocol.
#[derive(Debug)]
pub struct Group {
    id: String,
    machine: Machine,
    /// It is being deleted.
    is_dead: bool,
    /// The item is not what was last handed to the journal.
    is_dirty: bool,
    /// The write that is under way, if one is: the answers that it lets go.
    writing: Option<Vec<Waiting>>,
    /// Answers for the write after that.
    waiting: Vec<Waiting>,
}

/// An answer that waits for a write.
#[derive(Debug)]
struct Waiting(Ticket, Told);

#[derive(Debug)]
enum Told {
    Beaten(Beaten),
    Joined(Joined),
    Synced(Synced),
}

impl Waiting {
    /// The answer, if the write that it waits for has gone well.
    fn answer(self, stored: &Result<(), GroupError>) -> Effect {
        let Self(ticket, told) = self;
        let refused = |member_id| move |error| JoinRefused { member_id, error };
        match told {
            Told::Beaten(beaten) => Effect::Beaten(ticket, stored.clone().map(|()| beaten)),
            Told::Joined(joined) => {
                let member_id = joined.member_id.clone();
                Effect::Joined(ticket, stored.clone().map(|()| joined).map_err(refused(member_id)))
            }
            Told::Synced(synced) => Effect::Synced(ticket, stored.clone().map(|()| synced)),
        }
    }
}

impl Group {
    /// A group without members, whose epochs go on from the one that is given.
    pub fn new(id: &str, epoch: i32) -> Self {
        Self::of(id, Machine::new(id, epoch))
    }

    /// A group as its item says.
    pub fn restore(id: &str, item: ConsumerItem, rules: &Rules, now_ms: i64) -> Self {
        Self::of(id, Machine::restore(id, item, rules, now_ms))
    }

    fn of(id: &str, machine: Machine) -> Self {
        let id = id.to_owned();
        Self { id, machine, is_dead: false, is_dirty: false, writing: None, waiting: Vec::new() }
    }

    /// A member says that it is alive, and what has changed; it enters, or leaves.
    pub fn heartbeat(&mut self, ticket: Ticket, beat: &Beat, around: &Around<'_>, out: &mut Vec<Effect>) {
        if self.is_dead {
            return out.push(Effect::Beaten(ticket, Err(being_deleted())));
        }
        match self.machine.heartbeat(beat, around) {
            Ok(beaten) => self.waiting.push(Waiting(ticket, Told::Beaten(beaten))),
            Err(error) => out.push(Effect::Beaten(ticket, Err(error))),
        }
        self.write(out);
    }

    /// A client of the classic protocol joins, or joins again.
    pub fn join(&mut self, ticket: Ticket, join: JoinGroup, around: &Around<'_>, out: &mut Vec<Effect>) {
        let joined = match () {
            () if self.is_dead => Err(being_deleted()),
            // Nobody was given that id by this group.
            () if self.size() == 0 && !join.member_id.is_empty() => Err(GroupError::UnknownMember),
            () => self.machine.join(&join, around),
        };
        match joined {
            Ok(joined) => self.waiting.push(Waiting(ticket, Told::Joined(joined))),
            Err(error) => {
                let told = if error == GroupError::MemberIdRequired { join.new_member_id } else { join.member_id };
                out.push(Effect::Joined(ticket, Err(JoinRefused { member_id: told, error })));
            }
        }
        self.write(out);
    }

    /// A member of the classic protocol asks for its assignment.
    pub fn sync(&mut self, ticket: Ticket, sync: &SyncGroup, around: &Around<'_>, out: &mut Vec<Effect>) {
        let synced = if self.is_dead { Err(being_deleted()) } else { self.machine.sync(sync, around) };
        match synced {
            Ok(synced) => self.waiting.push(Waiting(ticket, Told::Synced(synced))),
            Err(error) => out.push(Effect::Synced(ticket, Err(error))),
        }
        self.write(out);
    }

    /// A member of the classic protocol says that it is alive.
    ///
    /// # Errors
    /// [`GroupError::RebalanceInProgress`] tells it to join again; others that it has lost its place.
    pub fn classic_heartbeat(&mut self, member: &MemberRef, around: &Around<'_>) -> Result<(), GroupError> {
        if self.is_dead { Err(being_deleted()) } else { self.machine.classic_heartbeat(member, around) }
    }

    /// Members leave, or are removed by an administrator. One answer each.
    ///
    /// # Errors
    /// [`GroupError::NotAvailable`] while the group is being deleted.
    pub fn leave(
        &mut self,
        leaving: &[Leaving],
        out: &mut Vec<Effect>,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if self.is_dead {
            return Err(being_deleted());
        }
        let answers = leaving.iter().map(|one| self.machine.remove_member(one)).collect();
        self.write(out);
        Ok(answers)
    }

    /// The group as a classic one, if it has members, all of them use the classic protocol, and all that was said is
    /// durable.
    pub fn given_back(&self, catalog: &dyn Catalog, now: Now) -> Option<ClassicItem> {
        let is_quiet = !self.is_dead && !self.is_dirty && self.writing.is_none();
        if is_quiet { migration::given_back(self.machine.item(), catalog, now) } else { None }
    }

    /// Removes the members whose time is over.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Effect>) {
        self.machine.tick(now_ms);
        self.write(out);
    }

    /// When [`Group::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        self.machine.next_deadline()
    }

    /// The write that was under way is durable, or failed. After a failure clients come again, and the next write holds
    /// what this one did.
    pub fn stored(&mut self, stored: Result<(), GroupError>, out: &mut Vec<Effect>) {
        let covered = self.writing.take().unwrap_or_default();
        out.extend(covered.into_iter().map(|waiting| waiting.answer(&stored)));
        match stored {
            Ok(()) => self.write(out),
            Err(_) => {
                self.is_dirty = true;
                out.extend(self.waiting.drain(..).map(|waiting| waiting.answer(&stored)));
            }
        }
    }

    fn write(&mut self, out: &mut Vec<Effect>) {
        self.is_dirty |= self.machine.take_changed();
        match &mut self.writing {
            Some(covered) if !self.is_dirty => covered.append(&mut self.waiting),
            Some(_) => {}
            None if self.is_dirty => {
                self.is_dirty = false;
                self.writing = Some(std::mem::take(&mut self.waiting));
                out.push(Effect::Store(GroupItem::Consumer(self.machine.item().clone()), Then::Beats));
            }
            None => out.extend(self.waiting.drain(..).map(|waiting| waiting.answer(&Ok(())))),
        }
    }

    /// How many members it has.
    pub fn size(&self) -> usize {
        self.machine.item().members.len()
    }

    /// Its epoch.
    pub fn epoch(&self) -> i32 {
        self.machine.item().epoch
    }

    /// Whether it may become a group of another protocol: nobody is in it, and nothing of it is on its way to the journal.
    pub fn is_idle(&self) -> bool {
        self.size() == 0 && !self.is_dead && self.writing.is_none()
    }

    /// Whether nothing was ever said of it that lasts.
    pub fn is_blank(&self) -> bool {
        self.epoch() == 0 && self.is_idle() && !self.is_dirty
    }

    /// Whether it has no members.
    pub fn is_unused(&self) -> bool {
        self.size() == 0
    }

    /// Whether a member may be working on a topic.
    pub fn is_subscribed(&self, topic: Uuid) -> bool {
        self.machine.item().topics.contains_key(&topic) && self.size() > 0
    }

    /// Name of the state.
    pub fn state(&self) -> &'static str {
        let item = self.machine.item();
        match () {
            () if self.is_dead => "Dead",
            () if item.members.is_empty() => "Empty",
            () if item.epoch > item.target_epoch => "Assigning",
            () if item.members.values().all(|member| reconcile::is_settled(member, item.target_epoch)) => "Stable",
            () => "Reconciling",
        }
    }

    /// For a list of groups.
    pub fn listed(&self) -> Listed {
        let protocol_type = crate::coordinator::classic::CONSUMER.to_owned();
        Listed { group: self.id.clone(), protocol_type, state: self.state(), kind: "consumer" }
    }

    /// For administrators.
    pub fn described(&self, rules: &Rules) -> DescribedConsumers {
        let item = self.machine.item();
        DescribedConsumers {
            state: self.state(),
            epoch: item.epoch,
            target_epoch: item.target_epoch,
            assignor: self.machine.assignor(rules).name(),
            members: item.members.iter().map(|(id, member)| described(id, member)).collect(),
        }
    }

    /// Whether a client may commit offsets, of some partitions at least: a member under its present epoch or one before, and
    /// anybody while there are no members. Old clients of transactions do not say who they are.
    ///
    /// # Errors
    /// [`GroupError::UnknownMember`], [`GroupError::StaleMemberEpoch`], or in a transaction, whose clients do not know that,
    /// [`GroupError::IllegalGeneration`].
    pub fn check_commit(&self, member: &MemberRef, transactional: bool) -> Result<(), GroupError> {
        match self.machine.member(&member.id) {
            _ if self.is_dead => Err(being_deleted()),
            _ if member.generation < 0 && self.size() == 0 => Ok(()),
            None if transactional && *member == MemberRef::default() => Ok(()),
            None => Err(GroupError::UnknownMember),
            Some(known) if member.generation <= known.epoch => Ok(()),
            Some(known) => Err(stale(known, transactional)),
        }
    }

    /// Whether a client that may commit may do so of this partition (KIP-1251): under its present epoch, as it knows what it
    /// may do, and under one before if it has had the partition since then.
    ///
    /// # Errors
    /// [`GroupError::StaleMemberEpoch`], [`GroupError::IllegalGeneration`].
    pub fn check_place(
        &self,
        member: &MemberRef,
        place: TopicPartition,
        transactional: bool,
    ) -> Result<(), GroupError> {
        match self.machine.member(&member.id) {
            Some(known) if member.generation != known.epoch => match given_in(known, place) {
                Some(epoch) if member.generation >= epoch => Ok(()),
                _ => Err(stale(known, transactional)),
            },
            _ => Ok(()),
        }
    }

    /// Whether somebody is a member under that epoch.
    ///
    /// # Errors
    /// [`GroupError::UnknownMember`], [`GroupError::StaleMemberEpoch`], and for one of the classic protocol
    /// [`GroupError::IllegalGeneration`].
    pub fn check_epoch(&self, member: &str, epoch: i32) -> Result<(), GroupError> {
        match self.machine.member(member) {
            None => Err(GroupError::UnknownMember),
            Some(member) if member.epoch == epoch => Ok(()),
            Some(member) => Err(stale(member, false)),
        }
    }

    /// Whether there are members that use the consumer protocol.
    pub fn has_consumers(&self) -> bool {
        self.machine.item().members.values().any(|member| member.classic.is_none())
    }

    /// Whether somebody is a member that uses the consumer protocol.
    pub fn has_epochs(&self, member: &str) -> bool {
        self.machine.member(member).is_some_and(|member| member.classic.is_none())
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`], [`GroupError::GroupNotFound`] when it is being deleted already.
    pub fn check_delete(&self) -> Result<(), GroupError> {
        match self.size() {
            _ if self.is_dead => Err(GroupError::GroupNotFound(self.id.clone())),
            0 => Ok(()),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    /// Whether offsets may be deleted, at least of some topics.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`] when it is being deleted.
    pub fn check_delete_offsets(&self) -> Result<(), GroupError> {
        if self.is_dead { Err(GroupError::GroupNotFound(self.id.clone())) } else { Ok(()) }
    }

    /// It is being deleted; calls that come meanwhile are told to try again.
    pub fn bury(&mut self) {
        self.is_dead = true;
    }
}

fn being_deleted() -> GroupError {
    GroupError::NotAvailable("the group is being deleted".to_owned())
}

/// A member has another epoch than its client said.
fn stale(member: &ConsumerMember, transactional: bool) -> GroupError {
    match member.classic.is_some() || transactional {
        true => GroupError::IllegalGeneration,
        false => GroupError::StaleMemberEpoch,
    }
}

/// In which epoch a member was given a partition that it has.
fn given_in(member: &ConsumerMember, place: TopicPartition) -> Option<i32> {
    let has = member.assigned.contains(&place) || member.revoking.contains(&place);
    member.given.epoch_of(&place).filter(|_| has)
}

fn described(id: &str, member: &ConsumerMember) -> DescribedConsumer {
    DescribedConsumer {
        id: id.to_owned(),
        instance_id: member.instance.clone(),
        rack_id: member.rack.clone(),
        epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        names: member.names.iter().cloned().collect(),
        pattern: member.pattern.clone(),
        is_classic: member.classic.is_some(),
        state: member.state,
        // What it has not given up yet, it has.
        assigned: member.assigned.union(&member.revoking).copied().collect(),
        target: member.target.clone(),
    }
}
