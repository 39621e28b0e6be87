//! What transactional producers ask: AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::offsets::place_of;
use super::{Call, Endpoint};
use crate::coordinator::calls::MemberRef;
use crate::coordinator::items::TopicPartition;
use crate::coordinator::transactions::{EndCall, Identity, TV2};
use crate::coordinator::{Commit, GroupError, TxnError};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::kafka::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
};
use crate::kafka::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use crate::kafka::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::record::Outcome;

/// The version of all of these from which clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// AddPartitionsToTxn: versions from which several transactions come at once, and may be verified only.
const BATCHES_FROM: i16 = 4;
/// EndTxn and TxnOffsetCommit: versions that only producers speak that know TV2.
const TV2_FROM: i16 = 5;
/// TxnOffsetCommit: the version from which clients know TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 4;

/// PRODUCER_FENCED as clients of `call`'s version know it: before `from` it was INVALID_PRODUCER_EPOCH.
pub fn fenced_as(code: ErrorCode, call: Call, from: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if call.header.api_version < from => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}

impl Endpoint {
    fn refuse_transaction(&self, call: Call, error: &TxnError) -> i16 {
        let code = fenced_as(ErrorCode::from(error), call, FENCED_FROM);
        tracing::debug!(api = call.api.name(), %code, %error, "refused");
        self.refuse(code)
    }
}

/// Adds partitions to a transaction, or says whether they are in it.
pub async fn add_partitions(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if call.header.api_version >= BATCHES_FROM {
        let mut results = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            let transactional_id = transaction.transactional_id.clone();
            let topic_results = add_to_one(&endpoint, call, transaction).await;
            results.push(AddPartitionsToTxnResult { transactional_id, topic_results });
        }
        return AddPartitionsToTxnResponse { results_by_transaction: results, ..AddPartitionsToTxnResponse::default() };
    }
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
    };
    let results_by_topic_v3_and_below = add_to_one(&endpoint, call, transaction).await;
    AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..AddPartitionsToTxnResponse::default() }
}

async fn add_to_one(
    endpoint: &Endpoint,
    call: Call,
    transaction: AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let AddPartitionsToTxnTransaction { transactional_id: name, producer_id: id, producer_epoch: epoch, .. } =
        transaction;
    let found: Vec<_> = transaction.topics.iter().flat_map(|topic| places(endpoint, topic)).collect();
    let places: Vec<_> = found.iter().flatten().copied().collect();
    let codes: Vec<ErrorCode> = if places.len() < found.len() {
        // One partition that there is not, and none is added.
        let code = |place: &Option<_>| match place {
            Some(_) => ErrorCode::OperationNotAttempted,
            None => ErrorCode::UnknownTopicOrPartition,
        };
        found.iter().map(code).collect()
    } else {
        let transactions = &endpoint.shared.transactions;
        let producer = Identity { id, epoch };
        let answers = match transaction.verify_only {
            true => transactions.verify(&name, producer, &places),
            false => transactions.add(&name, producer, &places, None).await.map(|()| vec![Ok(()); places.len()]),
        };
        let answers = answers.unwrap_or_else(|error| vec![Err(error); places.len()]);
        let code = |answer: Result<(), TxnError>| match answer {
            Ok(()) => ErrorCode::None,
            Err(error) => fenced_as(ErrorCode::from(&error), call, FENCED_FROM),
        };
        answers.into_iter().map(code).collect()
    };
    let mut codes = codes.into_iter();
    let mut result = |partition_index| AddPartitionsToTxnPartitionResult {
        partition_index,
        partition_error_code: match codes.next() {
            None | Some(ErrorCode::None) => 0,
            Some(code) => endpoint.refuse(code),
        },
    };
    let topic = |topic: AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name,
        results_by_partition: topic.partitions.into_iter().map(&mut result).collect(),
    };
    transaction.topics.into_iter().map(topic).collect()
}

/// The partitions of a topic; `None` for one that there is not.
fn places(endpoint: &Endpoint, topic: &AddPartitionsToTxnTopic) -> Vec<Option<TopicPartition>> {
    let known = endpoint.shared.log.topic(&topic.name).map(|topic| (topic.id, topic.partitions));
    topic.partitions.iter().map(|partition| place_of(known?, *partition).ok()).collect()
}

