//! DescribeTopicPartitions: topics by name or all of them, in the order of their names, page by page.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Call, Endpoint, metadata};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use crate::kafka::messages::metadata::NO_OPERATIONS;
use crate::log::TopicInfo;

/// Most partitions in an answer, whatever the request says (Kafka's `max.request.partition.size.limit`).
const MAX_PARTITIONS: i32 = 2000;

/// Describes a page of topics.
pub async fn answer(
    endpoint: Arc<Endpoint>,
    _: Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let log = &endpoint.shared.log;
    let asked: BTreeSet<String> = request.topics.into_iter().map(|topic| topic.name).collect();
    let start = request.cursor.unwrap_or_default();
    let cursor_is_asked = asked.is_empty() || start.topic_name.is_empty() || asked.contains(&start.topic_name);
    if start.partition_index < 0 || !cursor_is_asked {
        let topics = asked.iter().map(|name| DescribeTopicPartitionsResponseTopic {
            topic_authorized_operations: NO_OPERATIONS,
            ..unknown(name, endpoint.refuse(ErrorCode::InvalidRequest))
        });
        return DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() };
    }
    let all = || log.topics().iter().map(|topic| topic.name.clone()).collect();
    let mut names = if asked.is_empty() { all() } else { asked };
    let names = names.split_off(&start.topic_name);

    let mut left = request.response_partition_limit.clamp(1, MAX_PARTITIONS);
    let mut answer = DescribeTopicPartitionsResponse::default();
    for name in names {
        if left == 0 {
            answer.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
            break;
        }
        let Some(topic) = log.topic(&name) else {
            let code = endpoint.no_such_topic(&name);
            answer.topics.push(unknown(&name, endpoint.refuse(code)));
            continue;
        };
        let from = if name == start.topic_name { start.partition_index.min(topic.partitions) } else { 0 };
        let until = topic.partitions.min(from.saturating_add(left));
        left -= until - from;
        answer.topics.push(describe(&endpoint, &topic, from..until));
        if until < topic.partitions {
            answer.next_cursor = Some(Cursor { topic_name: name, partition_index: until });
            break;
        }
    }
    answer
}

fn describe(
    endpoint: &Endpoint,
    topic: &TopicInfo,
    partitions: std::ops::Range<i32>,
) -> DescribeTopicPartitionsResponseTopic {
    let leader_id = endpoint.shared.log.broker_id();
    let partition = |partition_index| DescribeTopicPartitionsResponsePartition {
        partition_index,
        leader_id,
        leader_epoch: endpoint.leader_epoch(),
        replica_nodes: vec![leader_id],
        isr_nodes: vec![leader_id],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..DescribeTopicPartitionsResponsePartition::default()
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        partitions: partitions.map(partition).collect(),
        topic_authorized_operations: metadata::TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn unknown(name: &str, error_code: i16) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name.to_owned()),
        topic_authorized_operations: metadata::TOPIC_OPERATIONS,
        ..Default::default()
    }
}
