//! A bucket that the first version of the formats wrote, kept in `tests/fixtures/bucket-1`: every later version reads it.
//! It has one of everything: pages of two levels, epochs in pages, producers in an object, every reason of a gap, things
//! removed, a dead topic, a state with pages, a take-over. Its segments are stand-ins: only their names and sizes count.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::bucket::OpenMode;
use super::manifest::model::ProducersAt;
use super::manifest::{
    AbortedTransaction, Change, Entry, EpochStart, GapReason, PartitionReader, Producer, ProducerBatch, Producers, Seal,
};
use super::owner::Event;
use super::state::WalPosition;
use super::testing::*;
use super::{Bucket, Survey, fsck, topics};
use crate::base::{Clock, Json, Uuid};
use crate::record::HashSum;
use crate::store::Store;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bucket-1")
}

fn producers(next: i64) -> Producers {
    let batch = |n: i32| ProducerBatch {
        first_sequence: n * 10,
        last_sequence: n * 10 + 9,
        first_offset: next - 10,
        last_offset: next - 1,
        timestamp: NOW_MS,
    };
    let producer = |id: i64| Producer {
        id: (1 << 32) + id,
        epoch: 2,
        last_timestamp: NOW_MS + id,
        coordinator_epoch: -1,
        open_from: -1,
        batches: (0..5).map(batch).collect(),
        unknown: Default::default(),
    };
    let aborted = vec![AbortedTransaction { producer_id: 1 << 32, first_offset: next - 3, last_offset: next + 4 }];
    Producers { producers: (0..40).map(producer).collect(), aborted, lost_until: None, unknown: Default::default() }
}

