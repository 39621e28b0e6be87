//! What is answered to whom: versions, strangers, and every API in every version.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::api_versions::ApiVersionsRequest;
use crate::kafka::messages::describe_cluster::DescribeClusterRequest;
use crate::kafka::messages::init_producer_id::InitProducerIdRequest;
use crate::kafka::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::kafka::messages::*;

#[tokio::test]
async fn the_table_of_apis_is_told_in_every_version_and_to_clients_of_the_future_too() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for version in 0..=4 {
        let answer = raw.call(version, &client("test", "1.0")).await;
        assert_eq!((answer.error_code, answer.api_keys.len()), (0, Api::ALL.len()));
        let produce = &answer.api_keys[0];
        assert_eq!((produce.api_key, produce.min_version, produce.max_version), (0, 0, 13));
    }
    raw.stream.write_all(&[0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 42, 0, 1, b'x', 0, 1, 1]).await.unwrap();
    let frame = raw.frame().await.unwrap();
    let (id, answer) = decode_response::<ApiVersionsRequest>(0, frame).unwrap();
    assert_eq!((id, ErrorCode::from_wire(answer.error_code)), (42, ErrorCode::UnsupportedVersion));
    assert_eq!(answer.api_keys.len(), Api::ALL.len());
    let answer = raw.call(4, &client("test", "1.0")).await;
    assert_eq!(answer.error_code, 0, "the connection goes on");
}

fn client(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest { client_software_name: name.into(), client_software_version: version.into() }
}

#[tokio::test]
async fn a_client_says_what_it_is_in_words_that_can_be_shown() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for (name, version, expected) in
        [("a.b-c", "1", 0), ("", "1", 42), ("a b", "1", 42), ("-a", "1", 42), ("a", "1.", 42), ("a", "", 42)]
    {
        let answer = raw.call(4, &client(name, version)).await;
        assert_eq!((answer.error_code, answer.api_keys.is_empty()), (expected, expected != 0), "{name} {version}");
        assert_eq!(raw.call(2, &client(name, version)).await.error_code, 0, "not asked for before version 3");
    }
}

#[test]
fn apis_are_told_in_the_order_of_their_keys() {
    assert!(Api::ALL.is_sorted(), "{:?}", Api::ALL);
}

