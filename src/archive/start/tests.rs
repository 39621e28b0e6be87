use std::collections::BTreeMap;

use super::*;
use crate::archive::manifest::Change;
use crate::archive::owner::{Look, OwnerError, WalPlan};
use crate::archive::testing::*;
use crate::store::testing::memory;

fn ends(archive: &Archive, end: i64) -> BTreeMap<(Uuid, i32), i64> {
    archive.partitions.keys().map(|key| (*key, end)).collect()
}

async fn with_topic(store: &crate::store::Store) -> (Archive, PartitionArchive) {
    let mut archive = start(store, empty_disk(1), false).await;
    let (topic, made) = archive.topics.create("t", 1, BTreeMap::new()).await.unwrap();
    archive.partitions.insert((topic.id, 0), made[0].clone());
    (archive, made.into_iter().next().unwrap())
}

#[tokio::test]
async fn what_was_sealed_is_found_by_the_next_start() {
    let store = memory();
    let (first, partition) = with_topic(&store).await;
    partition.commit(seal_one("table/data/a", 0, 10)).await.unwrap();
    let second = start(&store, disk_of(&first.ownership, 1, ends(&first, 10)), false).await;
    assert_eq!(second.ownership.wal(), WalPlan::Continue);
    assert_eq!(second.ownership.epoch(), first.ownership.epoch() + 1);
    let head = second.partitions.values().next().unwrap().head();
    assert_eq!((head.next, head.entries.len()), (10, 1));
    assert!(matches!(first.ownership.look().await.unwrap(), Look::Foreign { .. }));
    assert_eq!(second.ownership.look().await.unwrap(), Look::Ours);
}

