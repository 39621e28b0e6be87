//! How a member comes from what it owns to what it shall own: it gives up first, and gets only what nobody has.
//!
//! It stays at its epoch until it has given up everything that it owns and shall not own. What it no longer wants is added to
//! that as soon as it says so, even while it gives up other partitions; what goes to others is added when it has done the first.
use std::collections::BTreeSet;

use super::partitions::Partitions;
use crate::base::Uuid;
use crate::coordinator::items::TopicPartition;
use crate::coordinator::items::consumer::{ConsumerMember, MemberState};

/// Whether a member is where the targets of an epoch want it.
pub fn is_settled(member: &ConsumerMember, target_epoch: i32) -> bool {
    member.state == MemberState::Stable && member.epoch == target_epoch
}

/// What a member says in the heartbeat that takes it a step further.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// What its client owns; `None`: as before.
    pub owned: Option<&'a Partitions>,
    /// The topics that it wants from now on; `None`: as before.
    pub wanted: Option<&'a BTreeSet<Uuid>>,
}

/// Takes a member as far towards its target as it can go now. `is_free`: whether nobody else owns a partition.
pub fn step(member: &mut ConsumerMember, target_epoch: i32, said: Said<'_>, is_free: impl Fn(&TopicPartition) -> bool) {
    let still_owns = |gone: &Partitions| said.owned.is_none_or(|owned| !owned.is_disjoint(gone));
    match (member.state, said.wanted) {
        (MemberState::Stable, _) if member.epoch == target_epoch => return,
        (MemberState::Unrevoked, Some(wanted)) if still_owns(&member.revoking) => return give_up_more(member, wanted),
        (MemberState::Unrevoked, None) if still_owns(&member.revoking) => return,
        _ => {}
    }
    let kept: Partitions = &member.assigned & &member.target;
    let gone: Partitions = &member.assigned - &kept;
    member.given.keep(&member.assigned);
    if !gone.is_empty() && still_owns(&gone) {
        enter(member, member.epoch);
        member.state = MemberState::Unrevoked;
        member.assigned = kept;
        member.revoking = gone;
        return;
    }
    let missing: Partitions = &member.target - &kept;
    let (free, others): (Partitions, Partitions) = missing.into_iter().partition(is_free);
    enter(member, target_epoch);
    member.state = if others.is_empty() { MemberState::Stable } else { MemberState::Unreleased };
    member.given.keep(&kept);
    member.given.add(target_epoch, &free);
    member.assigned = &kept | &free;
    member.revoking = Partitions::new();
}

/// A member that is giving partitions up does not want some topics any more.
fn give_up_more(member: &mut ConsumerMember, wanted: &BTreeSet<Uuid>) {
    let (kept, gone) = member.assigned.iter().partition::<Partitions, _>(|place| wanted.contains(&place.topic));
    if !gone.is_empty() {
        enter(member, member.epoch);
        member.assigned = kept;
        member.revoking.extend(gone);
    }
}

/// Once in a step: the client knows of the epoch before it, and no other.
fn enter(member: &mut ConsumerMember, epoch: i32) {
    member.previous_epoch = std::mem::replace(&mut member.epoch, epoch);
}
