//! How a member comes from what it owns to what it shall own: it gives up first, and gets only what nobody has.
use super::partitions::Partitions;
use crate::coordinator::items::TopicPartition;
use crate::coordinator::items::consumer::{ConsumerMember, MemberState};

/// Whether a member is where the targets of an epoch want it.
pub fn is_settled(member: &ConsumerMember, target_epoch: i32) -> bool {
    member.state == MemberState::Stable && member.epoch == target_epoch
}

/// Takes a member as far towards its target as it can go now. `owned`: what its client says it owns (`None`: as before).
/// `is_free`: whether nobody else owns a partition.
pub fn step(
    member: &mut ConsumerMember,
    target_epoch: i32,
    owned: Option<&Partitions>,
    is_free: impl Fn(&TopicPartition) -> bool,
) {
    let still_owns = |gone: &Partitions| owned.is_none_or(|owned| !owned.is_disjoint(gone));
    let mut epoch = member.epoch;
    match member.state {
        MemberState::Stable if member.epoch == target_epoch => return,
        MemberState::Unrevoked if still_owns(&member.revoking) => return,
        // It has done what its epoch asked for.
        MemberState::Unrevoked => epoch += 1,
        MemberState::Stable | MemberState::Unreleased => {}
    }
    let kept: Partitions = &member.assigned & &member.target;
    let gone: Partitions = &member.assigned - &kept;
    if !gone.is_empty() && still_owns(&gone) {
        enter(member, epoch);
        member.state = MemberState::Unrevoked;
        member.assigned = kept;
        member.revoking = gone;
        return;
    }
    let missing: Partitions = &member.target - &kept;
    let (free, others): (Partitions, Partitions) = missing.into_iter().partition(is_free);
    enter(member, target_epoch);
    member.state = if others.is_empty() { MemberState::Stable } else { MemberState::Unreleased };
    member.assigned = &kept | &free;
    member.revoking = Partitions::new();
}

/// Once in a step: the client knows of the epoch before it, and no other.
fn enter(member: &mut ConsumerMember, epoch: i32) {
    member.previous_epoch = std::mem::replace(&mut member.epoch, epoch);
}
