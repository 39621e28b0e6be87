//! What administrators ask about transactions: DescribeTransactions, ListTransactions, DescribeProducers; and WriteTxnMarkers.
//!
//! WriteTxnMarkers is how brokers of a cluster tell each other of ends. There is one broker here, which needs no word to itself,
//! but `kafka-transactions.sh abort` speaks it too, with the producer and the partition in which its transaction is open. So an
//! abort is taken, as one of the whole transaction; a commit is refused, for no client has a reason to decide that.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::base::Uuid;
use crate::coordinator::TxnError;
use crate::coordinator::items::TopicPartition;
use crate::coordinator::transactions::{Filter, Identity, Listed};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use crate::kafka::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
};
use crate::kafka::messages::list_transactions::{self, ListTransactionsRequest, ListTransactionsResponse};
use crate::kafka::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::log::{ActiveProducer, Partition};

/// Describes transactional ids.
pub async fn describe(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let one = |transactional_id: String| match endpoint.shared.transactions.describe(&transactional_id) {
        Ok(described) => {
            let entry = described.entry;
            let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| {
                let topic = endpoint.shared.log.topic_by_id(*id)?.name.clone();
                Some(TopicData { topic, partitions: partitions.iter().copied().collect() })
            };
            TransactionState {
                error_code: 0,
                transactional_id,
                transaction_state: described.state.to_owned(),
                transaction_timeout_ms: entry.timeout_ms,
                transaction_start_time_ms: entry.start_ms,
                producer_id: entry.producer_id,
                producer_epoch: entry.epoch,
                topics: entry.partitions.iter().filter_map(topic).collect(),
            }
        }
        Err(error) => {
            TransactionState { error_code: endpoint.fail(call, error), transactional_id, ..TransactionState::default() }
        }
    };
    let transaction_states = request.transactional_ids.into_iter().map(one).collect();
    DescribeTransactionsResponse { transaction_states, ..DescribeTransactionsResponse::default() }
}

/// Lists transactional ids.
pub async fn list(endpoint: Arc<Endpoint>, call: Call, request: ListTransactionsRequest) -> ListTransactionsResponse {
    let (states, unknown_state_filters): (Vec<_>, Vec<_>) =
        request.state_filters.into_iter().partition(|state| Filter::STATES.contains(&state.as_str()));
    let mut answer = ListTransactionsResponse { unknown_state_filters, ..ListTransactionsResponse::default() };
    if states.is_empty() && !answer.unknown_state_filters.is_empty() {
        return answer;
    }
    let pattern = request.transactional_id_pattern.filter(|pattern| !pattern.is_empty());
    let pattern = match pattern.map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$"))).transpose() {
        Ok(pattern) => pattern,
        Err(error) => {
            tracing::debug!(api = call.api.name(), %error, "refused");
            answer.error_code = endpoint.refuse(ErrorCode::InvalidRegularExpression);
            return answer;
        }
    };
    let filter = Filter {
        states: states.into_iter().collect(),
        producer_ids: request.producer_id_filters.into_iter().collect(),
        began_before_ms: Some(request.duration_filter).filter(|ms| *ms >= 0),
        pattern,
    };
    let one = |listed: Listed| list_transactions::TransactionState {
        transactional_id: listed.name,
        producer_id: listed.producer_id,
        transaction_state: listed.state.to_owned(),
    };
    answer.transaction_states = endpoint.shared.transactions.list(&filter).into_iter().map(one).collect();
    answer
}

/// Lists who writes to partitions.
pub async fn producers(
    endpoint: Arc<Endpoint>,
    _: Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let state = |producer: ActiveProducer| ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.open_from.unwrap_or(-1),
    };
    let partition = |topic: &str, partition_index| match endpoint.shared.log.partition(topic, partition_index) {
        Some(partition) => PartitionResponse {
            partition_index,
            active_producers: partition.active_producers().into_iter().map(state).collect(),
            ..PartitionResponse::default()
        },
        None => {
            let code = endpoint.no_such_topic(topic);
            PartitionResponse {
                partition_index,
                error_code: endpoint.refuse(code),
                error_message: Some(code.meaning().to_owned()),
                ..PartitionResponse::default()
            }
        }
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions = topic.partition_indexes.into_iter().map(|index| partition(&topic.name, index)).collect();
        topics.push(TopicResponse { name: topic.name, partitions });
    }
    DescribeProducersResponse { topics, ..DescribeProducersResponse::default() }
}

/// Aborts transactions that are open in partitions.
pub async fn write_markers(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in request.markers {
        let producer = Identity { id: marker.producer_id, epoch: marker.producer_epoch };
        let places: Vec<_> = marker
            .topics
            .iter()
            .flat_map(|topic| {
                topic.partition_indexes.iter().map(|index| endpoint.shared.log.partition(&topic.name, *index))
            })
            .collect();
        let codes = abort_all(&endpoint, &marker, producer, &places).await;
        let mut codes = codes.into_iter();
        let mut result = |partition_index| WritableTxnMarkerPartitionResult {
            partition_index,
            error_code: match codes.next() {
                None | Some(ErrorCode::None) => 0,
                Some(code) => {
                    tracing::debug!(api = call.api.name(), %code, "refused");
                    endpoint.refuse(code)
                }
            },
        };
        let mut topics = Vec::with_capacity(marker.topics.len());
        for topic in marker.topics {
            let partitions = topic.partition_indexes.into_iter().map(&mut result).collect();
            topics.push(WritableTxnMarkerTopicResult { name: topic.name, partitions });
        }
        markers.push(WritableTxnMarkerResult { producer_id: producer.id, topics });
    }
    WriteTxnMarkersResponse { markers }
}

/// Aborts in each partition; the first abort is one of the whole transaction.
async fn abort_all(
    endpoint: &Endpoint,
    marker: &WritableTxnMarker,
    producer: Identity,
    places: &[Option<Partition>],
) -> Vec<ErrorCode> {
    let mut codes = Vec::with_capacity(places.len());
    let mut aborted = false;
    for place in places {
        let Some(partition) = place else {
            codes.push(ErrorCode::UnknownTopicOrPartition);
            continue;
        };
        if marker.transaction_result {
            codes.push(ErrorCode::ClusterAuthorizationFailed);
            continue;
        }
        let place = TopicPartition { topic: partition.topic_id(), partition: partition.number() };
        codes.push(match endpoint.shared.transactions.abort(producer, place).await {
            Ok(()) => {
                aborted = true;
                ErrorCode::None
            }
            Err(TxnError::InvalidState(_)) if aborted => ErrorCode::None,
            Err(TxnError::Fenced { .. }) => ErrorCode::InvalidProducerEpoch,
            Err(error) => ErrorCode::from(&error),
        });
    }
    codes
}
