//! Batches that are so small that the memory for their positions is what there is least of.
use super::transactions::{committed, end};
use super::*;
use crate::record::Outcome;

fn both(log: &Log) -> Vec<Partition> {
    ["a", "b"].map(|topic| log.partition(topic, 0).unwrap()).to_vec()
}

async fn fill(partition: &Partition, count: usize) {
    let appended: Vec<_> = (0..count).map(|_| partition.append(batch(&[(1, "small")]), None).unwrap()).collect();
    for pending in appended {
        pending.durable().await.unwrap();
    }
}

#[tokio::test]
async fn what_has_no_room_goes_cold_if_it_is_sealed_and_is_sealed_early_if_it_is_not() {
    let place = Place::new();
    let log = place.open().await;
    for topic in ["a", "b"] {
        log.create_topic(new_topic(topic)).await.unwrap();
    }
    let partitions = both(&log);
    for _ in 0..300 {
        fill(&partitions[0], 1).await; // each in a group of its own
    }
    fill(&partitions[1], 300).await;
    log.seal(Some("a")).await.unwrap();
    let index = || partitions.iter().map(|p| p.state().hot.memory()).sum::<u64>();
    let all = index();

    assert_eq!(log.0.mover.bound_index(&partitions, all), None, "there is room");
    assert_eq!(index(), all);
    assert_eq!(log.0.mover.bound_index(&partitions, all - 1), None, "what is sealed makes room");
    assert!(index() < all);
    let (a, b) = (partitions[0].state().hot.start(), partitions[1].state().hot.start());
    assert!(a > Some(0), "its oldest batches are in the bucket only: {a:?}");
    assert_eq!(b, Some(0), "these are nowhere else");

    let wanted = log.0.mover.bound_index(&partitions, 1).expect("what is not sealed takes too much");
    assert_eq!((partitions[0].state().hot.start(), partitions[1].state().hot.start()), (None, Some(0)));
    let unsealed = partitions[1].unsealed().unwrap();
    assert!(unsealed.group < wanted, "it is sealed as if the WAL were full");
    for partition in &partitions {
        assert_eq!(read_all(partition, 0).await.len(), 300);
    }
    drop(partitions);
    log.stop().await;
}

#[tokio::test]
async fn produce_is_refused_while_there_is_no_memory_for_the_position_of_a_batch_and_a_transaction_still_ends() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("a")).await.unwrap();
    let partition = log.partition("a", 0).unwrap();
    partition.append_transactional(part(7, 0, "open"), None).unwrap().durable().await.unwrap();
    log.0.core.set_index_bytes(place.env().limits.hot_index_max_bytes() + 1);
    let refused = partition.append(batch(&[(1, "one")]), None).unwrap_err();
    assert!(matches!(&refused, AppendError::Storage(why) if why.contains("linger.ms")), "{refused}");
    end(&log, &[&partition], 7, Outcome::Committed).await;
    log.0.core.set_index_bytes(0);
    append(&log, "a", &[(1, "two")]).await;
    drop(partition);
    log.stop().await;
}

/// What one start sees of a WAL.
#[derive(Debug, PartialEq)]
struct Seen {
    ends: Ends,
    records: Vec<(i64, String)>,
    again: i64,
    committed: Vec<(i64, String)>,
}

async fn seen(log: &Log) -> Seen {
    let a = log.partition("a", 0).unwrap();
    let again = a.append(idempotent(5, 1, "second"), None).unwrap();
    let (ends, again) = (a.ends(), again.durable().await.unwrap().base_offset);
    let committed = committed(&a).await;
    Seen { ends, records: read_all(&a, 0).await, again, committed }
}

#[tokio::test]
async fn a_wal_with_more_batches_than_memory_for_them_is_recovered_as_any_other_but_what_is_sealed_is_cold() {
    let place = Place::new();
    let log = place.open().await;
    for topic in ["a", "b"] {
        log.create_topic(new_topic(topic)).await.unwrap();
    }
    let (a, b) = (log.partition("a", 0).unwrap(), log.partition("b", 0).unwrap());
    b.append_transactional(part(9, 0, "pins R"), None).unwrap().durable().await.unwrap();
    fill(&a, 3_000).await;
    a.append(idempotent(5, 0, "first"), None).unwrap().durable().await.unwrap();
    log.seal(Some("a")).await.unwrap();
    let sealed = a.ends().high_watermark;
    a.append(idempotent(5, 1, "second"), None).unwrap().durable().await.unwrap();
    a.append_transactional(part(7, 0, "aborted"), None).unwrap().durable().await.unwrap();
    end(&log, &[&a], 7, Outcome::Aborted).await;
    fill(&a, 100).await;
    a.append_transactional(part(8, 0, "open"), None).unwrap().durable().await.unwrap();
    drop((a, b));
    super::state::kill(log).await;

    let mut all = Vec::new();
    for (limits, start) in [(Limits::default(), Some(0)), (Limits::tiny(1 << 20), Some(sealed))] {
        let log = Log::open(place.options(), Env { limits, ..place.env() }).await.unwrap();
        assert_eq!(log.partition("a", 0).unwrap().state().hot.start(), start);
        all.push(seen(&log).await);
        super::state::kill(log).await;
    }
    assert_eq!(all[0], all[1]);
    assert_eq!((all[0].again, all[0].ends.last_stable), (sealed, all[0].ends.high_watermark - 1));
    assert!(!all[0].committed.iter().any(|(_, value)| value == "aborted"), "readers are told what was aborted");
}
