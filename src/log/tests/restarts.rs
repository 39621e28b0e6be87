//! What a start finds free, and what it goes on with.
use super::*;
use crate::base::Json;
use crate::record::Outcome;
use crate::store::testing::{Call, Fault, Faulty};
use crate::wal::fs::{FaultyFs, RealFs};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clean_restart_of_a_full_wal_nothing_is_refused() {
    let place = Place::new();
    let options = place.with_small_files(16);
    let log = Log::open(options.clone(), place.env()).await.unwrap();
    log.create_topic(new_topic("t")).await.unwrap();
    for _ in 0..20 {
        for _ in 0..10 {
            append(&log, "t", &[(1, &"x".repeat(9000))]).await;
        }
        log.seal(None).await.unwrap();
    }
    let space = log.0.core.wal.space();
    assert!(space.used > space.budget - space.reserve, "the WAL is full of what is sealed: {space:?}");
    assert!(log.stop().await.released);
    drop(log);
    let log = reopened_with(options, &place).await.unwrap();
    let space = log.0.core.wal.space();
    assert!(space.pinned <= space.files.last().unwrap().bytes, "only the newest file is pinned: {space:?}");
    assert_eq!(append(&log, "t", &[(1, "the first after it")]).await.base_offset, 200);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_not_released_while_changes_of_state_are_in_no_version() {
    let (place, faulty) = (Place::new(), Faulty::new());
    let open =
        async || Log::open_on(place.options(), place.env(), Arc::new(RealFs::new()), faulty.store()).await.unwrap();
    let log = open().await;
    log.append_state(vec![("offset/x".into(), Some(Json::of(&42)))]).unwrap().durable().await.unwrap();
    faulty.on(Call::Create, Fault::Denied);
    let stopped = log.stop().await;
    assert!(!stopped.released && stopped.unsealed.iter().any(|line| line.contains("groups")), "{stopped:?}");
    drop(log);
    faulty.heal().await;
    let log = open().await;
    assert_eq!(log.state_items()["offset/x"], Json::of(&42));
    assert!(log.stop().await.released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ends_while_the_broker_stops_ends_as_a_whole_or_is_refused() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    partition.append_transactional(part(77, 0, "in a transaction"), None).unwrap().durable().await.unwrap();
    partition.refuse_appends("the broker is stopping");
    let end = TransactionEnd { producer_id: 77, producer_epoch: 0, outcome: Outcome::Committed };
    let done = vec![("txn/t".to_owned(), Some(Json::of(&"committed")))];
    let refused = log.end_transaction(end, vec![partition.clone()], done).unwrap_err();
    assert!(matches!(refused, AppendError::NotServing(_)), "{refused}");
    assert_eq!(log.state_items(), BTreeMap::new(), "the coordinator says nothing that the partition does not");
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_a_start_leaves_out_are_left_out_by_every_later_one() {
    let (place, faulty, fs) = (Place::new(), Faulty::new(), FaultyFs::new());
    let mut options = place.options();
    options.wal.durability = crate::wal::Durability::Os;
    let open =
        async |fs: FaultyFs| Log::open_on(options.clone(), place.env(), Arc::new(fs), faulty.store()).await.unwrap();
    let log = open(fs.clone()).await;
    for topic in ["t", "other"] {
        log.create_topic(new_topic(topic)).await.unwrap();
    }
    append(&log, "t", &[(1, "sealed")]).await;
    log.seal(None).await.unwrap();
    append(&log, "t", &[(1, "maybe lost")]).await;
    log.0.core.fence.end("killed");
    let rebooted = fs.crash(&Random::seeded(3));
    drop(log);
    let log = open(rebooted.clone()).await;
    let end = log.partition("t", 0).unwrap().ends().high_watermark;
    assert!(end > 1 << 20, "{end}");
    append(&log, "other", &[(1, "durable")]).await;
    log.0.core.fence.end("killed");
    let killed = rebooted.after_kill();
    drop(log);
    let log = open(killed).await;
    assert_eq!(log.partition("t", 0).unwrap().ends().high_watermark, end);
    assert_eq!(append(&log, "t", &[(1, "next")]).await.base_offset, end);
    log.seal(None).await.unwrap();
    let layout = log.layout(Some("t"), None).await.unwrap();
    assert!(layout[0].entries.iter().any(|e| e.kind == "wal-lost" && e.next == end), "{layout:?}");
    assert!(log.stop().await.released);
}