/// Makes the bucket; the same every time.
async fn make(store: &Store, clock: &Clock) {
    let first = start(store, empty_disk(1), false).await;
    let settings: BTreeMap<String, String> = [("retention.ms".to_owned(), "-1".to_owned())].into();
    first.topics.create("old", 2, BTreeMap::new()).await.unwrap();
    first.topics.delete("old", 0).await.unwrap();
    let (topic, made) = first.topics.create("t", 1, settings).await.unwrap();
    let partition = &made[0];
    for at in 0..45 {
        clock.advance(std::time::Duration::from_secs(60));
        let (from, next) = (at * 10, at * 10 + 10);
        let name = partition.begin_segment(from);
        let entry = match at {
            30 => Entry::gap(from, next, GapReason::Control),
            31 => Entry::gap(from, next, GapReason::Aborted),
            32 => Entry::gap(from, next, GapReason::Compacted),
            33 => Entry::gap(from, next, GapReason::Deleted),
            _ => {
                store.create(name.path(), Bytes::from(vec![7; 1000])).await.unwrap();
                Entry::Segment(Box::new(segment(name.name(), from, next, 9, Some(NOW_MS + at % 7))))
            }
        };
        let Change::Seal(seal) = seal(vec![entry], &[(i32::try_from(at / 2).unwrap(), from)]) else { unreachable!() };
        let producers = if at < 43 { Producers::default() } else { producers(next) };
        let change = Change::Seal(Seal { producers, ..seal });
        partition.commit(change).await.unwrap();
    }
    partition.commit(Change::LogStart { to: 57 }).await.unwrap();
    let r = WalPosition { group: 77, ..first.state.head().r };
    let ends = first.state.head().partitions.clone();
    let fold = |_, items: &mut super::state::Items| {
        *items = (0..100)
            .map(|n| (format!("group/{n}"), Json::of(&serde_json::json!({"generation": n, "protocol": "range"}))))
            .collect();
    };
    first.state.commit(r, ends, fold).await.unwrap();
    let second = start(store, empty_disk(2), true).await;
    assert_eq!(second.partitions.keys().next(), Some(&(topic.id, 0)));
    // Old versions were collected.
    for chain in [second.partitions[&(topic.id, 0)].chain().prefix(), "state"] {
        let mut versions = Vec::new();
        for object in store.list(chain, None).await.unwrap() {
            if matches!(super::layout::Named::of(&object.path), super::layout::Named::Version(_)) {
                versions.push(object.path);
            }
        }
        for path in &versions[..versions.len() - 2] {
            store.delete(path).await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "writes the fixture: only when a new format gets one"]
async fn write_the_fixture() {
    let clock = Clock::manual(NOW_MS);
    let store = store(Arc::new(object_store::memory::InMemory::new()), &clock, 7);
    make(&store, &clock).await;
    for object in store.list("", None).await.unwrap() {
        let path = folder().join(&object.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, store.get(&object.path).await.unwrap()).unwrap();
    }
}

/// The fixture, copied into memory.
async fn stored() -> Store {
    let store = crate::store::testing::memory();
    let mut folders = vec![folder()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let key: Vec<&str> =
                path.strip_prefix(folder()).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
            store.put(&key.join("/"), std::fs::read(&path).unwrap().into()).await.unwrap();
        }
    }
    store
}

#[tokio::test]
async fn the_first_versions_bucket_is_read_exactly() {
    let bucket = Bucket::open(stored().await, OpenMode::Read, &Default::default()).await.unwrap();
    let topics = topics::read_all(&bucket).await.unwrap();
    assert_eq!((topics.len(), topics[0].name.as_str(), topics[0].partitions), (1, "t", 1));
    assert_eq!(topics[0].settings, [("retention.ms".to_owned(), "-1".to_owned())].into());

    let reader = PartitionReader::open(&bucket, "t", topics[0].id, 0).await.unwrap();
    let view = reader.view();
    let manifest = view.manifest();
    let lost = manifest.next;
    assert_eq!((view.epoch(), manifest.log_start, manifest.reserved), (2, 57, lost + (1 << 26)));
    assert_eq!(lost, 450 + (1 << 26));
    let entries = view.entries_from(0, 1000).await.unwrap();
    let segments: Vec<_> = entries.iter().filter_map(Entry::segment).collect();
    assert_eq!((entries.len(), segments.len()), (41, 36));
    assert_eq!(segments.iter().map(|s| s.meta.records + s.control).sum::<u64>(), 360);
    let expected: HashSum =
        segments.iter().map(|s| segment("x", s.meta.first_offset, s.meta.next_offset, 9, None).meta.hash).sum();
    assert_eq!(manifest.sums().unwrap().hash, expected);
    let reasons: Vec<(i64, GapReason)> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Gap(gap) => Some((gap.first, gap.reason)),
            Entry::Segment(_) => None,
        })
        .collect();
    use GapReason::{Aborted, Compacted, Control, Deleted, WalLost};
    assert_eq!(reasons, [(300, Control), (310, Aborted), (320, Compacted), (330, Deleted), (450, WalLost)]);
    assert_eq!(view.find(203).await.unwrap().unwrap().first(), 200);
    assert_eq!(view.find_time(NOW_MS + 6, 57).await.unwrap().unwrap().meta.first_offset, 60);
    assert_eq!(view.epoch_end(7).await.unwrap().at_or_below, Some(EpochStart(7, 140)));
    assert!(!manifest.epoch_pages.is_empty() && manifest.pages.iter().any(|page| page.level > 0));
    assert!(matches!(manifest.producers, ProducersAt::Object(_)));
    let expected = producers(450).after_loss(lost);
    assert_eq!(view.producers().await.unwrap(), expected);

    let survey = Survey::load(&bucket).await.unwrap();
    let owner = &survey.owner().unwrap().version;
    assert_eq!((owner.event, owner.wal_id, owner.born, owner.after_release), (Event::Claim, Uuid([2; 16]), 2, false));
    let state = super::state::read(&bucket).await.unwrap().unwrap().state().clone();
    assert_eq!(state.r, WalPosition { wal_id: Uuid([2; 16]), group: 0 });
    assert_eq!(&state.partitions[&(topics[0].id, 0)], view.hint());
    assert_eq!(
        state.items["group/42"].read::<serde_json::Value>().unwrap(),
        serde_json::json!({"generation": 42, "protocol": "range"})
    );
}

#[tokio::test]
async fn the_first_versions_bucket_is_whole_and_can_be_owned() {
    let store = stored().await;
    let bucket = Bucket::open(store.clone(), OpenMode::Read, &Default::default()).await.unwrap();
    let mut findings = Vec::new();
    let checked = fsck::fsck(&bucket, &mut |finding| findings.push(finding)).await.unwrap();
    assert_eq!((findings, checked.segments), (vec![], 36));
    let archive = start(&store, empty_disk(3), true).await;
    assert_eq!(archive.ownership.epoch(), 3);
    let partition = archive.partitions.values().next().unwrap();
    let next = partition.head().next;
    partition.commit(seal_one("table/data/new", next, next + 5)).await.unwrap();
}
