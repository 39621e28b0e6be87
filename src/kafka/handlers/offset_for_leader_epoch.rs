//! OffsetForLeaderEpoch: where an epoch ends.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

/// Looks up the ends.
pub async fn answer(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            partitions.push(find(&endpoint, call, &topic.topic, asked).await);
        }
        topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
    }
    OffsetForLeaderEpochResponse { topics, ..OffsetForLeaderEpochResponse::default() }
}

async fn find(endpoint: &Endpoint, call: Call, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let answer = EpochEndOffset { partition: asked.partition, ..EpochEndOffset::default() };
    let refused = |code| EpochEndOffset { error_code: endpoint.refuse(code), ..answer.clone() };
    let Some(partition) = endpoint.shared.log.partition(topic, asked.partition) else {
        return refused(ErrorCode::UnknownTopicOrPartition);
    };
    if let Err(code) = endpoint.check_leader_epoch(asked.current_leader_epoch) {
        return refused(code);
    }
    match partition.end_of_epoch(asked.leader_epoch).await {
        Ok((leader_epoch, end_offset)) => EpochEndOffset { leader_epoch, end_offset, ..answer },
        Err(error) => EpochEndOffset { error_code: endpoint.fail(call, error), ..answer },
    }
}
