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

/// Debug text without names of structs and newtypes, without the crate's unknown tagged fields, ids in our form.
fn without_types(debug: &str) -> String {
    let mut debug = debug.replace(", unknown_tagged_fields: {}", "").replace("unknown_tagged_fields: {}", "");
    for field in UNSTABLE {
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

/// Fields of versions that are not stable yet; the crate has them in its structs.
const UNSTABLE: [&str; 2] =
    [", enable_2_pc: false, keep_prepared_txn: false", ", ongoing_txn_producer_id: -1, ongoing_txn_producer_epoch: -1"];

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
        missing NONE;
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
        missing NONE;
    create_partitions: create_partitions::CreatePartitionsRequest, create_partitions::CreatePartitionsResponse, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitions,
        missing NONE;
    incremental_alter_configs: incremental_alter_configs::IncrementalAlterConfigsRequest, incremental_alter_configs::IncrementalAlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, IncrementalAlterConfigs,
        missing NONE;
    describe_cluster: describe_cluster::DescribeClusterRequest, describe_cluster::DescribeClusterResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeCluster,
        missing NONE;
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