#[tokio::test]
async fn unknown_apis_and_versions_and_garbled_bodies_close_the_connection() {
    let setup = Setup::new().await;
    let frames: [&[u8]; 4] = [
        &[0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        &[0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 3, 0, 77, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
    ];
    for frame in frames {
        let mut raw = setup.raw().await;
        raw.stream.write_all(&(frame.len() as u32).to_be_bytes()).await.unwrap();
        raw.stream.write_all(frame).await.unwrap();
        assert_eq!(raw.frame().await, None, "{frame:?}");
    }
    assert!(setup.client().await.topics(None, false).await.unwrap().is_empty());
}

/// Sends the default request of an API in every version; every answer must be readable.
async fn smoke<R: Request + Default>(raw: &mut Raw) {
    for version in R::API.versions() {
        raw.call(version, &R::default()).await;
    }
}

#[tokio::test]
async fn every_api_answers_in_every_version() {
    let setup = Setup::new().await;
    setup.topic("t", 3).await;
    let mut raw = setup.raw().await;
    smoke::<fetch::FetchRequest>(&mut raw).await;
    smoke::<list_offsets::ListOffsetsRequest>(&mut raw).await;
    smoke::<MetadataRequest>(&mut raw).await;
    smoke::<offset_commit::OffsetCommitRequest>(&mut raw).await;
    smoke::<offset_fetch::OffsetFetchRequest>(&mut raw).await;
    smoke::<find_coordinator::FindCoordinatorRequest>(&mut raw).await;
    smoke::<join_group::JoinGroupRequest>(&mut raw).await;
    smoke::<heartbeat::HeartbeatRequest>(&mut raw).await;
    smoke::<leave_group::LeaveGroupRequest>(&mut raw).await;
    smoke::<sync_group::SyncGroupRequest>(&mut raw).await;
    smoke::<describe_groups::DescribeGroupsRequest>(&mut raw).await;
    smoke::<list_groups::ListGroupsRequest>(&mut raw).await;
    smoke::<delete_groups::DeleteGroupsRequest>(&mut raw).await;
    smoke::<offset_delete::OffsetDeleteRequest>(&mut raw).await;
    smoke::<create_topics::CreateTopicsRequest>(&mut raw).await;
    smoke::<delete_topics::DeleteTopicsRequest>(&mut raw).await;
    smoke::<delete_records::DeleteRecordsRequest>(&mut raw).await;
    smoke::<InitProducerIdRequest>(&mut raw).await;
    smoke::<offset_for_leader_epoch::OffsetForLeaderEpochRequest>(&mut raw).await;
    smoke::<describe_configs::DescribeConfigsRequest>(&mut raw).await;
    smoke::<alter_configs::AlterConfigsRequest>(&mut raw).await;
    smoke::<describe_log_dirs::DescribeLogDirsRequest>(&mut raw).await;
    smoke::<create_partitions::CreatePartitionsRequest>(&mut raw).await;
    smoke::<incremental_alter_configs::IncrementalAlterConfigsRequest>(&mut raw).await;
    smoke::<DescribeClusterRequest>(&mut raw).await;
    smoke::<elect_leaders::ElectLeadersRequest>(&mut raw).await;
    smoke::<alter_partition_reassignments::AlterPartitionReassignmentsRequest>(&mut raw).await;
    smoke::<list_partition_reassignments::ListPartitionReassignmentsRequest>(&mut raw).await;
    smoke::<describe_topic_partitions::DescribeTopicPartitionsRequest>(&mut raw).await;
    smoke::<describe_acls::DescribeAclsRequest>(&mut raw).await;
    smoke::<create_acls::CreateAclsRequest>(&mut raw).await;
    smoke::<delete_acls::DeleteAclsRequest>(&mut raw).await;
    smoke::<describe_user_scram_credentials::DescribeUserScramCredentialsRequest>(&mut raw).await;
    smoke::<alter_user_scram_credentials::AlterUserScramCredentialsRequest>(&mut raw).await;
    smoke::<list_config_resources::ListConfigResourcesRequest>(&mut raw).await;
    smoke::<add_partitions_to_txn::AddPartitionsToTxnRequest>(&mut raw).await;
    smoke::<add_offsets_to_txn::AddOffsetsToTxnRequest>(&mut raw).await;
    smoke::<end_txn::EndTxnRequest>(&mut raw).await;
    smoke::<write_txn_markers::WriteTxnMarkersRequest>(&mut raw).await;
    smoke::<txn_offset_commit::TxnOffsetCommitRequest>(&mut raw).await;
    smoke::<update_features::UpdateFeaturesRequest>(&mut raw).await;
    smoke::<describe_producers::DescribeProducersRequest>(&mut raw).await;
    smoke::<describe_transactions::DescribeTransactionsRequest>(&mut raw).await;
    smoke::<list_transactions::ListTransactionsRequest>(&mut raw).await;
    smoke::<describe_client_quotas::DescribeClientQuotasRequest>(&mut raw).await;
    smoke::<alter_client_quotas::AlterClientQuotasRequest>(&mut raw).await;
    smoke::<describe_quorum::DescribeQuorumRequest>(&mut raw).await;
    smoke::<get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest>(&mut raw).await;
    smoke::<push_telemetry::PushTelemetryRequest>(&mut raw).await;
}

fn by_name(names: &[&str]) -> MetadataRequest {
    let topic =
        |name: &&str| MetadataRequestTopic { name: Some((*name).to_owned()), ..MetadataRequestTopic::default() };
    MetadataRequest { topics: Some(names.iter().map(topic).collect()), ..MetadataRequest::default() }
}

fn described(answer: &MetadataResponse) -> Vec<(String, ErrorCode, usize)> {
    let topic = |t: &metadata::MetadataResponseTopic| {
        (t.name.clone().unwrap_or_default(), ErrorCode::from_wire(t.error_code), t.partitions.len())
    };
    answer.topics.iter().map(topic).collect()
}

#[tokio::test]
async fn metadata_creates_what_it_is_asked_for_in_every_version() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for version in 0..=13 {
        let name = format!("new-{version}");
        let answer = raw.call(version, &by_name(&[&name, "not/allowed"])).await;
        let expected = [(name, ErrorCode::None, 1), ("not/allowed".to_owned(), ErrorCode::InvalidTopic, 0)];
        assert_eq!(described(&answer), expected, "version {version}");
        let broker = &answer.brokers[0];
        assert_eq!((broker.node_id, broker.host.as_str(), broker.port), (1, "kafka.example", 9092));
    }
    let none = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    assert_eq!(raw.call(0, &none).await.topics.len(), 14, "in version 0 none is all");
    assert_eq!(raw.call(1, &none).await.topics.len(), 0);
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    assert_eq!(raw.call(12, &all).await.topics.len(), 14);
    let twice = raw.call(12, &by_name(&["new-1", "no/name", "new-1", "no/name"])).await;
    let told = [("new-1".to_owned(), ErrorCode::None, 1), ("no/name".to_owned(), ErrorCode::InvalidTopic, 0)];
    assert_eq!(described(&twice), told, "what is asked for twice is told once");
}

#[tokio::test]
async fn topics_are_not_created_when_either_side_does_not_want_it() {
    let setup = Setup::new().await;
    let unwilling = MetadataRequest { allow_auto_topic_creation: false, ..by_name(&["t"]) };
    let answer = setup.raw().await.call(12, &unwilling).await;
    assert_eq!(described(&answer), [("t".to_owned(), ErrorCode::UnknownTopicOrPartition, 0)]);

    let setup = Setup::with(BrokerOptions { auto_create_topics: false }).await;
    let answer = setup.raw().await.call(12, &by_name(&["t"])).await;
    assert_eq!(described(&answer), [("t".to_owned(), ErrorCode::UnknownTopicOrPartition, 0)]);
}

#[tokio::test]
async fn topics_are_described_by_id() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let ask = |topic_id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id, name: None }]),
        ..MetadataRequest::default()
    };
    let mut raw = setup.raw().await;
    for version in 10..=13 {
        let answer = raw.call(version, &ask(topic.id)).await;
        assert_eq!(described(&answer), [("t".to_owned(), ErrorCode::None, 2)]);
        let answer = raw.call(version, &ask(crate::base::Uuid([9; 16]))).await;
        assert_eq!(described(&answer), [(String::new(), ErrorCode::UnknownTopicId, 0)]);
    }
}

