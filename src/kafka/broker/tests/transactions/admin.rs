//! What administrators are told of transactions and of those who write in them.
use super::*;
use crate::kafka::messages::describe_producers::{self, DescribeProducersRequest};
use crate::kafka::messages::describe_transactions::DescribeTransactionsRequest;
use crate::kafka::messages::list_transactions::ListTransactionsRequest;
use crate::kafka::messages::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest};

#[tokio::test]
async fn administrators_see_transactions_and_abort_them() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let mut writer = Writer::new(&setup, &topic, NEW).await;
    writer.send(1, "x").await.unwrap();
    let describe = DescribeTransactionsRequest { transactional_ids: vec!["x".to_owned(), "none".to_owned()] };
    let described = writer.raw.call(0, &describe).await.transaction_states;
    assert_eq!(described[0].transaction_state, "Ongoing");
    assert_eq!((described[0].topics[0].topic.as_str(), described[0].topics[0].partitions.as_slice()), ("t", &[1][..]));
    assert_eq!(described[1].error_code, ErrorCode::TransactionalIdNotFound.code());
    let list = |states: &[&str], pattern: &str, producer: i64, duration| ListTransactionsRequest {
        state_filters: states.iter().map(|state| (*state).to_owned()).collect(),
        producer_id_filters: if producer == 0 { Vec::new() } else { vec![producer] },
        duration_filter: duration,
        transactional_id_pattern: Some(pattern.to_owned()),
    };
    let cases = [
        (list(&[], "", 0, -1), 1),
        (list(&["Ongoing"], "x+", writer.id, -1), 1),
        (list(&["Empty"], "", 0, -1), 0),
        (list(&["Nonsense"], "", 0, -1), 0),
        (list(&[], "y", 0, -1), 0),
        (list(&[], "", 5, -1), 0),
        (list(&[], "", 0, 100_000), 0),
    ];
    for (request, found) in cases {
        assert_eq!(writer.raw.call(2, &request).await.transaction_states.len(), found, "{request:?}");
    }
    let wrong = writer.raw.call(2, &list(&[], "(", 0, -1)).await;
    assert_eq!(wrong.error_code, ErrorCode::InvalidRegularExpression.code());
    let producers = DescribeProducersRequest {
        topics: vec![describe_producers::TopicRequest { name: "t".to_owned(), partition_indexes: vec![1, 9] }],
    };
    let partitions = writer.raw.call(0, &producers).await.topics.remove(0).partitions;
    assert_eq!(partitions[0].active_producers[0].current_txn_start_offset, 0);
    assert_eq!(partitions[1].error_code, ErrorCode::UnknownTopicOrPartition.code());
    let marker = |committed, epoch| WritableTxnMarker {
        producer_id: writer.id,
        producer_epoch: epoch,
        transaction_result: committed,
        topics: vec![WritableTxnMarkerTopic { name: "t".to_owned(), partition_indexes: vec![1] }],
        ..WritableTxnMarker::default()
    };
    let requests = [
        (marker(true, 0), ErrorCode::ClusterAuthorizationFailed),
        (marker(false, -1), ErrorCode::InvalidProducerEpoch),
        (marker(false, 0), ErrorCode::None),
        (marker(false, 0), ErrorCode::InvalidTxnState),
    ];
    for (marker, expected) in requests {
        let answer = writer.raw.call(1, &WriteTxnMarkersRequest { markers: vec![marker] }).await;
        let code = answer.markers[0].topics[0].partitions[0].error_code;
        assert_eq!(ErrorCode::from_wire(code), expected);
    }
    assert_eq!(writer.read(1).await.2, 2);
    assert_eq!(writer.send(1, "fenced").await, Err(ErrorCode::InvalidProducerEpoch));
}

