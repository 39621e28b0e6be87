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
    assert_eq!(second.state.head().partitions.values().next().unwrap(), new.view().hint());

    assert!(partition.commit(seal_one("table/data/b", 10, 20)).await.unwrap_err().is_fenced());
    assert!(first.topics.create("t", 1, BTreeMap::new()).await.is_err());
    let alter = first.topics.alter("t", |s| drop(s.insert("retention.ms".into(), "1".into()))).await;
    assert!(matches!(alter, Err(topics::TopicError::Commit(e)) if e.is_fenced()));
    let r = state::WalPosition { group: 9, ..first.state.head().r };
    assert!(first.state.commit(r, PartitionHeads::new(), |_, _| ()).await.unwrap_err().is_fenced());
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
    let half = PartitionArchive::over(found.place, &again, found.head, found.view);
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
    first.ownership.tell_of_wal(|| Some((6, 7)));
    partition.commit(seal_one("table/data/a", 0, 10)).await.unwrap();
    let refuse = async |disk| {
        let survey = Survey::load(&bucket(&store).await).await.unwrap();
        owner::claim(&survey, &claim(disk, false)).await.unwrap_err()
    };
    for end in [9, 10] {
        let short = refuse(disk_of(&first.ownership, 5, ends(&first, end))).await;
        let OwnerError::Owned { short: Some(owner::Short { ends_at: 5, known: 6 }), .. } = short else {
            panic!("{short}")
        };
    }
    // It goes on otherwise than the bucket knows.
    let mut other = disk_of(&first.ownership, 6, ends(&first, 10));
    if let owner::Disk::Wal { last_crc, .. } = &mut other {
        *last_crc = 8;
    }
    let other = refuse(other).await;
    assert!(matches!(other, OwnerError::Owned { short: Some(_), .. }), "{other}");
    // It is not cut off at its end.
    let mut damaged = disk_of(&first.ownership, 5, ends(&first, 9));
    if let owner::Disk::Wal { followed, .. } = &mut damaged {
        *followed = true;
    }
    let damaged = refuse(damaged).await;
    assert!(matches!(damaged, OwnerError::Damaged { .. }), "{damaged}");
    // The real one goes on, also when everything was sealed and released.
    let next = start(&store, disk_of(&first.ownership, 6, BTreeMap::new()), false).await;
    assert_eq!(next.ownership.wal(), WalPlan::Continue);
}

