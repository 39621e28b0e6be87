//! ListOffsets: offsets by timestamp, and the special ones.
use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::list_offsets::{
    EARLIEST, EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST, LATEST_TIERED, ListOffsetsPartition,
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse, MAX_TIMESTAMP,
};
use crate::log::{Isolation, OffsetQuery};

/// Partitions that are looked up at once: a timestamp may need a footer from the bucket.
const AT_ONCE: usize = 16;

/// Looks up the offsets.
pub async fn answer(endpoint: Arc<Endpoint>, call: Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = super::fetch::isolation(request.isolation_level);
    let twice = named_twice(&request);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let is_twice = |index: i32| twice.contains(&(topic.name.clone(), index));
        let (refused, asked): (Vec<_>, Vec<_>) =
            topic.partitions.iter().partition(|asked| is_twice(asked.partition_index));
        let refused: BTreeSet<i32> = refused.into_iter().map(|asked| asked.partition_index).collect();
        let found: Vec<_> = asked.iter().map(|asked| find(&endpoint, call, &topic.name, asked, isolation)).collect();
        let mut partitions: Vec<_> = futures::stream::iter(found).buffered(AT_ONCE).collect().await;
        partitions.extend(refused.into_iter().map(|partition_index| ListOffsetsPartitionResponse {
            partition_index,
            error_code: endpoint.refuse(ErrorCode::InvalidRequest),
            ..Default::default()
        }));
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
}

/// Partitions that are asked for more than once: which answer is whose could not be said.
fn named_twice(request: &ListOffsetsRequest) -> BTreeSet<(String, i32)> {
    let topics = request.topics.iter();
    let places =
        topics.flat_map(|topic| topic.partitions.iter().map(|asked| (topic.name.clone(), asked.partition_index)));
    let mut once = BTreeSet::new();
    places.filter(|place| !once.insert(place.clone())).collect()
}

async fn find(
    endpoint: &Endpoint,
    call: Call,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Result<Isolation, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse { partition_index: asked.partition_index, ..Default::default() };
    let refused = |code| ListOffsetsPartitionResponse { error_code: endpoint.refuse(code), ..answer.clone() };
    let isolation = match isolation {
        Ok(isolation) => isolation,
        Err(code) => return refused(code),
    };
    let Some(query) = query(asked.timestamp, call.header.api_version) else {
        return refused(ErrorCode::UnsupportedVersion);
    };
    let Some(partition) = endpoint.shared.log.partition(topic, asked.partition_index) else {
        return refused(ErrorCode::UnknownTopicOrPartition);
    };
    if let Err(code) = endpoint.check_leader_epoch(asked.current_leader_epoch) {
        return refused(code);
    }
    match partition.find(query, isolation).await {
        Ok(found) => ListOffsetsPartitionResponse {
            timestamp: found.timestamp,
            offset: found.offset,
            leader_epoch: found.leader_epoch,
            ..answer
        },
        Err(error) => ListOffsetsPartitionResponse { error_code: endpoint.fail(call, error), ..answer },
    }
}

/// What a timestamp asks for; `None` if the version does not have it.
fn query(timestamp: i64, version: i16) -> Option<OffsetQuery> {
    match timestamp {
        LATEST => Some(OffsetQuery::Latest),
        EARLIEST => Some(OffsetQuery::Earliest),
        MAX_TIMESTAMP if version >= 7 => Some(OffsetQuery::MaxTimestamp),
        EARLIEST_LOCAL if version >= 8 => Some(OffsetQuery::EarliestLocal),
        LATEST_TIERED if version >= 9 => Some(OffsetQuery::LatestTiered),
        EARLIEST_PENDING_UPLOAD if version >= 11 => Some(OffsetQuery::EarliestUnsealed),
        timestamp if timestamp < 0 => None,
        timestamp => Some(OffsetQuery::AtOrAfter(timestamp)),
    }
}
