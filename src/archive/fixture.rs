//! Buckets that the first version of the formats wrote, kept in `tests/fixtures`: every later version reads them.
//!
//! `bucket-1` has one of everything: pages of two levels, epochs in pages, producers in an object and in the version, every
//! reason of a gap and of a removal, pages of what was removed, clean points, a compacted segment with a Bloom filter, a
//! dead topic, a state in pages and one without, a release, a take-over, producers that may jump and a transaction that was
//! aborted after it. All but one of its segments are stand-ins: only their names and sizes count.
//!
//! | file | what it does |
//! |---|---|
//! | `formats` | what is written does not change: every object to the byte, fields of later builds at every level |
//! | `later` | a bucket that a later build goes on with |
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::bucket::OpenMode;
use super::manifest::model::{ProducersAt, RemovedBy};
use super::manifest::{
    AbortedTransaction, Change, Dropped, Entry, EpochStart, GapReason, PartitionArchive, PartitionReader, Producer,
    ProducerBatch, Producers, Replace, Seal, SegmentEntry,
};
use super::owner::{self, Claim, Event, LockFile};
use super::segment::{SegmentEncoder, SegmentMeta, SegmentSpec};
use super::state::{Items, PartitionHeads, WalPosition};
use super::testing::*;
use super::{Archive, Bucket, Survey, fsck, topics};
use crate::base::{Clock, Json, Uuid};
use crate::record::{Header, Record, TimestampType};
use crate::store::Store;
use crate::store::chain::Chain;

mod formats;
pub mod later;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn producers(count: i64, next: i64, lost_until: Option<i64>) -> Producers {
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
        coordinator_epoch: if id == 1 { 1 } else { -1 },
        open_from: if id == 2 { next - 2 } else { -1 },
        batches: (0..5).map(batch).collect(),
        unknown: Default::default(),
    };
    let aborted = vec![AbortedTransaction { producer_id: 1 << 32, first_offset: next - 3, last_offset: next + 4 }];
    Producers { producers: (0..count).map(producer).collect(), aborted, lost_until, unknown: Default::default() }
}

/// What the coordinator and the log keep in the state.
fn items(topic_id: Uuid) -> Items {
    let values = [
        ("broker-settings/".to_owned(), json!({"log.retention.ms": "604800000"})),
        ("broker-settings/1".to_owned(), json!({"log.cleaner.enable": "true"})),
        (
            "group/classic".to_owned(),
            json!({
                "type": "classic", "generation": 4, "protocol_type": "consumer", "protocol": "range", "leader": "c-1",
                "since_ms": NOW_MS,
                "members": [{
                    "id": "c-1", "instance": "i", "client_id": "c", "client_host": "/127.0.0.1", "session_ms": 10_000,
                    "rebalance_ms": 60_000, "protocols": [["range", "/wAB"]], "assignment": "",
                }],
            }),
        ),
        (
            "group/consumer".to_owned(),
            json!({
                "type": "consumer", "epoch": 5, "target_epoch": 5, "topics": { topic_id.to_string(): 2 },
                "members": { "m": {
                    "client_id": "c", "client_host": "/127.0.0.1", "rebalance_ms": 60_000, "names": ["t"],
                    "assignor": "range", "epoch": 5, "previous_epoch": 4, "state": "stable",
                    "assigned": { topic_id.to_string(): "0-1" }, "target": { topic_id.to_string(): "0-1" },
                } },
            }),
        ),
        ("group-settings/consumer".to_owned(), json!({"consumer.session.timeout.ms": "30000"})),
        (
            format!("offset/{topic_id}/0/classic"),
            json!({"0": [42, 1, "m/\"\u{1F980}", NOW_MS], "1": [3, 1, "", NOW_MS]}),
        ),
        (format!("offset/{topic_id}/0/a/b"), json!({"0": [7, -1, "", NOW_MS, NOW_MS + 8]})),
        (format!("pending/4294967297/{topic_id}/1/classic"), json!([43, 1, "", NOW_MS])),
        (
            "txn/x".to_owned(),
            json!({
                "producer_id": 4_294_967_297_i64, "epoch": 3, "last_epoch": 2, "previous_producer_id": -1,
                "timeout_ms": 60_000, "status": "ongoing", "partitions": { topic_id.to_string(): [0, 1] },
                "groups": ["classic"], "start_ms": NOW_MS, "update_ms": NOW_MS, "version": 2,
            }),
        ),
        ("lost-wal/groups".to_owned(), json!("AgICAgICAgICAgICAgICAg")),
        ("later/what-nobody-knows".to_owned(), json!({"a": [1, null, {"b": 2}]})),
    ];
    values.into_iter().map(|(key, value)| (key, Json::of(&value))).collect()
}

