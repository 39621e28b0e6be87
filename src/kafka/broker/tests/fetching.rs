//! What consumers are told.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic, PartitionData,
};

fn request(topic: &Topic, positions: &[(i32, i64)]) -> FetchRequest {
    let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: positions.iter().map(partition).collect(),
        }],
        ..FetchRequest::default()
    }
}

fn partitions(response: &FetchResponse) -> Vec<&PartitionData> {
    response.responses.iter().flat_map(|topic| &topic.partitions).collect()
}

fn read(partition: &PartitionData) -> Vec<(i64, String)> {
    records(&partition.records.as_ref().unwrap().to_bytes())
}

#[tokio::test]
async fn every_version_reads_the_same_records_hot_and_cold() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let client = setup.client().await;
    for partition in 0..2 {
        client.produce(&topic, partition, batch(&["a", "b"])).await.unwrap();
        client.produce(&topic, partition, batch_of(&["c"], Codec::Zstd, Producer::NONE)).await.unwrap();
    }
    let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(offset, value)| (offset, value.to_owned()));
    let mut raw = setup.raw().await;
    for sealed in [false, true] {
        if sealed {
            setup.log.seal(None).await.unwrap();
        }
        for version in 4..=18 {
            let response = raw.call(version, &request(&topic, &[(0, 0), (1, 0)])).await;
            assert_eq!(partitions(&response).len(), 2);
            for partition in partitions(&response) {
                assert_eq!((partition.error_code, partition.high_watermark), (0, 3));
                assert_eq!(read(partition), expected, "version {version} sealed {sealed}");
            }
        }
    }
}

#[tokio::test]
async fn a_fetch_waits_for_data_and_no_longer_than_it_said() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let client = setup.client().await;
    let clock = Clock::real();
    let mut raw = setup.raw().await;
    let patient = FetchRequest { max_wait_ms: 30_000, ..request(&topic, &[(0, 0), (1, 0)]) };
    raw.send(12, &patient).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.produce(&topic, 1, batch(&["late"])).await.unwrap();
    let response = raw.answer::<FetchRequest>(12).await;
    assert_eq!(read(partitions(&response)[1]), [(0, "late".to_owned())]);
    assert!(clock.elapsed() < Duration::from_secs(20));

    let began = clock.elapsed();
    let short = FetchRequest { max_wait_ms: 200, ..request(&topic, &[(0, 0), (1, 1)]) };
    let response = raw.call(12, &short).await;
    assert!(partitions(&response).iter().all(|partition| read(partition).is_empty()));
    let waited = clock.elapsed() - began;
    assert!(waited >= Duration::from_millis(190), "{waited:?}");

    let more = FetchRequest { max_wait_ms: 200, min_bytes: 1 << 20, ..request(&topic, &[(0, 0), (1, 0)]) };
    let began = clock.elapsed();
    let response = raw.call(12, &more).await;
    assert_eq!(read(partitions(&response)[1]).len(), 1, "what is there comes when the wait is over");
    assert!(clock.elapsed() - began >= Duration::from_millis(190));
}

#[tokio::test]
async fn the_first_batch_always_goes_and_limits_hold_for_the_rest() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let client = setup.client().await;
    let large = "x".repeat(10_000);
    for partition in [0, 0, 1] {
        client.produce(&topic, partition, batch(&[&large])).await.unwrap();
    }
    let mut small = request(&topic, &[(0, 0), (1, 0)]);
    small.topics[0].partitions.iter_mut().for_each(|partition| partition.partition_max_bytes = 100);
    let response = setup.raw().await.call(12, &small).await;
    let counts: Vec<usize> = partitions(&response).iter().map(|partition| read(partition).len()).collect();
    assert_eq!(counts, [1, 0]);
    let whole = FetchRequest { max_bytes: 15_000, ..request(&topic, &[(0, 0), (1, 0)]) };
    let response = setup.raw().await.call(12, &whole).await;
    let counts: Vec<usize> = partitions(&response).iter().map(|partition| read(partition).len()).collect();
    assert_eq!(counts, [1, 0]);
}

#[tokio::test]
async fn errors_stay_with_their_partition() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    setup.client().await.produce(&topic, 0, batch(&["a"])).await.unwrap();
    let mut raw = setup.raw().await;
    let codes = |response: &FetchResponse| -> Vec<ErrorCode> {
        partitions(response).iter().map(|partition| ErrorCode::from_wire(partition.error_code)).collect()
    };
    let response = raw.call(12, &request(&topic, &[(0, 0), (0, 5), (0, -3), (8, 0)])).await;
    use ErrorCode::{FencedLeaderEpoch, OffsetOutOfRange, UnknownLeaderEpoch, UnknownTopicId, UnknownTopicOrPartition};
    let expected = [ErrorCode::None, OffsetOutOfRange, OffsetOutOfRange, UnknownTopicOrPartition];
    assert_eq!(codes(&response), expected);
    assert_eq!(read(partitions(&response)[0]).len(), 1);

    let stranger = Topic { id: crate::base::Uuid([7; 16]), ..topic.clone() };
    assert_eq!(codes(&raw.call(13, &request(&stranger, &[(0, 0)])).await), [UnknownTopicId]);

    let ours = i32::try_from(setup.log.epoch()).unwrap();
    for (epoch, code) in [(ours - 1, FencedLeaderEpoch), (ours, ErrorCode::None), (ours + 1, UnknownLeaderEpoch)] {
        let mut fenced = request(&topic, &[(0, 0)]);
        fenced.topics[0].partitions[0].current_leader_epoch = epoch;
        assert_eq!(codes(&raw.call(12, &fenced).await), [code]);
    }
    let odd = raw.call(12, &FetchRequest { isolation_level: 2, ..request(&topic, &[(0, 0)]) }).await;
    assert_eq!((ErrorCode::from_wire(odd.error_code), odd.responses.len()), (ErrorCode::InvalidRequest, 0));
    // Where a partition was not read its aborted transactions are not known; where there is no partition there are none.
    let mut beyond = request(&topic, &[(0, 5), (8, 0), (0, 0)]);
    beyond.topics[0].partitions[2].current_leader_epoch = ours + 1;
    let response = raw.call(12, &beyond).await;
    let known =
        partitions(&response).iter().map(|partition| partition.aborted_transactions.is_some()).collect::<Vec<_>>();
    assert_eq!(known, [false, true, false]);
}

