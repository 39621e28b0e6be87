//! Transactions in a partition: what readers of each kind see, hot, sealed and after a restart.
use super::*;
use crate::base::Json;
use crate::record::{BatchHeader, Codec, EndMarker, Outcome, Producer, split};

const PID: i64 = 7 << 32;

/// A batch of a transaction.
fn part(producer_id: i64, sequence: i32, value: &str) -> Bytes {
    let mut builder = crate::record::BatchBuilder::new();
    builder.set_transactional();
    builder.set_producer(Producer { id: producer_id, epoch: 0, base_sequence: sequence });
    let record =
        Record { timestamp: 1_000, value: Some(Bytes::copy_from_slice(value.as_bytes())), ..Record::default() };
    let _ = builder.push(&record.as_ref()).unwrap();
    builder.finish(Codec::None, None).unwrap()
}

async fn put(partition: &Partition, producer_id: i64, sequence: i32, value: &str) -> i64 {
    let pending = partition.append_transactional(part(producer_id, sequence, value), None).unwrap();
    pending.durable().await.unwrap().base_offset
}

pub(super) async fn end(log: &Log, partitions: &[&Partition], producer_id: i64, outcome: Outcome) {
    let end = TransactionEnd { producer_id, producer_epoch: 0, outcome };
    let partitions = partitions.iter().map(|p| (*p).clone()).collect();
    let changes = vec![("txn/x".to_owned(), Some(Json::of(&format!("{outcome:?}"))))];
    log.end_transaction(end, partitions, changes).unwrap().durable().await.unwrap();
}

/// What a client that reads committed hands to its program: batches of aborted transactions are dropped from the first offset
/// that the answer names to their marker.
pub(super) async fn committed(partition: &Partition) -> Vec<(i64, String)> {
    let (mut at, mut out) = (0, Vec::new());
    loop {
        let fetched = partition.read(at, 1 << 20, true, Isolation::ReadCommitted).await.unwrap();
        if fetched.batches.is_empty() {
            assert_eq!(at, partition.ends().last_stable, "the position reaches the end");
            return out;
        }
        let mut aborted = fetched.aborted.clone();
        let mut dropping = Vec::new();
        for batch in fetched.batches.into_iter().flat_map(split) {
            let batch = batch.unwrap();
            let header = BatchHeader::parse(&batch).unwrap();
            let id = header.producer_id;
            aborted.retain(|(producer_id, first)| {
                let begins = *first <= header.last_offset();
                if begins {
                    dropping.push(*producer_id);
                }
                !begins
            });
            if let Some(marker) = EndMarker::of_batch(&batch).unwrap() {
                dropping.retain(|producer_id| *producer_id != marker.producer_id);
            } else if !(header.is_transactional() && dropping.contains(&id)) {
                for_each_record::<crate::record::BatchError>(&batch, 1 << 20, &mut Vec::new(), |r| {
                    out.push((r.offset, String::from_utf8_lossy(r.value.unwrap_or_default()).into_owned()));
                    Ok(())
                })
                .unwrap();
            }
            at = header.last_offset() + 1;
        }
    }
}

