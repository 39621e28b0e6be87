//! ElectLeaders, AlterPartitionReassignments and ListPartitionReassignments: one broker leads and has every partition, so
//! no election is needed, the only place for a partition is where it is, and nothing is ever being moved.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartitionResponse,
    ReassignableTopicResponse,
};
use crate::kafka::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use crate::kafka::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

/// `ElectionType`: the preferred replica, or any.
const ELECTION_TYPES: std::ops::RangeInclusive<i8> = 0..=1;

/// Elects nobody. All partitions are none in the answer, which leaves out those that need no election.
pub async fn elect(endpoint: Arc<Endpoint>, _: Call, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let is_election = ELECTION_TYPES.contains(&request.election_type);
    let topics = request.topic_partitions.unwrap_or_default().into_iter().map(|asked| {
        let partition = |partition_id| {
            let code = match endpoint.known_partition(&asked.topic, partition_id) {
                _ if !is_election => ErrorCode::InvalidRequest,
                Ok(()) => ErrorCode::ElectionNotNeeded,
                Err(code) => code,
            };
            let error_message = Some(code.meaning().to_owned());
            PartitionResult { partition_id, error_code: endpoint.refuse(code), error_message }
        };
        let partition_result = asked.partitions.iter().copied().map(partition).collect();
        ReplicaElectionResult { topic: asked.topic, partition_result }
    });
    ElectLeadersResponse {
        error_code: if is_election { 0 } else { endpoint.refuse(ErrorCode::InvalidRequest) },
        replica_election_results: topics.collect(),
        ..ElectLeadersResponse::default()
    }
}

/// Accepts the place where a partition is, and no other.
pub async fn reassign(
    endpoint: Arc<Endpoint>,
    _: Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let responses = request.topics.into_iter().map(|topic| {
        let partition = |number, replicas: Option<Vec<i32>>| {
            let checked = endpoint.known_partition(&topic.name, number).and_then(|()| match replicas {
                None => Err(ErrorCode::NoReassignmentInProgress),
                Some(brokers) if brokers[..] == [endpoint.shared.log.broker_id()] => Ok(()),
                Some(_) => Err(ErrorCode::InvalidReplicaAssignment),
            });
            ReassignablePartitionResponse {
                partition_index: number,
                error_code: checked.err().map_or(0, |code| endpoint.refuse(code)),
                error_message: checked.err().map(|code| code.meaning().to_owned()),
            }
        };
        let partitions = topic.partitions.into_iter().map(|asked| partition(asked.partition_index, asked.replicas));
        ReassignableTopicResponse { partitions: partitions.collect(), name: topic.name.clone() }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message: None,
        responses: responses.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    }
}

/// Lists nothing.
pub async fn list(
    _: Arc<Endpoint>,
    _: Call,
    _: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse { error_message: None, ..ListPartitionReassignmentsResponse::default() }
}

impl Endpoint {
    fn known_partition(&self, topic: &str, partition: i32) -> Result<(), ErrorCode> {
        match self.shared.log.topic(topic) {
            Some(topic) if (0..topic.partitions).contains(&partition) => Ok(()),
            _ => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }
}