#[tokio::test]
async fn a_reader_whose_history_parts_from_ours_is_told_where() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    setup.client().await.produce(&topic, 0, batch(&["a"])).await.unwrap();
    let epoch = i32::try_from(setup.log.epoch()).unwrap();
    let mut raw = setup.raw().await;
    let mut told = async |last_fetched_epoch, fetch_offset| {
        let mut request = request(&topic, &[(0, fetch_offset)]);
        request.topics[0].partitions[0].last_fetched_epoch = last_fetched_epoch;
        let response = raw.call(12, &request).await;
        let partition = partitions(&response)[0];
        let diverging = (partition.diverging_epoch.epoch, partition.diverging_epoch.end_offset);
        (ErrorCode::from_wire(partition.error_code), diverging)
    };
    assert_eq!(told(epoch, 1).await, (ErrorCode::None, (-1, -1)), "the same history");
    assert_eq!(told(epoch, 5).await, (ErrorCode::None, (epoch, 1)), "it has more of this epoch than we");
    assert_eq!(told(epoch + 5, 1).await.0, ErrorCode::OffsetOutOfRange, "an epoch that never was");
}

#[tokio::test]
async fn a_session_reads_on_without_naming_its_partitions() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let client = setup.client().await;
    client.produce(&topic, 0, batch(&["a"])).await.unwrap();
    let mut raw = setup.raw().await;
    for version in [7, 12, 13, 18] {
        let first = FetchRequest { session_epoch: 0, ..request(&topic, &[(0, 0), (1, 0)]) };
        let response = raw.call(version, &first).await;
        let session_id = response.session_id;
        assert!(session_id > 0);
        assert_eq!(partitions(&response).len(), 2);

        let next = |session_epoch, positions: &[(i32, i64)]| {
            let request = request(&topic, positions);
            let topics = if positions.is_empty() { Vec::new() } else { request.topics };
            FetchRequest { session_id, session_epoch, topics, ..request }
        };
        let end = partitions(&response)[0].high_watermark;
        let response = raw.call(version, &next(1, &[(0, end)])).await;
        assert_eq!((response.session_id, partitions(&response).len()), (session_id, 0), "nothing is new");

        client.produce(&topic, 0, batch(&["b"])).await.unwrap();
        let response = raw.call(version, &next(2, &[])).await;
        assert_eq!(read(partitions(&response)[0]), [(end, "b".to_owned())]);

        let gone = ForgottenTopic { topic: topic.name.clone(), topic_id: topic.id, partitions: vec![0] };
        let response = raw.call(version, &FetchRequest { forgotten_topics_data: vec![gone], ..next(3, &[]) }).await;
        assert_eq!(partitions(&response).len(), 0);

        let response = raw.call(version, &next(3, &[])).await;
        assert_eq!(ErrorCode::from_wire(response.error_code), ErrorCode::InvalidFetchSessionEpoch);
        let response = raw.call(version, &next(-1, &[(0, end)])).await;
        assert_eq!((response.session_id, read(partitions(&response)[0]).len()), (0, 1));
        let response = raw.call(version, &next(4, &[])).await;
        assert_eq!(ErrorCode::from_wire(response.error_code), ErrorCode::FetchSessionIdNotFound);
    }
}

#[tokio::test]
async fn a_stop_ends_long_polls_and_connections() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    raw.send(12, &FetchRequest { max_wait_ms: 60_000, ..request(&topic, &[(0, 0)]) }).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    setup.stop.stop();
    let ended = async {
        assert_eq!(partitions(&raw.answer::<FetchRequest>(12).await).len(), 1);
        assert_eq!(raw.frame().await, None);
        setup.serving.await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(4), ended).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_history_leave_those_at_the_tail_their_memory() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    setup.client().await.produce(&topic, 0, batch(&["sealed"])).await.unwrap();
    assert!(setup.log.stop().await.released);
    setup.stop.stop();
    setup.serving.await.unwrap();
    std::fs::remove_dir_all(setup.folder.path().join("wal")).unwrap();
    let (folder, log) = (setup.folder.clone(), setup.log);
    drop(log);
    let setup = Setup::on(folder, BrokerOptions::default(), GroupOptions::default()).await;
    setup.client().await.produce(&topic, 0, batch(&["hot"])).await.unwrap();
    let all = setup.responses.history.try_acquire(setup.responses.history.capacity()).unwrap();
    let fetch = async |offset| {
        let mut raw = setup.raw().await;
        raw.send(18, &request(&topic, &[(0, offset)])).await;
        read(partitions(&raw.answer::<FetchRequest>(18).await)[0])
    };
    assert_eq!(fetch(1).await, [(1, "hot".to_owned())]);
    let waiting = tokio::time::timeout(Duration::from_millis(200), fetch(0)).await;
    assert!(waiting.is_err(), "history waits for its own memory");
    drop(all);
    assert_eq!(fetch(0).await[0], (0, "sealed".to_owned()));
}
