//! Produce: batches go to the log in the order in which they came; the answer waits for the sync that covers them.
//!
//! `acks` does not weaken that: 1 is answered like -1, and 0 is not answered at all (an error then closes the connection,
//! as Kafka does, for there is no other way to tell).
use std::sync::Arc;

use bytes::Bytes;

use super::{Call, Endpoint};
use crate::base::{BytePermit, Uuid};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::decode_request;
use crate::kafka::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use crate::kafka::server::connection::{Answer, Hangup, Step};
use crate::kafka::server::intake::Received;
use crate::log::{AppendError, Pending};

/// Versions from this one on name topics by id.
const TOPIC_IDS_FROM: i16 = 13;

/// The appends of one topic, under way or refused.
struct Topic {
    name: String,
    id: Uuid,
    partitions: Vec<(i32, Result<Pending, Refusal>)>,
}

struct Refusal {
    error_code: i16,
    message: String,
}

/// Hands every batch to the log; nothing in here waits.
pub fn start(endpoint: &Arc<Endpoint>, call: Call, received: Received) -> Result<Step, Hangup> {
    let request: ProduceRequest = decode_request(received.frame).map_err(|error| endpoint.garbled(call, &error))?;
    let permit = received.permit;
    let acks = request.acks;
    let append = |data| append(endpoint, call, acks, data, &permit);
    let topics: Vec<Topic> = request.topic_data.into_iter().map(append).collect();
    if acks != 0 {
        return Ok(Step::Later(Box::pin(answer(endpoint.clone(), call, topics))));
    }
    let mut results = topics.iter().flat_map(|topic| &topic.partitions);
    match results.find_map(|(partition, result)| Some((partition, result.as_ref().err()?))) {
        None => Ok(Step::Done(Ok(None))),
        Some((partition, refusal)) => {
            let message = &refusal.message;
            Err(Hangup(format!("a produce request with acks=0 was refused for partition {partition}: {message}")))
        }
    }
}

fn append(endpoint: &Endpoint, call: Call, acks: i16, data: TopicProduceData, permit: &BytePermit) -> Topic {
    let by_id = call.header.api_version >= TOPIC_IDS_FROM;
    let refuse =
        |code: ErrorCode| Err(Refusal { error_code: endpoint.refuse(code), message: code.meaning().to_owned() });
    let name = if by_id {
        endpoint.shared.log.topic_by_id(data.topic_id).map(|topic| topic.name.clone())
    } else {
        Some(data.name)
    };
    let append = |index: i32, records: Option<Bytes>| {
        if !(-1..=1).contains(&acks) {
            return refuse(ErrorCode::InvalidRequiredAcks);
        }
        let Some(name) = &name else { return refuse(ErrorCode::UnknownTopicId) };
        let Some(partition) = endpoint.shared.log.partition(name, index) else {
            return refuse(ErrorCode::UnknownTopicOrPartition);
        };
        let appended = partition.append(records.unwrap_or_default(), Some(permit.clone()));
        appended.map_err(|error| refusal(endpoint, call, error))
    };
    let partitions = data.partition_data.into_iter().map(|p| (p.index, append(p.index, p.records))).collect();
    Topic { name: if by_id { String::new() } else { name.unwrap_or_default() }, id: data.topic_id, partitions }
}

fn refusal(endpoint: &Endpoint, call: Call, error: AppendError) -> Refusal {
    let message = error.to_string();
    Refusal { error_code: endpoint.fail(call, error), message }
}

/// Waits for the syncs.
async fn answer(endpoint: Arc<Endpoint>, call: Call, topics: Vec<Topic>) -> Answer {
    let mut responses = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partition_responses = Vec::with_capacity(topic.partitions.len());
        for (index, result) in topic.partitions {
            let result = match result {
                Ok(pending) => pending.durable().await.map_err(|error| refusal(&endpoint, call, error)),
                Err(refusal) => Err(refusal),
            };
            partition_responses.push(match result {
                Ok(appended) => PartitionProduceResponse {
                    index,
                    base_offset: appended.base_offset,
                    log_append_time_ms: appended.append_time_ms,
                    log_start_offset: appended.log_start,
                    ..PartitionProduceResponse::default()
                },
                Err(refusal) => PartitionProduceResponse {
                    index,
                    error_code: refusal.error_code,
                    base_offset: -1,
                    error_message: Some(refusal.message),
                    ..PartitionProduceResponse::default()
                },
            });
        }
        responses.push(TopicProduceResponse { name: topic.name, topic_id: topic.id, partition_responses });
    }
    let response = ProduceResponse { responses, ..ProduceResponse::default() };
    endpoint.finish::<ProduceRequest>(call, &response, None)
}