#[tokio::test]
async fn transactional_ids_are_listed_by_when_their_last_transaction_began_and_by_patterns_of_their_whole_names() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let mut writer = Writer::new(&setup, &topic, NEW).await;
    let list = |duration_filter, pattern: &str| ListTransactionsRequest {
        duration_filter,
        transactional_id_pattern: Some(pattern.to_owned()),
        ..ListTransactionsRequest::default()
    };
    let found = async |writer: &mut Writer, duration, pattern: &str| {
        let answer = writer.raw.call(2, &list(duration, pattern)).await;
        (ErrorCode::from_wire(answer.error_code), answer.transaction_states.len())
    };
    let (yes, no) = ((ErrorCode::None, 1), (ErrorCode::None, 0));
    // One without a transaction so far counts as one that began long ago.
    assert_eq!(found(&mut writer, 100_000, "").await, yes);
    for ended in [false, true] {
        writer.send(0, "a").await.unwrap();
        if ended {
            assert_eq!(writer.end(true).await, ErrorCode::None);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        for (duration, expected) in [(-1, yes), (0, yes), (100_000, no)] {
            assert_eq!(found(&mut writer, duration, "").await, expected, "{duration}, ended: {ended}");
        }
    }
    let refused = (ErrorCode::InvalidRegularExpression, 0);
    for (pattern, expected) in [("x", yes), ("y|x", yes), (".*", yes), ("xx?", yes), ("[^x]*", no), ("(", refused)] {
        assert_eq!(found(&mut writer, -1, pattern).await, expected, "{pattern}");
    }
    // The first letter alone is not the name.
    let named = InitProducerIdRequest {
        transactional_id: Some("xyz".to_owned()),
        transaction_timeout_ms: 60_000,
        ..InitProducerIdRequest::default()
    };
    assert_eq!(writer.raw.call(4, &named).await.error_code, 0);
    for (pattern, expected) in [("x", 1), ("x.*", 2), ("yz", 0), ("x|y", 1)] {
        assert_eq!(found(&mut writer, -1, pattern).await, (ErrorCode::None, expected), "{pattern}");
    }
}

#[tokio::test]
async fn producers_are_described_with_the_coordinator_of_their_last_marker() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let mut writer = Writer::new(&setup, &topic, OLD).await;
    let described = async |writer: &mut Writer, name: &str, index: i32| {
        let topics = vec![describe_producers::TopicRequest { name: name.to_owned(), partition_indexes: vec![index] }];
        let answer = writer.raw.call(0, &DescribeProducersRequest { topics }).await.topics.remove(0);
        let partition = &answer.partitions[0];
        let producers = partition.active_producers.iter().map(|p| (p.last_sequence, p.coordinator_epoch));
        (ErrorCode::from_wire(partition.error_code), producers.collect::<Vec<_>>())
    };
    writer.add(&[0, 1]).await;
    writer.send(0, "a").await.unwrap();
    assert_eq!(described(&mut writer, "t", 0).await, (ErrorCode::None, vec![(0, -1)]));
    assert_eq!(described(&mut writer, "t", 1).await, (ErrorCode::None, vec![]));
    assert_eq!(writer.end(true).await, ErrorCode::None);
    let epoch = i32::try_from(setup.log.epoch()).unwrap();
    assert_eq!(described(&mut writer, "t", 0).await, (ErrorCode::None, vec![(0, epoch)]));
    // A marker alone makes a producer known, and its first batch begins at 0.
    assert_eq!(described(&mut writer, "t", 1).await, (ErrorCode::None, vec![(-1, epoch)]));
    writer.add(&[1]).await;
    writer.sequence = 3;
    assert_eq!(writer.send(1, "b").await, Err(ErrorCode::OutOfOrderSequenceNumber));
    writer.sequence = 0;
    assert_eq!(writer.send(1, "b").await, Ok(1));
    for (name, index, code) in [
        ("t", 9, ErrorCode::UnknownTopicOrPartition),
        ("u", 0, ErrorCode::UnknownTopicOrPartition),
        ("no/name", 0, ErrorCode::InvalidTopic),
    ] {
        assert_eq!(described(&mut writer, name, index).await, (code, vec![]));
    }
}
