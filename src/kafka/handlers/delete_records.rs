//! DeleteRecords: moves log starts.
use std::sync::Arc;

use futures::StreamExt;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

/// Partitions whose log start moves at once: each waits for a sync, and one sync covers many.
const AT_ONCE: usize = 64;

/// Moves the log starts; answered when that is durable.
pub async fn answer(endpoint: Arc<Endpoint>, call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let moved: Vec<_> = topic.partitions.iter().map(|asked| delete(&endpoint, call, &topic.name, asked)).collect();
        let partitions = futures::stream::iter(moved).buffered(AT_ONCE).collect().await;
        topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
    }
    DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() }
}

async fn delete(
    endpoint: &Endpoint,
    call: Call,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> DeleteRecordsPartitionResult {
    let partition_index = asked.partition_index;
    let refused = |error_code| DeleteRecordsPartitionResult { partition_index, low_watermark: -1, error_code };
    let Some(partition) = endpoint.shared.log.partition(topic, partition_index) else {
        return refused(endpoint.refuse(ErrorCode::UnknownTopicOrPartition));
    };
    if asked.offset < -1 {
        return refused(endpoint.refuse(ErrorCode::OffsetOutOfRange));
    }
    if !partition.is_deleted_from() {
        return refused(endpoint.refuse(ErrorCode::PolicyViolation));
    }
    match partition.delete_records(asked.offset).await {
        Ok(low_watermark) => DeleteRecordsPartitionResult { partition_index, low_watermark, error_code: 0 },
        Err(error) => refused(endpoint.fail(call, error)),
    }
}