/// What condensing leaves: no batch of a partition that was sealed after the last state version.
#[tokio::test]
async fn a_disk_whose_sealed_records_were_condensed_away_is_still_the_same() {
    let store = memory();
    let (first, partition) = with_topic(&store).await;
    let r = state::WalPosition { group: 3, ..first.state.head().r };
    first.state.commit(r, PartitionHeads::new(), |_, _| ()).await.unwrap();
    first.ownership.tell_of_wal(|| Some((6, 7)));
    partition.commit(seal_one("data/partition=0/a", 0, 10)).await.unwrap();
    let next = start(&store, disk_of(&first.ownership, 6, ends(&first, 4)), false).await;
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
async fn an_absent_manifest_is_damage_not_a_new_partition_and_stops_nobody_else() {
    let store = memory();
    let (first, partition) = with_topic(&store).await;
    let (other, made) = first.topics.create("u", 1, BTreeMap::new()).await.unwrap();
    made[0].commit(seal_one("data/partition=0/a", 0, 10)).await.unwrap();
    for object in store.list(partition.chain().prefix(), None).await.unwrap() {
        store.delete(&object.path).await.unwrap();
    }
    let next = start(&store, disk_of(&first.ownership, 1, BTreeMap::new()), false).await;
    let unloaded = &next.unloaded[&(partition.topic_id(), 0)];
    assert!(matches!(unloaded.error, ArchiveError::Missing { .. }), "{unloaded:?}");
    assert_eq!((unloaded.topic.as_str(), next.unloaded.len()), ("t", 1));
    assert_eq!(next.partitions.keys().collect::<Vec<_>>(), [&(other.id, 0)]);
    next.partitions[&(other.id, 0)].commit(seal_one("data/partition=0/b", 10, 20)).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_away_is_no_damage_of_a_partition() {
    let faulty = crate::store::testing::Faulty::new();
    let (_first, partition) = with_topic(&faulty.store()).await;
    let bucket = bucket(&faulty.store()).await;
    let calls = faulty.calls();
    Survey::load(&bucket).await.unwrap();
    for call in calls..faulty.calls() {
        for fault in [crate::store::testing::Fault::Failed, crate::store::testing::Fault::Denied] {
            faulty.at(faulty.calls() + call - calls, fault);
            match Survey::load(&bucket).await {
                Ok(survey) => assert!(survey.unloaded().is_empty()),
                Err(e) => assert!(!e.is_damage(), "{e}"),
            }
            faulty.heal().await;
        }
    }
    drop(partition);
}

/// Puts a version on top of a chain that asks for a feature in one of the three lists.
async fn asks(store: &crate::store::Store, chain: &crate::store::chain::Chain, list: &str) {
    let head = chain.head(None).await.unwrap().unwrap();
    let text = String::from_utf8(store.get(&chain.path_of(head.number)).await.unwrap().to_vec()).unwrap();
    let mut version: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    version["number"] = (head.number + 1).into();
    version["nonce"] = "00000000000000ff".into();
    version["after"] = head.nonce.into();
    let body = version.to_string();
    let crc = format!("{:08x}", crc32c::crc32c(body.as_bytes()));
    let first = text.lines().next().unwrap().replace(&format!("\"{list}\":[]"), &format!("\"{list}\":[\"staged\"]"));
    let at = first.find("\"crc32c\":\"").unwrap() + 10;
    let first = format!("{}{crc}{}", &first[..at], &first[at + 8..]);
    store.put(&chain.path_of(head.number + 1), format!("{first}\n{body}\n").into()).await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_a_later_build_wrote_to_is_refused_before_it_is_claimed_and_can_be_read() {
    for which in ["owner", "state"] {
        for list in ["must_read", "must_write", "must_collect"] {
            let store = memory();
            let (first, _) = with_topic(&store).await;
            let opened = bucket(&store).await;
            let chain = if which == "owner" { owner::chain(&opened) } else { state::chain(&opened) };
            asks(&store, &chain, list).await;
            let before = owner::chain(&opened).versions().await.unwrap();
            let survey = Survey::load(&opened).await;
            match list {
                "must_collect" => {
                    let survey = survey.unwrap();
                    let disk = disk_of(&first.ownership, 1, BTreeMap::new());
                    let next = owner::claim(&survey, &claim(disk, false)).await.unwrap();
                    let archive = survey.adopt(&next).await.unwrap();
                    let refused = archive.ownership.check_collectable().unwrap_err();
                    assert!(
                        refused.to_string().contains("'staged'"),
                        "{which}: a claim says what state and owner said"
                    );
                    if which == "state" {
                        assert!(archive.state.check_collectable().await.unwrap_err().to_string().contains("'staged'"));
                    }
                }
                _ => {
                    let refused = survey.unwrap_err().to_string();
                    assert!(refused.contains("'staged'") && refused.contains(which), "{refused}");
                    assert_eq!(owner::chain(&opened).versions().await.unwrap(), before, "nothing was claimed");
                }
            }
            let read = Bucket::open(store.clone(), crate::archive::bucket::OpenMode::Read, &Default::default()).await;
            assert_eq!(read.is_ok(), list != "must_read", "{which} {list}");
        }
    }
}

#[tokio::test]
async fn a_partition_that_asks_for_more_is_served_to_readers_and_takes_nothing() {
    for (of_topic, take_over) in [(false, false), (false, true), (true, false), (true, true)] {
        let store = memory();
        let (first, partition) = with_topic(&store).await;
        partition.commit(seal_one("data/partition=0/a", 0, 10)).await.unwrap();
        let (other, _) = first.topics.create("u", 1, BTreeMap::new()).await.unwrap();
        let chain = if of_topic { first.topics.chain_of("t") } else { partition.chain().clone() };
        asks(&store, &chain, "must_write").await;
        let disk = if take_over { empty_disk(2) } else { disk_of(&first.ownership, 1, ends(&first, 10)) };
        let next = start(&store, disk, take_over).await;
        let loaded = &next.partitions[&(partition.topic_id(), 0)];
        assert!(loaded.refusal().unwrap().contains("'staged'"), "{:?}", loaded.refusal());
        assert_eq!(loaded.head().entries[0].next(), 10, "what is sealed is read");
        let refused = loaded.commit(Change::LogStart { to: 5 }).await.unwrap_err();
        assert!(refused.to_string().contains("'staged'"), "{refused}");
        let versions = loaded.chain().versions().await.unwrap().len();
        assert_eq!(versions, if of_topic { 2 } else { 3 }, "the start writes none either");
        assert_eq!(next.partitions[&(other.id, 0)].refusal(), None);
    }
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