/// Adds a group to a transaction.
pub async fn add_offsets(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let producer = Identity { id: request.producer_id, epoch: request.producer_epoch };
    let transactions = &endpoint.shared.transactions;
    let added = transactions.add(&request.transactional_id, producer, &[], Some(&request.group_id)).await;
    let error_code = added.map_or_else(|error| endpoint.refuse_transaction(call, &error), |()| 0);
    AddOffsetsToTxnResponse { error_code, ..AddOffsetsToTxnResponse::default() }
}

/// Ends a transaction.
pub async fn end(endpoint: Arc<Endpoint>, call: Call, request: EndTxnRequest) -> EndTxnResponse {
    let version = if call.header.api_version >= TV2_FROM { TV2 } else { 0 };
    let end = EndCall {
        producer: Identity { id: request.producer_id, epoch: request.producer_epoch },
        outcome: if request.committed { Outcome::Committed } else { Outcome::Aborted },
        version,
    };
    match endpoint.shared.transactions.end(&request.transactional_id, end).await {
        Ok(Identity { id: producer_id, epoch: producer_epoch }) => {
            EndTxnResponse { producer_id, producer_epoch, ..EndTxnResponse::default() }
        }
        Err(error) => {
            let error_code = endpoint.refuse_transaction(call, &error);
            EndTxnResponse { error_code, ..EndTxnResponse::default() }
        }
    }
}

/// Commits offsets in a transaction.
pub async fn commit_offsets(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let mut offsets = BTreeMap::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let known = endpoint.shared.log.topic(&topic.name).map(|topic| (topic.id, topic.partitions));
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let place = known.and_then(|topic| place_of(topic, asked.partition_index).ok());
            if let Some(place) = place {
                let commit = Commit {
                    offset: asked.committed_offset,
                    leader_epoch: asked.committed_leader_epoch,
                    metadata: asked.committed_metadata.unwrap_or_default(),
                };
                offsets.insert(place, commit);
            }
            answers.push((asked.partition_index, place));
        }
        topics.push((topic.name, answers));
    }
    let member =
        MemberRef { id: request.member_id, instance_id: request.group_instance_id, generation: request.generation_id };
    let version = if call.header.api_version >= TV2_FROM { TV2 } else { 0 };
    let producer = Identity { id: request.producer_id, epoch: request.producer_epoch };
    let places: Vec<_> = offsets.keys().copied().collect();
    let committed = match places.is_empty() {
        // Nothing is left to commit, and so nothing begins.
        true => Ok(Ok(Vec::new())),
        false => {
            let transactions = &endpoint.shared.transactions;
            let (name, group) = (&request.transactional_id, (request.group_id.as_str(), &member));
            transactions.commit_offsets(name, producer, version, group, offsets.into_iter().collect()).await
        }
    };
    let all = |code: ErrorCode| vec![code; places.len()];
    let codes = match committed {
        Err(error) => all(code_of(call, &error)),
        Ok(Err(error)) => all(group_code(&error)),
        Ok(Ok(each)) => each.iter().map(|one| one.as_ref().err().map_or(ErrorCode::None, group_code)).collect(),
    };
    let codes: BTreeMap<_, _> = places.into_iter().zip(codes).collect();
    let partition = |(partition_index, place): (i32, Option<TopicPartition>)| TxnOffsetCommitResponsePartition {
        partition_index,
        error_code: match place.and_then(|place| codes.get(&place)) {
            Some(ErrorCode::None) => 0,
            Some(code) => endpoint.refuse(*code),
            None => endpoint.refuse(ErrorCode::UnknownTopicOrPartition),
        },
    };
    let topic = |(name, answers): (String, Vec<_>)| TxnOffsetCommitResponseTopic {
        name,
        partitions: answers.into_iter().map(partition).collect(),
    };
    TxnOffsetCommitResponse { topics: topics.into_iter().map(topic).collect(), ..TxnOffsetCommitResponse::default() }
}

/// What Kafka says to a commit of offsets for the sake of its transaction.
fn code_of(call: Call, error: &TxnError) -> ErrorCode {
    let version = call.header.api_version;
    match error {
        TxnError::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
        TxnError::Abortable if version < ABORTABLE_FROM => ErrorCode::InvalidTxnState,
        TxnError::Concurrent if version < TV2_FROM => ErrorCode::CoordinatorNotAvailable,
        error => error.into(),
    }
}

/// What Kafka says to it for the sake of the group.
fn group_code(error: &GroupError) -> ErrorCode {
    match error {
        GroupError::GroupNotFound(_) => ErrorCode::IllegalGeneration,
        error => error.into(),
    }
}