/// Records of the segment that is real.
fn records(first: i64) -> Vec<Record> {
    let record = |n: i64| Record {
        offset: first + n,
        timestamp: NOW_MS + n,
        timestamp_type: TimestampType::Create,
        leader_epoch: 1,
        key: Some(Bytes::from(format!("key-{n}"))),
        value: (n != 3).then(|| Bytes::from(format!("value {n}"))),
        headers: vec![Header { key: Bytes::from_static(b"n"), value: Some(Bytes::from(n.to_string())) }],
    };
    (0..5).map(record).collect()
}

/// A whole segment with a Bloom filter.
fn encode(topic_id: Uuid, partition: i32, first: i64, next: i64) -> (Bytes, SegmentMeta) {
    let spec = SegmentSpec { key_bloom: true, ..SegmentSpec::new(topic_id, partition, first) };
    let mut encoder = SegmentEncoder::new(spec).unwrap();
    records(first).iter().for_each(|record| encoder.push(&record.as_ref()).unwrap());
    let (parts, meta) = encoder.finish(next).unwrap();
    (parts.concat().into(), meta)
}

/// A life of a broker begins: on a disk that was never used, with a lock and a WAL that has an end.
async fn begin(store: &Store, disk: u8, take_over: bool) -> Archive {
    let survey = Survey::load(&bucket(store).await).await.unwrap();
    let lock = Some(LockFile::new(disk.into(), 8, 80 + u64::from(disk)));
    let ownership = owner::claim(&survey, &Claim { lock, ..claim(empty_disk(disk), take_over) }).await.unwrap();
    ownership.tell_of_wal(move || Some((70 + u64::from(disk), 0xe5ce_0000 + u32::from(disk))));
    survey.adopt(&ownership).await.unwrap()
}

async fn create(store: &Store, path: &str, object: impl Into<Bytes>) {
    assert!(matches!(store.create(path, object.into()).await.unwrap(), crate::store::Create::Created), "{path}");
}

fn heads(archive: &Archive) -> PartitionHeads {
    let partitions = archive.topics.partitions().into_iter();
    partitions.map(|p| ((p.topic_id(), p.partition()), p.view().hint().clone())).collect()
}

/// Makes the bucket; the same every time, but for the bytes of the segment that is real: with `real` it is that one.
async fn make(store: &Store, clock: &Clock, real: Option<(Bytes, SegmentMeta)>) {
    let first = begin(store, 1, false).await;
    let settings: BTreeMap<String, String> = [("retention.ms".to_owned(), "-1".to_owned())].into();
    first.topics.create("old", 2, BTreeMap::new()).await.unwrap();
    first.topics.delete("old", 0).await.unwrap();
    let (topic, made) = first.topics.create("t", 2, settings).await.unwrap();
    with_deep_tree(store, clock, &made[0]).await;
    rewritten(store, clock, &made[1], real.unwrap_or_else(|| encode(topic.id, 1, 260, 270))).await;
    let r = WalPosition { group: 71, ..first.state.head().r };
    first.state.commit(r, heads(&first), |_, all| *all = items(topic.id)).await.unwrap();
    first.ownership.release().await.unwrap();

    clock.advance(DAY);
    let second = begin(store, 2, false).await;
    let r = WalPosition { group: 5, ..second.state.head().r };
    second.state.commit(r, heads(&second), |_, _| ()).await.unwrap();

    clock.advance(DAY);
    let third = begin(store, 3, true).await;
    for (number, count) in [(0, 40), (1, 3)] {
        let partition = &third.partitions[&(topic.id, number)];
        let lost = partition.head().next;
        let Change::Seal(seal) = seal(vec![Entry::gap(lost, lost + 10, GapReason::Control)], &[]) else {
            unreachable!()
        };
        let producers = producers(count, lost + 10, Some(lost));
        partition.commit(Change::Seal(Seal { producers, ..seal })).await.unwrap();
    }
    let r = WalPosition { group: 9, ..third.state.head().r };
    let many = |_, all: &mut Items| {
        let more = (0..60)
            .map(|n| (format!("group/{n}"), Json::of(&json!({"type": "consumer", "epoch": n, "target_epoch": 0}))));
        all.extend(more);
    };
    third.state.commit(r, heads(&third), many).await.unwrap();

    // Old versions were collected.
    let chains = third.partitions.values().map(|partition| partition.chain().clone());
    let state = super::state::chain(&third.bucket);
    for chain in chains.chain([state]).collect::<Vec<Chain>>() {
        let versions = chain.versions().await.unwrap();
        for number in &versions[..versions.len() - 2] {
            store.delete(&chain.path_of(*number)).await.unwrap();
        }
    }
}

