//! Where offsets are: by time, by name and by epoch; and where a partition begins.
use super::*;
use crate::kafka::client::{EARLIEST, FetchLimits, LATEST, MAX_TIMESTAMP};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use crate::kafka::messages::list_offsets::{
    EARLIEST_PENDING_UPLOAD, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::kafka::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

const LIMITS: FetchLimits =
    FetchLimits { max_wait: Duration::from_millis(100), partition_max_bytes: 1 << 20, committed_only: false };

#[tokio::test]
async fn offsets_are_found_by_time_and_by_name() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let client = setup.client().await;
    client.produce(&topic, 0, batch(&["a", "b", "c"])).await.unwrap();
    let offset = async |timestamp| client.list_offsets("t", &[0], timestamp, false).await.unwrap()[0].offset;
    assert_eq!((offset(EARLIEST).await, offset(LATEST).await, offset(MAX_TIMESTAMP).await), (0, 3, 2));
    assert_eq!((offset(1_700_000_000_001).await, offset(1_800_000_000_000).await), (1, -1));

    let mut raw = setup.raw().await;
    let mut found = async |version: i16, timestamp: i64, epoch: i32| -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition { partition_index: 0, current_leader_epoch: epoch, timestamp };
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        raw.call(version, &request).await.topics[0].partitions[0].clone()
    };
    for version in 1..=11 {
        let answer = found(version, LATEST, -1).await;
        assert_eq!((answer.error_code, answer.offset), (0, 3), "version {version}");
        let max = ErrorCode::from_wire(found(version, MAX_TIMESTAMP, -1).await.error_code);
        assert_eq!(max, if version < 7 { ErrorCode::UnsupportedVersion } else { ErrorCode::None });
        let unsealed = found(version, EARLIEST_PENDING_UPLOAD, -1).await;
        let expected = if version < 11 { (ErrorCode::UnsupportedVersion, -1) } else { (ErrorCode::None, 0) };
        assert_eq!((ErrorCode::from_wire(unsealed.error_code), unsealed.offset), expected, "version {version}");
    }
    assert_eq!(ErrorCode::from_wire(found(4, LATEST, 999).await.error_code), ErrorCode::UnknownLeaderEpoch);
}

#[tokio::test]
async fn the_end_of_an_epoch_is_where_the_next_one_begins() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    setup.client().await.produce(&topic, 0, batch(&["a", "b"])).await.unwrap();
    let epoch = i32::try_from(setup.log.epoch()).unwrap();
    for version in 2..=4 {
        let partition = OffsetForLeaderPartition { leader_epoch: epoch, ..OffsetForLeaderPartition::default() };
        let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![partition] }];
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
        let answer = setup.raw().await.call(version, &request).await.topics[0].partitions[0].clone();
        assert_eq!((answer.error_code, answer.leader_epoch, answer.end_offset), (0, epoch, 2));
        // In a partition without records every epoch ends where it begins, and no epoch is none.
        let partition =
            OffsetForLeaderPartition { partition: 1, leader_epoch: -1, ..OffsetForLeaderPartition::default() };
        let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![partition] }];
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
        let answer = setup.raw().await.call(version, &request).await.topics[0].partitions[0].clone();
        assert_eq!((answer.error_code, answer.leader_epoch, answer.end_offset), (0, -1, -1), "no epoch");
    }
}

