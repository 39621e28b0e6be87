//! Every API and version against the kafka-protocol crate, in both directions.
//!
//! A random message of ours is written by us and read by the crate, which must see the same fields with the same values:
//! both sides keep the schema's names, so their `Debug` texts are compared, without the names of types. Then the crate
//! writes what it read, which must be the same bytes, and we read those.
use std::fmt::Debug;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages as oracle;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::generate::{Generate, Generator};
use crate::base::Uuid;
use crate::kafka::messages::wire::{Reader, Wire, Writer};
use crate::kafka::messages::*;

/// Rounds for each message and version.
const ROUNDS: u64 = 16;

fn agree<Ours, Theirs>(flexible: bool, version: i16, seed: u64)
where
    Ours: Wire + Generate + Debug + PartialEq,
    Theirs: Encodable + Decodable + Debug,
{
    let value = Ours::generate(&mut Generator::new(seed, version));
    let place = || format!("{} version {version} seed {seed}", std::any::type_name::<Ours>());
    let mut writer = Writer::new(version, flexible);
    value.write(&mut writer);
    let frame = writer.finish().unwrap_or_else(|e| panic!("{}: {e}", place()));
    let bytes = frame.to_bytes();
    assert_eq!(frame.len(), bytes.len(), "{}", place());

    let mut rest = bytes.clone();
    let theirs = Theirs::decode(&mut rest, version).unwrap_or_else(|e| panic!("{}: {e}\n{value:?}", place()));
    assert!(!rest.has_remaining(), "{}: the crate left {} bytes", place(), rest.remaining());
    let (ours, crates) = (without_types(&format!("{value:?}")), without_types(&format!("{theirs:?}")));
    let differ = ours.bytes().zip(crates.bytes()).position(|(a, b)| a != b);
    let around = |text: &str| text.chars().skip(differ.unwrap_or(0).saturating_sub(60)).take(160).collect::<String>();
    assert!(ours == crates, "{}:\n  ours: {}\ntheirs: {}", place(), around(&ours), around(&crates));

    let mut again = BytesMut::new();
    theirs.encode(&mut again, version).unwrap_or_else(|e| panic!("{}: {e}", place()));
    assert_eq!(bytes, again, "{}", place());

    let mut reader = Reader::new(again.freeze(), version, flexible);
    assert_eq!(Ours::read(&mut reader).unwrap_or_else(|e| panic!("{}: {e}", place())), value, "{}", place());
    assert_eq!(reader.finish(), Ok(()), "{}", place());
}

