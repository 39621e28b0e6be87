//! What strangers send: no input makes the codec panic, or take much more memory than the input has bytes.
use bytes::Bytes;

use super::generate::{Generate, Generator};
use crate::base::Random;
use crate::kafka::messages::wire::{Problem, Reader, Wire};
use crate::kafka::messages::*;

/// Calls `$function::<Request>($arguments)` for every API.
macro_rules! for_each_api {
    ($function:ident($($argument:expr),*)) => {
        $function::<produce::ProduceRequest>($($argument),*);
        $function::<fetch::FetchRequest>($($argument),*);
        $function::<list_offsets::ListOffsetsRequest>($($argument),*);
        $function::<metadata::MetadataRequest>($($argument),*);
        $function::<find_coordinator::FindCoordinatorRequest>($($argument),*);
        $function::<api_versions::ApiVersionsRequest>($($argument),*);
        $function::<create_topics::CreateTopicsRequest>($($argument),*);
        $function::<delete_topics::DeleteTopicsRequest>($($argument),*);
        $function::<delete_records::DeleteRecordsRequest>($($argument),*);
        $function::<init_producer_id::InitProducerIdRequest>($($argument),*);
        $function::<offset_for_leader_epoch::OffsetForLeaderEpochRequest>($($argument),*);
        $function::<describe_configs::DescribeConfigsRequest>($($argument),*);
        $function::<alter_configs::AlterConfigsRequest>($($argument),*);
        $function::<describe_log_dirs::DescribeLogDirsRequest>($($argument),*);
        $function::<create_partitions::CreatePartitionsRequest>($($argument),*);
        $function::<incremental_alter_configs::IncrementalAlterConfigsRequest>($($argument),*);
        $function::<describe_cluster::DescribeClusterRequest>($($argument),*);
        $function::<offset_commit::OffsetCommitRequest>($($argument),*);
        $function::<offset_fetch::OffsetFetchRequest>($($argument),*);
        $function::<join_group::JoinGroupRequest>($($argument),*);
        $function::<heartbeat::HeartbeatRequest>($($argument),*);
        $function::<leave_group::LeaveGroupRequest>($($argument),*);
        $function::<sync_group::SyncGroupRequest>($($argument),*);
        $function::<describe_groups::DescribeGroupsRequest>($($argument),*);
        $function::<list_groups::ListGroupsRequest>($($argument),*);
        $function::<delete_groups::DeleteGroupsRequest>($($argument),*);
        $function::<offset_delete::OffsetDeleteRequest>($($argument),*);
        $function::<consumer_group_heartbeat::ConsumerGroupHeartbeatRequest>($($argument),*);
        $function::<consumer_group_describe::ConsumerGroupDescribeRequest>($($argument),*);
        $function::<add_partitions_to_txn::AddPartitionsToTxnRequest>($($argument),*);
        $function::<add_offsets_to_txn::AddOffsetsToTxnRequest>($($argument),*);
        $function::<end_txn::EndTxnRequest>($($argument),*);
        $function::<txn_offset_commit::TxnOffsetCommitRequest>($($argument),*);
        $function::<write_txn_markers::WriteTxnMarkersRequest>($($argument),*);
        $function::<describe_producers::DescribeProducersRequest>($($argument),*);
        $function::<describe_transactions::DescribeTransactionsRequest>($($argument),*);
        $function::<list_transactions::ListTransactionsRequest>($($argument),*);
        $function::<elect_leaders::ElectLeadersRequest>($($argument),*);
        $function::<alter_partition_reassignments::AlterPartitionReassignmentsRequest>($($argument),*);
        $function::<list_partition_reassignments::ListPartitionReassignmentsRequest>($($argument),*);
        $function::<describe_topic_partitions::DescribeTopicPartitionsRequest>($($argument),*);
        $function::<describe_quorum::DescribeQuorumRequest>($($argument),*);
        $function::<update_features::UpdateFeaturesRequest>($($argument),*);
        $function::<get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest>($($argument),*);
        $function::<push_telemetry::PushTelemetryRequest>($($argument),*);
        $function::<list_config_resources::ListConfigResourcesRequest>($($argument),*);
        $function::<describe_client_quotas::DescribeClientQuotasRequest>($($argument),*);
        $function::<alter_client_quotas::AlterClientQuotasRequest>($($argument),*);
        $function::<describe_user_scram_credentials::DescribeUserScramCredentialsRequest>($($argument),*);
        $function::<alter_user_scram_credentials::AlterUserScramCredentialsRequest>($($argument),*);
        $function::<describe_acls::DescribeAclsRequest>($($argument),*);
        $function::<create_acls::CreateAclsRequest>($($argument),*);
        $function::<delete_acls::DeleteAclsRequest>($($argument),*);
    };
}

