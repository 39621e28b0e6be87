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

fn heads(count: i32, number: u64) -> PartitionHeads {
    (0..count).map(|n| ((Uuid([3; 16]), n), Hint { number, nonce: format!("{n:016x}") })).collect()
}

#[tokio::test]
async fn the_fold_is_told_where_it_stands_and_a_commit_made_twice_changes_nothing() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let add = |from: WalPosition, items: &mut Items| drop(items.insert("group/g".into(), Json::of(&from.group)));
    let state = archive.state.commit(at(&archive, 5), PartitionHeads::new(), add).await.unwrap();
    assert_eq!((state.r.group, state.items["group/g"].clone()), (5, Json::of(&0)));
    let state = archive.state.commit(at(&archive, 9), PartitionHeads::new(), add).await.unwrap();
    assert_eq!(state.items["group/g"], Json::of(&5));
    let versions = chain(&archive.bucket).versions().await.unwrap().len();
    archive.state.commit(at(&archive, 9), PartitionHeads::new(), |_, _| panic!("nothing to fold")).await.unwrap();
    archive.state.commit(at(&archive, 7), PartitionHeads::new(), |_, _| panic!("R goes forward only")).await.unwrap();
    assert_eq!(chain(&archive.bucket).versions().await.unwrap().len(), versions);
    let other = WalPosition { wal_id: Uuid([7; 16]), group: 10 };
    assert!(archive.state.commit(other, PartitionHeads::new(), |_, _| ()).await.is_err());
}

#[tokio::test]
async fn a_large_state_comes_back_and_only_what_changed_is_written() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let ends = heads(200, 1);
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
    let state = archive.state.commit(at(&archive, 3), PartitionHeads::new(), |_, items| items.clear()).await.unwrap();
    assert_eq!(pages().await, before + 1);
    assert_eq!(read(&archive.bucket).await.unwrap().unwrap().state(), &state);
}

#[tokio::test]
async fn a_state_without_a_page_is_damage() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    archive.state.commit(at(&archive, 1), PartitionHeads::new(), |_, items| *items = many(300)).await.unwrap();
    let page = store.list(layout::STATE, None).await.unwrap().into_iter().find(|o| is_page(&o.path)).unwrap();
    store.delete(&page.path).await.unwrap();
    let lost = Survey::load(&archive.bucket).await.unwrap_err();
    assert!(matches!(lost, ArchiveError::Missing { .. }), "{lost}");
}

#[tokio::test]
async fn where_partitions_change_items_are_not_written_again_and_the_other_way_round() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    archive.state.commit(at(&archive, 1), heads(200, 1), |_, items| *items = many(300)).await.unwrap();
    let pages = async || -> Vec<String> {
        let paths = store.list(layout::STATE, None).await.unwrap().into_iter().map(|object| object.path);
        paths.filter(|path| is_page(path)).collect()
    };
    let first = pages().await;
    archive.state.commit(at(&archive, 2), heads(200, 2), |_, _| ()).await.unwrap();
    let second = pages().await;
    let new: Vec<_> = second.iter().filter(|path| !first.contains(path)).collect();
    assert!(!new.is_empty() && new.iter().all(|path| path.starts_with("state/page-p")), "{new:?}");
    archive.state.commit(at(&archive, 3), heads(200, 2), |_, items| drop(items.remove("group/7"))).await.unwrap();
    let new: Vec<_> = pages().await.into_iter().filter(|path| !second.contains(path)).collect();
    assert!(new.len() == 1 && !new[0].starts_with("state/page-p"), "{new:?}");
}

