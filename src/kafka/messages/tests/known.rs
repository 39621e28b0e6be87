//! Bytes written by hand: versions that the kafka-protocol crate does not have, and rules that it does not show.
use bytes::Bytes;

use crate::base::Uuid;
use crate::kafka::messages::produce::*;
use crate::kafka::messages::wire::{DecodeError, EncodeError, Problem, Reader, Records, Wire};
use crate::kafka::messages::*;

/// Strings of hex digits, put together.
fn hex(parts: &[&str]) -> Bytes {
    let text: String = parts.concat().split_whitespace().collect();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Key, version, correlation id 7 and the client id "c".
fn header(key: &str, version: &str) -> String {
    format!("{key} {version} 00000007 0001 63")
}

#[test]
fn produce_before_version_3_has_no_transactional_id() {
    for (version, text) in [(0, "0000"), (1, "0001"), (2, "0002")] {
        let body = "ffff 000005dc 00000001 0001 74 00000001 00000002 00000003 010203";
        let frame = hex(&[&header("0000", text), body]);
        let request: ProduceRequest = decode_request(frame.clone()).unwrap();
        assert_eq!((request.acks, request.timeout_ms, request.transactional_id.clone()), (-1, 1500, None));
        let partition = &request.topic_data[0].partition_data[0];
        assert_eq!((request.topic_data[0].name.as_str(), partition.index), ("t", 2));
        assert_eq!(partition.records.as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(encode_request(version, 7, "c", &request).unwrap().to_bytes().slice(4..), frame);
    }
}

#[test]
fn produce_responses_before_version_3_gain_throttle_time_and_append_time() {
    let start = "00000007 00000001 0001 74 00000001 00000002 0000 0000000000000005";
    let expected = [start.to_owned(), format!("{start} 00000000"), format!("{start} 0000000000000009 00000000")];
    let partition = PartitionProduceResponse {
        index: 2,
        base_offset: 5,
        log_append_time_ms: 9,
        ..PartitionProduceResponse::default()
    };
    let topic = TopicProduceResponse { name: "t".into(), partition_responses: vec![partition], ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..ProduceResponse::default() };
    for (version, expected) in expected.iter().enumerate() {
        let frame = encode_response::<ProduceRequest>(version as i16, 7, &response).unwrap().to_bytes().slice(4..);
        assert_eq!(frame, hex(&[expected]), "version {version}");
        let (id, read) = decode_response::<ProduceRequest>(version as i16, frame).unwrap();
        assert_eq!((id, read.responses[0].partition_responses[0].base_offset), (7, 5));
    }
}

#[test]
fn record_bytes_are_slices_of_the_frame_and_are_not_copied_on_the_way_out() {
    let records = Bytes::from(vec![9; 5000]);
    let partition = PartitionProduceData { index: 0, records: Some(records.clone()) };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![partition], ..TopicProduceData::default() };
    let request = ProduceRequest { topic_data: vec![topic], ..ProduceRequest::default() };
    let frame = encode_request(9, 1, "c", &request).unwrap();
    assert!(frame.pieces().iter().any(|piece| piece.as_ptr() == records.as_ptr()), "written without a copy");

    let bytes = frame.to_bytes().slice(4..);
    let read: ProduceRequest = decode_request(bytes.clone()).unwrap();
    let taken = read.topic_data[0].partition_data[0].records.clone().unwrap();
    assert!(bytes.as_ptr_range().contains(&taken.as_ptr()), "read without a copy");

    let parts = Records(vec![records.slice(..2000), records.slice(2000..)]);
    let partition = fetch::PartitionData { records: Some(parts), ..fetch::PartitionData::default() };
    let topic = fetch::FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    let response = fetch::FetchResponse { responses: vec![topic], ..fetch::FetchResponse::default() };
    let frame = encode_response::<fetch::FetchRequest>(18, 1, &response).unwrap();
    let apart: Vec<usize> = frame.pieces().iter().filter(|p| p.len() >= 1024).map(Bytes::len).collect();
    assert_eq!(apart, [2000, 3000]);
}

/// A frame is read as `request`, and `request` is written as the frame.
fn request_is<R: Request + PartialEq + std::fmt::Debug>(version: i16, request: &R, parts: &[&str]) {
    let frame = hex(parts);
    assert_eq!(decode_request::<R>(frame.clone()).as_ref(), Ok(request));
    assert_eq!(encode_request(version, 7, "c", request).unwrap().to_bytes().slice(4..), frame);
}

/// The same of a response.
fn response_is<R: Request>(version: i16, response: &R::Response, parts: &[&str])
where
    R::Response: Clone + PartialEq + std::fmt::Debug,
{
    let frame = hex(parts);
    assert_eq!(encode_response::<R>(version, 7, response).unwrap().to_bytes().slice(4..), frame);
    assert_eq!(&decode_response::<R>(version, frame).unwrap(), &(7, response.clone()));
}

const TOPIC_ID: &str = "09090909 09090909 09090909 09090909";

#[test]
fn offset_commit_10_names_topics_by_id() {
    use offset_commit::*;
    let topic_id = Uuid([9; 16]);
    let partitions =
        vec![OffsetCommitRequestPartition { partition_index: 2, committed_offset: 5, ..Default::default() }];
    let topic = OffsetCommitRequestTopic { topic_id, partitions, ..Default::default() };
    let request = OffsetCommitRequest { group_id: "g".into(), topics: vec![topic], ..Default::default() };
    let partition = "02 00000002 0000000000000005 ffffffff 01 00";
    let fields = ["00", "02 67 ffffffff 01 00 02", TOPIC_ID, partition, "00 00"].concat();
    request_is(10, &request, &[&header("0008", "000a"), &fields]);

    let partitions = vec![OffsetCommitResponsePartition { partition_index: 2, error_code: 100 }];
    let topic = OffsetCommitResponseTopic { topic_id, partitions, ..Default::default() };
    let response = OffsetCommitResponse { topics: vec![topic], ..Default::default() };
    let parts = ["00000007 00 00000000 02", TOPIC_ID, "02 00000002 0064 00 00 00"];
    response_is::<OffsetCommitRequest>(10, &response, &parts);
}

#[test]
fn list_offsets_11_is_written_as_10() {
    use list_offsets::*;
    let partitions =
        vec![ListOffsetsPartition { partition_index: 2, timestamp: EARLIEST_PENDING_UPLOAD, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions }];
    let request = ListOffsetsRequest { replica_id: -1, isolation_level: 1, topics, timeout_ms: 1500 };
    let fields = "00 ffffffff 01 02 02 74 02 00000002 ffffffff fffffffffffffffa 00 00 000005dc 00";
    request_is(11, &request, &[&header("0002", "000b"), fields]);

    let partitions =
        vec![ListOffsetsPartitionResponse { partition_index: 2, offset: 5, leader_epoch: 1, ..Default::default() }];
    let topics = vec![ListOffsetsTopicResponse { name: "t".into(), partitions }];
    let response = ListOffsetsResponse { topics, ..Default::default() };
    let parts = ["00000007 00 00000000 02 02 74 02 00000002 0000 ffffffffffffffff 0000000000000005 00000001 00 00 00"];
    response_is::<ListOffsetsRequest>(11, &response, &parts);
}

#[test]
fn describe_log_dirs_5_says_whether_new_partitions_are_put_there() {
    use describe_log_dirs::*;

    let request = DescribeLogDirsRequest { topics: None };
    request_is(5, &request, &[&header("0023", "0005"), "00 00 00"]);
    let result = DescribeLogDirsResult { log_dir: "d".into(), total_bytes: 2, usable_bytes: 1, ..Default::default() };
    let response = DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult { is_cordoned: true, ..result }],
        ..DescribeLogDirsResponse::default()
    };
    let directory = "0000 02 64 01 0000000000000002 0000000000000001 01 00";
    response_is::<DescribeLogDirsRequest>(5, &response, &["00000007 00 00000000 0000 02", directory, "00"]);
}