/// Reads `bytes` as the request and as the response of an API in all versions; whatever comes out is fine.
fn read_as<R: Request>(bytes: &Bytes) {
    for version in R::API.versions() {
        let flexible = R::API.is_flexible(version);
        let _ = R::read(&mut Reader::new(bytes.clone(), version, flexible));
        let _ = R::Response::read(&mut Reader::new(bytes.clone(), version, flexible));
    }
}

#[test]
fn random_bytes_are_an_error_or_a_value_and_never_a_panic() {
    let random = Random::seeded(11);
    for _ in 0..400 {
        let length = random.below(120);
        // Small numbers make lengths that fit, and so reach deeper.
        let small = random.below(2) == 0;
        let bytes: Bytes =
            (0..length).map(|_| if small { random.below(4) as u8 } else { random.u64() as u8 }).collect();
        for_each_api!(read_as(&bytes));
    }
}

/// Valid messages with bytes changed, cut off or added.
fn damaged<R: Request + Generate>(random: &Random) {
    for version in R::API.versions() {
        let request = R::generate(&mut Generator::new(random.u64(), version));
        let whole = encode_request(version, 1, "client", &request).unwrap().to_bytes().slice(4..);
        assert!(decode_request::<R>(whole.clone()).is_ok());
        for cut in 0..whole.len().min(300) {
            assert!(decode_request::<R>(whole.slice(..cut)).is_err(), "{} {version} cut at {cut}", R::API.name());
        }
        for _ in 0..100 {
            let mut bytes = whole.to_vec();
            for _ in 0..=random.below(3) {
                let at = 4 + random.below(bytes.len() as u64 - 4) as usize;
                bytes[at] = [0, 0x7f, 0x80, 0xff, random.u64() as u8][random.below(5) as usize];
            }
            let _ = decode_request::<R>(bytes.into());
        }
    }
}

#[test]
fn damaged_messages_are_an_error_or_a_value_and_never_a_panic() {
    let random = Random::seeded(12);
    for_each_api!(damaged(&random));
}

/// Four bytes that claim the most elements an int32, and five that claim the most a varint, can say.
fn giant<R: Request>() {
    for version in R::API.versions() {
        let flexible = R::API.is_flexible(version);
        for length in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
            for zeros in 0..24 {
                let bytes: Bytes = [&vec![0; zeros], length].concat().into();
                let _ = R::read(&mut Reader::new(bytes.clone(), version, flexible));
                let _ = R::Response::read(&mut Reader::new(bytes, version, flexible));
            }
        }
    }
}

#[test]
fn giant_counts_are_refused_before_anything_is_allocated() {
    for_each_api!(giant());
    let mut reader = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0]), 0, false);
    assert_eq!(Vec::<String>::read(&mut reader).unwrap_err().problem, Problem::Truncated);
}

#[test]
fn elements_may_not_take_many_times_the_memory_of_their_bytes() {
    // A million empty names of one byte each would take 24 MB.
    let count = 1_000_000u32;
    let mut bytes = vec![0x80 | (count + 1) as u8, 0x80 | ((count + 1) >> 7) as u8, ((count + 1) >> 14) as u8];
    bytes.resize(bytes.len() + count as usize, 1);
    let error = Vec::<String>::read(&mut Reader::new(bytes.into(), 4, true)).unwrap_err();
    assert_eq!(error.problem, Problem::TooManyElements);

    // Twenty thousand topics of three letters are a request that a real client sends.
    let topics = (0..20_000).map(|_| metadata::MetadataRequestTopic { name: Some("abc".into()), ..Default::default() });
    let request = metadata::MetadataRequest { topics: Some(topics.collect()), ..metadata::MetadataRequest::default() };
    for version in [1, 13] {
        let frame = encode_request(version, 1, "c", &request).unwrap().to_bytes().slice(4..);
        assert_eq!(decode_request::<metadata::MetadataRequest>(frame).as_ref(), Ok(&request));
    }
}
