//! Batches of a transaction: verified by the coordinator and appended under the transaction's lock, so that none comes after its
//! end, and none belongs to a transaction that nobody knows.
use super::{Call, Endpoint, Refusal, Target, Topic, append as append_plain, refusal, refuse};
use crate::base::BytePermit;
use crate::coordinator::TxnError;
use crate::coordinator::items::TopicPartition;
use crate::coordinator::transactions::{Identity, TV2};
use crate::kafka::errors::ErrorCode;
use crate::log::Pending;
use crate::record::BatchHeader;

/// The version that only producers speak that know TV2: it adds partitions to the transaction.
const TV2_FROM: i16 = 12;
/// The version from which producers know TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 11;

/// Appends what a request with a transactional id brings. Batches that are of no transaction go as they always do.
pub fn append(
    endpoint: &Endpoint,
    call: Call,
    name: &str,
    topics: Vec<Topic<Target>>,
    permit: &BytePermit,
) -> Vec<Topic<Pending>> {
    let targets = topics.iter().flat_map(|topic| &topic.partitions).filter_map(|(_, target)| target.as_ref().ok());
    let parts: Vec<_> = targets.filter_map(part).collect();
    let Some((producer, _)) = parts.first().copied() else { return append_plain(endpoint, call, topics, permit) };
    if parts.iter().any(|(other, _)| *other != producer) {
        return refuse_all(topics, || refuse(endpoint, ErrorCode::InvalidProducerIdMapping));
    }
    let places: Vec<_> = parts.into_iter().map(|(_, place)| place).collect();
    let version = if call.header.api_version >= TV2_FROM { TV2 } else { 0 };
    let refused = |error: TxnError| {
        let code = code_of(call, &error);
        let message = error.to_string();
        tracing::debug!(transactional_id = name, %code, %error, "refused");
        Refusal { message, ..refuse(endpoint, code) }
    };
    let mut topics = Some(topics);
    let written = endpoint.shared.transactions.write(name, producer, version, &places, |transaction| {
        let append = |target: Target| {
            let (part, Target { partition, records }) = (part(&target), target);
            let (permit, failed) = (Some(permit.clone()), |error| refusal(endpoint, call, error).of(&partition));
            let Some((producer, place)) = part else {
                return partition.append(records, permit).map_err(failed);
            };
            transaction.verify(producer, place).map_err(refused)?;
            partition.append_transactional(records, permit).map_err(failed)
        };
        topics.take().unwrap_or_default().into_iter().map(|topic| topic.map(append)).collect()
    });
    written.unwrap_or_else(|error| refuse_all(topics.unwrap_or_default(), || refused(error.clone())))
}

/// Whose transaction a batch belongs to, and where; `None` if to none.
fn part(target: &Target) -> Option<(Identity, TopicPartition)> {
    let header = BatchHeader::parse(&target.records).ok()?;
    let producer = Identity { id: header.producer_id, epoch: header.producer_epoch };
    let place = TopicPartition { topic: target.partition.topic_id(), partition: target.partition.number() };
    header.is_transactional().then_some((producer, place))
}

fn refuse_all(topics: Vec<Topic<Target>>, refused: impl Fn() -> Refusal) -> Vec<Topic<Pending>> {
    topics.into_iter().map(|topic| topic.map(|_| Err(refused()))).collect()
}

/// What Kafka says to a batch for the sake of its transaction.
fn code_of(call: Call, error: &TxnError) -> ErrorCode {
    let version = call.header.api_version;
    match error {
        // The client may abort and go on; for the other calls of a producer it is the end.
        TxnError::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
        TxnError::Abortable if version < ABORTABLE_FROM => ErrorCode::InvalidTxnState,
        TxnError::Concurrent if version < TV2_FROM => ErrorCode::NotEnoughReplicas,
        // Sent again, without a look for another leader.
        TxnError::NotAvailable(_) | TxnError::NotCoordinator(_) => ErrorCode::NotEnoughReplicas,
        error => error.into(),
    }
}