#[tokio::test]
async fn what_later_builds_add_to_a_state_survives_at_every_level() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    archive.state.commit(at(&archive, 1), PartitionHeads::new(), |_, items| *items = many(300)).await.unwrap();
    // A later build writes the next version.
    let chain = chain(&archive.bucket);
    let head = chain.head(None).await.unwrap().unwrap();
    let mut body: serde_json::Value = head.parse().unwrap();
    body["later_version"] = 1.into();
    body["r"]["later_r"] = 2.into();
    let page = store.list(layout::STATE, None).await.unwrap().into_iter().find(|o| is_page(&o.path)).unwrap();
    let text = String::from_utf8(store.get(&page.path).await.unwrap().to_vec()).unwrap();
    let mut content: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    content["later_page"] = 3.into();
    let content = content.to_string();
    let crc = format!("{:08x}", crc32c::crc32c(content.as_bytes()));
    let line = format!(
        "{{\"esker\":\"state-page\",\"format\":1,\"must_read\":[],\"must_write\":[],\"must_collect\":[\"pins\"],\"crc32c\":\"{crc}\"}}"
    );
    let object = format!("{line}\n{content}\n");
    for shard in body["items"]["pages"].as_array_mut().unwrap() {
        if shard["name"] == page.path.as_str() {
            shard["crc32c"] = format!("{:08x}", crc32c::crc32c(object.as_bytes())).into();
            shard["bytes"] = object.len().into();
        }
    }
    store.put(&page.path, object.into()).await.unwrap();
    let epoch = archive.ownership.epoch();
    let written = chain.commit(Some(&head), epoch, &body).await.unwrap();
    assert!(matches!(written, crate::store::chain::Outcome::Committed(_)), "{written:?}");

    let next = start(&store, disk_of(&archive.ownership, 2, BTreeMap::new()), false).await;
    let all = |_, items: &mut Items| items.values_mut().for_each(|item| *item = Json::of(&"y".repeat(100)));
    next.state.commit(at(&next, 2), PartitionHeads::new(), all).await.unwrap();
    let body: serde_json::Value = chain.head(None).await.unwrap().unwrap().parse().unwrap();
    assert_eq!((&body["later_version"], &body["r"]["later_r"]), (&1.into(), &2.into()));
    let mut kept = 0;
    for page in body["items"]["pages"].as_array().unwrap() {
        let text = store.get(page["name"].as_str().unwrap()).await.unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        kept += usize::from(text.contains("\"later_page\":3") && text.contains("\"must_collect\":[\"pins\"]"));
    }
    assert!(kept > 0, "a page that was written anew carries it on");
    let refused = next.state.check_collectable().await.unwrap_err();
    assert!(refused.to_string().contains("'pins'"), "{refused}");
}

#[tokio::test]
async fn a_state_whose_pages_ask_for_what_is_not_known_is_not_followed() {
    let store = memory();
    let archive = start(&store, empty_disk(1), false).await;
    let mut head = read(&archive.bucket).await.unwrap().unwrap();
    assert!(head.check_writable(&archive.bucket).is_ok());
    head.carried.features.must_write.push("sharded-state".to_owned());
    let refused = head.check_writable(&archive.bucket).unwrap_err();
    assert!(refused.to_string().contains("'sharded-state'"), "{refused}");
}

#[tokio::test]
async fn a_page_that_cannot_be_written_leaves_no_version_and_the_next_try_does() {
    let faulty = crate::store::testing::Faulty::new();
    let archive = start(&faulty.store(), empty_disk(1), false).await;
    let before = chain(&archive.bucket).versions().await.unwrap();
    faulty.on(crate::store::testing::Call::Upload, crate::store::testing::Fault::Denied);
    faulty.on(crate::store::testing::Call::Put, crate::store::testing::Fault::Denied);
    let fill = |_, items: &mut Items| *items = many(300);
    archive.state.commit(at(&archive, 1), heads(3, 1), fill).await.unwrap_err();
    assert_eq!(chain(&archive.bucket).versions().await.unwrap(), before);
    faulty.heal().await;
    let state = archive.state.commit(at(&archive, 1), heads(3, 1), fill).await.unwrap();
    assert_eq!(read(&archive.bucket).await.unwrap().unwrap().state(), &state);
}

#[test]
fn only_direct_children_of_the_folder_are_pages() {
    assert!(is_page("state/page-00001-1-x.json") && is_page("state/page-p00001-1-x.json"));
    for other in
        ["state/cell/page-00001-1-x.json", "page-00001-1-x.json", "states/page-1", "state/00000000000000000001.json"]
    {
        assert!(!is_page(other), "{other}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_behind_an_undecided_commit_is_judged_by_the_owner_chain() {
    use crate::store::testing::{Call, Fault, Faulty};
    for taken_over in [false, true] {
        let faulty = Faulty::new();
        let archive = start(&faulty.store(), empty_disk(1), false).await;
        faulty.on(Call::Create, Fault::Failed);
        (0..10_000).for_each(|_| faulty.on(Call::Get, Fault::Failed));
        let undecided = archive.state.commit(at(&archive, 5), PartitionHeads::new(), |_, _| ()).await.unwrap_err();
        assert!(undecided.is_retriable(), "{undecided}");
        faulty.heal().await;
        if taken_over {
            let survey = Survey::load(&archive.bucket).await.unwrap();
            crate::archive::owner::claim(&survey, &claim(empty_disk(2), true)).await.unwrap();
        }
        let next = chain(&archive.bucket).head(None).await.unwrap().unwrap().number + 1;
        let path = format!("{}/{next:020}.json", layout::STATE);
        faulty.store().create(&path, "of a later build".into()).await.unwrap();
        let error = archive.state.commit(at(&archive, 5), PartitionHeads::new(), |_, _| ()).await.unwrap_err();
        assert_eq!((error.is_fenced(), error.is_damage()), (taken_over, !taken_over), "{error}");
    }
}