#[test]
fn offset_fetch_10_names_topics_by_id() {
    use offset_fetch::*;
    let topic_id = Uuid([9; 16]);
    let topic = OffsetFetchRequestTopics { topic_id, partition_indexes: vec![2], ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    let fields = ["00 02", "02 67 00 ffffffff 02", TOPIC_ID, "02 00000002 00 00", "01 00"].concat();
    request_is(10, &request, &[&header("0009", "000a"), &fields]);

    let partition = OffsetFetchResponsePartitions { partition_index: 2, committed_offset: 5, ..Default::default() };
    let topic = OffsetFetchResponseTopics { topic_id, partitions: vec![partition], ..Default::default() };
    let group = OffsetFetchResponseGroup { group_id: "g".into(), topics: vec![topic], error_code: 0 };
    let response = OffsetFetchResponse { groups: vec![group], ..Default::default() };
    let partition = "02 00000002 0000000000000005 ffffffff 01 0000 00";
    let parts = ["00000007 00 00000000 02 02 67 02", TOPIC_ID, partition, "00 0000 00 00"];
    response_is::<OffsetFetchRequest>(10, &response, &parts);
}

#[test]
fn write_txn_markers_2_says_the_version_of_transactions() {
    use write_txn_markers::*;
    let topics = vec![WritableTxnMarkerTopic { name: "t".into(), partition_indexes: vec![2] }];
    let marker = WritableTxnMarker {
        producer_id: 3,
        producer_epoch: 4,
        transaction_result: true,
        topics,
        coordinator_epoch: 5,
        transaction_version: 2,
    };
    let request = WriteTxnMarkersRequest { markers: vec![marker] };
    let fields = "00 02 0000000000000003 0004 01 02 02 74 02 00000002 00 00000005 02 00 00";
    request_is(2, &request, &[&header("001b", "0002"), fields]);

    let partitions = vec![WritableTxnMarkerPartitionResult { partition_index: 2, error_code: 0 }];
    let topics = vec![WritableTxnMarkerTopicResult { name: "t".into(), partitions }];
    let response = WriteTxnMarkersResponse { markers: vec![WritableTxnMarkerResult { producer_id: 3, topics }] };
    let parts = ["00000007 00 02 0000000000000003 02 02 74 02 00000002 0000 00 00 00 00"];
    response_is::<WriteTxnMarkersRequest>(2, &response, &parts);
}

#[test]
fn the_consumer_protocol_is_read_in_versions_of_the_future_too() {
    use consumer_protocol::*;
    let subscription = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
    let zero = hex(&["0000 00000001 0001 74 ffffffff"]);
    assert_eq!(encode(0, &subscription).unwrap(), zero);
    assert_eq!(decode(zero), Ok((0, subscription.clone())));
    let ninth = hex(&["0009 00000001 0001 74 ffffffff 00000000 ffffffff ffff 12345678"]);
    assert_eq!(decode(ninth), Ok((9, subscription.clone())));
    let negative = decode::<ConsumerProtocolAssignment>(hex(&["ffff 00000000 ffffffff"]));
    assert_eq!(negative.unwrap_err().problem, Problem::Version);
    let cut = decode::<ConsumerProtocolSubscription>(hex(&["0001 00000001 0001 74 ffffffff"]));
    assert_eq!(cut.unwrap_err().problem, Problem::Truncated);
}

#[test]
fn unknown_tagged_fields_are_skipped_and_known_ones_must_fit() {
    let head = format!("{} 00", header("0012", "0003"));
    let fields = "02 61 02 62";
    let request = |tags: &str| {
        decode_request::<api_versions::ApiVersionsRequest>(hex(&[&head, fields, tags])).map(|r| r.client_software_name)
    };
    assert_eq!(request("00"), Ok("a".to_owned()));
    assert_eq!(request("02 05 01 ff 09 00"), Ok("a".to_owned()));
    assert_eq!(request("02 05 00 05 00").unwrap_err().problem, Problem::TagOrder);
    assert_eq!(request("01 05 02 ff").unwrap_err().problem, Problem::Truncated);
    assert_eq!(request("00 ff"), Ok("a".to_owned()), "bytes behind a message are ignored");

    // ApiVersions' answer, whose first tagged field is a list: one byte more than the list takes.
    let answer = hex(&["00000007 0000 01 00000000 01 00 02 01 00"]);
    let error = decode_response::<api_versions::ApiVersionsRequest>(3, answer).unwrap_err();
    assert_eq!(error.problem, Problem::LeftOver);
}

#[test]
fn the_byte_that_librdkafka_leaves_behind_metadata_harms_nothing() {
    // All topics; create them; two flags where version 13 has one; no tagged fields.
    let frame = hex(&[&header("0003", "000d"), "00 00 01 00 00 00"]);
    let request: metadata::MetadataRequest = decode_request(frame).unwrap();
    assert_eq!((request.topics, request.allow_auto_topic_creation), (None, true));
}

#[test]
fn null_is_refused_where_a_version_has_none() {
    let all = metadata::MetadataRequest { topics: None, ..metadata::MetadataRequest::default() };
    assert_eq!(encode_request(0, 1, "c", &all), Err(EncodeError::Null("MetadataRequest.topics")));
    assert!(encode_request(1, 1, "c", &all).is_ok());
    let error = decode_request::<metadata::MetadataRequest>(hex(&[&header("0003", "0000"), "ffffffff"])).unwrap_err();
    assert_eq!(error, DecodeError { problem: Problem::Null, at: 15, field: "MetadataRequest.topics" });
    assert_eq!(error.to_string(), "null where a value is required at byte 15 of the frame, in MetadataRequest.topics");
    let names = hex(&[&header("0014", "0001"), "00000001 ffff 00000000"]);
    assert_eq!(decode_request::<delete_topics::DeleteTopicsRequest>(names).unwrap_err().problem, Problem::Null);
}

#[test]
fn too_long_a_string_is_an_error_and_not_a_wrong_length() {
    let request = InitProducerId { transactional_id: Some("x".repeat(40_000)), ..InitProducerId::default() };
    assert_eq!(encode_request(1, 1, "c", &request), Err(EncodeError::TooLong));
    // Where a length is a varint it could be longer, and is not taken, as in Kafka.
    for (length, expected) in [("80 80 02", None), ("81 80 02", Some(Problem::LongText))] {
        let frame = [&hex(&[length])[..], &[b'x'; 32_768]].concat();
        let read = String::read(&mut Reader::new(frame.into(), 0, true));
        assert_eq!(read.err().map(|error| error.problem), expected);
    }
}

use crate::kafka::messages::init_producer_id::InitProducerIdRequest as InitProducerId;
