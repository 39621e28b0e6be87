use super::*;
use crate::archive::testing::*;
use crate::store::testing::memory;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_topic_lives_grows_changes_dies_and_lives_again_under_another_id() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let topics = &archive.topics;
    let (topic, made) = topics.create("t", 2, settings(&[("retention.ms", "1")])).await.unwrap();
    assert_eq!(made.iter().map(PartitionArchive::partition).collect::<Vec<_>>(), [0, 1]);
    assert!(matches!(topics.create("t", 1, settings(&[])).await, Err(TopicError::Exists(_))));

    let (topic, made) = topics.add_partitions(&topic.name, 5).await.unwrap();
    assert_eq!((topic.partitions, made.len()), (5, 3));
    assert!(matches!(topics.add_partitions("t", 5).await, Err(TopicError::Partitions { now: 5, asked: 5, .. })));

    let changed = topics.alter("t", |s| drop(s.insert("retention.ms".into(), "2".into()))).await.unwrap();
    assert_eq!(changed.settings, settings(&[("retention.ms", "2")]));
    assert_eq!(read_all(&archive.bucket).await.unwrap(), std::slice::from_ref(&changed));
    let versions = topics.chain_of("t").versions().await.unwrap().len();
    topics.alter("t", |_| ()).await.unwrap();
    assert_eq!(topics.chain_of("t").versions().await.unwrap().len(), versions, "nothing to say, nothing written");

    topics.delete("t", DAY_MS).await.unwrap();
    assert_eq!((topics.list(), topics.get("t"), topics.partitions().len()), (vec![], None, 0));
    assert!(matches!(topics.alter("t", |_| ()).await, Err(TopicError::Unknown(_))));
    assert!(matches!(topics.delete("t", DAY_MS).await, Err(TopicError::Unknown(_))));
    let (again, made) = topics.create("t", 1, settings(&[])).await.unwrap();
    assert_ne!(again.id, topic.id);
    assert_eq!((made[0].head().next, again.settings.len()), (0, 0));
    assert_eq!(topics.version_of("t").unwrap().unwrap().1.dead[0].topic_id, topic.id);
}

#[tokio::test]
async fn bad_names_and_counts_are_refused_and_leave_nothing() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let before = store.list("", None).await.unwrap().len();
    assert!(matches!(archive.topics.create("a/b", 1, settings(&[])).await, Err(TopicError::BadName(_))));
    assert!(matches!(archive.topics.create("t", 0, settings(&[])).await, Err(TopicError::Partitions { .. })));
    assert_eq!(store.list("", None).await.unwrap().len(), before);
}

#[tokio::test]
async fn partitions_of_a_cut_off_addition_are_adopted_when_they_are_empty() {
    let store = memory();
    let first = start(&store, empty_disk(1), false).await;
    let (topic, _) = first.topics.create("t", 1, settings(&[])).await.unwrap();
    // Killed after the manifests were made and before the topic's version.
    first.topics.make_partitions("t", topic.id, 1..3).await.unwrap();
    let second = start(&store, disk_of(&first.ownership, 1, BTreeMap::new()), false).await;
    assert_eq!(second.partitions.len(), 1);
    let (_, made) = second.topics.add_partitions("t", 3).await.unwrap();
    assert_eq!(made.len(), 2);
    assert!(made.iter().all(|partition| partition.view().epoch() == second.ownership.epoch()));
    made[0].commit(seal_one("table/data/a", 0, 5)).await.unwrap();
}

#[tokio::test]
async fn a_manifest_with_data_is_never_taken_for_a_new_partition() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let (topic, _) = archive.topics.create("t", 1, settings(&[])).await.unwrap();
    let stray = archive.topics.make_partitions("t", topic.id, 1..2).await.unwrap();
    stray[0].commit(seal_one("table/data/a", 0, 5)).await.unwrap();
    let refused = archive.topics.add_partitions("t", 2).await.unwrap_err();
    assert!(refused.to_string().contains("not empty"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_read_behind_an_undecided_change_is_judged_by_the_owner_chain() {
    use crate::archive::testing::{claim, empty_disk, start};
    use crate::store::testing::{Call, Fault, Faulty};
    for taken_over in [false, true] {
        let faulty = Faulty::new();
        let archive = start(&faulty.store(), empty_disk(1), false).await;
        archive.topics.create("t", 1, BTreeMap::new()).await.unwrap();
        let alter = async || {
            let set =
                |settings: &mut BTreeMap<String, String>| drop(settings.insert("retention.ms".into(), "1".into()));
            match archive.topics.alter("t", set).await.unwrap_err() {
                TopicError::Commit(error) => error,
                other => panic!("{other}"),
            }
        };
        faulty.on(Call::Create, Fault::Failed);
        (0..10_000).for_each(|_| faulty.on(Call::Get, Fault::Failed));
        let undecided = alter().await;
        assert!(undecided.is_retriable(), "{undecided}");
        faulty.heal().await;
        if taken_over {
            let survey = crate::archive::Survey::load(&archive.bucket).await.unwrap();
            crate::archive::owner::claim(&survey, &claim(empty_disk(2), true)).await.unwrap();
        }
        let chain = chain(&archive.bucket, "t");
        let next = chain.head(None).await.unwrap().unwrap().number + 1;
        faulty.store().create(&format!("{}/{next:020}.json", chain.prefix()), "of a later build".into()).await.unwrap();
        let error = alter().await;
        assert_eq!((error.is_fenced(), error.is_damage()), (taken_over, !taken_over), "{error}");
    }
}
