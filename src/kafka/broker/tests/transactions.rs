//! What transactional producers, those who read what they wrote, and administrators are told.
mod admin;
mod offsets;

use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use crate::kafka::messages::api_versions::ApiVersionsRequest;
use crate::kafka::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use crate::kafka::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use crate::kafka::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use crate::kafka::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use crate::kafka::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::kafka::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use crate::kafka::messages::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};

/// Versions of produce, of commits of offsets and of ends: of a producer that speaks TV2, and of one that does not.
const NEW: (i16, i16, i16) = (13, 5, 5);
const OLD: (i16, i16, i16) = (9, 3, 3);

/// A transactional producer on a connection of its own.
struct Writer {
    raw: Raw,
    topic: Topic,
    versions: (i16, i16, i16),
    id: i64,
    epoch: i16,
    sequence: i32,
}

impl Writer {
    async fn new(setup: &Setup, topic: &Topic, versions: (i16, i16, i16)) -> Self {
        let mut writer =
            Self { raw: setup.raw().await, topic: topic.clone(), versions, id: -1, epoch: -1, sequence: 0 };
        let given = writer.init().await;
        assert_eq!(given.error_code, 0);
        (writer.id, writer.epoch) = (given.producer_id, given.producer_epoch);
        writer
    }

    async fn init(&mut self) -> InitProducerIdResponse {
        let request = InitProducerIdRequest {
            transactional_id: Some("x".to_owned()),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        self.raw.call(4, &request).await
    }

    fn batch(&self, value: &str) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder.set_transactional();
        builder.set_producer(Producer { id: self.id, epoch: self.epoch, base_sequence: self.sequence });
        let record = Record { value: Some(Bytes::copy_from_slice(value.as_bytes())), ..Record::default() };
        let _ = builder.push(&record.as_ref()).unwrap();
        builder.finish(Codec::None, None).unwrap()
    }

    fn request(&self, partition: i32, value: &str) -> ProduceRequest {
        let data = PartitionProduceData { index: partition, records: Some(self.batch(value)) };
        let topic =
            TopicProduceData { name: self.topic.name.clone(), topic_id: self.topic.id, partition_data: vec![data] };
        ProduceRequest { transactional_id: Some("x".to_owned()), acks: -1, timeout_ms: 1000, topic_data: vec![topic] }
    }

    /// Sends a record; the offset that it got.
    async fn send(&mut self, partition: i32, value: &str) -> Result<i64, ErrorCode> {
        let request = self.request(partition, value);
        let answer = self.raw.call(self.versions.0, &request).await;
        let answer = &answer.responses[0].partition_responses[0];
        match ErrorCode::from_wire(answer.error_code) {
            ErrorCode::None => {
                self.sequence += 1;
                Ok(answer.base_offset)
            }
            code => Err(code),
        }
    }

    async fn add(&mut self, partitions: &[i32]) -> Vec<ErrorCode> {
        let topics = vec![AddPartitionsToTxnTopic { name: self.topic.name.clone(), partitions: partitions.to_vec() }];
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: "x".to_owned(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: topics,
            ..AddPartitionsToTxnRequest::default()
        };
        let answer = self.raw.call(3, &request).await;
        let results = &answer.results_by_topic_v3_and_below[0].results_by_partition;
        results.iter().map(|result| ErrorCode::from_wire(result.partition_error_code)).collect()
    }

    async fn end_as(&mut self, committed: bool, epoch: i16) -> EndTxnResponse {
        let request =
            EndTxnRequest { transactional_id: "x".to_owned(), producer_id: self.id, producer_epoch: epoch, committed };
        self.raw.call(self.versions.2, &request).await
    }

    /// Ends the transaction and goes on as the answer says.
    async fn end(&mut self, committed: bool) -> ErrorCode {
        let answer = self.end_as(committed, self.epoch).await;
        if answer.error_code == 0 && self.versions == NEW {
            assert_eq!((answer.producer_id, answer.producer_epoch), (self.id, self.epoch + 1));
            (self.epoch, self.sequence) = (answer.producer_epoch, 0);
        }
        ErrorCode::from_wire(answer.error_code)
    }

    fn commit_of(&self, group: &str, offset: i64) -> TxnOffsetCommitRequest {
        let partition =
            TxnOffsetCommitRequestPartition { committed_offset: offset, ..TxnOffsetCommitRequestPartition::default() };
        let topic = TxnOffsetCommitRequestTopic { name: self.topic.name.clone(), partitions: vec![partition] };
        TxnOffsetCommitRequest {
            transactional_id: "x".to_owned(),
            group_id: group.to_owned(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            topics: vec![topic],
            ..TxnOffsetCommitRequest::default()
        }
    }

    async fn commit_offset(&mut self, group: &str, offset: i64) -> ErrorCode {
        let request = self.commit_of(group, offset);
        self.commit(&request).await[0]
    }

    async fn commit(&mut self, request: &TxnOffsetCommitRequest) -> Vec<ErrorCode> {
        let answer = self.raw.call(self.versions.1, request).await;
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| ErrorCode::from_wire(partition.error_code)).collect()
    }

