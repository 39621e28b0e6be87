//! A member of a classic group: it joins, assigns as the leader, says that it lives, leaves.
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::groups::{Place, Seat, assigned};
use super::range::{Subscriber, range};
use super::{Client, ClientError};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::{consumer_protocol, heartbeat, join_group, leave_group, sync_group};

/// The way of assigning.
const RANGE: &str = "range";
/// Version of the consumer protocol: the first one says all that `range` needs.
const PROTOCOL_VERSION: i16 = 0;
/// Longest wait for the answer to a join or a sync: other members may take as long as their own time-outs allow, five
/// minutes by default.
const REBALANCE_WAIT: Duration = Duration::from_secs(6 * 60);
/// Attempts to enter one generation; each follows a change of the group.
const ROUNDS_MAX: usize = 100;

/// Time-outs of a member.
#[derive(Debug, Clone, Copy)]
pub struct MemberTimes {
    /// After which silence it counts as dead.
    pub session: Duration,
    /// How long it may take to enter the next generation.
    pub rebalance: Duration,
}

/// Where a member stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It keeps what it has.
    Holds,
    /// The group goes to its next generation: join again, under the same id.
    Rebalances,
    /// The group went on without it: join again, as somebody new.
    Lost,
}

impl Standing {
    /// After a call of a member. Errors that say nothing about the member stay errors.
    pub fn after(answer: Result<(), ClientError>) -> Result<Self, ClientError> {
        match answer {
            Ok(()) => Ok(Self::Holds),
            Err(error) => match error.code() {
                Some(ErrorCode::RebalanceInProgress) => Ok(Self::Rebalances),
                Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::FencedInstanceId) => {
                    Ok(Self::Lost)
                }
                _ => Err(error),
            },
        }
    }
}

impl Client {
    /// Enters a group that reads `topic`, or its next generation, as the member that it knows by that id or as a new one
    /// (empty). Returns the seat and the partitions that come with it.
    pub async fn join(
        &self,
        group: &str,
        member: &str,
        topic: &str,
        times: MemberTimes,
    ) -> Result<(Seat, Vec<Place>), ClientError> {
        let mut member = member.to_owned();
        for _ in 0..ROUNDS_MAX {
            let joined = self.insist(|| self.join_once(group, &member, topic, times)).await?;
            if ErrorCode::from_wire(joined.error_code) == ErrorCode::MemberIdRequired {
                member = joined.member_id;
                continue;
            }
            let accepted = self.accept(joined.error_code, None, || format!("group '{group}'"));
            let mut standing = Standing::after(accepted)?;
            if standing == Standing::Holds {
                member.clone_from(&joined.member_id);
                let seat = Seat { group: group.to_owned(), member: member.clone(), generation: joined.generation_id };
                let (code, assignment) = self.insist(|| self.sync(&seat, &joined)).await?;
                standing = Standing::after(self.accept(code, None, || format!("group '{group}'")))?;
                if standing == Standing::Holds {
                    return Ok((seat, assigned(assignment)));
                }
            }
            if standing == Standing::Lost {
                member.clear();
            }
        }
        Err(ClientError::Broken {
            address: self.connection.address().to_owned(),
            reason: format!("group '{group}' did not settle in {ROUNDS_MAX} attempts to join it"),
        })
    }

    /// Says that a member lives. A coordinator that cannot tell at the moment is told with the next heartbeat.
    pub async fn heartbeat(&self, seat: &Seat) -> Result<Standing, ClientError> {
        let request = heartbeat::HeartbeatRequest {
            group_id: seat.group.clone(),
            generation_id: seat.generation,
            member_id: seat.member.clone(),
            group_instance_id: None,
        };
        let answer = self.call(&request).await?;
        match self.accept(answer.error_code, None, || format!("group '{}'", seat.group)) {
            Err(error) if error.is_for_the_moment() => Ok(Standing::Holds),
            answer => Standing::after(answer),
        }
    }

    /// Leaves the group: its partitions go to others at once.
    pub async fn leave(&self, seat: &Seat) -> Result<(), ClientError> {
        let member = leave_group::MemberIdentity { member_id: seat.member.clone(), ..Default::default() };
        let request = leave_group::LeaveGroupRequest {
            group_id: seat.group.clone(),
            member_id: seat.member.clone(),
            members: vec![member],
        };
        let answer = self.call(&request).await?;
        let codes = answer.members.into_iter().map(|member| member.error_code).chain([answer.error_code]);
        for code in codes {
            self.accept(code, None, || format!("group '{}'", seat.group))?;
        }
        Ok(())
    }

