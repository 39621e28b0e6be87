//! Compacted topics as their readers see them, and merged segments.
use super::*;
use crate::record::{Codec, split};

fn keyed(key: Option<&str>, value: Option<&str>) -> Bytes {
    let mut builder = crate::record::BatchBuilder::new();
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let record = Record { timestamp: 1_000, key: key.map(bytes), value: value.map(bytes), ..Record::default() };
    let _ = builder.push(&record.as_ref()).unwrap();
    builder.finish(Codec::None, None).unwrap()
}

async fn put(partition: &Partition, key: &str, value: Option<&str>) -> i64 {
    partition.append(keyed(Some(key), value), None).unwrap().durable().await.unwrap().base_offset
}

/// Offset, key and value of every record, as a client sees them.
async fn records(partition: &Partition) -> Vec<(i64, String, Option<String>)> {
    let (mut at, mut out) = (0, Vec::new());
    loop {
        let fetched = partition.read(at, 1 << 20, true, Isolation::ReadUncommitted).await.unwrap();
        if fetched.batches.is_empty() {
            assert_eq!(at, partition.ends().high_watermark, "the position reaches the end");
            return out;
        }
        for batch in fetched.batches.into_iter().flat_map(split) {
            let batch = batch.unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let mut found = Vec::new();
            let header = for_each_record::<crate::record::BatchError>(&batch, 1 << 20, &mut Vec::new(), |r| {
                found.push((r.offset, r.key.map(text).unwrap_or_default(), r.value.map(text)));
                Ok(())
            })
            .unwrap();
            if !header.is_control() {
                out.extend(found.into_iter().filter(|(offset, ..)| *offset >= at));
            }
            at = header.last_offset() + 1;
        }
    }
}

fn compacted(name: &str) -> NewTopic {
    let settings = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")];
    let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    NewTopic { settings, ..new_topic(name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_keeps_the_newest_value_of_each_key_at_its_offset_hot_cold_and_after_a_restart() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(compacted("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    assert!(matches!(partition.append(keyed(None, Some("x")), None), Err(AppendError::Rejected(_))), "no key");
    for round in 0..5 {
        for key in ["a", "b", "c"] {
            put(&partition, key, Some(&format!("{key}{round}"))).await;
        }
        log.seal(None).await.unwrap();
    }
    put(&partition, "b", None).await;
    log.seal(None).await.unwrap();
    assert_eq!(records(&partition).await.len(), 16);
    log.0.mover.rewrite_all().await;
    let one = |offset, key: &str, value: Option<&str>| (offset, key.to_owned(), value.map(str::to_owned));
    let mut expected = vec![one(12, "a", Some("a4")), one(14, "c", Some("c4")), one(15, "b", None)];
    assert_eq!(records(&partition).await, expected, "though the WAL still has the others");
    assert_eq!(put(&partition, "a", Some("a5")).await, 16);
    expected.push(one(16, "a", Some("a5")));
    assert_eq!(records(&partition).await, expected, "what is hot is not compacted yet");
    drop(partition);
    state::kill(log).await;

    let log = tiers::reopened(&place).await;
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(records(&partition).await, expected, "after a restart");
    assert!(log.stop().await.released);
    drop((partition, log));
    place.lose_disk();
    let log = place.open().await;
    let partition = log.partition("t", 0).unwrap();
    log.0.mover.rewrite_all().await;
    expected.remove(0);
    assert_eq!(records(&partition).await, expected, "on the bucket alone, compacted once more");
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_segments_are_merged_under_a_reader_and_nothing_changes_for_it() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    for n in 0..8 {
        put(&partition, "k", Some(&format!("{n}"))).await;
        log.seal(None).await.unwrap();
    }
    partition.state().hot.forget_below(u64::MAX, 8);
    let before = records(&partition).await;
    let segments = async || log.layout(Some("t"), None).await.unwrap()[0].entries.len();
    assert_eq!(segments().await, 8);
    let reading = {
        let partition = partition.clone();
        let expected = before.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                assert_eq!(records(&partition).await, expected);
            }
        })
    };
    log.0.mover.rewrite_all().await;
    reading.await.unwrap();
    assert_eq!(segments().await, 1);
    assert_eq!(records(&partition).await, before);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_is_sealed_and_compacted_when_max_compaction_lag_ms_has_passed() {
    let place = Place { clock: Clock::manual(Clock::real().now_ms()), ..Place::new() };
    let log = place.open().await;
    let settings = [("cleanup.policy", "compact"), ("max.compaction.lag.ms", "60000")];
    let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    log.create_topic(NewTopic { settings, ..new_topic("t") }).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    for n in 0..5 {
        put(&partition, "k", Some(&format!("{n}"))).await;
    }
    assert_eq!(records(&partition).await.len(), 5);
    place.clock.advance(Duration::from_millis(60_000));
    while partition.unsealed().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    log.0.mover.rewrite_all().await;
    while records(&partition).await.len() > 1 {
        place.clock.advance(Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(20)).await;
        log.0.mover.rewrite_all().await;
    }
    assert_eq!(records(&partition).await, [(4, "k".to_owned(), Some("4".to_owned()))]);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_of_a_compacted_topic_does_not_keep_others_from_being_compacted_or_merged() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(compacted("damaged")).await.unwrap();
    log.create_topic(compacted("whole")).await.unwrap();
    log.create_topic(NewTopic { partitions: Some(6), ..new_topic("merged") }).await.unwrap();
    let partitions: Vec<Partition> = [("damaged", 0), ("whole", 0)]
        .into_iter()
        .chain((0..6).map(|n| ("merged", n)))
        .map(|(topic, n)| log.partition(topic, n).unwrap())
        .collect();
    for n in 0..8 {
        for partition in &partitions {
            put(partition, "k", Some(&format!("{n}"))).await;
        }
        log.seal(None).await.unwrap();
    }
    let layout = async |topic: &str| log.layout(Some(topic), None).await.unwrap();
    let url = layout("damaged").await[0].entries[3].url.clone();
    let file = url.strip_prefix("file://").unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    bytes[10] ^= 1;
    std::fs::write(file, bytes).unwrap();
    log.0.mover.rewrite_all().await;
    assert_eq!(layout("damaged").await[0].entries.len(), 8, "it stays as it was");
    assert_eq!(layout("whole").await[0].entries.iter().map(|entry| entry.records).sum::<u64>(), 1);
    assert!(layout("merged").await.iter().all(|partition| partition.entries.len() == 1));
    log.stop().await;
}
