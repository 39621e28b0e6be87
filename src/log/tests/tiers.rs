use super::*;

fn numbered(n: i64) -> Vec<(i64, String)> {
    (0..n).map(|i| (1_000 + i, format!("value {i}"))).collect()
}

async fn fill(log: &Log, topic: &str, from: i64, to: i64) {
    for i in from..to {
        append(log, topic, &[(1_000 + i, &format!("value {i}"))]).await;
    }
}

fn expected(n: i64) -> Vec<(i64, String)> {
    numbered(n).into_iter().enumerate().map(|(i, (_, v))| (i as i64, v)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_the_same_hot_sealed_after_a_restart_and_after_a_released_disk_is_lost() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    fill(&log, "t", 0, 50).await;
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(read_all(&partition, 0).await, expected(50), "hot");
    log.seal(Some("t")).await.unwrap();
    fill(&log, "t", 50, 60).await;
    partition.state().hot.forget_below(u64::MAX, 50);
    assert_eq!(partition.state().hot.start(), Some(50));
    assert_eq!(read_all(&partition, 0).await, expected(60), "cold, then hot");
    let stopped = log.stop().await;
    assert!(stopped.released, "{stopped:?}");
    drop((partition, log));

    let log = place.open().await;
    assert_eq!(read_all(&log.partition("t", 0).unwrap(), 0).await, expected(60), "after a restart");
    fill(&log, "t", 60, 70).await;
    assert!(log.stop().await.released);
    drop(log);
    place.lose_disk();

    let log = place.open().await;
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(read_all(&partition, 0).await, expected(70), "on the bucket alone");
    assert_eq!(append(&log, "t", &[(1, "next")]).await.base_offset, 70);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_log_that_never_stopped() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    fill(&log, "t", 0, 20).await;
    log.seal(None).await.unwrap();
    fill(&log, "t", 20, 40).await;
    log.0.core.fence.end("killed");
    let wal = log.0.core.wal.clone();
    drop(log);
    wal.close().unwrap();
    drop(wal);
    let log = reopened(&place).await;
    assert_eq!(read_all(&log.partition("t", 0).unwrap(), 0).await, expected(40));
    log.stop().await;
}

/// The lock of the directory goes with the last task of the old log.
pub(super) async fn reopened(place: &Place) -> Log {
    for _ in 0..100 {
        match Log::open(place.options(), place.env()).await {
            Ok(log) => return log,
            Err(OpenError::Refused(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the directory stays locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_is_refused_then_taken_over_with_a_gap_and_no_offset_again() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    fill(&log, "t", 0, 10).await;
    log.seal(None).await.unwrap();
    fill(&log, "t", 10, 15).await;
    log.0.core.fence.end("killed");
    drop(log);
    place.lose_disk();
    let refused = Log::open(place.options(), place.env()).await.unwrap_err();
    assert!(matches!(&refused, OpenError::Refused(text) if text.contains("--take-over")), "{refused}");
    place.lose_disk();
    let mut options = place.options();
    options.take_over = true;
    let log = Log::open(options, place.env()).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(read_all(&partition, 0).await, expected(10));
    let layout = &log.layout(Some("t"), None).await.unwrap()[0];
    assert!(layout.entries.iter().any(|e| e.kind == "wal-lost" && e.first == 10), "{layout:?}");
    let next = append(&log, "t", &[(1, "after")]).await.base_offset;
    assert!(next > 15);
    assert_eq!(read_all(&partition, 0).await.last(), Some(&(next, "after".to_owned())));
    log.seal(None).await.unwrap();
    partition.state().hot.forget_below(u64::MAX, next + 1);
    assert_eq!(read_all(&partition, 0).await.last(), Some(&(next, "after".to_owned())));
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_by_time_are_found_in_both_tiers_whatever_the_clocks_did() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let times = [50, 20, 90, 90, 10, 70, 95, 30];
    for (i, t) in times.iter().enumerate() {
        append(&log, "t", &[(*t, "x")]).await;
        if i == 4 {
            log.seal(None).await.unwrap();
        }
    }
    let partition = log.partition("t", 0).unwrap();
    partition.state().hot.forget_below(u64::MAX, 5);
    for t in 0..100 {
        let found = partition.find(OffsetQuery::AtOrAfter(t), Isolation::ReadUncommitted).await.unwrap();
        let first = times.iter().position(|x| *x >= t).map_or(-1, |i| i as i64);
        assert_eq!(found.offset, first, "at or after {t}");
    }
    let find = async |q| partition.find(q, Isolation::ReadUncommitted).await.unwrap().offset;
    assert_eq!(find(OffsetQuery::MaxTimestamp).await, 6);
    assert_eq!(find(OffsetQuery::Earliest).await, 0);
    assert_eq!(find(OffsetQuery::Latest).await, 8);
    assert_eq!(find(OffsetQuery::EarliestLocal).await, 5);
    assert_eq!(find(OffsetQuery::LatestTiered).await, 4);
    assert_eq!(find(OffsetQuery::EarliestUnsealed).await, 5);
    assert_eq!(partition.delete_records(3).await.unwrap(), 3);
    assert_eq!(find(OffsetQuery::Earliest).await, 3);
    assert_eq!(find(OffsetQuery::AtOrAfter(60)).await, 3);
    assert_eq!(partition.delete_records(7).await.unwrap(), 7);
    assert_eq!(find(OffsetQuery::EarliestUnsealed).await, 7);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_at_the_end_is_woken_by_the_next_record() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    let on = WaitOn { partition, from: 0, isolation: Isolation::ReadUncommitted };
    let waiting = {
        let log = log.clone();
        tokio::spawn(async move { log.wait(&[on], 1, Duration::from_secs(60)).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    append(&log, "t", &[(1, "x")]).await;
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_holds_about_esker_seal_bytes_of_payload_however_well_batches_compress() {
    let place = Place::new();
    let log = place.open().await;
    let settings = [("esker.seal.bytes".to_owned(), "100000".to_owned())].into();
    log.create_topic(NewTopic { settings, ..new_topic("t") }).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    let header = crate::record::Header { key: Bytes::new(), value: None };
    for n in 0..40 {
        let value = Some(Bytes::from(vec![b'a' + n as u8 % 26; 10_000]));
        let headers = vec![header.clone(); if n % 4 == 0 { 2_000 } else { 0 }];
        let mut builder = crate::record::BatchBuilder::new();
        let _ = builder.push(&Record { value, headers, leader_epoch: -1, ..Record::default() }.as_ref()).unwrap();
        let batch = builder.finish(crate::record::Codec::Zstd, None).unwrap();
        partition.append(batch, None).unwrap().durable().await.unwrap();
    }
    assert!(partition.unsealed().unwrap().bytes < 20_000, "in the WAL it is little");
    let before = read_all(&partition, 0).await;
    log.seal(None).await.unwrap();
    let entries = log.layout(Some("t"), None).await.unwrap().remove(0).entries;
    assert_eq!(entries.iter().map(|entry| entry.records).sum::<u64>(), 40);
    assert!(entries.len() >= 4, "{} segments", entries.len());
    assert!(entries.iter().all(|entry| entry.payload_bytes <= 110_000), "{entries:?}");
    partition.state().hot.forget_below(u64::MAX, 40);
    assert_eq!(read_all(&partition, 0).await, before);
    log.stop().await;
}
