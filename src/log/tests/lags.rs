//! How many records a group has before it.
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_disk_left_out_is_no_lag() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    append(&log, "t", &[(1, "a"), (2, "b"), (3, "c")]).await;
    log.seal(None).await.unwrap();
    append(&log, "t", &[(4, "lost"), (5, "lost")]).await;
    assert_eq!(log.partition("t", 0).unwrap().records_from(1), 4);
    super::state::kill(log).await;
    place.lose_disk();
    let mut options = place.options();
    options.take_over = true;
    let log = Log::open(options, place.env()).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(partition.records_from(0), 3);
    append(&log, "t", &[(6, "d")]).await;
    append(&log, "t", &[(7, "e")]).await;
    let end = partition.ends().high_watermark;
    let lag = |from| partition.records_from(from);
    assert!(end > 1 << 20, "{end}");
    assert_eq!(
        [lag(0), lag(1), lag(3), lag(5), lag(end - 2), lag(end - 1), lag(end), lag(end + 1)],
        [5, 4, 2, 2, 2, 1, 0, 0]
    );
    log.seal(None).await.unwrap();
    assert_eq!(
        [lag(0), lag(1), lag(3), lag(5), lag(end - 2), lag(end - 1), lag(end), lag(end + 1)],
        [5, 4, 2, 2, 2, 1, 0, 0]
    );
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_counted_from_what_is_in_memory() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    for n in 0..30 {
        append(&log, "t", &[(n, "a"), (n, "b")]).await;
        log.seal(None).await.unwrap();
    }
    assert!(!partition.0.archive.view().manifest().pages.is_empty());
    for from in 0..=60 {
        assert_eq!(partition.records_from(from), 60 - from, "from {from}");
    }
    partition.delete_records(20).await.unwrap();
    assert_eq!(partition.records_from(0), 40);
    log.stop().await;
}
