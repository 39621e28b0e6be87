use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;

use super::super::fake::{FakeBucket, FakeManifest};
use super::super::time::TimeHit;
use super::*;
use crate::record::{Header, Record, TimestampType, for_each_record};

const TARGET: ColdTarget = ColdTarget { topic_id: Uuid([3; 16]), partition: 0, codec: Codec::None };
const MIB: usize = 1 << 20;

fn reader_over(bucket: &Arc<FakeBucket>, memory_bytes: u64) -> ColdReader {
    let limits = Limits::new(memory_bytes);
    ColdReader::over(Arc::new(bucket.clone()), &limits, &Clock::real(), Tasks::current(), &Metrics::new())
}

fn record(offset: i64, bytes: usize) -> Record {
    Record { offset, timestamp: offset * 10, value: Some(vec![offset as u8; bytes].into()), ..Record::default() }
}

/// `count` slices of four records of `bytes` each, from `first` on.
fn slices(first: i64, count: i64, bytes: usize) -> Vec<Vec<Record>> {
    (0..count).map(|s| (0..4).map(|r| record(first + s * 4 + r, bytes)).collect()).collect()
}

/// `segments` segments of `count` slices each, back to back.
fn history(bucket: &FakeBucket, segments: i64, count: i64, bytes: usize, block_slices: usize) -> Vec<Entry> {
    let span = count * 4;
    (0..segments)
        .map(|s| {
            let (first, next) = (s * span, (s + 1) * span);
            Entry::Segment(bucket.put(&format!("{s}.parquet"), first, next, slices(first, count, bytes), block_slices))
        })
        .collect()
}

fn want(from: i64, max_bytes: usize) -> ColdRequest {
    ColdRequest { from, until: i64::MAX, min_bytes: 0, max_bytes }
}

fn records_of(batches: &[Bytes]) -> Vec<Record> {
    let mut records = Vec::new();
    for batch in batches {
        let walked = for_each_record::<crate::record::BatchError>(batch, 1 << 30, &mut Vec::new(), |record| {
            records.push(record.to_record());
            Ok(())
        });
        walked.expect("a batch of the cold tier can be read");
    }
    records
}

/// Reads as a client does: asks again after the last record, or at `next` when there was none.
async fn read_all(reader: &ColdReader, entries: &Arc<dyn EntryLookup>, from: i64, max_bytes: usize) -> Vec<Record> {
    read_packed(reader, &TARGET, entries, from, max_bytes).await
}

async fn read_packed(
    reader: &ColdReader,
    target: &ColdTarget,
    entries: &Arc<dyn EntryLookup>,
    from: i64,
    max_bytes: usize,
) -> Vec<Record> {
    let (mut position, mut all) = (from, Vec::new());
    loop {
        let read = reader.read(target, entries, want(position, max_bytes)).await.expect("readable");
        let new: Vec<Record> = records_of(&read.batches).into_iter().filter(|r| r.offset >= position).collect();
        assert_eq!(new.is_empty(), read.batches.is_empty(), "a batch has a record that was asked for");
        if read.next == position {
            return all;
        }
        position = new.last().map_or(read.next, |last| last.offset + 1);
        all.extend(new);
    }
}

