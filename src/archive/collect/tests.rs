use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::archive::layout::Named;
use crate::archive::manifest::model::{Manifest, PAGE_ITEMS, ProducersAt, REMOVED_MAX, RemovedObject};
use crate::archive::manifest::{Change, Entry, GapReason, Producer, Producers, Replace, Seal};
use crate::archive::testing::*;
use crate::base::{Clock, Json};
use crate::store::testing::{Fault, Faulty};

const DAY: Duration = Duration::from_secs(24 * 3600);
const DAY_MS: i64 = 24 * HOUR_MS;

fn collector(owned: &OwnedBucket) -> Collector {
    Collector::new(&owned.archive, CollectOptions::default())
}

async fn round(collector: &mut Collector) -> Collected {
    let done = collector.run().await.unwrap();
    assert_eq!((done.paused.as_deref(), &done.failures[..]), (None, &[][..]));
    done
}

/// Until all is forgotten: a page of removed things is a removed thing itself, for a day more.
async fn forget_pages(owned: &OwnedBucket, collector: &mut Collector) {
    for _ in 0..3 {
        owned.clock.advance(DAY + HOUR);
        round(collector).await;
        owned.clock.advance(HOUR);
        round(collector).await;
    }
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
    assert_eq!((objects(&owned).await.len(), owned.partition.head().removed.len()), (1, 2));
    assert_eq!(round(&mut collector).await, Collected::default());
    owned.clock.advance(HOUR);
    assert_eq!(round(&mut collector).await, Collected::default());
    assert_eq!(owned.partition.head().removed.len(), 0, "forgotten by a version of its own within the hour");
}

