//! What a call must be before it is looked at what it asks for.
use super::calls::{AWAY, Beat, ENTER, LEAVE, Rules};
use crate::coordinator::error::GroupError;
use crate::coordinator::items::Blob;
use crate::coordinator::items::consumer::ConsumerMember;

/// Whether a heartbeat makes sense.
///
/// # Errors
/// [`GroupError::InvalidCall`], [`GroupError::UnsupportedAssignor`].
pub fn check(beat: &Beat, rules: &Rules) -> Result<(), GroupError> {
    let refuse = |when: bool, why| if when { Err(GroupError::InvalidCall(why)) } else { Ok(()) };
    let is_empty = |text: &Option<String>| text.as_deref() == Some("");
    let needs_id = beat.has_own_id || beat.epoch != ENTER;
    refuse(needs_id && beat.member_id.is_empty(), "MemberId can't be empty.")?;
    refuse(is_empty(&beat.instance_id), "InstanceId can't be empty.")?;
    refuse(is_empty(&beat.rack_id), "RackId can't be empty.")?;
    refuse(beat.rebalance_timeout_ms < -1, "RebalanceTimeoutMs is invalid.")?;
    refuse(beat.epoch < AWAY, "MemberEpoch is invalid.")?;
    match beat.epoch {
        ENTER => {
            let owns = beat.owned.as_ref().is_none_or(|owned| !owned.is_empty());
            let wants = beat.names.is_some() || beat.pattern.is_some();
            refuse(beat.rebalance_timeout_ms == -1, "RebalanceTimeoutMs must be provided in first request.")?;
            refuse(owns, "TopicPartitions must be empty when (re-)joining.")?;
            refuse(!wants, "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")?;
        }
        AWAY => refuse(beat.instance_id.is_none(), "InstanceId can't be null.")?,
        LEAVE => return Ok(()),
        _ => {}
    }
    let allowed = |name: &String| rules.assignors.iter().any(|assignor| assignor.name() == name);
    match &beat.assignor {
        Some(name) if !allowed(name) => Err(GroupError::UnsupportedAssignor(name.clone())),
        _ => Ok(()),
    }
}

/// Whether a heartbeat is of the member's epoch. That of the one before is heard once more: the answer that told the present
/// one may have been lost. Then the client must not own more than it has now.
///
/// # Errors
/// [`GroupError::FencedMemberEpoch`].
pub fn check_epoch(member: &ConsumerMember, beat: &Beat) -> Result<(), GroupError> {
    let owns_no_more = || beat.owned.as_ref().is_some_and(|owned| owned.is_subset(&member.assigned));
    let missed_one = beat.epoch < member.epoch && beat.epoch == member.previous_epoch && owns_no_more();
    // Whoever enters again has given up what it had: it was fenced, or does not know that it had entered.
    match beat.epoch == ENTER || beat.epoch == member.epoch || missed_one {
        true => Ok(()),
        false => Err(GroupError::FencedMemberEpoch),
    }
}

/// About how many bytes a member takes as an item.
pub fn weight(id: &str, member: &ConsumerMember) -> usize {
    let texts = [&member.instance, &member.rack, &member.pattern, &member.assignor];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let names: usize = member.names.iter().map(|name| name.len() + 3).sum();
    let protocols = member.classic.iter().flat_map(|classic| &classic.protocols);
    let protocols: usize = protocols.map(|(name, Blob(bytes))| name.len() + bytes.len() * 4 / 3 + 16).sum();
    let partitions = member.assigned.len() + member.revoking.len() + member.given.len() + member.target.len();
    id.len() + member.client_id.len() + member.client_host.len() + texts + names + protocols + partitions * 4 + 256
}
