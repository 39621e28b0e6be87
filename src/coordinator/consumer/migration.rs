//! A group goes from one protocol to the other with its members (KIP-848, "online migration"): items to items.
//!
//! A classic group is taken over when a member of the consumer protocol enters. Its members stay what they are and keep what
//! they have; by their next heartbeat they learn that they have to join again, and from then on the broker assigns to them
//! (`classic`). When the last member of the consumer protocol has gone, the group is given back, and its members rebalance.
use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::partitions::{Given, Partitions, by_topic};
use crate::coordinator::calls::Now;
use crate::coordinator::classic::CONSUMER;
use crate::coordinator::embedded::{Assignment, Named, Subscription};
use crate::coordinator::items::consumer::{ClassicSide, ConsumerItem, ConsumerMember, MemberState};
use crate::coordinator::items::{Blob, ClassicItem, ClassicMember, TopicPartition};

/// Why a classic group cannot be taken over.
pub type Obstacle = &'static str;

/// A classic group as one of the consumer protocol.
///
/// # Errors
/// What stands in the way.
pub fn taken_over(item: ClassicItem, catalog: &dyn Catalog) -> Result<ConsumerItem, Obstacle> {
    if item.protocol_type.as_deref().is_some_and(|kind| kind != CONSUMER) {
        return Err("the group does not use the consumer embedded protocol");
    }
    let ClassicItem { generation, protocol, rebalancing, members, .. } = item;
    let mut taken = ConsumerItem { epoch: generation, target_epoch: generation, ..ConsumerItem::default() };
    // Nothing has two owners, whatever members say.
    let mut owned = Partitions::new();
    let mut claims = Vec::new();
    for member in members {
        let id = member.id.clone();
        let (mut member, claim) = consumer(member, protocol.as_deref(), catalog)?;
        member.assigned.retain(|place| owned.insert(*place));
        (member.epoch, member.previous_epoch) = (generation, generation);
        taken.members.insert(id.clone(), member);
        claims.push((claim, id));
    }
    // What was given to another in this generation is that other's: a member that was silent may say what it had before. Of
    // two that say it of one generation one is wrong; nobody has it then, and both begin anew when they join.
    claims.sort_by_key(|(claim, _)| std::cmp::Reverse(claim.generation));
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for (Claim { owned: claimed, generation }, _) in &claims {
        claimed.iter().for_each(|place| *counts.entry((*generation, *place)).or_default() += 1);
    }
    for (Claim { owned: claimed, generation: of }, id) in claims {
        let is_its_own = |place: &TopicPartition| owned.insert(*place) && counts.get(&(of, *place)) == Some(&1);
        let claimed: Partitions = claimed.into_iter().filter(is_its_own).collect();
        let Some(member) = taken.members.get_mut(&id) else { continue };
        if rebalancing {
            // Who has joined and not synced yet owns what it said, and was given nothing since.
            member.assigned.extend(&claimed);
        } else if !claimed.is_empty() {
            // It was not given all that it owned, and has not joined again without it, as it has to.
            (member.revoking, member.state) = (claimed.clone(), MemberState::Unrevoked);
        }
        member.target.clone_from(&member.assigned);
        member.given = Given::all_in(generation, &(&member.assigned | &claimed));
    }
    Ok(taken)
}

/// What a member says it owns, and the generation in which it got that (-1: it does not say).
struct Claim {
    owned: Partitions,
    generation: i32,
}

/// A member with what it was assigned, and what it claims.
fn consumer(
    member: ClassicMember,
    protocol: Option<&str>,
    catalog: &dyn Catalog,
) -> Result<(ConsumerMember, Claim), Obstacle> {
    const MALFORMED: Obstacle = "the embedded consumer protocol is malformed";
    let chosen = member.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
    let (_, Blob(metadata)) = chosen.or(member.protocols.first()).ok_or(MALFORMED)?;
    let subscription = Subscription::read(metadata).ok_or(MALFORMED)?;
    let Assignment { partitions, has_user_data } = Assignment::read(&member.assignment.0).ok_or(MALFORMED)?;
    if has_user_data {
        return Err("an unsupported custom assignor is in use");
    }
    let claim = Claim { owned: places(&subscription.owned, catalog), generation: subscription.generation };
    let member = ConsumerMember {
        instance: member.instance,
        rack: subscription.rack,
        client_id: member.client_id,
        client_host: member.client_host,
        rebalance_ms: member.rebalance_ms,
        names: subscription.topics,
        assigned: places(&partitions, catalog),
        classic: Some(ClassicSide { session_ms: member.session_ms, protocols: member.protocols }),
        ..ConsumerMember::default()
    };
    Ok((member, claim))
}

/// A group of which all members use the classic protocol as a classic one, whose members have to join again. `None`: not all
/// do, or there are none.
pub fn given_back(item: &ConsumerItem, catalog: &dyn Catalog, now: Now) -> Option<ClassicItem> {
    let classic = |(id, member): (&String, &ConsumerMember)| {
        let side = member.classic.clone()?;
        let owned = &member.assigned | &member.revoking;
        Some(ClassicMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_ms: side.session_ms,
            rebalance_ms: member.rebalance_ms,
            assignment: Blob(Assignment::write(version(&side), &named(&owned, catalog))),
            protocols: side.protocols,
        })
    };
    let members = item.members.iter().map(classic).collect::<Option<Vec<_>>>()?;
    // The newest that any of them was told, so that whoever is where the group was may commit until it joins again.
    let generation = item.members.values().map(|member| member.epoch).max()?;
    let protocol_type = Some(CONSUMER.to_owned());
    let since_ms = now.wall_ms;
    Some(ClassicItem { generation, protocol_type, protocol: None, leader: None, rebalancing: true, since_ms, members })
}

/// Version of the embedded protocol that a member speaks.
pub fn version(side: &ClassicSide) -> i16 {
    let subscription = side.protocols.first().and_then(|(_, Blob(metadata))| Subscription::read(metadata));
    subscription.map_or(0, |subscription| subscription.version)
}

/// Partitions by the names of their topics; those of topics that are gone are left out.
pub fn named(partitions: &Partitions, catalog: &dyn Catalog) -> BTreeMap<String, Vec<i32>> {
    by_topic(partitions).into_iter().filter_map(|(id, numbers)| Some((catalog.name_of(id)?, numbers))).collect()
}

/// Partitions by the ids of their topics; those that there are not are left out.
pub fn places(named: &Named, catalog: &dyn Catalog) -> Partitions {
    let mut places = Partitions::new();
    for (shape, numbers) in named.iter().filter_map(|(name, numbers)| Some((catalog.shape(name)?, numbers))) {
        let numbers = numbers.iter().filter(|number| (0..shape.partitions).contains(*number));
        places.extend(numbers.map(|&partition| TopicPartition { topic: shape.id, partition }));
    }
    places
}
