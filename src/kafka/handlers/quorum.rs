//! DescribeQuorum: a cluster of one broker has one controller, which is its only voter and leads. Its log is the history of
//! the topics; there is nobody who could be behind.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::base::Uuid;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, PartitionDataResponse, ReplicaState,
    TopicDataResponse,
};

/// The topic that the log of controllers has in Kafka, with one partition.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Version from which addresses and directories are told.
const NODES_FROM: i16 = 2;

/// Describes the one controller.
pub async fn describe(endpoint: Arc<Endpoint>, call: Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let partition = |topic: &str, partition| match (topic, partition) {
        (METADATA_TOPIC, 0) => voter(&endpoint),
        _ => {
            let code = ErrorCode::UnknownTopicOrPartition;
            PartitionDataResponse {
                partition_index: partition,
                error_code: endpoint.refuse(code),
                error_message: Some(code.meaning().to_owned()),
                leader_id: -1,
                ..PartitionDataResponse::default()
            }
        }
    };
    let topics = request.topics.into_iter().map(|topic| TopicDataResponse {
        partitions: topic.partitions.iter().map(|asked| partition(&topic.topic_name, asked.partition_index)).collect(),
        topic_name: topic.topic_name,
    });
    let listener = Listener { name: "CONTROLLER".to_owned(), host: endpoint.host.clone(), port: endpoint.port };
    let node = Node { node_id: endpoint.shared.log.broker_id(), listeners: vec![listener] };
    DescribeQuorumResponse {
        error_message: None,
        topics: topics.collect(),
        nodes: if call.header.api_version >= NODES_FROM { vec![node] } else { Vec::new() },
        ..DescribeQuorumResponse::default()
    }
}

fn voter(endpoint: &Endpoint) -> PartitionDataResponse {
    let (log, now_ms) = (&endpoint.shared.log, endpoint.shared.clock.now_ms());
    let end = i64::try_from(log.topics_version()).unwrap_or(i64::MAX);
    let state = ReplicaState {
        replica_id: log.broker_id(),
        replica_directory_id: Uuid(log.cluster_id().0),
        log_end_offset: end,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
    };
    PartitionDataResponse {
        error_message: None,
        leader_id: log.broker_id(),
        leader_epoch: 1,
        high_watermark: end,
        current_voters: vec![state],
        ..PartitionDataResponse::default()
    }
}
