use bytes::Bytes;

use super::*;
use crate::archive::manifest::model::PAGE_ITEMS;
use crate::archive::manifest::{Entry, Replace};
use crate::archive::testing::*;
use crate::base::{Clock, Json};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn collector(owned: &OwnedBucket) -> Collector {
    Collector::new(&owned.archive, CollectOptions::default())
}

async fn round(collector: &mut Collector) -> Collected {
    let done = collector.run().await.unwrap();
    assert_eq!((done.paused.as_deref(), &done.failures[..]), (None, &[][..]));
    done
}

/// Objects of the partition that are not versions.
async fn objects(owned: &OwnedBucket) -> Vec<String> {
    let root = layout::topic_root("t", owned.partition.topic_id());
    let paths = owned.paths(&root).await;
    paths.into_iter().filter(|path| !matches!(Named::of(path), Named::Version(_))).collect()
}

#[tokio::test]
async fn a_removed_segment_waits_and_then_goes() {
    let owned = OwnedBucket::new().await;
    let mut collector = collector(&owned);
    for at in 0..3 {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
    }
    owned.partition.commit(Change::LogStart { to: 25 }).await.unwrap();
    owned.clock.advance(23 * HOUR);
    assert_eq!(round(&mut collector).await.removed, 0);
    assert_eq!((objects(&owned).await.len(), owned.partition.head().removed.len()), (3, 2));
    owned.clock.advance(2 * HOUR);
    assert_eq!(round(&mut collector).await.removed, 2);
    assert_eq!((objects(&owned).await.len(), owned.partition.head().removed.len()), (1, 0));
    assert_eq!(round(&mut collector).await, Collected::default());
}

#[tokio::test]
async fn how_long_removed_segments_wait_can_change_from_round_to_round() {
    let owned = OwnedBucket::new().await;
    let mut collector = collector(&owned);
    sealed(&owned.store, &owned.partition, 0, 10).await;
    owned.partition.commit(Change::LogStart { to: 10 }).await.unwrap();
    owned.clock.advance(2 * HOUR);
    assert_eq!(round(&mut collector).await.removed, 0);
    let all = |hours| CollectOptions { removed_retention_ms: hours * HOUR_MS, ..CollectOptions::default() };
    collector.set_options(all(3));
    assert_eq!(round(&mut collector).await.removed, 0);
    let of_topics = [(owned.partition.head().topic_id, 3 * HOUR_MS)].into();
    collector.set_options(CollectOptions { of_topics, ..all(1) });
    assert_eq!(round(&mut collector).await.removed, 0, "its topic says otherwise");
    collector.set_options(all(1));
    assert_eq!(round(&mut collector).await.removed, 1);
}