#[tokio::test]
async fn producer_ids_are_fresh() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let idempotent = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
    let (first, second) = (raw.call(4, &idempotent).await, raw.call(4, &idempotent).await);
    assert_eq!((first.error_code, first.producer_epoch), (0, 0));
    // Whoever says who it is says all of it.
    for (producer_id, producer_epoch, expected) in [(5, 3, 0), (5, -1, 42), (-1, 3, 42)] {
        let answer = raw.call(4, &InitProducerIdRequest { producer_id, producer_epoch, ..idempotent.clone() }).await;
        assert_eq!((answer.error_code, answer.producer_id > 0), (expected, expected == 0));
    }
    assert_eq!(first.producer_id >> 32, i64::from(setup.log.epoch()));
    assert_ne!(first.producer_id, second.producer_id);
}

#[tokio::test]
async fn the_cluster_is_one_broker() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for version in 0..=2 {
        let answer = raw.call(version, &DescribeClusterRequest::default()).await;
        assert_eq!((answer.error_code, answer.controller_id, answer.brokers.len()), (0, 1, 1));
        assert_eq!(answer.cluster_id, setup.log.cluster_id().to_string());
    }
    let controllers = DescribeClusterRequest { endpoint_type: 2, ..DescribeClusterRequest::default() };
    let answer = raw.call(1, &controllers).await;
    assert_eq!(ErrorCode::from_wire(answer.error_code), ErrorCode::MismatchedEndpointType);
    assert_eq!((answer.cluster_id.as_str(), answer.endpoint_type), ("", 1), "nothing else is told");
}
