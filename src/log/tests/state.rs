//! The coordinator's items through restarts and lost disks.
use serde_json::json;

use super::*;
use crate::base::Json;

fn set(key: &str, value: Json) -> (String, Option<Json>) {
    (key.to_owned(), Some(value))
}

async fn put(log: &Log, changes: Changes) {
    log.append_state(changes).unwrap().durable().await.unwrap();
}

pub(super) async fn kill(log: Log) {
    log.0.core.fence.end("killed");
    let wal = log.0.core.wal.clone();
    drop(log);
    wal.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn state_survives_a_kill_a_version_in_between_and_the_loss_of_a_released_disk() {
    let place = Place::new();
    let log = place.open().await;
    assert_eq!(log.state_items(), BTreeMap::new());
    put(&log, vec![set("group/a", Json::of(&json!({"generation": 1}))), set("gone", Json::of(&json!(1)))]).await;
    put(&log, vec![set("group/a", Json::of(&json!({"generation": 2}))), ("gone".to_owned(), None)]).await;
    let first = BTreeMap::from([("group/a".to_owned(), Json::of(&json!({"generation": 2})))]);
    assert_eq!(log.state_items(), first);
    kill(log).await;

    let log = tiers::reopened(&place).await;
    assert_eq!(log.state_items(), first, "from the WAL");
    log.seal(None).await.unwrap(); // moves R over all of it
    assert_eq!(log.0.mover.state_items(), first, "in the bucket");
    put(&log, vec![set("group/b", Json::of(&json!(3))), ("group/a".to_owned(), None)]).await;
    let second = BTreeMap::from([("group/b".to_owned(), Json::of(&json!(3)))]);
    kill(log).await;

    let log = tiers::reopened(&place).await;
    assert_eq!(log.state_items(), second, "from both");
    put(&log, vec![set("group/c", Json::of(&json!("x")))]).await;
    assert!(log.stop().await.released);
    assert!(matches!(log.append_state(vec![set("late", Json::of(&json!(1)))]), Err(AppendError::NotServing(_))));
    drop(log);
    place.lose_disk();
    let log = place.open().await;
    let third =
        BTreeMap::from([("group/b".to_owned(), Json::of(&json!(3))), ("group/c".to_owned(), Json::of(&json!("x")))]);
    assert_eq!(log.state_items(), third, "from the bucket alone");
    assert_eq!(log.wal_after_loss(), None);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_restored_group_is_ahead_of_the_data() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    append(&log, "t", &[(1, "sealed")]).await;
    put(&log, vec![set("offset", Json::of(&json!(1)))]).await;
    log.seal(None).await.unwrap();
    append(&log, "t", &[(2, "in the WAL only")]).await;
    put(&log, vec![set("offset", Json::of(&json!(2)))]).await;
    log.0.mover.release().await.unwrap();
    kill(log).await;
    place.lose_disk();
    let mut options = place.options();
    options.take_over = true;
    let log = Log::open(options, place.env()).await.unwrap();
    assert_eq!(log.state_items()["offset"], Json::of(&json!(1)));
    assert!(log.wal_after_loss().is_some());
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_change_of_state_stops_the_start_by_name() {
    let place = Place::new();
    let log = place.open().await;
    put(&log, vec![set("group/damaged", Json::of(&json!(1)))]).await;
    put(&log, vec![set("group/behind", Json::of(&json!(1)))]).await;
    kill(log).await;
    damage::hurt(&place, "group/damaged");
    let refused = loop {
        match Log::open(place.options(), place.env()).await {
            Err(OpenError::Refused(_locked)) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => break other.unwrap_err(),
        }
    };
    assert!(matches!(&refused, OpenError::Damaged(why) if why.contains("accept-loss")), "{refused}");
    let log = damage::accepted(&place).await;
    assert_eq!(log.state_items().keys().collect::<Vec<_>>(), ["group/behind"]);
    log.stop().await;
}
