//! What the tests of the archive share: entries without objects, and a bucket in memory.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::bucket::OpenMode;
use super::manifest::{Change, Entry, EpochStart, PartitionArchive, Producers, Seal, SegmentEntry};
use super::owner::{Claim, Disk};
use super::segment::{BlockPos, SegmentMeta};
use super::{Archive, Bucket, Ownership, Survey, owner};
use crate::base::{Clock, Limits, Metrics, Random, Uuid};
use crate::record::HashSum;
use crate::store::envelope::Unknown;
use crate::store::testing::Faulty;
use crate::store::{Objects, Store, StoreOptions};

/// 2026-01-01, in ms.
pub const NOW_MS: i64 = 1_767_225_600_000;

/// A segment of `records` records, the rest of its range being control records; its greatest timestamp is `time`, at its
/// first offset.
pub fn segment(name: &str, first: i64, next: i64, records: u64, time: Option<i64>) -> SegmentEntry {
    let control = u64::try_from(next - first).unwrap() - records;
    let meta = SegmentMeta {
        size: 1000,
        first_offset: first,
        next_offset: next,
        first_record: first,
        last_record: first + i64::try_from(records).unwrap() - 1,
        records,
        payload_bytes: 10 * records,
        stored_bytes: 900,
        column_bytes: vec![(2, 400), (5, 500)],
        null_counts: vec![
            (3, if time.is_some() { 0 } else { records }),
            (4, records),
            (5, 0),
            (7, records),
            (8, records),
        ],
        index_at: 900,
        index_crc32c: 7,
        blocks: vec![BlockPos { at: 4, len: 896, first_offset: first, first_row: 0, unknown: Unknown::new() }],
        min_timestamp: time,
        max_timestamp: time,
        offset_of_first_max: time.map(|_| first),
        null_timestamps: if time.is_some() { 0 } else { records },
        hash: HashSum(u64::try_from(first).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        unknown: Unknown::new(),
    };
    SegmentEntry {
        name: name.to_owned(),
        root: None,
        control,
        aborted: 0,
        compacted: 0,
        sealed_ms: NOW_MS,
        meta,
        unknown: Unknown::new(),
    }
}

/// A seal of `entries`, which are contiguous.
pub fn seal(entries: Vec<Entry>, epochs: &[(i32, i64)]) -> Change {
    let (first, next) = (entries[0].first(), entries[entries.len() - 1].next());
    Change::Seal(Seal {
        first,
        next,
        log_end: next,
        entries,
        epochs: epochs.iter().map(|(epoch, first)| EpochStart(*epoch, *first)).collect(),
        producers: Producers::default(),
    })
}

/// A seal of one segment.
pub fn seal_one(name: &str, first: i64, next: i64) -> Change {
    let records = u64::try_from(next - first).unwrap();
    seal(vec![Entry::Segment(Box::new(segment(name, first, next, records, Some(NOW_MS + first))))], &[])
}

/// A store over `objects` with a clock of its own.
pub fn store(objects: Arc<dyn Objects>, clock: &Clock, seed: u64) -> Store {
    let options = StoreOptions { backoff_ms: 1, backoff_max_ms: 2, retry_ms: 50, ..StoreOptions::default() };
    Store::over(objects, "memory://test", options, clock, &Random::seeded(seed), &Metrics::new())
}

/// Opens the bucket in `store`, making it if need be.
pub async fn bucket(store: &Store) -> Bucket {
    Bucket::open(store.clone(), OpenMode::Serve { probe: false }, &Limits::default()).await.unwrap()
}

/// A disk that was never used.
pub fn empty_disk(wal_id: u8) -> Disk {
    Disk::Empty { wal_id: Uuid([wal_id; 16]) }
}

/// A disk with the WAL of `ownership`, which ends as told.
pub fn disk_of(ownership: &Ownership, last_group: u64, ends: BTreeMap<(Uuid, i32), i64>) -> Disk {
    let claim = ownership.claim();
    Disk::Wal {
        cluster_id: claim.cluster_id,
        broker_id: claim.broker_id,
        wal_id: claim.wal_id,
        born: claim.born,
        last_group,
        last_crc: 7,
        followed: false,
        ends,
        next_wal_id: Uuid([0xee; 16]),
        may_be_short: false,
    }
}

/// A claim of broker 1.
pub fn claim(disk: Disk, take_over: bool) -> Claim {
    Claim { broker_id: 1, address: "127.0.0.1:9092".into(), disk, lock: None, take_over }
}

/// A whole start.
pub async fn start(store: &Store, disk: Disk, take_over: bool) -> Archive {
    let survey = Survey::load(&bucket(store).await).await.unwrap();
    let ownership = owner::claim(&survey, &claim(disk, take_over)).await.unwrap();
    survey.adopt(&ownership).await.unwrap()
}

/// An object whose first and second line a later build might have written so.
pub fn altered(object: &Bytes, change: impl FnOnce(&mut Value, &mut Value)) -> Bytes {
    let mut lines = object.split(|b| *b == b'\n').map(serde_json::from_slice::<Value>);
    let (mut first, mut second) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
    change(&mut first, &mut second);
    let second = second.to_string();
    first["crc32c"] = format!("{:08x}", crc32c::crc32c(second.as_bytes())).into();
    format!("{first}\n{second}\n").into()
}

/// Changes an object in a store.
pub async fn alter(store: &Store, path: &str, change: impl FnOnce(&mut Value, &mut Value)) {
    let object = store.get(path).await.unwrap();
    store.put(path, altered(&object, change)).await.unwrap();
}

/// Brings size and checksum of references up to date.
pub fn refer(value: &mut Value, changed: &BTreeMap<String, Bytes>) {
    match value {
        Value::Object(fields) => {
            let object = fields.get("name").and_then(Value::as_str).and_then(|name| changed.get(name));
            if let Some(object) = object.filter(|_| fields.contains_key("crc32c")) {
                fields.insert("crc32c".to_owned(), format!("{:08x}", crc32c::crc32c(object)).into());
                fields.insert("bytes".to_owned(), object.len().into());
            }
            fields.values_mut().for_each(|value| refer(value, changed));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| refer(value, changed)),
        _ => {}
    }
}

/// Changes an object that the head of a partition's chain names, and the head so that it still fits.
pub async fn alter_named(
    store: &Store,
    partition: &PartitionArchive,
    name: &str,
    change: impl FnOnce(&mut Value, &mut Value),
) {
    let root = partition.view().root().to_owned();
    let path = super::layout::under(&root, name);
    alter(store, &path, change).await;
    let changed = BTreeMap::from([(name.to_owned(), store.get(&path).await.unwrap())]);
    let head = partition.chain().path_of(partition.view().number());
    alter(store, &head, |_, version| refer(version, &changed)).await;
}

/// Writes an object of the size that [`segment`] says, seals it as one segment from `first` to `next`, and returns its path.
pub async fn sealed(store: &Store, partition: &PartitionArchive, first: i64, next: i64) -> String {
    let name = partition.begin_segment(first);
    store.create(name.path(), Bytes::from(vec![7; 1000])).await.unwrap();
    partition.commit(seal_one(name.name(), first, next)).await.unwrap();
    name.path().to_owned()
}

/// A bucket in memory, its clock, an owner and a topic `t` of one partition.
pub struct OwnedBucket {
    pub store: Store,
    pub clock: Clock,
    pub archive: Archive,
    pub partition: PartitionArchive,
}

impl OwnedBucket {
    pub async fn new() -> Self {
        let clock = Clock::manual(NOW_MS);
        let store = store(Arc::new(Faulty::on_clock(&clock)), &clock, 1);
        let archive = start(&store, empty_disk(1), false).await;
        let (_, made) = archive.topics.create("t", 1, BTreeMap::new()).await.unwrap();
        Self { store, clock, archive, partition: made.into_iter().next().unwrap() }
    }

    /// Paths of all objects below a prefix.
    pub async fn paths(&self, prefix: &str) -> Vec<String> {
        let mut paths = Vec::new();
        loop {
            let page = self.store.list(prefix, paths.last().map(String::as_str)).await.unwrap();
            paths.extend(page.iter().map(|object| object.path.clone()));
            if page.len() < crate::store::LIST_PAGE {
                return paths;
            }
        }
    }
}
