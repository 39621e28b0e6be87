use super::*;
use crate::archive::testing::*;
use crate::archive::{Archive, Survey};
use crate::store::testing::memory;

fn at(archive: &Archive, group: u64) -> WalPosition {
    WalPosition { group, ..archive.state.head().r }
}

fn many(count: usize) -> Items {
    (0..count).map(|n| (format!("group/{n}"), Json::of(&"x".repeat(100)))).collect()
}

#[tokio::test]
async fn the_fold_is_told_where_it_stands_and_a_commit_made_twice_changes_nothing() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let add = |from: WalPosition, items: &mut Items| drop(items.insert("group/g".into(), Json::of(&from.group)));
    let state = archive.state.commit(at(&archive, 5), PartitionEnds::new(), add).await.unwrap();
    assert_eq!((state.r.group, state.items["group/g"].clone()), (5, Json::of(&0)));
    let state = archive.state.commit(at(&archive, 9), PartitionEnds::new(), add).await.unwrap();
    assert_eq!(state.items["group/g"], Json::of(&5));
    let versions = chain(&archive.bucket).versions().await.unwrap().len();
    archive.state.commit(at(&archive, 9), PartitionEnds::new(), |_, _| panic!("nothing to fold")).await.unwrap();
    archive.state.commit(at(&archive, 7), PartitionEnds::new(), |_, _| panic!("R goes forward only")).await.unwrap();
    assert_eq!(chain(&archive.bucket).versions().await.unwrap().len(), versions);
    let other = WalPosition { wal_id: Uuid([7; 16]), group: 10 };
    assert!(archive.state.commit(other, PartitionEnds::new(), |_, _| ()).await.is_err());
}

#[tokio::test]
async fn a_large_state_comes_back_and_only_what_changed_is_written() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let ends: PartitionEnds =
        (0..200).map(|n| ((Uuid([3; 16]), n), PartitionEnd { log_end: 7, manifest: 1 })).collect();
    let state = archive.state.commit(at(&archive, 1), ends.clone(), |_, items| *items = many(300)).await.unwrap();
    let pages = async || store.list(layout::STATE, None).await.unwrap().iter().filter(|o| is_page(&o.path)).count();
    let before = pages().await;
    assert!(before > 4, "{before} pages");
    let read_back = read(&archive.bucket).await.unwrap().unwrap();
    assert_eq!(read_back.state(), &state);

    let one = |_, items: &mut Items| drop(items.insert("group/7".into(), Json::of(&"new")));
    archive.state.commit(at(&archive, 2), ends.clone(), one).await.unwrap();
    assert_eq!(pages().await, before + 1);
    // It shrinks back into the version.
    let state = archive.state.commit(at(&archive, 3), PartitionEnds::new(), |_, items| items.clear()).await.unwrap();
    assert_eq!(pages().await, before + 1);
    assert_eq!(read(&archive.bucket).await.unwrap().unwrap().state(), &state);
}

#[tokio::test]
async fn a_state_without_a_page_is_damage() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    archive.state.commit(at(&archive, 1), PartitionEnds::new(), |_, items| *items = many(300)).await.unwrap();
    let page = store.list(layout::STATE, None).await.unwrap().into_iter().find(|o| is_page(&o.path)).unwrap();
    store.delete(&page.path).await.unwrap();
    let lost = Survey::load(&archive.bucket).await.unwrap_err();
    assert!(matches!(lost, ArchiveError::Missing { .. }), "{lost}");
}

#[test]
fn shards_stay_while_they_are_about_right() {
    assert_eq!(shards(PAGE_BYTES * 3, 0), 4);
    assert_eq!(shards(PAGE_BYTES * 6, 4), 4);
    assert_eq!(shards(PAGE_BYTES * 9, 4), 16);
    assert_eq!(shards(PAGE_BYTES * 2, 16), 2);
}