    async fn join_once(
        &self,
        group: &str,
        member: &str,
        topic: &str,
        times: MemberTimes,
    ) -> Result<join_group::JoinGroupResponse, ClientError> {
        let subscription =
            consumer_protocol::ConsumerProtocolSubscription { topics: vec![topic.to_owned()], ..Default::default() };
        let protocol =
            join_group::JoinGroupRequestProtocol { name: RANGE.to_owned(), metadata: encoded(&subscription)? };
        let ms = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let request = join_group::JoinGroupRequest {
            group_id: group.to_owned(),
            session_timeout_ms: ms(times.session),
            rebalance_timeout_ms: ms(times.rebalance),
            member_id: member.to_owned(),
            group_instance_id: None,
            protocol_type: consumer_protocol::PROTOCOL_TYPE.to_owned(),
            protocols: vec![protocol],
            reason: None,
        };
        let answer = self.call_within(REBALANCE_WAIT, &request).await?;
        self.not_for_the_moment(answer.error_code, group)?;
        Ok(answer)
    }

    async fn sync(&self, seat: &Seat, joined: &join_group::JoinGroupResponse) -> Result<(i16, Bytes), ClientError> {
        let leads = joined.leader == seat.member && !joined.skip_assignment;
        let request = sync_group::SyncGroupRequest {
            group_id: seat.group.clone(),
            generation_id: seat.generation,
            member_id: seat.member.clone(),
            group_instance_id: None,
            protocol_type: Some(consumer_protocol::PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(RANGE.to_owned()),
            assignments: if leads { self.assign(&joined.members).await? } else { Vec::new() },
        };
        let answer = self.call_within(REBALANCE_WAIT, &request).await?;
        self.not_for_the_moment(answer.error_code, &seat.group)?;
        Ok((answer.error_code, answer.assignment))
    }

    /// What the leader gives to every member. A member whose subscription cannot be read gets nothing.
    async fn assign(
        &self,
        members: &[join_group::JoinGroupResponseMember],
    ) -> Result<Vec<sync_group::SyncGroupRequestAssignment>, ClientError> {
        let subscriber = |member: &join_group::JoinGroupResponseMember| {
            let read =
                consumer_protocol::decode::<consumer_protocol::ConsumerProtocolSubscription>(member.metadata.clone());
            Subscriber {
                id: member.member_id.clone(),
                instance_id: member.group_instance_id.clone(),
                topics: read.map(|(_, subscription)| subscription.topics).unwrap_or_default(),
            }
        };
        let subscribers: Vec<Subscriber> = members.iter().map(subscriber).collect();
        let mut names: Vec<&str> = subscribers.iter().flat_map(|one| one.topics.iter().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        let mut partitions = BTreeMap::new();
        for name in names {
            match self.topics(Some(&[name]), false).await {
                Ok(topics) => partitions.extend(topics.into_iter().map(|topic| (topic.name, topic.partitions))),
                // Others may wait for a topic that is not there yet.
                Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
                Err(error) => return Err(error),
            }
        }
        let assignment = |(member_id, topics): (String, BTreeMap<String, Vec<i32>>)| {
            let topic = |(topic, partitions)| consumer_protocol::TopicPartition { topic, partitions };
            let assignment = consumer_protocol::ConsumerProtocolAssignment {
                assigned_partitions: topics.into_iter().map(topic).collect(),
                user_data: None,
            };
            Ok(sync_group::SyncGroupRequestAssignment { member_id, assignment: encoded(&assignment)? })
        };
        range(&subscribers, &partitions).into_iter().map(assignment).collect()
    }

    /// Only what is worth asking again is an error here: the rest has to do with the member.
    fn not_for_the_moment(&self, code: i16, group: &str) -> Result<(), ClientError> {
        match self.accept(code, None, || format!("group '{group}'")) {
            Err(error) if error.is_for_the_moment() => Err(error),
            _ => Ok(()),
        }
    }
}

fn encoded(message: &impl crate::kafka::messages::wire::Wire) -> Result<Bytes, ClientError> {
    consumer_protocol::encode(PROTOCOL_VERSION, message)
        .map_err(|source| ClientError::Encode { api: "the consumer protocol", source })
}
