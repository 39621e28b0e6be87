//! Settings of the broker that change while it runs: topics follow, through restarts and lost disks.
use super::state::kill;
use super::*;

const RETENTION: &str = "log.retention.ms";

async fn set(log: &Log, scope: Scope, name: &str, value: Option<&str>) -> Result<(), TopicError> {
    let decide = |changed: &mut Changed| {
        let layer = changed.of_mut(scope);
        match value {
            Some(value) => drop(layer.insert(name.to_owned(), value.to_owned())),
            None => drop(layer.remove(name)),
        }
        Ok::<_, TopicError>(|| ())
    };
    log.change_settings(scope, false, decide).await
}

/// What counts for the partitions of a topic, which is what the mover goes by.
fn retention(log: &Log, topic: &str) -> i64 {
    log.partition(topic, 0).unwrap().settings().retention_ms
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_follow_the_broker_at_once_and_after_a_kill_and_the_loss_of_the_disk() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    let own = BTreeMap::from([("retention.ms".to_owned(), "7".to_owned())]);
    log.create_topic(NewTopic { settings: own, ..new_topic("own") }).await.unwrap();
    set(&log, Scope::Cluster, RETENTION, Some("5000")).await.unwrap();
    assert_eq!((retention(&log, "t"), retention(&log, "own")), (5_000, 7));
    set(&log, Scope::Broker, RETENTION, Some("6000")).await.unwrap();
    log.create_topic(new_topic("later")).await.unwrap();
    assert_eq!((retention(&log, "t"), retention(&log, "later")), (6_000, 6_000));
    kill(log).await;

    let log = tiers::reopened(&place).await;
    assert_eq!((retention(&log, "t"), retention(&log, "own")), (6_000, 7), "from the WAL");
    set(&log, Scope::Broker, RETENTION, None).await.unwrap();
    assert_eq!(retention(&log, "t"), 5_000, "the cluster's again");
    assert!(log.stop().await.released);
    drop(log);
    place.lose_disk();
    let log = place.open().await;
    assert_eq!(retention(&log, "t"), 5_000, "from the bucket alone");
    set(&log, Scope::Cluster, RETENTION, None).await.unwrap();
    assert_eq!((retention(&log, "t"), retention(&log, "own")), (-1, 7));
    assert_eq!(log.state_items(), BTreeMap::new(), "nothing is left of it");
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_topic_does_not_fit_is_refused_by_its_name_and_changes_nothing() {
    let place = Place::new();
    let log = place.open().await;
    let own = BTreeMap::from([("min.compaction.lag.ms".to_owned(), "1000".to_owned())]);
    log.create_topic(NewTopic { settings: own, ..new_topic("t") }).await.unwrap();
    set(&log, Scope::Cluster, "esker.removed.retention.ms", Some("77")).await.unwrap();
    let kept = log.0.registry.collect_options();
    assert_eq!((kept.removed_retention_ms, kept.of_topics), (77, [].into()), "what the collector goes by");
    let own = |own: &mut BTreeMap<String, String>| {
        own.insert("esker.removed.retention.ms".to_owned(), "78".to_owned());
        Ok(())
    };
    log.alter_settings("t", false, own).await.unwrap();
    let kept = log.0.registry.collect_options();
    assert_eq!(kept.of_topics.into_values().collect::<Vec<_>>(), [78]);
    set(&log, Scope::Cluster, "esker.removed.retention.ms", None).await.unwrap();
    let before = log.defaults().changed().clone();
    let refused = set(&log, Scope::Cluster, "log.cleaner.max.compaction.lag.ms", Some("999")).await.unwrap_err();
    assert!(refused.to_string().contains("topic 't'"), "{refused}");
    let refused = set(&log, Scope::Cluster, "message.max.bytes", Some("2000000000")).await.unwrap_err();
    assert!(refused.to_string().contains("memory.bytes"), "{refused}");
    assert_eq!(*log.defaults().changed(), before);
    assert_eq!(log.state_items(), BTreeMap::new());
    set(&log, Scope::Cluster, "log.cleaner.max.compaction.lag.ms", Some("1000")).await.unwrap();
    log.stop().await;
}