/// Debug text without names of structs and newtypes, without the crate's unknown tagged fields and the underscore that it
/// puts before a keyword, without fields that one side alone has, ids in our form.
fn without_types(debug: &str) -> String {
    let mut debug = debug.replace(", unknown_tagged_fields: {}", "").replace("unknown_tagged_fields: {}", "");
    debug = debug.replace("_match: ", "match: ");
    for field in ONE_SIDED {
        debug = debug.replace(field, "");
    }
    let mut out = String::new();
    let mut rest = debug.as_str();
    let mut closing = Vec::new();
    while let Some(c) = rest.chars().next() {
        let word: usize =
            rest.chars().take_while(|c| c.is_alphanumeric() || "_-.".contains(*c)).map(char::len_utf8).sum();
        let (word, after) = rest.split_at(word);
        if c == '"' {
            let end = end_of_string(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if word.is_empty() {
            match c {
                '(' => closing.push(true),
                ')' if closing.pop() == Some(false) => {
                    rest = &rest[1..];
                    continue;
                }
                _ => {}
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else if after.starts_with(" {") {
            rest = &after[1..];
        } else if after.starts_with('(') && word != "Some" {
            closing.push(false);
            rest = &after[1..];
        } else {
            out.push_str(&id_in_our_form(word).unwrap_or_else(|| word.to_owned()));
            rest = after;
        }
    }
    out.replace("{  }", "{}").replace("{ }", "{}")
}

/// Length of the quoted text, with escapes in it, at the front of `text`.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |at| at + 2)
}

/// Fields that one side alone has in its structs: the crate those of versions that are not stable yet, we those of
/// versions that are newer than the crate.
const ONE_SIDED: [&str; 4] = [
    ", is_cordoned: false",
    ", enable_2_pc: false, keep_prepared_txn: false",
    ", ongoing_txn_producer_id: -1, ongoing_txn_producer_epoch: -1",
    ", transaction_version: 0",
];

fn id_in_our_form(word: &str) -> Option<String> {
    let hex: String = word.split('-').collect();
    if word.len() != 36 || hex.len() != 32 {
        return None;
    }
    let mut id = [0; 16];
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(Uuid(id).to_string())
}

/// One test for each API: both its messages, every version that the crate has, and the headers' versions.
macro_rules! agree {
    ($($test:ident: $request:path, $response:path, $oracle_request:ident, $oracle_response:ident, $oracle_key:ident, missing $missing:expr;)*) => {
        $( #[test]
        fn $test() {
            let api = <$request as Request>::API;
            let mut missing = Vec::new();
            for version in api.versions() {
                let theirs = <oracle::$oracle_request as kafka_protocol::protocol::Message>::VERSIONS;
                if !(theirs.min..=theirs.max).contains(&version) {
                    missing.push(version);
                    continue;
                }
                let flexible = api.is_flexible(version);
                assert_eq!(oracle::$oracle_request::header_version(version), if flexible { 2 } else { 1 });
                let header = i16::from(api.response_header_is_flexible(version));
                assert_eq!(oracle::$oracle_response::header_version(version), header);
                for seed in 0..ROUNDS {
                    agree::<$request, oracle::$oracle_request>(flexible, version, seed);
                    agree::<$response, oracle::$oracle_response>(flexible, version, seed);
                }
            }
            assert_eq!(missing, $missing, "versions without an oracle need bytes in known.rs");
            assert_eq!(api as i16, oracle::ApiKey::$oracle_key as i16);
        } )*
    };
}

const NONE: [i16; 0] = [];

agree! {
    produce: produce::ProduceRequest, produce::ProduceResponse, ProduceRequest, ProduceResponse, Produce,
        missing [0, 1, 2];
    fetch: fetch::FetchRequest, fetch::FetchResponse, FetchRequest, FetchResponse, Fetch,
        missing NONE;
    list_offsets: list_offsets::ListOffsetsRequest, list_offsets::ListOffsetsResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsets,
        missing [11];
    metadata: metadata::MetadataRequest, metadata::MetadataResponse, MetadataRequest, MetadataResponse, Metadata,
        missing NONE;
    find_coordinator: find_coordinator::FindCoordinatorRequest, find_coordinator::FindCoordinatorResponse, FindCoordinatorRequest, FindCoordinatorResponse, FindCoordinator,
        missing NONE;
    api_versions: api_versions::ApiVersionsRequest, api_versions::ApiVersionsResponse, ApiVersionsRequest, ApiVersionsResponse, ApiVersions,
        missing NONE;
    create_topics: create_topics::CreateTopicsRequest, create_topics::CreateTopicsResponse, CreateTopicsRequest, CreateTopicsResponse, CreateTopics,
        missing NONE;
    delete_topics: delete_topics::DeleteTopicsRequest, delete_topics::DeleteTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopics,
        missing NONE;
    delete_records: delete_records::DeleteRecordsRequest, delete_records::DeleteRecordsResponse, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecords,
        missing NONE;
    init_producer_id: init_producer_id::InitProducerIdRequest, init_producer_id::InitProducerIdResponse, InitProducerIdRequest, InitProducerIdResponse, InitProducerId,
        missing NONE;
    offset_for_leader_epoch: offset_for_leader_epoch::OffsetForLeaderEpochRequest, offset_for_leader_epoch::OffsetForLeaderEpochResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderEpoch,
        missing NONE;
    describe_configs: describe_configs::DescribeConfigsRequest, describe_configs::DescribeConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse, DescribeConfigs,
        missing NONE;
    alter_configs: alter_configs::AlterConfigsRequest, alter_configs::AlterConfigsResponse, AlterConfigsRequest, AlterConfigsResponse, AlterConfigs,
        missing NONE;
    describe_log_dirs: describe_log_dirs::DescribeLogDirsRequest, describe_log_dirs::DescribeLogDirsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirs,
        missing [5];
    create_partitions: create_partitions::CreatePartitionsRequest, create_partitions::CreatePartitionsResponse, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitions,
        missing NONE;
    incremental_alter_configs: incremental_alter_configs::IncrementalAlterConfigsRequest, incremental_alter_configs::IncrementalAlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, IncrementalAlterConfigs,
        missing NONE;
    describe_cluster: describe_cluster::DescribeClusterRequest, describe_cluster::DescribeClusterResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeCluster,
        missing NONE;
    offset_commit: offset_commit::OffsetCommitRequest, offset_commit::OffsetCommitResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetCommit,
        missing [10];
    offset_fetch: offset_fetch::OffsetFetchRequest, offset_fetch::OffsetFetchResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetFetch,
        missing [10];
    join_group: join_group::JoinGroupRequest, join_group::JoinGroupResponse, JoinGroupRequest, JoinGroupResponse, JoinGroup,
        missing NONE;
    heartbeat: heartbeat::HeartbeatRequest, heartbeat::HeartbeatResponse, HeartbeatRequest, HeartbeatResponse, Heartbeat,
        missing NONE;
    leave_group: leave_group::LeaveGroupRequest, leave_group::LeaveGroupResponse, LeaveGroupRequest, LeaveGroupResponse, LeaveGroup,
        missing NONE;
    sync_group: sync_group::SyncGroupRequest, sync_group::SyncGroupResponse, SyncGroupRequest, SyncGroupResponse, SyncGroup,
        missing NONE;
    describe_groups: describe_groups::DescribeGroupsRequest, describe_groups::DescribeGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, DescribeGroups,
        missing NONE;
    list_groups: list_groups::ListGroupsRequest, list_groups::ListGroupsResponse, ListGroupsRequest, ListGroupsResponse, ListGroups,
        missing NONE;
    delete_groups: delete_groups::DeleteGroupsRequest, delete_groups::DeleteGroupsResponse, DeleteGroupsRequest, DeleteGroupsResponse, DeleteGroups,
        missing NONE;
    offset_delete: offset_delete::OffsetDeleteRequest, offset_delete::OffsetDeleteResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetDelete,
        missing NONE;
    consumer_group_heartbeat: consumer_group_heartbeat::ConsumerGroupHeartbeatRequest, consumer_group_heartbeat::ConsumerGroupHeartbeatResponse, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ConsumerGroupHeartbeat,
        missing NONE;
    consumer_group_describe: consumer_group_describe::ConsumerGroupDescribeRequest, consumer_group_describe::ConsumerGroupDescribeResponse, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupDescribe,
        missing NONE;
    add_partitions_to_txn: add_partitions_to_txn::AddPartitionsToTxnRequest, add_partitions_to_txn::AddPartitionsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxn,
        missing NONE;
    add_offsets_to_txn: add_offsets_to_txn::AddOffsetsToTxnRequest, add_offsets_to_txn::AddOffsetsToTxnResponse, AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddOffsetsToTxn,
        missing NONE;
    end_txn: end_txn::EndTxnRequest, end_txn::EndTxnResponse, EndTxnRequest, EndTxnResponse, EndTxn,
        missing NONE;
    txn_offset_commit: txn_offset_commit::TxnOffsetCommitRequest, txn_offset_commit::TxnOffsetCommitResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommit,
        missing NONE;
    write_txn_markers: write_txn_markers::WriteTxnMarkersRequest, write_txn_markers::WriteTxnMarkersResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse, WriteTxnMarkers,
        missing [2];
    describe_producers: describe_producers::DescribeProducersRequest, describe_producers::DescribeProducersResponse, DescribeProducersRequest, DescribeProducersResponse, DescribeProducers,
        missing NONE;
    describe_transactions: describe_transactions::DescribeTransactionsRequest, describe_transactions::DescribeTransactionsResponse, DescribeTransactionsRequest, DescribeTransactionsResponse, DescribeTransactions,
        missing NONE;
    list_transactions: list_transactions::ListTransactionsRequest, list_transactions::ListTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, ListTransactions,
        missing NONE;
    elect_leaders: elect_leaders::ElectLeadersRequest, elect_leaders::ElectLeadersResponse, ElectLeadersRequest, ElectLeadersResponse, ElectLeaders,
        missing NONE;
    alter_partition_reassignments: alter_partition_reassignments::AlterPartitionReassignmentsRequest, alter_partition_reassignments::AlterPartitionReassignmentsResponse, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, AlterPartitionReassignments,
        missing NONE;
    list_partition_reassignments: list_partition_reassignments::ListPartitionReassignmentsRequest, list_partition_reassignments::ListPartitionReassignmentsResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, ListPartitionReassignments,
        missing NONE;
    describe_topic_partitions: describe_topic_partitions::DescribeTopicPartitionsRequest, describe_topic_partitions::DescribeTopicPartitionsResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitions,
        missing NONE;
    describe_quorum: describe_quorum::DescribeQuorumRequest, describe_quorum::DescribeQuorumResponse, DescribeQuorumRequest, DescribeQuorumResponse, DescribeQuorum,
        missing NONE;
    update_features: update_features::UpdateFeaturesRequest, update_features::UpdateFeaturesResponse, UpdateFeaturesRequest, UpdateFeaturesResponse, UpdateFeatures,
        missing NONE;
    get_telemetry_subscriptions: get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest, get_telemetry_subscriptions::GetTelemetrySubscriptionsResponse, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, GetTelemetrySubscriptions,
        missing NONE;
    push_telemetry: push_telemetry::PushTelemetryRequest, push_telemetry::PushTelemetryResponse, PushTelemetryRequest, PushTelemetryResponse, PushTelemetry,
        missing NONE;
    list_config_resources: list_config_resources::ListConfigResourcesRequest, list_config_resources::ListConfigResourcesResponse, ListConfigResourcesRequest, ListConfigResourcesResponse, ListConfigResources,
        missing NONE;
    describe_client_quotas: describe_client_quotas::DescribeClientQuotasRequest, describe_client_quotas::DescribeClientQuotasResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeClientQuotas,
        missing NONE;
    alter_client_quotas: alter_client_quotas::AlterClientQuotasRequest, alter_client_quotas::AlterClientQuotasResponse, AlterClientQuotasRequest, AlterClientQuotasResponse, AlterClientQuotas,
        missing NONE;
    describe_user_scram_credentials: describe_user_scram_credentials::DescribeUserScramCredentialsRequest, describe_user_scram_credentials::DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, DescribeUserScramCredentials,
        missing NONE;
    alter_user_scram_credentials: alter_user_scram_credentials::AlterUserScramCredentialsRequest, alter_user_scram_credentials::AlterUserScramCredentialsResponse, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentials,
        missing NONE;
    describe_acls: describe_acls::DescribeAclsRequest, describe_acls::DescribeAclsResponse, DescribeAclsRequest, DescribeAclsResponse, DescribeAcls,
        missing NONE;
    create_acls: create_acls::CreateAclsRequest, create_acls::CreateAclsResponse, CreateAclsRequest, CreateAclsResponse, CreateAcls,
        missing NONE;
    delete_acls: delete_acls::DeleteAclsRequest, delete_acls::DeleteAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DeleteAcls,
        missing NONE;
}

#[test]
fn consumer_protocol() {
    use consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, LATEST};
    for version in 0..=LATEST {
        for seed in 0..ROUNDS {
            agree::<ConsumerProtocolSubscription, oracle::ConsumerProtocolSubscription>(false, version, seed);
            agree::<ConsumerProtocolAssignment, oracle::ConsumerProtocolAssignment>(false, version, seed);
        }
    }
}

#[test]
fn every_api_of_the_table_has_an_oracle_test() {
    let source = include_str!("oracle.rs");
    for api in Api::ALL {
        assert!(source.contains(&format!(" {}Request, {0}Response, {0},", api.name())), "{} has none", api.name());
    }
}

#[test]
fn request_headers_agree() {
    let header = oracle::RequestHeader::default()
        .with_request_api_key(3)
        .with_request_api_version(12)
        .with_correlation_id(77)
        .with_client_id(Some("a client".into()));
    for version in [1, 12] {
        let request = metadata::MetadataRequest::generate(&mut Generator::new(5, version));
        let frame = encode_request(version, 77, "a client", &request).unwrap().to_bytes();
        let mut rest = frame.slice(4..);
        assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, rest.len());
        let header = header.clone().with_request_api_version(version);
        let header_version = oracle::MetadataRequest::header_version(version);
        assert_eq!(oracle::RequestHeader::decode(&mut rest, header_version).unwrap(), header);
        oracle::MetadataRequest::decode(&mut rest, version).unwrap();
        assert!(rest.is_empty());
        let body: Bytes = frame.slice(4..);
        let peeked = RequestHeader::peek(&body).unwrap();
        assert_eq!(peeked, RequestHeader { api_key: 3, api_version: version, correlation_id: 77 });
        assert_eq!(decode_request::<metadata::MetadataRequest>(body).unwrap(), request);
    }
}