/// Many segments and epochs, every reason of a gap, and producers that have an object of their own.
async fn with_deep_tree(store: &Store, clock: &Clock, partition: &PartitionArchive) {
    for at in 0..45 {
        clock.advance(Duration::from_secs(60));
        let (from, next) = (at * 10, at * 10 + 10);
        let name = partition.begin_segment(from);
        let entry = match at {
            30 => Entry::gap(from, next, GapReason::Control),
            31 => Entry::gap(from, next, GapReason::Aborted),
            32 => Entry::gap(from, next, GapReason::Compacted),
            33 => Entry::gap(from, next, GapReason::Deleted),
            _ => {
                create(store, name.path(), vec![7; 1000]).await;
                Entry::Segment(Box::new(segment(name.name(), from, next, 9, Some(NOW_MS + at % 7))))
            }
        };
        let Change::Seal(seal) = seal(vec![entry], &[(i32::try_from(at / 2).unwrap(), from)]) else { unreachable!() };
        let producers = if at < 43 { Producers::default() } else { producers(40, next, None) };
        partition.commit(Change::Seal(Seal { producers, ..seal })).await.unwrap();
    }
    partition.commit(Change::LogStart { to: 57 }).await.unwrap();
}

/// Segments that were merged and compacted, so that much was removed, and clean points. The objects of what was removed are
/// gone; those of what log start left behind too.
async fn rewritten(store: &Store, clock: &Clock, partition: &PartitionArchive, real: (Bytes, SegmentMeta)) {
    let small = |name: &str, at: i64| segment(name, at * 10, at * 10 + 10, 10, Some(NOW_MS + at));
    let mut names = Vec::new();
    for at in 0..26 {
        names.push(partition.begin_segment(at * 10).name().to_owned());
        let epochs: &[(i32, i64)] = if at == 0 { &[(1, 0)] } else { &[] };
        let entry = Entry::Segment(Box::new(small(names.last().unwrap(), at)));
        partition.commit(seal(vec![entry], epochs)).await.unwrap();
    }
    for at in (0..26).step_by(2) {
        let inputs = names[at..at + 2].to_vec();
        let at = i64::try_from(at).unwrap();
        let (first, next) = (at * 10, at * 10 + 20);
        let dropped =
            if at == 6 { Dropped { records: 3, hash: crate::record::HashSum(99) } } else { Dropped::default() };
        let name = partition.begin_segment(first);
        let mut output = segment(name.name(), first, next, 20 - dropped.records, Some(NOW_MS + at + 1));
        (output.control, output.compacted) = (0, dropped.records);
        output.meta.hash = [small("", at).meta.hash, small("", at + 1).meta.hash].into_iter().sum();
        output.meta.hash -= dropped.hash;
        if first >= 40 {
            create(store, name.path(), vec![7; 1000]).await;
        }
        let outputs = vec![Entry::Segment(Box::new(output))];
        let change = Change::Replace(Replace { first, next, inputs, outputs, dropped });
        partition.commit(change).await.unwrap();
    }
    for to in [60, 140, 260] {
        clock.advance(Duration::from_secs(2 * 60 * 60));
        let delete_retention_ms = i64::try_from(DAY.as_millis()).unwrap();
        partition.commit(Change::Cleaned { to, delete_retention_ms }).await.unwrap();
    }
    partition.commit(Change::Retention { to: 20 }).await.unwrap();
    partition.commit(Change::LogStart { to: 45 }).await.unwrap();
    let name = partition.begin_segment(260);
    create(store, name.path(), real.0).await;
    let (name, root, unknown) = (name.name().to_owned(), None, Default::default());
    let entry =
        SegmentEntry { name, root, control: 1, aborted: 2, compacted: 2, sealed_ms: NOW_MS, meta: real.1, unknown };
    partition.commit(seal(vec![Entry::Segment(Box::new(entry))], &[])).await.unwrap();
}

