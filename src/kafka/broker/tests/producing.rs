//! What producers are told.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};

fn request(topic: &Topic, acks: i16, batches: &[(i32, Bytes)]) -> ProduceRequest {
    let partition_data =
        batches.iter().map(|(index, b)| PartitionProduceData { index: *index, records: Some(b.clone()) }).collect();
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData { name: topic.name.clone(), topic_id: topic.id, partition_data }],
        ..ProduceRequest::default()
    }
}

fn outcomes(response: &ProduceResponse) -> Vec<(i32, ErrorCode, i64)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|p| (p.index, ErrorCode::from_wire(p.error_code), p.base_offset)).collect()
}

#[tokio::test]
async fn every_version_appends_and_the_next_offset_follows() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let mut raw = setup.raw().await;
    for (version, n) in (0..=13).zip(0..) {
        let acks = if version % 2 == 0 { -1 } else { 1 };
        let batches = [(0, batch(&["a"])), (1, batch(&["b", "c"]))];
        let response = raw.call(version, &request(&topic, acks, &batches)).await;
        assert_eq!(outcomes(&response), [(0, ErrorCode::None, n), (1, ErrorCode::None, 2 * n)], "version {version}");
    }
}

#[tokio::test]
async fn a_corrupt_batch_is_refused_for_its_partition_alone() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 3).await;
    let mut broken = batch(&["broken"]).to_vec();
    *broken.last_mut().unwrap() ^= 1;
    let batches = [(0, batch(&["good"])), (1, broken.into()), (2, batch(&["good"])), (9, batch(&["nowhere"]))];
    let response = setup.raw().await.call(9, &request(&topic, -1, &batches)).await;
    let expected = [
        (0, ErrorCode::None, 0),
        (1, ErrorCode::CorruptMessage, -1),
        (2, ErrorCode::None, 0),
        (9, ErrorCode::UnknownTopicOrPartition, -1),
    ];
    assert_eq!(outcomes(&response), expected);
    let message = &response.responses[0].partition_responses[1].error_message;
    assert!(message.as_ref().unwrap().contains("CRC32C"), "{message:?}");
}

#[tokio::test]
async fn pipelined_batches_keep_their_order_and_a_repeated_one_its_offset() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let (id, epoch) = setup.client().await.new_producer_id().await.unwrap();
    let mut raw = setup.raw().await;
    let numbered = |base_sequence: i32| {
        let value = base_sequence.to_string();
        batch_of(&[&value, &value], Codec::Lz4, Producer { id, epoch, base_sequence })
    };
    let sequences = [0, 2, 4, 6, 2, 10];
    for sequence in sequences {
        raw.send(9, &request(&topic, -1, &[(0, numbered(sequence))])).await;
    }
    let mut answers = Vec::new();
    for _ in sequences {
        answers.push(outcomes(&raw.answer::<ProduceRequest>(9).await)[0]);
    }
    let stored = [0, 2, 4, 6, 2].map(|offset| (0, ErrorCode::None, offset));
    assert_eq!(answers[..5], stored);
    assert_eq!(answers[5], (0, ErrorCode::OutOfOrderSequenceNumber, -1));
}

#[tokio::test]
async fn without_acks_there_is_no_answer_and_an_error_closes_the_connection() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    raw.send(9, &request(&topic, 0, &[(0, batch(&["silent"]))])).await;
    let response = raw.call(9, &request(&topic, 1, &[(0, batch(&["loud"]))])).await;
    assert_eq!(outcomes(&response), [(0, ErrorCode::None, 1)], "the answer is the second request's");
    raw.send(9, &request(&topic, 0, &[(7, batch(&["lost"]))])).await;
    assert_eq!(raw.frame().await, None);
}

#[tokio::test]
async fn senseless_acks_unknown_ids_and_old_formats_are_refused_by_name() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    let response = raw.call(9, &request(&topic, 3, &[(0, batch(&["x"]))])).await;
    assert_eq!(outcomes(&response)[0].1, ErrorCode::InvalidRequiredAcks);

    let stranger = Topic { id: crate::base::Uuid([7; 16]), ..topic.clone() };
    let response = raw.call(13, &request(&stranger, -1, &[(0, batch(&["x"]))])).await;
    assert_eq!(outcomes(&response)[0].1, ErrorCode::UnknownTopicId);

    let mut old = batch(&["x"]).to_vec();
    old[16] = 1;
    let response = raw.call(2, &request(&topic, -1, &[(0, old.into())])).await;
    assert_eq!(outcomes(&response)[0].1, ErrorCode::UnsupportedForMessageFormat);

    let none = [(0, Bytes::new())];
    let response = raw.call(9, &request(&topic, -1, &none)).await;
    assert_eq!(outcomes(&response)[0].1, ErrorCode::InvalidRecord);
}

#[tokio::test]
async fn where_a_partition_begins_is_told_unless_what_came_is_no_batch_for_it() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let client = setup.client().await;
    let (id, epoch) = client.new_producer_id().await.unwrap();
    client.produce(&topic, 0, batch(&["a", "b", "c"])).await.unwrap();
    setup.log.partition("t", 0).unwrap().delete_records(2).await.unwrap();
    let mut corrupt = batch(&["x"]).to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    let mut old = batch(&["x"]).to_vec();
    old[16] = 1;
    let of_sequence = |base_sequence| batch_of(&["x"], Codec::None, Producer { id, epoch, base_sequence });
    let large = batch(&["x".repeat(2 << 20).as_str()]);
    let mut raw = setup.raw().await;
    for (index, records, expected, log_start) in [
        (0, batch(&["good"]), ErrorCode::None, 2),
        (0, of_sequence(0), ErrorCode::None, 2),
        (0, of_sequence(7), ErrorCode::OutOfOrderSequenceNumber, 2),
        (0, Bytes::new(), ErrorCode::InvalidRecord, 2),
        (0, corrupt.into(), ErrorCode::CorruptMessage, -1),
        (0, old.into(), ErrorCode::UnsupportedForMessageFormat, -1),
        (0, large, ErrorCode::MessageTooLarge, -1),
        (9, batch(&["nowhere"]), ErrorCode::UnknownTopicOrPartition, -1),
    ] {
        let answer = raw.call(9, &request(&topic, -1, &[(index, records)])).await;
        let answer = &answer.responses[0].partition_responses[0];
        assert_eq!((ErrorCode::from_wire(answer.error_code), answer.log_start_offset), (expected, log_start));
    }
}