/// Two transactions side by side, one of which is aborted, with plain records in between; one that is open at the end.
async fn fill(log: &Log, partition: &Partition) -> Vec<(i64, String)> {
    put(partition, PID, 0, "committed 0").await;
    put(partition, PID + 1, 0, "aborted 1").await;
    append(log, "t", &[(1, "plain 2")]).await;
    put(partition, PID, 1, "committed 3").await;
    put(partition, PID + 1, 1, "aborted 4").await;
    assert_eq!(partition.ends().last_stable, 0);
    assert_eq!(committed(partition).await, [], "nothing is decided");
    end(log, &[partition], PID + 1, Outcome::Aborted).await; // 5
    assert_eq!(partition.ends().last_stable, 0);
    end(log, &[partition], PID, Outcome::Committed).await; // 6
    assert_eq!(partition.ends().last_stable, 7);
    put(partition, PID + 1, 2, "committed 7").await;
    end(log, &[partition], PID + 1, Outcome::Committed).await; // 8
    put(partition, PID, 2, "open 9").await;
    append(log, "t", &[(1, "plain 10")]).await;
    assert_eq!((partition.ends().last_stable, partition.ends().high_watermark), (9, 11));
    assert_eq!(partition.open_transactions(), [(PID, 9)]);
    let words = ["committed 0", "plain 2", "committed 3", "committed 7"];
    words.iter().map(|w| (w.split(' ').nth(1).unwrap().parse().unwrap(), (*w).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn read_committed_sees_all_of_a_committed_transaction_and_nothing_of_an_aborted_one_in_every_tier() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    let expected = fill(&log, &partition).await;
    assert_eq!(committed(&partition).await, expected, "hot");
    assert_eq!(read_all(&partition, 0).await.len(), 8, "an uncommitted reader sees them all");
    drop(partition);
    state::kill(log).await;

    let log = tiers::reopened(&place).await;
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(partition.open_transactions(), [(PID, 9)], "after a restart");
    assert_eq!(committed(&partition).await, expected, "hot, after a restart");
    log.seal(None).await.unwrap();
    assert_eq!(partition.state().sealed_end, 9, "what is undecided stays in the WAL");
    partition.forget_recycled();
    partition.state().hot.forget_below(u64::MAX, 9);
    assert_eq!(committed(&partition).await, expected, "sealed");
    let layout = &log.layout(Some("t"), None).await.unwrap()[0];
    assert_eq!(layout.entries.iter().map(|e| e.records).sum::<u64>(), 4, "{layout:?}");
    end(&log, &[&partition], PID, Outcome::Committed).await;
    assert_eq!(partition.ends().last_stable, 12);
    let mut all = expected;
    all.extend([(9, "open 9".to_owned()), (10, "plain 10".to_owned())]);
    assert_eq!(committed(&partition).await, all);
    assert!(log.stop().await.released);
    drop((partition, log));
    place.lose_disk();

    let log = place.open().await;
    assert_eq!(committed(&log.partition("t", 0).unwrap()).await, all, "on the bucket alone");
    assert_eq!(log.state_items()["txn/x"], Json::of(&"Committed"));
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_nothing_but_aborted_records_and_markers_is_a_gap_that_a_reader_crosses() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    for round in 0..3 {
        put(&partition, PID, round, "gone").await;
        end(&log, &[&partition], PID, Outcome::Aborted).await;
    }
    log.seal(None).await.unwrap();
    partition.state().hot.forget_below(u64::MAX, 6);
    let layout = &log.layout(Some("t"), None).await.unwrap()[0];
    let gaps: Vec<_> = layout.entries.iter().map(|e| (e.kind.as_str(), e.first, e.next)).collect();
    assert_eq!(gaps, [("aborted", 0, 6)]);
    assert_eq!(committed(&partition).await, []);
    // The producer goes on where it was, although none of its records is kept.
    let refused = partition.append_transactional(part(PID, 5, "too far"), None).unwrap_err();
    assert!(matches!(refused, AppendError::OutOfOrderSequence { expected: 3, .. }), "{refused}");
    log.stop().await;
    drop((partition, log));
    let log = place.open().await;
    let partition = log.partition("t", 0).unwrap();
    let refused = partition.append_transactional(part(PID, 5, "too far"), None).unwrap_err();
    assert!(matches!(refused, AppendError::OutOfOrderSequence { expected: 3, .. }), "after a restart: {refused}");
    assert_eq!(put(&partition, PID, 3, "next").await, 6);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_over_several_partitions_ends_in_all_of_them_with_its_state_or_in_none() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(NewTopic { name: "t".into(), partitions: Some(3), settings: BTreeMap::new() }).await.unwrap();
    let partitions: Vec<_> = (0..3).map(|n| log.partition("t", n).unwrap()).collect();
    for partition in &partitions {
        put(partition, PID, 0, "x").await;
    }
    end(&log, &partitions.iter().collect::<Vec<_>>(), PID, Outcome::Committed).await;
    let groups: Vec<_> = partitions.iter().map(|p| p.state().hot.from(1).next().unwrap().position.group).collect();
    assert!(groups.windows(2).all(|pair| pair[0] == pair[1]), "one group: {groups:?}");
    for partition in &partitions {
        assert_eq!(committed(partition).await, [(0, "x".to_owned())]);
    }
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_transactions_and_others_do_not_take_each_others_way() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    assert!(matches!(partition.append(part(PID, 0, "x"), None), Err(AppendError::Transactional)));
    assert!(matches!(partition.append_transactional(batch(&[(1, "x")]), None), Err(AppendError::Transactional)));
    assert!(partition.append_transactional(part(-1, 0, "x"), None).is_err());
    let marker = crate::record::commit_marker(0, 0, 0);
    assert!(partition.append_transactional(marker, None).is_err());
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transaction_that_keeps_a_full_wal_from_going_on_is_named() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    append(&log, "t", &[(1, "decided")]).await;
    let large = "x".repeat(100_000);
    let mut sequence = 0;
    while log.pressing_transaction().is_none() {
        assert!(sequence < 160, "{:?}", log.wal_space());
        put(&partition, PID, sequence, &large).await;
        sequence += 1;
        log.seal(None).await.unwrap();
    }
    let (_, budget, free) = log.wal_space();
    assert!(free <= budget / 5, "not before four fifths are pinned: {free} of {budget}");
    assert_eq!(log.pressing_transaction(), Some(PID));
    end(&log, &[&partition], PID, Outcome::Aborted).await;
    log.seal(None).await.unwrap();
    assert_eq!(log.pressing_transaction(), None);
    assert!(log.wal_space().2 > budget / 2, "its files are free: {:?}", log.wal_space());
    log.stop().await;
}