#[tokio::test]
async fn a_partition_that_is_asked_for_twice_is_refused_once_and_the_others_answered() {
    let setup = Setup::new().await;
    setup.topic("t", 2).await;
    let asked = |name: &str, partitions: &[i32]| ListOffsetsTopic {
        name: name.into(),
        partitions: partitions
            .iter()
            .map(|&partition_index| ListOffsetsPartition {
                partition_index,
                current_leader_epoch: -1,
                timestamp: EARLIEST,
            })
            .collect(),
    };
    let mut raw = setup.raw().await;
    // Twice in one topic, and once each in two.
    for (topics, expected) in [
        (vec![asked("t", &[0, 1, 0])], vec![("t", 0, 42, -1), ("t", 1, 0, 0)]),
        (vec![asked("t", &[0]), asked("t", &[0, 1])], vec![("t", 0, 42, -1), ("t", 0, 42, -1), ("t", 1, 0, 0)]),
        (vec![asked("t", &[0]), asked("u", &[0])], vec![("t", 0, 0, 0), ("u", 0, 3, -1)]),
    ] {
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        let answer = raw.call(7, &request).await;
        let topics = answer.topics.iter();
        let partitions = topics.flat_map(|topic| topic.partitions.iter().map(|found| (topic.name.as_str(), found)));
        let mut found: Vec<_> = partitions.map(|(t, p)| (t, p.partition_index, p.error_code, p.offset)).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_time_that_a_version_does_not_know_is_refused_before_anything_is_looked_up() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    for (name, partition_index, current_leader_epoch) in [("t", 0, -1), ("t", 0, 999), ("t", 7, -1), ("u", 0, -1)] {
        let partition = ListOffsetsPartition { partition_index, current_leader_epoch, timestamp: MAX_TIMESTAMP };
        let topics = vec![ListOffsetsTopic { name: name.into(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        let code = raw.call(6, &request).await.topics[0].partitions[0].error_code;
        assert_eq!(ErrorCode::from_wire(code), ErrorCode::UnsupportedVersion, "{name} {partition_index}");
    }
}

#[tokio::test]
async fn a_level_of_isolation_that_there_is_not_is_refused() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    for (isolation_level, expected) in
        [(0, ErrorCode::None), (1, ErrorCode::None), (2, ErrorCode::InvalidRequest), (-1, ErrorCode::InvalidRequest)]
    {
        let partition = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp: LATEST };
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, isolation_level, topics, ..ListOffsetsRequest::default() };
        let answer = raw.call(7, &request).await;
        assert_eq!(ErrorCode::from_wire(answer.topics[0].partitions[0].error_code), expected, "{isolation_level}");
    }
}

#[tokio::test]
async fn offsets_that_are_still_to_come_are_of_the_epoch_that_will_write_them() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let first = setup.client().await;
    let epoch = async |setup: &Setup, timestamp| {
        let partition = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp };
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        setup.raw().await.call(7, &request).await.topics[0].partitions[0].leader_epoch
    };
    let ours = i32::try_from(setup.log.epoch()).unwrap();
    assert_eq!((epoch(&setup, EARLIEST).await, epoch(&setup, LATEST).await), (ours, ours), "nothing was written");
    first.produce(&topic, 0, batch(&["a"])).await.unwrap();
    let setup = setup.restart().await;
    let next = i32::try_from(setup.log.epoch()).unwrap();
    assert!(next > ours);
    assert_eq!((epoch(&setup, EARLIEST).await, epoch(&setup, LATEST).await), (ours, next));
}

#[tokio::test]
async fn deleted_records_are_gone_for_readers() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let client = setup.client().await;
    for value in ["a", "b", "c", "d"] {
        client.produce(&topic, 0, batch(&[value])).await.unwrap();
    }
    let mut raw = setup.raw().await;
    for (version, offset, expected) in [(0, 2, 2), (1, 1, 2), (2, -1, 4)] {
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
        let topics = vec![DeleteRecordsTopic { name: "t".into(), partitions }];
        let answer = raw.call(version, &DeleteRecordsRequest { topics, timeout_ms: 1000 }).await;
        let answer = &answer.topics[0].partitions[0];
        assert_eq!((answer.error_code, answer.low_watermark), (0, expected));
    }
    let error = client.fetch(&topic, &[(0, 1)], LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("OFFSET_OUT_OF_RANGE"), "{error}");
}

#[tokio::test]
async fn records_of_a_topic_that_is_only_compacted_are_not_deleted() {
    let setup = Setup::new().await;
    let client = setup.client().await;
    let mut raw = setup.raw().await;
    for (name, policy, expected) in [
        ("compacted", "compact", ErrorCode::PolicyViolation),
        ("neither", "", ErrorCode::PolicyViolation),
        ("both", "compact,delete", ErrorCode::None),
        ("deleted", "delete", ErrorCode::None),
    ] {
        let settings = [("cleanup.policy".to_owned(), policy.to_owned())].into();
        client.create_topic(name, Some(1), &settings).await.unwrap();
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 0 }];
        let topics = vec![DeleteRecordsTopic { name: name.into(), partitions }];
        let answer = raw.call(2, &DeleteRecordsRequest { topics, timeout_ms: 1000 }).await;
        let answer = &answer.topics[0].partitions[0];
        assert_eq!(ErrorCode::from_wire(answer.error_code), expected, "{name}");
    }
}
