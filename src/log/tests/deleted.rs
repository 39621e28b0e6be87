//! Deleting records that are not sealed yet.
use super::*;
use crate::base::Json;
use crate::record::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_goes_on_behind_records_that_were_deleted_before_they_were_sealed() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    for sequence in 0..3 {
        partition.append(idempotent(5, sequence, "sealed"), None).unwrap().durable().await.unwrap();
    }
    log.seal(None).await.unwrap();
    for sequence in 3..6 {
        partition.append(idempotent(5, sequence, "deleted"), None).unwrap().durable().await.unwrap();
    }
    assert_eq!(partition.delete_records(-1).await.unwrap(), 6);
    let stopped = log.stop().await;
    assert!(stopped.released, "{stopped:?}");
    drop((partition, log));
    place.lose_disk();
    let log = place.open().await;
    let partition = log.partition("t", 0).unwrap();
    let again = partition.append(idempotent(5, 3, "deleted"), None).unwrap().durable().await.unwrap();
    assert_eq!(again.base_offset, 3, "it was acknowledged there");
    assert_eq!(partition.append(idempotent(5, 6, "next"), None).unwrap().durable().await.unwrap().base_offset, 6);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_ends_before_a_batch_that_is_not_decided_though_a_deletion_cuts_it() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    let batch = transactional(77, 0, &["0", "1", "2", "3"]);
    partition.append_transactional(batch, None).unwrap().durable().await.unwrap();
    assert_eq!(partition.delete_records(2).await.unwrap(), 2);
    let layout = log.seal(None).await.unwrap();
    assert_eq!(layout[0].sealed_end, 0, "{layout:?}");
    let end = TransactionEnd { producer_id: 77, producer_epoch: 0, outcome: Outcome::Aborted };
    let done = vec![("txn/t".to_owned(), Some(Json::of(&"aborted")))];
    log.end_transaction(end, vec![partition.clone()], done).unwrap().durable().await.unwrap();
    assert!(log.stop().await.released);
    drop((partition, log));
    place.lose_disk();
    let log = place.open().await;
    assert_eq!(read_all(&log.partition("t", 0).unwrap(), 2).await, [], "aborted is aborted");
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deletions_cost_one_version_of_the_manifest() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    let number = || partition.0.archive.view().number();
    let before = number();
    for n in 1..=10 {
        append(&log, "t", &[(1, "x")]).await;
        assert_eq!(partition.delete_records(n).await.unwrap(), n);
        log.0.mover.round();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(number(), before, "it rides on the next seal");
    append(&log, "t", &[(1, "stays")]).await;
    log.seal(None).await.unwrap();
    assert_eq!(number(), before + 1);
    assert_eq!(partition.0.archive.head().log_start, 10);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metric_of_partitions_falls_with_a_deleted_topic() {
    let place = Place::new();
    let log = place.open().await;
    for (name, partitions) in [("stays", 2), ("goes", 3)] {
        log.create_topic(NewTopic { partitions: Some(partitions), ..new_topic(name) }).await.unwrap();
    }
    assert_eq!(log.0.core.metrics.partitions.get(), 5);
    log.delete_topic("goes").await.unwrap();
    assert_eq!(log.0.core.metrics.partitions.get(), 2);
    log.stop().await;
}