#[tokio::test]
async fn whole_trees_go_and_only_they() {
    let owned = OwnedBucket::new().await;
    let mut collector = collector(&owned);
    let many = i64::try_from(PAGE_ITEMS * PAGE_ITEMS * 3).unwrap();
    for at in 0..many {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
    }
    owned.partition.commit(Change::LogStart { to: many * 10 - 15 }).await.unwrap();
    let head = owned.partition.head();
    assert!(head.removed.iter().any(|r| matches!(&r.what, RemovedObject::Tree(page) if page.level > 0)));
    owned.clock.advance(DAY);
    round(&mut collector).await;
    let head = owned.partition.head();
    let live = head.entries.len() + head.pages.len();
    assert!((2..20).contains(&live) && head.removed.is_empty());
    assert_eq!(objects(&owned).await.len(), live);
    assert!(owned.partition.view().find(many * 10 - 12).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deletion_of_a_tree_that_was_cut_off_goes_on() {
    let owned = OwnedBucket::new().await;
    for at in 0..20 {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
    }
    let page = owned.partition.head().pages[0].clone();
    owned.partition.commit(Change::LogStart { to: 200 }).await.unwrap();
    // A round that was killed right before it forgot.
    let root = layout::topic_root("t", owned.partition.topic_id());
    for entry in owned.partition.view().entries_from(0, 100).await.unwrap() {
        assert!(entry.segment().is_none());
    }
    owned.store.delete(&layout::under(&root, &page.object.name)).await.unwrap();
    owned.clock.advance(DAY);
    round(&mut collector(&owned)).await;
    assert!(owned.partition.head().removed.is_empty());
}

#[tokio::test]
async fn orphans_go_but_nothing_that_is_live_under_way_foreign_or_of_a_later_owner() {
    let owned = OwnedBucket::new().await;
    let live = sealed(&owned.store, &owned.partition, 0, 10).await;
    let root = layout::topic_root("t", owned.partition.topic_id());
    let put = async |name: &str| {
        let path = if name.starts_with("topics/") { name.to_owned() } else { layout::under(&root, name) };
        owned.store.create(&path, Bytes::from_static(b"x")).await.unwrap();
        path
    };
    let in_flight = owned.partition.begin_segment(10);
    let given_up = owned.partition.begin_segment(10).path().to_owned();
    let mut stay = vec![live, put(in_flight.path()).await];
    stay.push(put("data/partition=0/00000000000000000010-9-0123456789abcdef.parquet").await);
    stay.push(put("data/partition=0/somebody-elses.csv").await);
    put(&given_up).await;
    put("data/partition=0/00000000000000000000-0-0123456789abcdef.parquet").await;
    put("manifest/partition=0/page-00000000000000000000-0-1-0123456789abcdef.json").await;
    put("manifest/partition=0/producers-00000000000000000010-1-0123456789abcdef.json").await;
    let mut collector = collector(&owned);
    owned.clock.advance(23 * HOUR);
    assert_eq!(round(&mut collector).await.orphans, 0);
    owned.clock.advance(25 * HOUR);
    assert_eq!(round(&mut collector).await.orphans, 4);
    stay.sort();
    assert_eq!(objects(&owned).await, stay);
    // What was under way is committed: it is live now, and stays.
    owned.partition.commit(seal_one(in_flight.name(), 10, 20)).await.unwrap();
    drop(in_flight);
    owned.clock.advance(25 * HOUR);
    assert_eq!(round(&mut collector).await.orphans, 0);
    assert_eq!(objects(&owned).await, stay);
}

#[tokio::test]
async fn pages_and_producers_that_are_live_are_no_orphans() {
    let owned = OwnedBucket::new().await;
    for at in 0..40 {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
    }
    // A merge in the middle of the tree removes a page and its inputs, and leaves the rest.
    let inputs = owned.partition.view().entries_from(40, 2).await.unwrap();
    let names = inputs.iter().filter_map(Entry::segment).map(|s| s.name.clone()).collect();
    let name = owned.partition.begin_segment(40);
    owned.store.create(name.path(), Bytes::from(vec![7; 1000])).await.unwrap();
    let mut output = segment(name.name(), 40, 60, 20, Some(NOW_MS));
    output.meta.hash = inputs.iter().filter_map(Entry::segment).map(|s| s.meta.hash).sum();
    let outputs = vec![Entry::Segment(Box::new(output))];
    let replace = Replace { first: 40, next: 60, inputs: names, outputs, dropped: Default::default() };
    owned.partition.commit(Change::Replace(replace)).await.unwrap();
    let before = objects(&owned).await.len();
    owned.clock.advance(25 * HOUR);
    let done = round(&mut collector(&owned)).await;
    assert_eq!(done.orphans, 0);
    assert_eq!(objects(&owned).await.len() as u64, before as u64 - done.removed);
    for offset in (0..400).step_by(10) {
        let entry = owned.partition.view().find(offset).await.unwrap().unwrap();
        owned.store.stat(&owned.partition.view().path_of(entry.segment().unwrap())).await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_topic_goes_at_once_and_is_forgotten_when_it_stayed_gone() {
    let owned = OwnedBucket::new().await;
    sealed(&owned.store, &owned.partition, 0, 10).await;
    let root = layout::topic_root("t", owned.partition.topic_id());
    owned.archive.topics.delete("t").await.unwrap();
    let mut collector = collector(&owned);
    assert!(round(&mut collector).await.dead > 1);
    assert_eq!(owned.paths(&root).await, [""; 0]);
    let dead = || owned.archive.topics.version_of("t").unwrap().unwrap().dead;
    round(&mut collector).await;
    assert!(dead()[0].empty_since_ms.is_some());
    // Something that was under way arrives late.
    owned.store.create(&format!("{root}/data/partition=0/late"), Bytes::from_static(b"x")).await.unwrap();
    owned.clock.advance(23 * HOUR);
    assert_eq!(round(&mut collector).await.dead, 1);
    assert!(dead()[0].empty_since_ms.is_none());
    round(&mut collector).await;
    owned.clock.advance(23 * HOUR);
    round(&mut collector).await;
    assert_eq!(dead().len(), 1);
    owned.clock.advance(2 * HOUR);
    round(&mut collector).await;
    assert_eq!(dead(), []);
}

#[tokio::test]
async fn a_creation_that_was_cut_off_goes_and_a_live_topic_does_not() {
    let owned = OwnedBucket::new().await;
    let path = format!("{}/manifest/partition=0/00000000000000000001.json", layout::topic_root("u", Uuid([7; 16])));
    owned.store.create(&path, Bytes::from_static(b"x")).await.unwrap();
    let path = format!("{}/manifest/partition=0/00000000000000000001.json", layout::topic_root("t", Uuid([7; 16])));
    owned.store.create(&path, Bytes::from_static(b"x")).await.unwrap();
    let mut collector = collector(&owned);
    assert_eq!(round(&mut collector).await.orphans, 0);
    owned.clock.advance(25 * HOUR);
    assert_eq!(round(&mut collector).await.orphans, 2);
    assert_eq!(owned.paths("topics/u").await, [""; 0]);
    assert!(!owned.paths(&layout::topic_root("t", owned.partition.topic_id())).await.is_empty());
}

#[tokio::test]
async fn old_versions_go_and_the_newest_stay() {
    let owned = OwnedBucket::new().await;
    for at in 0..40 {
        owned.partition.commit(Change::LogStart { to: at }).await.unwrap();
    }
    let mut collector = collector(&owned);
    owned.clock.advance(6 * DAY);
    assert_eq!(round(&mut collector).await.versions, 0);
    owned.clock.advance(2 * DAY);
    assert_eq!(round(&mut collector).await.versions, 40 - KEEP_VERSIONS);
    assert_eq!(owned.partition.chain().versions().await.unwrap().len() as u64, KEEP_VERSIONS);
    owned.partition.commit(Change::LogStart { to: 100 }).await.unwrap();
}

#[tokio::test]
async fn pages_of_the_state_that_no_version_names_go() {
    let owned = OwnedBucket::new().await;
    let fill = |from: state::WalPosition, items: &mut state::Items| {
        *items = (0..300).map(|n| (format!("group/{n}"), Json::of(&format!("{from:?}")))).collect();
    };
    for group in 1..30 {
        let r = state::WalPosition { group, ..owned.archive.state.head().r };
        owned.archive.state.commit(r, state::PartitionHeads::new(), fill).await.unwrap();
    }
    let pages = async || owned.paths(layout::STATE).await.iter().filter(|path| state::is_page(path)).count();
    let before = pages().await;
    owned.clock.advance(25 * HOUR);
    round(&mut collector(&owned)).await;
    let after = pages().await;
    assert!(after > 0 && after < before * 2 / 3, "{after} of {before}");
    let read = state::read(&owned.archive.bucket).await.unwrap().unwrap();
    assert_eq!(read.state(), &owned.archive.state.head());
}

#[tokio::test]
async fn a_fenced_owner_stops_collecting() {
    let owned = OwnedBucket::new().await;
    sealed(&owned.store, &owned.partition, 0, 10).await;
    owned.partition.commit(Change::LogStart { to: 10 }).await.unwrap();
    owned.clock.advance(25 * HOUR);
    start(&owned.store, empty_disk(2), true).await;
    assert!(collector(&owned).run().await.unwrap_err().is_fenced());
}

#[tokio::test]
async fn a_clock_that_differs_from_the_stores_by_days_deletes_nothing() {
    let clock = Clock::manual(Clock::real().now_ms() + 3 * 24 * HOUR_MS);
    let store = store(std::sync::Arc::new(object_store::memory::InMemory::new()), &clock, 1);
    let archive = start(&store, empty_disk(1), false).await;
    let done = Collector::new(&archive, CollectOptions::default()).run().await.unwrap();
    assert!(done.paused.unwrap().contains("hours"));
}

#[test]
fn a_jump_of_the_clock_pauses_for_a_day_of_real_time() {
    let mut watch = ClockWatch::default();
    assert_eq!(watch.look(0, Duration::ZERO), None);
    assert_eq!(watch.look(HOUR_MS, HOUR), None);
    assert!(watch.look(HOUR_MS + 26 * HOUR_MS, 2 * HOUR).is_some(), "ahead by 25 hours");
    assert!(watch.look(50 * HOUR_MS, 25 * HOUR).is_some());
    assert_eq!(watch.look(51 * HOUR_MS, 26 * HOUR), None);
    assert!(watch.look(0, 27 * HOUR).is_some(), "back");
    let mut slept = ClockWatch::default();
    slept.look(0, Duration::ZERO);
    assert_eq!(slept.look(100 * HOUR_MS, 100 * HOUR), None, "time that truly passed is no jump");
}
