//! Produce: batches go to the log in the order in which they came; the answer waits for the sync that covers them.
//!
//! `acks` does not weaken that: 1 is answered like -1, and 0 is not answered at all (an error then closes the connection,
//! as Kafka does, for there is no other way to tell).
//!
//! Batches of a transaction are appended while the coordinator holds the transaction still: see `transactional`.
mod transactional;

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
use crate::log::{AppendError, Partition, Pending};
use crate::record::BatchHeader;

/// Versions from this one on name topics by id.
const TOPIC_IDS_FROM: i16 = 13;

/// What a request wants appended to one topic.
struct Topic<T> {
    name: String,
    id: Uuid,
    partitions: Vec<(i32, Result<T, Refusal>)>,
}

/// A batch, and where it goes.
struct Target {
    partition: Partition,
    records: Bytes,
}

struct Refusal {
    error_code: i16,
    message: String,
    /// Where the partition that refused begins; -1 if none was asked.
    log_start: i64,
}

impl<T> Topic<T> {
    /// Does something with everything that is not refused.
    fn map<U>(self, mut to: impl FnMut(T) -> Result<U, Refusal>) -> Topic<U> {
        let partitions = self.partitions.into_iter().map(|(index, one)| (index, one.and_then(&mut to))).collect();
        Topic { name: self.name, id: self.id, partitions }
    }
}

/// Hands every batch to the log; nothing in here waits.
pub fn start(endpoint: &Arc<Endpoint>, call: Call, received: Received) -> Result<Step, Hangup> {
    let request: ProduceRequest = decode_request(received.frame).map_err(|error| endpoint.garbled(call, &error))?;
    let permit = received.permit;
    let acks = request.acks;
    let targets = request.topic_data.into_iter().map(|data| targets(endpoint, call, acks, data)).collect();
    let topics = match &request.transactional_id {
        None => append(endpoint, call, targets, &permit),
        Some(name) => transactional::append(endpoint, call, name, targets, &permit),
    };
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

/// Looks up where batches go.
fn targets(endpoint: &Endpoint, call: Call, acks: i16, data: TopicProduceData) -> Topic<Target> {
    let by_id = call.header.api_version >= TOPIC_IDS_FROM;
    let name = if by_id {
        endpoint.shared.log.topic_by_id(data.topic_id).map(|topic| topic.name.clone())
    } else {
        Some(data.name)
    };
    let target = |index: i32, records: Option<Bytes>| {
        if !(-1..=1).contains(&acks) {
            return Err(refuse(endpoint, ErrorCode::InvalidRequiredAcks));
        }
        let Some(name) = &name else { return Err(refuse(endpoint, ErrorCode::UnknownTopicId)) };
        match endpoint.shared.log.partition(name, index) {
            Some(partition) => Ok(Target { partition, records: records.unwrap_or_default() }),
            None => Err(refuse(endpoint, ErrorCode::UnknownTopicOrPartition)),
        }
    };
    let partitions = data.partition_data.into_iter().map(|p| (p.index, target(p.index, p.records))).collect();
    Topic { name: if by_id { String::new() } else { name.unwrap_or_default() }, id: data.topic_id, partitions }
}

/// Appends batches that are of no transaction.
fn append(endpoint: &Endpoint, call: Call, topics: Vec<Topic<Target>>, permit: &BytePermit) -> Vec<Topic<Pending>> {
    let append = |target: Target| {
        if BatchHeader::parse(&target.records).is_ok_and(|header| header.is_transactional()) {
            return Err(refuse(endpoint, ErrorCode::TransactionalIdAuthorizationFailed));
        }
        let appended = target.partition.append(target.records, Some(permit.clone()));
        appended.map_err(|error| refusal(endpoint, call, error).of(&target.partition))
    };
    topics.into_iter().map(|topic| topic.map(append)).collect()
}

fn refuse(endpoint: &Endpoint, code: ErrorCode) -> Refusal {
    Refusal { error_code: endpoint.refuse(code), message: code.meaning().to_owned(), log_start: -1 }
}

fn refusal(endpoint: &Endpoint, call: Call, error: AppendError) -> Refusal {
    let message = error.to_string();
    Refusal { error_code: endpoint.fail(call, error), message, log_start: -1 }
}

impl Refusal {
    /// The same, from this partition. It does not say where it begins to what is no batch, or too large for one.
    fn of(self, partition: &Partition) -> Self {
        match ErrorCode::from_wire(self.error_code) {
            ErrorCode::CorruptMessage | ErrorCode::MessageTooLarge | ErrorCode::UnsupportedForMessageFormat => self,
            _ => Self { log_start: partition.ends().log_start, ..self },
        }
    }
}

/// Waits for the syncs.
async fn answer(endpoint: Arc<Endpoint>, call: Call, topics: Vec<Topic<Pending>>) -> Answer {
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
                    log_start_offset: refusal.log_start,
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