/// The segment of the fixture that is real.
async fn real(store: &Store) -> (Bytes, SegmentMeta) {
    let bucket = Bucket::open(store.clone(), OpenMode::Read, &Default::default()).await.unwrap();
    let topic = topics::read_all(&bucket).await.unwrap().remove(0);
    let reader = PartitionReader::open(&bucket, "t", topic.id, 1).await.unwrap();
    let entry = reader.view().find(260).await.unwrap().unwrap();
    let segment = entry.segment().unwrap();
    (store.get(&reader.view().path_of(segment)).await.unwrap(), segment.meta.clone())
}

async fn write(store: &Store, folder: &Path) {
    for (path, object) in objects(store).await {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, object).unwrap();
    }
}

/// Everything in a store.
async fn objects(store: &Store) -> BTreeMap<String, Bytes> {
    let mut all = BTreeMap::new();
    for object in store.list("", None).await.unwrap() {
        all.insert(object.path.clone(), store.get(&object.path).await.unwrap());
    }
    all
}

fn empty(clock: &Clock) -> Store {
    store(Arc::new(object_store::memory::InMemory::new()), clock, 7)
}

#[tokio::test]
#[ignore = "writes the fixture: only when a new format gets one"]
async fn write_the_fixture() {
    let clock = Clock::manual(NOW_MS);
    let store = empty(&clock);
    make(&store, &clock, None).await;
    write(&store, &folder("bucket-1")).await;
}

/// A fixture, copied into a store.
async fn copy(name: &str, store: &Store) {
    let mut folders = vec![folder(name)];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let key = path.strip_prefix(folder(name)).unwrap().iter().map(|part| part.to_str().unwrap());
            let key: Vec<&str> = key.collect();
            store.put(&key.join("/"), std::fs::read(&path).unwrap().into()).await.unwrap();
        }
    }
}

async fn stored(name: &str) -> Store {
    let store = crate::store::testing::memory();
    copy(name, &store).await;
    store
}

fn reasons(entries: &[Entry]) -> Vec<(i64, GapReason)> {
    let gaps = entries.iter().filter_map(|entry| match entry {
        Entry::Gap(gap) => Some((gap.first, gap.reason)),
        Entry::Segment(_) => None,
    });
    gaps.collect()
}