#[tokio::test]
async fn another_disk_is_refused_until_release_or_take_over() {
    let store = memory();
    let (first, partition) = with_topic(&store).await;
    partition.commit(seal_one("table/data/a", 0, 10)).await.unwrap();
    let survey = Survey::load(&bucket(&store).await).await.unwrap();
    let refused = owner::claim(&survey, &claim(empty_disk(2), false)).await.unwrap_err();
    assert!(matches!(refused, OwnerError::Owned { epoch: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("127.0.0.1:9092"), "{refused}");

    first.ownership.release().await.unwrap();
    let second = start(&store, empty_disk(2), false).await;
    assert!(!second.ownership.lost_wal());
    let head = second.partitions.values().next().unwrap().head();
    assert_eq!((head.next, head.entries.len()), (10, 1), "no gap after a release");
    assert!(partition.commit(seal_one("table/data/b", 10, 20)).await.unwrap_err().is_fenced());
}

#[tokio::test]
async fn a_take_over_records_the_lost_range_and_fences_every_chain() {
    let store = memory();
    let (first, partition) = with_topic(&store).await;
    partition.commit(seal_one("table/data/a", 0, 10)).await.unwrap();
    let reserved = partition.head().reserved;
    let second = start(&store, empty_disk(2), true).await;
    let new = second.partitions.values().next().unwrap();
    let head = new.head();
    assert_eq!(head.entries[1], Entry::gap(10, reserved, GapReason::WalLost));
    assert!(head.next == reserved && head.reserved > reserved);
    assert_eq!(second.state.head().partitions.values().next().unwrap().log_end, reserved);

    assert!(partition.commit(seal_one("table/data/b", 10, 20)).await.unwrap_err().is_fenced());
    assert!(first.topics.create("t", 1, BTreeMap::new()).await.is_err());
    let alter = first.topics.alter("t", |s| drop(s.insert("retention.ms".into(), "1".into()))).await;
    assert!(matches!(alter, Err(topics::TopicError::Commit(e)) if e.is_fenced()));
    let r = state::WalPosition { group: 9, ..first.state.head().r };
    assert!(first.state.commit(r, PartitionEnds::new(), |_, _| ()).await.unwrap_err().is_fenced());
    assert!(first.ownership.release().await.unwrap_err().is_fenced());

    // The old disk comes back: what only it holds is named, and a take-over does not help it.
    let disk = disk_of(&first.ownership, 5, ends(&first, 15));
    let survey = Survey::load(&bucket(&store).await).await.unwrap();
    let refused = owner::claim(&survey, &claim(disk, true)).await.unwrap_err();
    assert!(refused.to_string().contains("t-0 10..15"), "{refused}");
}

#[tokio::test]
async fn a_take_over_that_was_cut_off_goes_on() {
    let store = memory();
    let (_first, partition) = with_topic(&store).await;
    partition.commit(seal_one("table/data/a", 0, 10)).await.unwrap();
    // Claimed, killed before anything else was written; then claimed with the WAL begun, killed before the state.
    let survey = Survey::load(&bucket(&store).await).await.unwrap();
    let cut = owner::claim(&survey, &claim(empty_disk(2), true)).await.unwrap();
    let survey = Survey::load(&bucket(&store).await).await.unwrap();
    let again = owner::claim(&survey, &claim(empty_disk(2), false)).await.unwrap();
    assert_eq!((again.claim().born, again.lost_wal()), (cut.epoch(), true));
    assert!(matches!(again.wal(), WalPlan::Begin { .. }));
    let found = survey.manifests.into_values().next().unwrap();
    let half = PartitionArchive::over(found.place, again.epoch(), found.head, found.view);
    half.adopt(again.claim().born, true).await.unwrap();
    let gap_end = half.head().next;

    let last = start(&store, disk_of(&again, 0, BTreeMap::new()), false).await;
    assert_eq!(last.ownership.wal(), WalPlan::Continue);
    let head = last.partitions.values().next().unwrap().head();
    assert_eq!((head.next, head.entries.len()), (gap_end, 2), "the gap is recorded once");
    assert_eq!(last.state.head().r.wal_id, Uuid([2; 16]));
}

#[tokio::test]
async fn an_old_copy_of_the_disk_is_another_disk() {
    let store = memory();
    let (first, partition) = with_topic(&store).await;
    partition.commit(seal_one("table/data/a", 0, 10)).await.unwrap();
    let refuse = async |disk| {
        let survey = Survey::load(&bucket(&store).await).await.unwrap();
        owner::claim(&survey, &claim(disk, false)).await.unwrap_err()
    };
    // It ends below a manifest's end.
    let short = refuse(disk_of(&first.ownership, 1, ends(&first, 9))).await;
    assert!(matches!(short, OwnerError::Owned { .. }), "{short}");
    // It ends below R.
    let key = *first.partitions.keys().next().unwrap();
    let end = state::PartitionEnd { log_end: 10, manifest: 2 };
    let r = state::WalPosition { group: 7, ..first.state.head().r };
    first.state.commit(r, [(key, end)].into(), |_, _| ()).await.unwrap();
    let short = refuse(disk_of(&first.ownership, 5, ends(&first, 10))).await;
    assert!(matches!(short, OwnerError::Owned { .. }), "{short}");
    // The real one goes on, also when everything was sealed and released.
    let next = start(&store, disk_of(&first.ownership, 6, BTreeMap::new()), false).await;
    assert_eq!(next.ownership.wal(), WalPlan::Continue);
}

#[tokio::test]
async fn a_served_wal_that_vanished_is_not_mistaken_for_one_that_never_began() {
    let store = memory();
    let (_first, _) = with_topic(&store).await;
    let survey = Survey::load(&bucket(&store).await).await.unwrap();
    let refused = owner::claim(&survey, &claim(empty_disk(1), false)).await.unwrap_err();
    assert!(matches!(refused, OwnerError::Owned { .. }), "{refused}");
    let taken = owner::claim(&survey, &claim(empty_disk(1), true)).await.unwrap();
    assert_ne!(taken.claim().wal_id, Uuid([1; 16]), "an id is never used for two WALs");
}

#[tokio::test]
async fn a_disk_of_another_bucket_is_refused() {
    let (here, there) = (memory(), memory());
    let (archive, _) = with_topic(&there).await;
    let mut disk = disk_of(&archive.ownership, 1, BTreeMap::new());
    if let owner::Disk::Wal { cluster_id, .. } = &mut disk {
        *cluster_id = Uuid([9; 16]); // both stores are seeded alike
    }
    let survey = Survey::load(&bucket(&here).await).await.unwrap();
    let refused = owner::claim(&survey, &claim(disk, true)).await.unwrap_err();
    assert!(matches!(refused, OwnerError::OtherBucket { .. }), "{refused}");
}

#[tokio::test]
async fn an_absent_manifest_is_damage_not_a_new_partition() {
    let store = memory();
    let (_first, partition) = with_topic(&store).await;
    for object in store.list(partition.chain().prefix(), None).await.unwrap() {
        store.delete(&object.path).await.unwrap();
    }
    let lost = Survey::load(&bucket(&store).await).await.unwrap_err();
    assert!(matches!(lost, ArchiveError::Missing { .. }), "{lost}");
}

#[tokio::test]
async fn log_start_and_reserve_survive() {
    let store = memory();
    let (first, partition) = with_topic(&store).await;
    let reserved = partition.head().reserved * 2;
    partition.commit(Change::Reserve { to: reserved }).await.unwrap();
    partition.commit(Change::LogStart { to: 5 }).await.unwrap();
    let second = start(&store, disk_of(&first.ownership, 1, ends(&first, 7)), false).await;
    let head = second.partitions.values().next().unwrap().head();
    assert_eq!((head.log_start, head.next, head.reserved), (5, 0, reserved));
}