    /// What a reader of committed records sees of a partition: values, the aborted transactions, the last stable offset.
    async fn read(&mut self, partition: i32) -> (Vec<String>, usize, i64) {
        let asked = FetchPartition { partition, partition_max_bytes: 1 << 20, ..FetchPartition::default() };
        let topic = FetchTopic { topic: self.topic.name.clone(), partitions: vec![asked], ..FetchTopic::default() };
        let request = FetchRequest {
            max_bytes: 1 << 20,
            isolation_level: 1,
            topics: vec![topic],
            session_epoch: -1,
            ..FetchRequest::default()
        };
        let answer = self.raw.call(11, &request).await;
        let answer = &answer.responses[0].partitions[0];
        let values =
            records(&answer.records.clone().unwrap_or_default().to_bytes()).into_iter().map(|(_, value)| value);
        let aborted = answer.aborted_transactions.as_ref().map_or(0, Vec::len);
        (values.collect(), aborted, answer.last_stable_offset)
    }

    async fn offset(&mut self, group: &str, stable: bool) -> Result<i64, ErrorCode> {
        let topic = OffsetFetchRequestTopics {
            name: self.topic.name.clone(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        let request =
            OffsetFetchRequest { groups: vec![group], require_stable: stable, ..OffsetFetchRequest::default() };
        let answer = self.raw.call(8, &request).await;
        let answer = &answer.groups[0].topics[0].partitions[0];
        match ErrorCode::from_wire(answer.error_code) {
            ErrorCode::None => Ok(answer.committed_offset),
            code => Err(code),
        }
    }
}

#[tokio::test]
async fn a_transaction_of_either_version_is_there_as_a_whole_or_not_at_all() {
    for versions in [OLD, NEW] {
        let setup = Setup::new().await;
        let topic = setup.topic("t", 2).await;
        let mut writer = Writer::new(&setup, &topic, versions).await;
        for (round, committed) in [(0, true), (1, false), (2, true)] {
            if versions == OLD {
                assert_eq!(writer.send(0, "not added").await, Err(ErrorCode::InvalidTxnState));
                assert_eq!(writer.add(&[0]).await, [ErrorCode::None]);
                assert_eq!(writer.send(1, "not added").await, Err(ErrorCode::InvalidTxnState));
            }
            let offset = writer.send(0, &format!("round {round}")).await;
            assert_eq!(offset, Ok(2 * round));
            assert_eq!(writer.read(0).await.2, 2 * round, "not decided");
            // The same batch again: its answer may have been lost.
            writer.sequence -= 1;
            assert_eq!(writer.send(0, &format!("round {round}")).await, offset);
            assert_eq!(writer.end(committed).await, ErrorCode::None);
            assert_eq!(writer.read(0).await.2, 2 * round + 2);
        }
        let (values, aborted, _) = writer.read(0).await;
        assert_eq!((values.as_slice(), aborted), (["round 0", "round 1", "round 2"].map(str::to_owned).as_slice(), 1));
    }
}

#[tokio::test]
async fn an_end_is_answered_again_the_same_way_and_no_other() {
    for versions in [OLD, NEW] {
        let setup = Setup::new().await;
        let topic = setup.topic("t", 1).await;
        let mut writer = Writer::new(&setup, &topic, versions).await;
        assert_eq!(writer.end_as(true, writer.epoch).await.error_code, ErrorCode::InvalidTxnState.code());
        if versions == OLD {
            writer.add(&[0]).await;
        }
        writer.send(0, "x").await.unwrap();
        let first = writer.end_as(true, writer.epoch).await;
        assert_eq!(first.error_code, 0);
        assert_eq!(writer.end_as(true, writer.epoch).await, first);
        assert_eq!(writer.end_as(false, writer.epoch).await.error_code, ErrorCode::InvalidTxnState.code());
    }
}

#[tokio::test]
async fn a_new_instance_fences_the_one_before_and_aborts_what_it_had_open() {
    for versions in [OLD, NEW] {
        let setup = Setup::new().await;
        let topic = setup.topic("t", 1).await;
        let mut zombie = Writer::new(&setup, &topic, versions).await;
        if versions == OLD {
            zombie.add(&[0]).await;
        }
        zombie.send(0, "zombie").await.unwrap();
        let mut writer = Writer { raw: setup.raw().await, ..zombie };
        let concurrent = writer.init().await;
        assert_eq!(concurrent.error_code, ErrorCode::ConcurrentTransactions.code());
        let given = loop {
            let given = writer.init().await;
            if given.error_code == 0 {
                break given;
            }
        };
        let mut zombie = Writer { raw: setup.raw().await, topic: topic.clone(), ..writer };
        assert_eq!((given.producer_id, given.producer_epoch), (zombie.id, zombie.epoch + 2));
        assert_eq!(zombie.send(0, "late").await, Err(ErrorCode::InvalidProducerEpoch));
        assert_eq!(zombie.end(true).await, ErrorCode::ProducerFenced);
        assert_eq!(zombie.commit_offset("g", 1).await, ErrorCode::InvalidProducerEpoch);
        let (_, aborted, stable) = zombie.read(0).await;
        assert_eq!((aborted, stable), (1, 2));
    }
}

#[tokio::test]
async fn a_restart_goes_on_with_what_is_open_and_knows_what_has_ended() {
    for versions in [OLD, NEW] {
        let setup = Setup::new().await;
        let topic = setup.topic("t", 2).await;
        let mut writer = Writer::new(&setup, &topic, versions).await;
        if versions == OLD {
            writer.add(&[0, 1]).await;
        }
        writer.send(0, "first").await.unwrap();
        let setup = setup.restart().await;
        let mut writer = Writer { raw: setup.raw().await, ..writer };
        writer.send(1, "second").await.unwrap();
        let ended = writer.end_as(true, writer.epoch).await;
        assert_eq!(ended.error_code, 0);
        let setup = setup.restart().await;
        writer.raw = setup.raw().await;
        assert_eq!(writer.end_as(true, writer.epoch).await, ended, "the same answer");
        for (partition, value) in [(0, "first"), (1, "second")] {
            assert_eq!(writer.read(partition).await, (vec![value.to_owned()], 0, 2));
        }
    }
}

#[tokio::test]
async fn partitions_that_there_are_not_are_not_added_and_brokers_may_verify() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let mut writer = Writer::new(&setup, &topic, OLD).await;
    assert_eq!(writer.add(&[0, 7]).await, [ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(writer.add(&[0]).await, [ErrorCode::None]);
    let transaction = |name: &str, epoch| AddPartitionsToTxnTransaction {
        transactional_id: name.to_owned(),
        producer_id: writer.id,
        producer_epoch: epoch,
        verify_only: true,
        topics: vec![AddPartitionsToTxnTopic { name: "t".to_owned(), partitions: vec![0, 1] }],
    };
    let transactions = vec![transaction("x", 0), transaction("x", 3), transaction("y", 0), transaction("", 0)];
    let answer = writer.raw.call(5, &AddPartitionsToTxnRequest { transactions, ..Default::default() }).await;
    let codes: Vec<Vec<_>> = answer
        .results_by_transaction
        .iter()
        .map(|result| {
            let results = &result.topic_results[0].results_by_partition;
            results.iter().map(|result| ErrorCode::from_wire(result.partition_error_code)).collect()
        })
        .collect();
    let expected = [
        [ErrorCode::None, ErrorCode::TransactionAbortable],
        [ErrorCode::ProducerFenced; 2],
        [ErrorCode::InvalidProducerIdMapping; 2],
        [ErrorCode::InvalidRequest; 2],
    ];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_by_name() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let mut writer = Writer::new(&setup, &topic, NEW).await;
    let init = |name: &str, timeout, id| InitProducerIdRequest {
        transactional_id: Some(name.to_owned()),
        transaction_timeout_ms: timeout,
        producer_id: id,
        producer_epoch: -1,
    };
    let cases = [
        (init("", 1000, -1), ErrorCode::InvalidRequest),
        (init("x", 0, -1), ErrorCode::InvalidTransactionTimeout),
        (init("x", 900_001, -1), ErrorCode::InvalidTransactionTimeout),
        (init("x", 1000, 4), ErrorCode::InvalidRequest),
    ];
    for (request, expected) in cases {
        assert_eq!(ErrorCode::from_wire(writer.raw.call(4, &request).await.error_code), expected, "{request:?}");
    }
    let request = ProduceRequest { transactional_id: None, ..writer.request(0, "x") };
    let answer = writer.raw.call(13, &request).await;
    assert_eq!(
        answer.responses[0].partition_responses[0].error_code,
        ErrorCode::TransactionalIdAuthorizationFailed.code()
    );
    let request = ProduceRequest { transactional_id: Some("y".to_owned()), ..writer.request(0, "x") };
    let answer = writer.raw.call(13, &request).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, ErrorCode::InvalidProducerIdMapping.code());
}

#[tokio::test]
async fn the_version_of_transactions_is_a_feature_that_is_on() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let asked = ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1.0".into() };
    for (version, supported) in [(3, None), (4, Some(("transaction.version", 0, 2)))] {
        let answer = raw.call(version, &asked).await;
        // Clients of version 3 cannot read a least level of 0.
        let first = answer.supported_features.first();
        assert_eq!(first.map(|known| (known.name.as_str(), known.min_version, known.max_version)), supported);
        let on = &answer.finalized_features[0];
        assert_eq!((on.name.as_str(), on.max_version_level), ("transaction.version", 2));
        assert!(answer.finalized_features_epoch >= 0);
    }
    for (level, expected) in [(2, ErrorCode::None), (1, ErrorCode::InvalidUpdateVersion)] {
        let update = FeatureUpdateKey {
            feature: "transaction.version".to_owned(),
            max_version_level: level,
            ..Default::default()
        };
        let request = UpdateFeaturesRequest { feature_updates: vec![update], ..UpdateFeaturesRequest::default() };
        assert_eq!(ErrorCode::from_wire(raw.call(2, &request).await.error_code), expected);
        assert_eq!(ErrorCode::from_wire(raw.call(1, &request).await.results[0].error_code), expected);
    }
}