#[tokio::test]
async fn the_first_versions_bucket_is_read_exactly() {
    use GapReason::{Aborted, Compacted, Control, Deleted, WalLost};
    let bucket = Bucket::open(stored("bucket-1").await, OpenMode::Read, &Default::default()).await.unwrap();
    let topics = topics::read_all(&bucket).await.unwrap();
    assert_eq!((topics.len(), topics[0].name.as_str(), topics[0].partitions), (1, "t", 2));
    assert_eq!(topics[0].settings, [("retention.ms".to_owned(), "-1".to_owned())].into());

    let reader = PartitionReader::open(&bucket, "t", topics[0].id, 0).await.unwrap();
    let view = reader.view();
    let manifest = view.manifest();
    let lost = 450 + (1 << 26);
    assert_eq!((view.epoch(), manifest.log_start, manifest.next), (4, 57, lost + 10));
    assert_eq!(manifest.reserved, lost + 10 + (1 << 26));
    let entries = view.entries_from(0, 1000).await.unwrap();
    let segments: Vec<_> = entries.iter().filter_map(Entry::segment).collect();
    assert_eq!((entries.len(), segments.len()), (42, 36));
    assert_eq!(segments.iter().map(|s| s.meta.records + s.control).sum::<u64>(), 360);
    let hash_of = |s: &&SegmentEntry| segment("x", s.meta.first_offset, s.meta.next_offset, 9, None).meta.hash;
    assert_eq!(manifest.sums().unwrap().hash, segments.iter().map(hash_of).sum());
    let expected = [(300, Control), (310, Aborted), (320, Compacted), (330, Deleted), (450, WalLost), (lost, Control)];
    assert_eq!(reasons(&entries), expected);
    assert_eq!(view.find(203).await.unwrap().unwrap().first(), 200);
    assert_eq!(view.find_time(NOW_MS + 6, 57).await.unwrap().unwrap().meta.first_offset, 60);
    assert_eq!(view.epoch_end(7).await.unwrap().at_or_below, Some(EpochStart(7, 140)));
    assert!(!manifest.epoch_pages.is_empty() && manifest.pages.iter().any(|page| page.level > 0));
    assert!(matches!(manifest.producers, ProducersAt::Object(_)));
    assert_eq!(view.producers().await.unwrap(), producers(40, lost + 10, Some(lost)));

    let reader = PartitionReader::open(&bucket, "t", topics[0].id, 1).await.unwrap();
    let view = reader.view();
    let manifest = view.manifest();
    let lost = 270 + (1 << 26);
    assert_eq!((manifest.log_start, manifest.next), (45, lost + 10));
    let entries = view.entries_from(0, 1000).await.unwrap();
    let segments: Vec<_> = entries.iter().filter_map(Entry::segment).collect();
    let counts = |of: fn(&SegmentEntry) -> u64| segments.iter().map(|s| of(s)).sum::<u64>();
    let counted = (counts(|s| s.meta.records), counts(|s| s.control), counts(|s| s.aborted), counts(|s| s.compacted));
    assert_eq!((segments.len(), counted), (12, (222, 1, 2, 5)));
    assert_eq!(reasons(&entries), [(270, WalLost), (lost, Control)]);
    let hours = |n: i64| n * 60 * 60 * 1000;
    let cleaned: Vec<(i64, i64)> = manifest.cleaned.iter().map(|clean| (clean.0, clean.1)).collect();
    let first_ms = cleaned[0].1;
    assert_eq!(cleaned, [(60, first_ms), (140, first_ms + hours(2)), (260, first_ms + hours(4))]);
    assert_eq!(view.producers().await.unwrap(), producers(3, lost + 10, Some(lost)));
    assert!(matches!(manifest.producers, ProducersAt::Inline(_)));
    let mut removed = manifest.removed.clone();
    assert_eq!(manifest.removed_pages.len(), 2);
    for page in &manifest.removed_pages {
        removed.extend(view.removed_page(page).await.unwrap().removed.clone());
    }
    let by = |by: Option<RemovedBy>| removed.iter().filter(|removed| removed.by == by).count();
    use RemovedBy::{Compaction, Delete, Merge, Retention};
    assert_eq!([Merge, Compaction, Retention, Delete].map(|reason| by(Some(reason))), [24, 2, 1, 1]);
    assert!(by(None) > 0, "pages that were written anew");

    let survey = Survey::load(&bucket).await.unwrap();
    let owner = &survey.owner().unwrap().version;
    assert_eq!((owner.event, owner.wal_id, owner.born, owner.after_release), (Event::Claim, Uuid([3; 16]), 4, false));
    let released: owner::OwnerVersion = owner::chain(&bucket).get(2).await.unwrap().unwrap().parse().unwrap();
    assert_eq!((released.event, released.wal_id), (Event::Release, Uuid([1; 16])));
    assert_eq!(survey.greatest_mark(Uuid([3; 16])), Some(owner::WalMark::new(Uuid([3; 16]), 73, 0xe5ce_0003)));
    let state = super::state::read(&bucket).await.unwrap().unwrap().state().clone();
    assert_eq!(state.r, WalPosition { wal_id: Uuid([3; 16]), group: 9 });
    assert_eq!(&state.partitions[&(topics[0].id, 1)], view.hint());
    let expected = items(topics[0].id);
    assert_eq!(state.items.len(), expected.len() + 60);
    for (key, value) in expected {
        assert_eq!(state.items[&key], value, "{key}: to the letter");
    }
}

#[tokio::test]
async fn the_first_versions_bucket_is_whole_and_can_be_owned() {
    let store = stored("bucket-1").await;
    let bucket = Bucket::open(store.clone(), OpenMode::Read, &Default::default()).await.unwrap();
    let mut findings = Vec::new();
    let checked = fsck::fsck(&bucket, &mut |finding| findings.push(finding)).await.unwrap();
    assert_eq!((findings, checked.segments), (vec![], 48));
    let archive = start(&store, empty_disk(9), true).await;
    assert_eq!(archive.ownership.epoch(), 5);
    for partition in archive.partitions.values() {
        let next = partition.head().next;
        partition.commit(seal_one("table/data/new", next, next + 5)).await.unwrap();
    }
}
