//! A bucket in memory for tests: segments as lists of records, with gates, faults and counters.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::error::ColdError;
use super::source::{Bench, Entry, EntryLookup, Look, OpenSegment, SegmentRef, SegmentSource};
use crate::archive::segment::{SegmentMeta, SliceBytes, SliceInfo};
use crate::record::{HashSum, Record};

/// The bucket; tests read its counters and set its faults.
#[derive(Default)]
pub(super) struct FakeBucket {
    segments: Mutex<HashMap<Arc<str>, Arc<FakeSegment>>>,
    /// How long a fetch takes.
    pub(super) delay: Mutex<Duration>,
    /// Stored bytes per byte of payload beyond the first: the reader is to count them, whatever they are.
    pub(super) padding: AtomicU64,
    /// Paths whose fetches fail once.
    pub(super) fail_once: Mutex<HashSet<Arc<str>>>,
    /// Paths whose decoding panics.
    pub(super) panic: Mutex<HashSet<Arc<str>>>,
    pub(super) opens: AtomicU64,
    pub(super) gets: AtomicU64,
    pub(super) decodes: Decodes,
    pub(super) in_flight: AtomicUsize,
    pub(super) in_flight_max: AtomicUsize,
    /// Stored bytes alive at this moment, and at most.
    pub(super) alive: Arc<Alive>,
}

/// How often each slice was decoded, by path and number.
type Decodes = Arc<Mutex<BTreeMap<(Arc<str>, usize), u64>>>;

#[derive(Default)]
pub(super) struct Alive {
    now: AtomicU64,
    pub(super) max: AtomicU64,
}

struct FakeSegment {
    path: Arc<str>,
    infos: Vec<SliceInfo>,
    records: Vec<Vec<Record>>,
    decodes: Decodes,
    panics: bool,
    stored_per_payload: u64,
}

impl FakeBucket {
    /// Puts a segment of the given slices; every `block_slices` of them are a block.
    pub(super) fn put(
        &self,
        path: &str,
        first_offset: i64,
        next_offset: i64,
        slices: Vec<Vec<Record>>,
        block_slices: usize,
    ) -> SegmentRef {
        let path: Arc<str> = path.into();
        let infos: Vec<SliceInfo> =
            slices.iter().enumerate().map(|(index, records)| info(index, index / block_slices, records)).collect();
        let meta = meta(first_offset, next_offset, &infos);
        let panics = self.panic.lock().unwrap().contains(&path);
        let decodes = self.decodes.clone();
        let stored_per_payload = 1 + self.padding.load(Ordering::SeqCst);
        let segment = FakeSegment { path: path.clone(), infos, records: slices, decodes, panics, stored_per_payload };
        self.segments.lock().unwrap().insert(path.clone(), Arc::new(segment));
        SegmentRef { path, meta: Arc::new(meta) }
    }

    pub(super) fn remove(&self, path: &str) {
        self.segments.lock().unwrap().remove(path);
    }

    fn get(&self, path: &str) -> Result<Arc<FakeSegment>, ColdError> {
        self.segments.lock().unwrap().get(path).cloned().ok_or_else(|| ColdError::Missing { path: path.into() })
    }
}

fn info(index: usize, block: usize, records: &[Record]) -> SliceInfo {
    let timestamps = || records.iter().map(|r| r.timestamp).filter(|t| *t != -1);
    SliceInfo {
        block: block as u32,
        page: index as u32,
        first_offset: records[0].offset,
        next_offset: records[records.len() - 1].offset + 1,
        records: records.len() as u32,
        payload_bytes: records.iter().map(|r| r.as_ref().payload_bytes()).sum(),
        min_timestamp: timestamps().min(),
        max_timestamp: timestamps().max(),
    }
}

fn meta(first_offset: i64, next_offset: i64, infos: &[SliceInfo]) -> SegmentMeta {
    SegmentMeta {
        size: 1000,
        first_offset,
        next_offset,
        first_record: first_offset,
        last_record: next_offset - 1,
        records: infos.iter().map(|i| u64::from(i.records)).sum(),
        payload_bytes: infos.iter().map(|i| i.payload_bytes).sum(),
        stored_bytes: 900,
        column_bytes: Vec::new(),
        null_counts: Vec::new(),
        index_at: 900,
        index_crc32c: 0,
        blocks: Vec::new(),
        min_timestamp: infos.iter().filter_map(|i| i.min_timestamp).min(),
        max_timestamp: infos.iter().filter_map(|i| i.max_timestamp).max(),
        offset_of_first_max: None,
        null_timestamps: 0,
        hash: HashSum::default(),
        unknown: Default::default(),
    }
}