#[tokio::test]
async fn readers_of_one_history_cost_one_decode_a_slice() {
    let bucket = Arc::new(FakeBucket::default());
    let entries = FakeManifest::of(history(&bucket, 3, 20, 1000, 8));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    *bucket.delay.lock().unwrap() = Duration::from_millis(1);
    let all = join_all((0..4).map(|_| read_all(&reader, &entries, 0, 3000))).await;
    for records in &all {
        assert_eq!(records.len(), 240);
        assert_eq!(records, &all[0]);
    }
    let decodes = bucket.decodes.lock().unwrap();
    assert_eq!(decodes.len(), 60);
    assert!(decodes.values().all(|count| *count == 1), "{decodes:?}");
    assert!(bucket.gets.load(Ordering::SeqCst) <= 60);
    assert_eq!(bucket.opens.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_read_that_gives_up_leaves_its_work_in_the_cache() {
    let bucket = Arc::new(FakeBucket::default());
    let entries = FakeManifest::of(history(&bucket, 1, 1, 1000, 8));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    *bucket.delay.lock().unwrap() = Duration::from_millis(50);
    let read = reader.read(&TARGET, &entries, want(0, MIB));
    assert!(tokio::time::timeout(Duration::from_millis(5), read).await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let read = tokio::time::timeout(Duration::from_millis(20), reader.read(&TARGET, &entries, want(0, MIB))).await;
    assert_eq!(records_of(&read.expect("in the cache").unwrap().batches).len(), 4);
    assert_eq!(bucket.gets.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_wait_and_not_kept() {
    let bucket = Arc::new(FakeBucket::default());
    let entries = FakeManifest::of(history(&bucket, 1, 1, 1000, 8));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    *bucket.delay.lock().unwrap() = Duration::from_millis(5);
    bucket.fail_once.lock().unwrap().insert("0.parquet".into());
    let failed = join_all((0..3).map(|_| reader.read(&TARGET, &entries, want(0, MIB)))).await;
    for read in failed {
        assert!(matches!(read, Err(ColdError::Store { retriable: true, .. })), "{read:?}");
    }
    let read = reader.read(&TARGET, &entries, want(0, MIB)).await.unwrap();
    assert_eq!(records_of(&read.batches).len(), 4);
}

#[tokio::test]
async fn a_panic_in_decoding_is_an_error_and_takes_no_budget_along() {
    let bucket = Arc::new(FakeBucket::default());
    bucket.panic.lock().unwrap().insert("0.parquet".into());
    let entries = FakeManifest::of(history(&bucket, 1, 1, 1000, 8));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let read = reader.read(&TARGET, &entries, want(0, MIB)).await;
    assert_eq!(read, Err(ColdError::Abandoned { path: "0.parquet".into() }));
    while reader.engine.work_in_use() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_missing_object_is_looked_up_once_more_and_then_named() {
    let bucket = Arc::new(FakeBucket::default());
    let old = history(&bucket, 1, 2, 1000, 8);
    let merged = Entry::Segment(bucket.put("merged.parquet", 0, 8, slices(0, 2, 1000), 8));
    bucket.remove("0.parquet");
    let manifest = Arc::new(FakeManifest::default());
    *manifest.entries.lock().unwrap() = old;
    *manifest.again.lock().unwrap() = Some(vec![merged]);
    let entries: Arc<dyn EntryLookup> = manifest.clone();
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    assert_eq!(read_all(&reader, &entries, 0, MIB).await.len(), 8);
    assert_eq!(manifest.looks_again.load(Ordering::SeqCst), 1);

    bucket.remove("merged.parquet");
    let fresh = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let read = fresh.read(&TARGET, &entries, want(0, MIB)).await;
    assert_eq!(read, Err(ColdError::Missing { path: "merged.parquet".into() }));
}

#[tokio::test]
async fn what_was_read_before_a_failure_is_an_answer() {
    let bucket = Arc::new(FakeBucket::default());
    let entries = FakeManifest::of(history(&bucket, 2, 1, 1000, 8));
    bucket.remove("1.parquet");
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let all = ColdRequest { min_bytes: MIB, ..want(0, MIB) };
    let read = reader.read(&TARGET, &entries, all).await.unwrap();
    assert_eq!((records_of(&read.batches).len(), read.next), (4, 4));
    let read = reader.read(&TARGET, &entries, want(4, MIB)).await;
    assert_eq!(read, Err(ColdError::Missing { path: "1.parquet".into() }));
}

#[tokio::test]
async fn a_sequential_reader_has_several_fetches_in_flight_across_segments() {
    let bucket = Arc::new(FakeBucket::default());
    let entries = FakeManifest::of(history(&bucket, 12, 4, 1000, 2));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    *bucket.delay.lock().unwrap() = Duration::from_millis(3);
    assert_eq!(read_all(&reader, &entries, 0, 2000).await.len(), 12 * 16);
    assert!(bucket.in_flight_max.load(Ordering::SeqCst) >= 4, "{:?}", bucket.in_flight_max);
}

#[tokio::test]
async fn a_single_read_fetches_its_slice_and_no_more() {
    let bucket = Arc::new(FakeBucket::default());
    let entries = FakeManifest::of(history(&bucket, 1, 50, 1000, 8));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let read = reader.read(&TARGET, &entries, want(102, MIB)).await.unwrap();
    assert_eq!(records_of(&read.batches).last().map(|r| r.offset), Some(103));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(bucket.decodes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_budget_for_read_ahead_small_slices_are_still_fetched_together() {
    let bucket = Arc::new(FakeBucket::default());
    let entries = FakeManifest::of(history(&bucket, 1, 16, 64 << 10, 16));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let _all = reader.engine.take_unread().expect("nobody else has it");
    assert_eq!(read_all(&reader, &entries, 0, MIB).await.len(), 64);
    let gets = bucket.gets.load(Ordering::SeqCst);
    assert!(gets <= 5, "{gets} GETs: the first slice alone, then four at a time");
    assert_eq!(bucket.decodes.lock().unwrap().len(), 16);
}

#[tokio::test]
async fn many_readers_stay_within_the_budget() {
    let bucket = Arc::new(FakeBucket::default());
    *bucket.delay.lock().unwrap() = Duration::from_millis(1);
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_MIN);
    let limits = Limits::new(Limits::MEMORY_BYTES_MIN);
    let targets: Vec<_> = (0..32i64)
        .map(|r| {
            let segment = bucket.put(&format!("r{r}"), 0, 80, slices(0, 20, MIB / 4), 8);
            (ColdTarget { partition: r as i32, ..TARGET }, FakeManifest::of(vec![Entry::Segment(segment)]))
        })
        .collect();
    let reads = targets.iter().map(|(target, entries)| async {
        let mut position = 0;
        while position < 80 {
            let read = reader.read(target, entries, want(position, MIB)).await.expect("readable");
            assert!(read.next > position);
            position = read.next;
            assert!(reader.engine.cache_bytes() <= limits.slice_cache_bytes());
        }
    });
    join_all(reads).await;
    let most = bucket.alive.max.load(Ordering::SeqCst);
    assert!(most <= limits.cold_bytes(), "{most} stored bytes at once");
    while reader.engine.work_in_use() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn read_ahead_counts_what_is_stored_however_much_that_is() {
    let bucket = Arc::new(FakeBucket::default());
    bucket.padding.store(4, Ordering::SeqCst);
    *bucket.delay.lock().unwrap() = Duration::from_millis(10);
    let entries = FakeManifest::of(history(&bucket, 4, 16, MIB / 4, 8));
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_MIN);
    read_all(&reader, &entries, 0, MIB).await;
    let most = bucket.alive.max.load(Ordering::SeqCst);
    let budget = Limits::new(Limits::MEMORY_BYTES_MIN).cold_bytes();
    assert!(most <= budget, "{most} stored bytes at once with a budget of {budget}");
}

#[tokio::test]
async fn readers_that_stop_reading_leave_no_more_than_half_the_cache_unread() {
    const MEMORY: u64 = 2 * Limits::MEMORY_BYTES_MIN; // nothing is evicted: what was decoded is there
    let bucket = Arc::new(FakeBucket::default());
    *bucket.delay.lock().unwrap() = Duration::from_millis(2);
    let reader = reader_over(&bucket, MEMORY);
    let budget = Limits::new(MEMORY).slice_cache_bytes() / 2;
    let mut read = 0;
    for partition in 0..3 {
        let segment = bucket.put(&format!("p{partition}"), 0, 256, slices(0, 64, MIB / 4), 8);
        let (target, entries) = (ColdTarget { partition, ..TARGET }, FakeManifest::of(vec![Entry::Segment(segment)]));
        let mut position = 0;
        while position < 32 {
            position = reader.read(&target, &entries, want(position, MIB)).await.expect("readable").next;
        }
        read += position as usize / 4 + 1; // the slice at the position was looked at, if it was there, even when it had no room
        while reader.engine.work_in_use() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let unread = (bucket.decodes.lock().unwrap().len() - read) as u64 * MIB as u64;
        assert!(unread <= budget, "{unread} bytes that nobody asked for, with a budget of {budget}");
    }
}

#[tokio::test]
async fn the_position_moves_over_gaps_but_not_beyond_until_for_their_sake() {
    let bucket = Arc::new(FakeBucket::default());
    let segment = bucket.put("s", 10, 30, vec![vec![record(12, 10), record(20, 10)]], 8);
    let gap = Entry::Gap { first_offset: 30, next_offset: 100 };
    let entries = FakeManifest::of(vec![Entry::Segment(segment), gap]);
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let read = |from, until| {
        let (reader, entries) = (&reader, &entries);
        async move { reader.read(&TARGET, entries, ColdRequest { until, ..want(from, MIB) }).await.unwrap() }
    };
    assert_eq!(read(0, 1000).await.next, 100, "records, then the segment's rest and the gap");
    assert_eq!(read(21, 1000).await, ColdRead { batches: vec![], bytes: 0, next: 100 });
    assert_eq!(read(21, 50).await, ColdRead { batches: vec![], bytes: 0, next: 50 });
    assert_eq!(read(100, 1000).await, ColdRead { batches: vec![], bytes: 0, next: 100 }, "nothing is sealed there");
    assert_eq!(read(0, 12).await, ColdRead { batches: vec![], bytes: 0, next: 12 });
    assert_eq!(read(0, 13).await.next, 21, "the last batch goes whole");
}

#[tokio::test]
async fn the_first_batch_goes_whole_and_no_other_exceeds_the_limit() {
    let bucket = Arc::new(FakeBucket::default());
    let big = vec![vec![record(0, MIB), record(1, 100_000), record(2, 100_000), record(3, 100_000)]];
    let entries = FakeManifest::of(vec![Entry::Segment(bucket.put("s", 0, 4, big, 8))]);
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let read = reader.read(&TARGET, &entries, want(0, 1000)).await.unwrap();
    assert_eq!((read.batches.len(), read.next), (1, 1), "a record larger than the limit goes, alone");
    let read = reader.read(&TARGET, &entries, want(1, 250_000)).await.unwrap();
    assert_eq!((read.batches.len(), read.next), (1, 3));
    assert!(read.batches.iter().all(|batch| batch.len() <= 256 << 10));
}

#[tokio::test]
async fn time_finds_the_first_record_at_or_after_it_whatever_the_clocks_did() {
    let bucket = Arc::new(FakeBucket::default());
    let at = |offset, timestamp| Record { timestamp, ..record(offset, 10) };
    let slices =
        vec![vec![at(0, 50), at(1, 900), at(2, -1)], vec![at(3, 10), at(4, 20)], vec![at(5, 400), at(6, 1000)]];
    let segment = bucket.put("s", 0, 7, slices, 8);
    let reader = reader_over(&bucket, Limits::MEMORY_BYTES_DEFAULT);
    let find = |from, timestamp| {
        let (reader, segment) = (&reader, &segment);
        async move { reader.first_at_or_after(&TARGET, segment, from, timestamp).await.unwrap() }
    };
    assert_eq!(find(0, 0).await, Some(TimeHit { offset: 0, timestamp: 50 }));
    assert_eq!(find(0, 300).await, Some(TimeHit { offset: 1, timestamp: 900 }));
    assert_eq!(find(2, 300).await, Some(TimeHit { offset: 5, timestamp: 400 }));
    assert_eq!(find(0, 1000).await, Some(TimeHit { offset: 6, timestamp: 1000 }));
    assert_eq!(find(0, 1001).await, None);
    assert!(!bucket.decodes.lock().unwrap().contains_key(&("s".into(), 1)), "the index passed it over");
}

fn any_record() -> impl Strategy<Value = Record> {
    let bytes = || proptest::option::of(prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from));
    let headers = prop::collection::vec(("[a-z]{0,3}", bytes()), 0..3);
    (1i64..5, -1i64..1000, any::<bool>(), 0i32..3, bytes(), bytes(), headers).prop_map(
        |(step, timestamp, append, leader_epoch, key, value, headers)| Record {
            offset: step,
            timestamp,
            timestamp_type: if append { TimestampType::Append } else { TimestampType::Create },
            leader_epoch,
            key,
            value,
            headers: headers.into_iter().map(|(key, value)| Header { key: key.into(), value }).collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// I3, I9: whatever the history, the limits, the codec and the place to begin, the same records come back.
    #[test]
    fn every_record_comes_back_exactly_from_any_offset(
        mut records in prop::collection::vec(any_record(), 1..120),
        cuts in prop::collection::vec(1usize..12, 60),
        codec in prop::sample::select(vec![Codec::None, Codec::Lz4, Codec::Zstd]),
        max_bytes in 1usize..4000,
    ) {
        let mut offset = -1;
        for record in &mut records {
            offset += record.offset;
            record.offset = offset;
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let bucket = Arc::new(FakeBucket::default());
            let (mut entries, mut rest, mut cuts) = (Vec::new(), &records[..], cuts.into_iter().cycle());
            let mut first = 0;
            while !rest.is_empty() {
                let (mut cut, mut slices) = (cuts.next().unwrap(), Vec::new());
                while cut > 0 && !rest.is_empty() {
                    let (slice, tail) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                    slices.push(slice.to_vec());
                    rest = tail;
                    cut -= 1;
                }
                let next = slices.last().unwrap().last().unwrap().offset + 1;
                entries.push(Entry::Segment(bucket.put(&format!("{first}"), first, next, slices, 3)));
                first = next;
                if let Some(record) = rest.first().filter(|record| record.offset > next) {
                    entries.push(Entry::Gap { first_offset: next, next_offset: record.offset });
                    first = record.offset;
                }
            }
            let entries = FakeManifest::of(entries);
            let reader = reader_over(&bucket, Limits::MEMORY_BYTES_MIN);
            let target = ColdTarget { codec, ..TARGET };
            for from in [0, offset / 3, offset] {
                let read = read_packed(&reader, &target, &entries, from, max_bytes).await;
                let expected: Vec<Record> = records.iter().filter(|r| r.offset >= from).cloned().collect();
                assert_eq!(read, expected);
            }
        });
    }
}
