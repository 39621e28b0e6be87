//! What a start finds free, and what it goes on with.
use super::*;

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
    assert!(space.used >= space.budget - space.reserve, "the WAL is full of what is sealed: {space:?}");
    assert!(log.stop().await.released);
    drop(log);
    let log = reopened_with(options, &place).await.unwrap();
    let space = log.0.core.wal.space();
    assert!(space.pinned <= space.files.last().unwrap().bytes, "only the newest file is pinned: {space:?}");
    assert_eq!(append(&log, "t", &[(1, "the first after it")]).await.base_offset, 200);
    log.stop().await;
}
