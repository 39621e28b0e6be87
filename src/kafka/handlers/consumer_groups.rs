//! Groups of the consumer protocol (KIP-848): ConsumerGroupHeartbeat and ConsumerGroupDescribe.
use std::sync::Arc;

use super::groups::GROUP_OPERATIONS;
use super::{Call, Endpoint};
use crate::base::Uuid;
use crate::coordinator::GroupError;
use crate::coordinator::consumer::calls::{DescribedConsumer, DescribedConsumers};
use crate::coordinator::consumer::partitions::{Partitions, by_topic};
use crate::coordinator::consumer::{Beat, Beaten};
use crate::coordinator::items::TopicPartition;
use crate::kafka::messages::RequestHeader;
use crate::kafka::messages::consumer_group_describe::{
    self as described, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup, Member,
};
use crate::kafka::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use crate::kafka::server::connection::{Hangup, Step};
use crate::kafka::server::intake::Received;

/// The version from which members make their ids up themselves.
const OWN_ID_FROM: i16 = 1;
/// What a member is: one that uses the classic protocol, or the consumer protocol.
const CLASSIC_PROTOCOL: i8 = 0;
const CONSUMER_PROTOCOL: i8 = 1;

/// A member says that it is alive; answered when what the answer tells is durable.
pub fn heartbeat(endpoint: &Arc<Endpoint>, call: Call, received: Received) -> Result<Step, Hangup> {
    let client_id = RequestHeader::peek_client_id(&received.frame).map_err(|error| endpoint.garbled(call, &error))?;
    let client_host = format!("/{}", received.peer);
    let request: ConsumerGroupHeartbeatRequest = endpoint.decode(call, received)?;
    let beat = Beat {
        member_id: request.member_id,
        has_own_id: call.header.api_version >= OWN_ID_FROM,
        new_member_id: String::new(),
        epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        client_id: client_id.unwrap_or_default(),
        client_host,
        names: request.subscribed_topic_names,
        pattern: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned: request.topic_partitions.map(|topics| topics.into_iter().flat_map(places).collect()),
        classic: None,
    };
    let beating = endpoint.shared.coordinator.consumer_heartbeat(&request.group_id, beat);
    let endpoint = endpoint.clone();
    Ok(Step::Alone(Box::pin(async move {
        let response = match endpoint.until_stop(beating, Err).await {
            Ok(beaten) => beaten_response(beaten),
            Err(error) => ConsumerGroupHeartbeatResponse {
                error_message: Some(error.to_string()),
                error_code: endpoint.fail(call, error),
                ..ConsumerGroupHeartbeatResponse::default()
            },
        };
        endpoint.finish::<ConsumerGroupHeartbeatRequest>(call, &response, None)
    })))
}

fn places(topic: TopicPartitions) -> impl Iterator<Item = TopicPartition> {
    let TopicPartitions { topic_id, partitions } = topic;
    partitions.into_iter().map(move |partition| TopicPartition { topic: topic_id, partition })
}

fn beaten_response(beaten: Beaten) -> ConsumerGroupHeartbeatResponse {
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    let assignment = |partitions: Partitions| Assignment {
        topic_partitions: by_topic(&partitions).into_iter().map(topic).collect(),
    };
    ConsumerGroupHeartbeatResponse {
        member_id: Some(beaten.member_id),
        member_epoch: beaten.epoch,
        heartbeat_interval_ms: beaten.interval_ms,
        assignment: beaten.assignment.map(assignment),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// Describes groups.
pub async fn describe(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let operations = request.include_authorized_operations;
    let describe = |group| describe_one(&endpoint, call, group, operations);
    ConsumerGroupDescribeResponse {
        groups: request.group_ids.into_iter().map(describe).collect(),
        ..Default::default()
    }
}

fn describe_one(endpoint: &Endpoint, call: Call, group_id: String, operations: bool) -> DescribedGroup {
    let found = match group_id.as_str() {
        "" => Err(GroupError::InvalidGroupId),
        id => endpoint.shared.coordinator.describe_consumers(id),
    };
    let mut group = match found {
        Ok(found) => described_group(endpoint, found),
        Err(error) => {
            let error_message = Some(format!("Group {group_id} is not a consumer group."));
            let error_code = endpoint.fail(call, error);
            DescribedGroup { error_code, error_message, ..DescribedGroup::default() }
        }
    };
    if operations && group.error_code == 0 {
        group.authorized_operations = GROUP_OPERATIONS;
    }
    DescribedGroup { group_id, ..group }
}

fn described_group(endpoint: &Endpoint, found: DescribedConsumers) -> DescribedGroup {
    DescribedGroup {
        group_state: found.state.to_owned(),
        group_epoch: found.epoch,
        assignment_epoch: found.target_epoch,
        assignor_name: found.assignor.to_owned(),
        members: found.members.into_iter().map(|member| described_member(endpoint, member)).collect(),
        ..DescribedGroup::default()
    }
}

fn described_member(endpoint: &Endpoint, member: DescribedConsumer) -> Member {
    Member {
        member_id: member.id,
        instance_id: member.instance_id,
        rack_id: member.rack_id,
        member_epoch: member.epoch,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.names,
        subscribed_topic_regex: Some(member.pattern.unwrap_or_default()),
        assignment: described_assignment(endpoint, &member.assigned),
        target_assignment: described_assignment(endpoint, &member.target),
        member_type: if member.is_classic { CLASSIC_PROTOCOL } else { CONSUMER_PROTOCOL },
    }
}

/// Partitions with the names of their topics; those of topics that are gone are left out.
fn described_assignment(endpoint: &Endpoint, partitions: &Partitions) -> described::Assignment {
    let topic = |(topic_id, partitions): (Uuid, Vec<i32>)| {
        let topic_name = endpoint.shared.log.topic_by_id(topic_id)?.name.clone();
        Some(described::TopicPartitions { topic_id, topic_name, partitions })
    };
    described::Assignment { topic_partitions: by_topic(partitions).into_iter().filter_map(topic).collect() }
}