impl SegmentSource for Arc<FakeBucket> {
    fn open_bytes(&self, _segment: &SegmentRef) -> u64 {
        1000
    }

    fn open<'a>(&'a self, segment: &'a SegmentRef) -> BoxFuture<'a, Result<Arc<dyn OpenSegment>, ColdError>> {
        async move {
            self.opens.fetch_add(1, Ordering::SeqCst);
            Ok(self.get(&segment.path)? as Arc<dyn OpenSegment>)
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, path: &'a str, ranges: &'a [Range<u64>]) -> BoxFuture<'a, Result<Vec<Bytes>, ColdError>> {
        async move {
            self.gets.fetch_add(ranges.len() as u64, Ordering::SeqCst);
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.in_flight_max.fetch_max(now, Ordering::SeqCst);
            let bytes = ranges.iter().map(|range| counted(&self.alive, range.end - range.start)).collect();
            let delay = *self.delay.lock().unwrap();
            tokio::time::sleep(delay).await;
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            if self.fail_once.lock().unwrap().remove(path) {
                return Err(ColdError::Store { path: path.into(), message: "away".into(), retriable: true });
            }
            self.get(path)?;
            Ok(bytes)
        }
        .boxed()
    }
}

impl OpenSegment for FakeSegment {
    fn slices(&self) -> &[SliceInfo] {
        &self.infos
    }

    fn memory_bytes(&self) -> u64 {
        1000
    }

    fn ranges(&self, slices: Range<usize>) -> Vec<Range<u64>> {
        let block = self.infos[slices.start].block;
        assert!(self.infos[slices.clone()].iter().all(|info| info.block == block), "a run is of one block");
        let stored = |infos: &[SliceInfo]| infos.iter().map(|i| i.payload_bytes).sum::<u64>() * self.stored_per_payload;
        let start = stored(&self.infos[..slices.start]);
        std::iter::once(start..start + stored(&self.infos[slices])).collect()
    }

    fn encode(&self, slice: usize, _stored: &SliceBytes, bench: &mut Bench) -> Result<(), ColdError> {
        assert!(!self.panics, "this test makes decoding panic");
        *self.decodes.lock().unwrap().entry((self.path.clone(), slice)).or_default() += 1;
        for record in &self.records[slice] {
            bench.encoder.push(&record.as_ref()).expect("a fake record fits a batch");
        }
        Ok(())
    }
}

/// Bytes that count themselves until they are dropped.
fn counted(alive: &Arc<Alive>, len: u64) -> Bytes {
    struct Counted(Vec<u8>, Arc<Alive>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.now.fetch_sub(self.0.len() as u64, Ordering::SeqCst);
        }
    }
    let now = alive.now.fetch_add(len, Ordering::SeqCst) + len;
    alive.max.fetch_max(now, Ordering::SeqCst);
    Bytes::from_owner(Counted(vec![0; len as usize], alive.clone()))
}

/// A manifest: entries, and what a second look finds instead.
#[derive(Default)]
pub(super) struct FakeManifest {
    pub(super) entries: Mutex<Vec<Entry>>,
    pub(super) again: Mutex<Option<Vec<Entry>>>,
    pub(super) looks_again: AtomicU64,
}

impl FakeManifest {
    pub(super) fn of(entries: Vec<Entry>) -> Arc<dyn EntryLookup> {
        Arc::new(Self { entries: Mutex::new(entries), ..Self::default() })
    }
}

impl EntryLookup for FakeManifest {
    fn entry_at(&self, offset: i64, look: Look) -> BoxFuture<'_, Result<Option<Entry>, ColdError>> {
        if look == Look::Again {
            self.looks_again.fetch_add(1, Ordering::SeqCst);
            if let Some(again) = self.again.lock().unwrap().take() {
                *self.entries.lock().unwrap() = again;
            }
        }
        let entries = self.entries.lock().unwrap();
        let found = entries.iter().find(|entry| entry.next_offset() > offset).cloned();
        async move { Ok(found) }.boxed()
    }
}