#[tokio::test]
async fn what_was_deleted_is_forgotten_by_the_next_version_that_is_made_anyway() {
    let owned = OwnedBucket::new().await;
    let mut collector = collector(&owned);
    sealed(&owned.store, &owned.partition, 0, 10).await;
    owned.partition.commit(Change::LogStart { to: 10 }).await.unwrap();
    owned.clock.advance(DAY);
    let before = owned.partition.view().number();
    assert_eq!(round(&mut collector).await.removed, 1);
    assert_eq!(owned.partition.view().number(), before, "no version for it");
    sealed(&owned.store, &owned.partition, 10, 20).await;
    assert_eq!((owned.partition.head().removed.len(), owned.partition.view().number()), (0, before + 1));
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
    owned.clock.advance(HOUR);
    round(&mut collector).await;
    forget_pages(&owned, &mut collector).await;
    let head = owned.partition.head();
    let live = head.entries.len() + head.pages.len();
    assert!((2..20).contains(&live) && head.removed.is_empty() && head.removed_pages.is_empty());
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
    let mut collector = collector(&owned);
    round(&mut collector).await;
    forget_pages(&owned, &mut collector).await;
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
    stay.push(put("table/data/00000-00000000000000000010-9-0123456789abcdef.parquet").await);
    stay.push(put("table/data/somebody-elses.csv").await);
    put(&given_up).await;
    put("table/data/00000-00000000000000000000-0-0123456789abcdef.parquet").await;
    put("log/0/page-00000000000000000000-0-1-0123456789abcdef.json").await;
    put("log/0/producers-00000000000000000010-1-0123456789abcdef.json").await;
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
async fn a_dead_topic_waits_then_goes_and_is_forgotten_when_it_stayed_gone() {
    let owned = OwnedBucket::new().await;
    sealed(&owned.store, &owned.partition, 0, 10).await;
    let root = layout::topic_root("t", owned.partition.topic_id());
    owned.archive.topics.delete("t", DAY_MS).await.unwrap();
    let mut collector = collector(&owned);
    owned.clock.advance(23 * HOUR);
    assert_eq!(round(&mut collector).await.dead, 0);
    assert_eq!(owned.paths(&root).await.len(), 3);
    owned.clock.advance(HOUR);
    assert_eq!(round(&mut collector).await.dead, 3);
    assert_eq!(owned.paths(&root).await, [""; 0]);
    let dead = || owned.archive.topics.version_of("t").unwrap().unwrap().1.dead;
    assert!(dead()[0].empty_since_ms.is_none());
    round(&mut collector).await;
    assert!(dead()[0].empty_since_ms.is_none(), "listed once an hour");
    owned.clock.advance(HOUR);
    round(&mut collector).await;
    assert!(dead()[0].empty_since_ms.is_some());
    // Something that was under way arrives late.
    owned.store.create(&format!("{root}/table/data/late"), Bytes::from_static(b"x")).await.unwrap();
    owned.clock.advance(23 * HOUR);
    assert_eq!(round(&mut collector).await.dead, 1);
    assert!(dead()[0].empty_since_ms.is_none());
    owned.clock.advance(HOUR);
    round(&mut collector).await;
    owned.clock.advance(23 * HOUR);
    round(&mut collector).await;
    assert_eq!(dead().len(), 1);
    owned.clock.advance(2 * HOUR);
    round(&mut collector).await;
    assert_eq!(dead(), []);
}

#[tokio::test]
async fn a_dead_topic_under_which_nothing_was_sealed_goes_at_once() {
    let owned = OwnedBucket::new().await;
    let root = layout::topic_root("t", owned.partition.topic_id());
    owned.archive.topics.delete("t", DAY_MS).await.unwrap();
    assert_eq!(round(&mut collector(&owned)).await.dead, 1);
    assert_eq!(owned.paths(&root).await, [""; 0]);
}

#[tokio::test]
async fn a_creation_that_was_cut_off_goes_and_a_live_topic_does_not() {
    let owned = OwnedBucket::new().await;
    let path = format!("{}/log/0/00000000000000000001.json", layout::topic_root("u", Uuid([7; 16])));
    owned.store.create(&path, Bytes::from_static(b"x")).await.unwrap();
    let path = format!("{}/log/0/00000000000000000001.json", layout::topic_root("t", Uuid([7; 16])));
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
    let before = owned.paths("").await;
    assert!(collector(&owned).run().await.unwrap_err().is_fenced());
    assert_eq!(owned.paths("").await, before, "it deleted nothing");
}

#[tokio::test]
async fn a_fenced_collector_leaves_the_new_owners_topics_alone() {
    let owned = OwnedBucket::new().await;
    let mut old = collector(&owned);
    let second = start(&owned.store, empty_disk(2), true).await;
    let (topic, made) = second.topics.create("new", 1, Default::default()).await.unwrap();
    sealed(&owned.store, &made[0], 0, 10).await;
    let root = layout::topic_root("new", topic.id);
    let before = owned.paths(&root).await;
    owned.clock.advance(25 * HOUR);
    assert!(old.run().await.unwrap_err().is_fenced());
    assert_eq!(owned.paths(&root).await, before);
}

#[tokio::test]
async fn a_topic_that_only_the_bucket_knows_is_not_taken_for_a_creation_that_was_cut_off() {
    let owned = OwnedBucket::new().await;
    // The same owner, but another process' memory: one that does not know the topic.
    let survey = crate::archive::Survey::load(&bucket(&owned.store).await).await.unwrap();
    let ignorant = survey.adopt(&owned.archive.ownership).await.unwrap();
    let (topic, _) = owned.archive.topics.create("u", 1, Default::default()).await.unwrap();
    owned.clock.advance(25 * HOUR);
    let done = Collector::new(&ignorant, CollectOptions::default()).run().await.unwrap();
    assert_eq!((done.orphans, done.failures), (0, vec![]));
    assert_eq!(owned.paths(&layout::topic_root("u", topic.id)).await.len(), 1);
}

#[tokio::test]
async fn a_round_ends_when_the_owner_cannot_be_looked_at_any_more() {
    let (faulty, clock, archive) = faulty_bucket().await;
    let (_, made) = archive.topics.create("t", 1, Default::default()).await.unwrap();
    for at in 0..3 {
        sealed(&faulty.store(), &made[0], at * 10, at * 10 + 10).await;
    }
    made[0].commit(Change::LogStart { to: 30 }).await.unwrap();
    clock.advance(25 * HOUR);
    let mut collector = Collector::new(&archive, CollectOptions::default());
    let licence = Licence::new(&archive.ownership, archive.bucket.clock());
    licence.check().await.unwrap();
    faulty.away(true);
    licence.check().await.unwrap();
    clock.advance(Duration::from_secs(10));
    assert!(!licence.check().await.unwrap_err().is_fenced());
    faulty.away(false);
    assert!(licence.check().await.is_err() && licence.has_ended(), "it ended for good");
    assert_eq!(collector.run().await.unwrap().removed, 3);
}

/// A bucket over a store that can be spoilt, with the machine's time.
async fn faulty_bucket() -> (Faulty, Clock, Archive) {
    let clock = Clock::manual(NOW_MS);
    let faulty = Faulty::on_clock(&clock);
    let store = store(std::sync::Arc::new(faulty.clone()), &clock, 1);
    let archive = start(&store, empty_disk(1), false).await;
    (faulty, clock, archive)
}

#[tokio::test]
async fn a_topic_whose_creation_was_not_decided_is_never_collected() {
    let mut undecided = 0;
    for call in 0..14 {
        let (faulty, clock, archive) = faulty_bucket().await;
        let base = faulty.calls();
        faulty.at(base + call, Fault::AppliedAndDropped);
        (1..400).for_each(|more| faulty.at(base + call + more, Fault::Failed));
        let made = archive.topics.create("x", 1, Default::default()).await;
        faulty.heal().await;
        let live = super::super::topics::read_all(&archive.bucket).await.unwrap();
        if made.is_ok() || live.is_empty() {
            continue;
        }
        undecided += 1;
        clock.advance(25 * HOUR);
        assert_eq!(Collector::new(&archive, CollectOptions::default()).run().await.unwrap().orphans, 0);
        crate::archive::Survey::load(&archive.bucket).await.unwrap();
        assert_eq!(archive.topics.list(), live, "it is served");
        assert_eq!(archive.topics.settle().await.unwrap()[0].made.len(), 1);
    }
    assert!(undecided > 0);
}

#[tokio::test]
async fn a_creation_that_was_given_up_leaves_no_topic_that_is_collected() {
    for polls in 0..60 {
        let (_faulty, clock, archive) = faulty_bucket().await;
        let mut create = Box::pin(archive.topics.create("x", 1, Default::default()));
        for _ in 0..polls {
            if futures::poll!(create.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(create);
        clock.advance(25 * HOUR);
        Collector::new(&archive, CollectOptions::default()).run().await.unwrap();
        crate::archive::Survey::load(&archive.bucket).await.unwrap_or_else(|e| panic!("after {polls} polls: {e}"));
    }
}

#[tokio::test]
async fn a_round_in_which_nothing_is_due_makes_as_many_requests_for_many_partitions_as_for_one() {
    let mut requests = Vec::new();
    for partitions in [1, 40] {
        let (faulty, clock, archive) = faulty_bucket().await;
        let (_, made) = archive.topics.create("t", partitions, Default::default()).await.unwrap();
        for partition in &made {
            for to in 1..=i64::try_from(KEEP_VERSIONS).unwrap() + 4 {
                partition.commit(Change::LogStart { to }).await.unwrap();
            }
            sealed(&faulty.store(), partition, 0, 30).await;
            partition.commit(Change::Retention { to: 30 }).await.unwrap();
        }
        let mut collector = Collector::new(&archive, CollectOptions::default());
        collector.run().await.unwrap();
        clock.advance(Duration::from_secs(300));
        let before = faulty.calls();
        assert_eq!(collector.run().await.unwrap(), Collected::default());
        requests.push(faulty.calls() - before);
    }
    assert_eq!(requests[0], requests[1], "an idle round");
    assert!(requests[0] <= 2, "{requests:?}");
}

#[tokio::test]
async fn one_page_that_cannot_be_read_keeps_nothing_else_from_being_forgotten() {
    let owned = OwnedBucket::new().await;
    for at in 0..24 {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
    }
    let page = owned.partition.head().pages[0].clone();
    owned.partition.commit(Change::LogStart { to: 240 }).await.unwrap();
    let waiting = owned.partition.head().removed.len();
    let root = layout::topic_root("t", owned.partition.topic_id());
    let path = layout::under(&root, &page.object.name);
    owned.store.put(&path, Bytes::from_static(b"garbage")).await.unwrap();
    owned.clock.advance(DAY + HOUR);
    let options = |hours| CollectOptions {
        of_topics: [(Uuid([9; 16]), hours * HOUR_MS)].into(), // of another topic, whose objects stay longer
        ..CollectOptions::default()
    };
    let mut collector = Collector::new(&owned.archive, options(48));
    let done = collector.run().await.unwrap();
    owned.clock.advance(HOUR);
    let again = collector.run().await.unwrap();
    let left = owned.partition.head().removed.len();
    assert!(left < waiting, "{left} of {waiting}: {done:?}, {again:?}");
    // Once nothing has to wait any longer the damaged page goes, and what it named is found by name, when no version that is
    // kept names it.
    owned.clock.advance(2 * DAY);
    collector.run().await.unwrap();
    assert!(!objects(&owned).await.is_empty());
    for to in 0..20 {
        owned.partition.commit(Change::LogStart { to: 241 + to }).await.unwrap();
    }
    owned.clock.advance(8 * DAY);
    collector.run().await.unwrap();
    forget_pages(&owned, &mut collector).await;
    assert_eq!(objects(&owned).await, [""; 0]);
    assert!(owned.partition.head().removed.is_empty());
}

#[tokio::test]
async fn what_waits_goes_to_pages_which_go_when_all_that_they_name_is_gone() {
    let owned = OwnedBucket::new().await;
    let many = i64::try_from(REMOVED_MAX * 3).unwrap();
    for at in 0..many {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
        owned.partition.commit(Change::LogStart { to: at * 10 + 10 }).await.unwrap();
        owned.clock.advance(Duration::from_secs(60));
    }
    let head = owned.partition.head();
    assert!(head.removed.len() <= REMOVED_MAX && head.removed_pages.len() > 2);
    let mut collector = collector(&owned);
    let everything = objects(&owned).await.len();
    round(&mut collector).await;
    assert_eq!(objects(&owned).await.len(), everything, "nothing that waits is an orphan");
    owned.clock.advance(DAY);
    assert_eq!(round(&mut collector).await.removed, u64::try_from(many).unwrap());
    forget_pages(&owned, &mut collector).await;
    let head = owned.partition.head();
    assert_eq!((head.removed.len(), head.removed_pages.len()), (0, 0));
    assert_eq!(objects(&owned).await, [""; 0]);
}

#[tokio::test]
async fn while_a_page_of_removed_things_cannot_be_read_nothing_is_an_orphan() {
    let owned = OwnedBucket::new().await;
    let many = i64::try_from(REMOVED_MAX * 2).unwrap();
    for at in 0..many {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
        owned.partition.commit(Change::LogStart { to: at * 10 + 10 }).await.unwrap();
    }
    let page = owned.partition.head().removed_pages[0].clone();
    let root = layout::topic_root("t", owned.partition.topic_id());
    owned.store.put(&layout::under(&root, &page.object.name), Bytes::from_static(b"garbage")).await.unwrap();
    let before = objects(&owned).await;
    owned.clock.advance(30 * HOUR);
    let options = CollectOptions { removed_retention_ms: 100 * HOUR_MS, ..CollectOptions::default() };
    let mut collector = Collector::new(&owned.archive, options);
    assert_eq!(collector.run().await.unwrap().orphans, 0);
    assert_eq!(objects(&owned).await, before);
    owned.clock.advance(100 * HOUR);
    collector.run().await.unwrap();
    forget_pages(&owned, &mut collector).await;
    forget_pages(&owned, &mut collector).await;
    assert_eq!(objects(&owned).await, [""; 0], "then its names were looked for, and nothing is left");
}

#[tokio::test]
async fn what_only_a_page_of_removed_things_names_is_no_orphan() {
    let owned = OwnedBucket::new().await;
    for at in 0..i64::try_from(REMOVED_MAX * 2).unwrap() {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
        owned.partition.commit(Change::LogStart { to: at * 10 + 10 }).await.unwrap();
    }
    assert!(!owned.partition.head().removed_pages.is_empty());
    let before = objects(&owned).await;
    let options = CollectOptions { removed_retention_ms: 1_000 * HOUR_MS, ..CollectOptions::default() };
    let mut collector = Collector::new(&owned.archive, options);
    owned.clock.advance(10 * 24 * HOUR);
    assert!(collector.run().await.unwrap().versions > 0, "those that named it as live are gone");
    owned.clock.advance(25 * HOUR);
    assert_eq!(collector.run().await.unwrap().orphans, 0);
    assert_eq!(objects(&owned).await, before);
}

#[tokio::test]
async fn objects_of_a_partition_that_is_not_loaded_are_left() {
    let owned = OwnedBucket::new().await;
    let root = layout::topic_root("t", owned.partition.topic_id());
    let segment = format!("{root}/table/data/00001-00000000000000000000-1-0123456789abcdef.parquet");
    let page = format!("{root}/log/1/page-00000000000000000000-0-1-0123456789abcdef.json");
    for path in [&segment, &page] {
        owned.store.create(path, Bytes::from_static(b"x")).await.unwrap();
    }
    owned.clock.advance(25 * HOUR);
    assert_eq!(round(&mut collector(&owned)).await.orphans, 0);
    for path in [&segment, &page] {
        owned.store.stat(path).await.unwrap();
    }
}

#[tokio::test]
async fn folders_of_later_builds_are_left_and_what_a_probe_left_goes() {
    let owned = OwnedBucket::new().await;
    let others = layout::RESERVED.map(|folder| format!("{folder}/x/page-00000-1-0123456789abcdef.json"));
    for path in &others {
        owned.store.create(path, Bytes::from_static(b"x")).await.unwrap();
    }
    owned.store.create("probe/0123456789abcdef/00", Bytes::from_static(b"x")).await.unwrap();
    owned.store.create("state/cell/page-00000-1-0123456789abcdef.json", Bytes::from_static(b"x")).await.unwrap();
    owned.clock.advance(25 * HOUR);
    assert_eq!(round(&mut collector(&owned)).await.orphans, 1);
    for path in &others {
        owned.store.stat(path).await.unwrap();
    }
    assert_eq!(owned.paths("probe").await, [""; 0]);
    assert_eq!(owned.paths("state/cell").await.len(), 1);
}

#[tokio::test]
async fn a_clock_that_differs_from_the_stores_by_days_deletes_nothing_until_it_is_set() {
    let (clock, stores) = (Clock::manual(NOW_MS + 3 * DAY_MS), Clock::manual(NOW_MS));
    let store = store(std::sync::Arc::new(Faulty::on_clock(&stores)), &clock, 1);
    let archive = start(&store, empty_disk(1), false).await;
    let mut collector = Collector::new(&archive, CollectOptions::default());
    assert!(collector.run().await.unwrap().paused.unwrap().contains("hours"));
    assert_eq!(store.list(layout::PROBE, None).await.unwrap(), []);
    clock.set_wall_by(-3 * DAY_MS);
    assert!(collector.run().await.unwrap().paused.unwrap().contains("jumped"), "for a day");
    clock.advance(DAY + HOUR);
    stores.advance(DAY + HOUR);
    assert_eq!(collector.run().await.unwrap().paused, None);
}

#[test]
fn of_the_older_versions_of_the_state_one_in_ten_minutes_keeps_its_pages() {
    let minute = 60_000;
    let versions: Vec<(u64, i64)> = (0..300).map(|n| (n + 1, i64::try_from(n).unwrap() * minute)).collect();
    let (keep, thin) = choice::state_pages(&versions, KEEP_VERSIONS, 300 * minute);
    assert_eq!((keep.len() + thin.len(), keep.len()), (300, 59 + 24));
    assert!(keep.contains(&10) && !keep.contains(&9) && keep.contains(&300));
    let idle: Vec<(u64, i64)> = (1..=5).map(|n| (n, 0)).collect();
    assert_eq!(choice::state_pages(&idle, KEEP_VERSIONS, i64::MAX).0.len(), 5, "the newest stay");
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

/// Each kind of object that a manifest names, and that asks for what this build does not have so that anything may go:
/// whatever becomes of the manifest, the object stays, and so does all that it names; the rest goes.
#[tokio::test]
async fn what_asks_for_more_so_that_anything_may_go_stays_with_all_that_it_names() {
    for kind in ["page", "epochs", "removed", "producers"] {
        let owned = OwnedBucket::new().await;
        let many = i64::try_from(REMOVED_MAX + 20).unwrap();
        for at in 0..many {
            sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
            if at < i64::try_from(REMOVED_MAX).unwrap() + 1 {
                owned.partition.commit(Change::LogStart { to: at * 10 + 10 }).await.unwrap();
            }
        }
        let end = many * 10;
        for epoch in 0..9 {
            let first = end + i64::from(epoch) * 10;
            let Change::Seal(seal) = seal(vec![Entry::gap(first, first + 10, GapReason::Control)], &[(epoch, first)])
            else {
                unreachable!()
            };
            let producers = Producers { producers: producers(100), ..Producers::default() };
            owned.partition.commit(Change::Seal(Seal { producers, ..seal })).await.unwrap();
        }
        let head = owned.partition.head();
        let name = match (kind, &head.producers) {
            ("page", _) => head.pages[0].object.name.clone(),
            ("epochs", _) => head.epoch_pages[0].object.name.clone(),
            ("removed", _) => head.removed_pages[0].object.name.clone(),
            (_, ProducersAt::Object(object)) => object.name.clone(),
            _ => panic!("the producers are inline"),
        };
        let asks = |first: &mut serde_json::Value, _: &mut serde_json::Value| {
            first["must_collect"] = serde_json::json!(["snapshots"]);
        };
        alter_named(&owned.store, &owned.partition, &name, asks).await;
        let disk = disk_of(&owned.archive.ownership, 1, BTreeMap::new());
        let archive = start(&owned.store, disk, false).await;
        let partition = archive.partitions.values().next().unwrap().clone();
        let owned = OwnedBucket { archive, partition, ..owned };
        let next = owned.partition.head().next;
        owned.partition.commit(seal_one("table/data/new", next, next + 10)).await.unwrap();
        owned.partition.commit(Change::LogStart { to: next }).await.unwrap();
        let before = objects(&owned).await;
        let mut collector = collector(&owned);
        owned.clock.advance(DAY + HOUR);
        let done = collector.run().await.unwrap();
        let is_told =
            |failures: &[String]| failures.iter().any(|why| why.contains("'snapshots'") && why.contains(&name));
        assert!(is_told(&done.failures), "{kind}: {done:?}");
        assert!(done.removed > 0, "{kind}: the rest goes");
        let stays: Vec<String> = match kind {
            "page" | "removed" => before.iter().filter(|path| names_of(kind, &head, path)).cloned().collect(),
            _ => Vec::new(),
        };
        for _ in 0..3 {
            owned.clock.advance(DAY + HOUR);
            collector.run().await.unwrap();
        }
        let after = objects(&owned).await;
        assert!(after.iter().any(|path| path.ends_with(&name)), "{kind}");
        assert!(kind != "page" && kind != "removed" || stays.len() >= PAGE_ITEMS, "{kind}: {stays:?}");
        assert!(stays.iter().all(|path| after.contains(path)), "{kind}: {stays:?}");
    }
}

/// Whether a segment lies in the range of the first page, or is named by the first page of removed things.
fn names_of(kind: &str, head: &Manifest, path: &str) -> bool {
    let Named::Segment { first, .. } = Named::of(path) else { return false };
    match kind {
        "page" => (head.pages[0].sums.first..head.pages[0].sums.next).contains(&first),
        _ => first < i64::try_from(head.removed_pages[0].count).unwrap() * 10 - 20,
    }
}

fn producers(count: i64) -> Vec<Producer> {
    let unknown = Default::default;
    let one = |id| Producer {
        id,
        epoch: 0,
        last_timestamp: NOW_MS,
        coordinator_epoch: -1,
        open_from: -1,
        batches: Vec::new(),
        unknown: unknown(),
    };
    (0..count).map(one).collect()
}

/// What a topic's chain asks for holds for its partitions: their versions, what they removed, and what nobody names.
#[tokio::test]
async fn a_topic_that_asks_for_more_so_that_anything_may_go_keeps_all() {
    let owned = OwnedBucket::new().await;
    for at in 0..40 {
        sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await;
    }
    owned.partition.commit(Change::LogStart { to: 395 }).await.unwrap();
    let chain = owned.archive.topics.chain_of("t");
    alter(&owned.store, &chain.path_of(1), |first, _| first["must_collect"] = serde_json::json!(["snapshots"])).await;
    let archive = start(&owned.store, disk_of(&owned.archive.ownership, 1, BTreeMap::new()), false).await;
    let partition = archive.partitions.values().next().unwrap().clone();
    assert_eq!(partition.refusal(), None, "it is written to");
    let owned = OwnedBucket { archive, partition, ..owned };
    let orphan = owned.partition.begin_segment(1000).path().to_owned();
    owned.store.put(&orphan, vec![7; 10].into()).await.unwrap();
    let before = owned.paths("topics").await;
    owned.clock.advance(30 * DAY);
    let mut collector = collector(&owned);
    let done = collector.run().await.unwrap();
    assert!(done.failures.iter().all(|why| why.contains("'snapshots'")) && !done.failures.is_empty(), "{done:?}");
    assert_eq!(owned.paths("topics").await, before);
}
