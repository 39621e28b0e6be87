//! Cold replay, in process, against bare range GETs of the same objects.
//!
//! `cargo bench --bench cold` works on a folder; `ESKER_STORE=s3://bucket/bench cargo bench --bench cold` on a bucket (with
//! the standard variables). `BENCH_MB` (2,048 by default) is the payload: incompressible records of 1 KiB in segments of
//! 512 MiB. It prints
//! - 32 readers on different ranges with `memory.bytes = 512 MiB`: peak of resident memory;
//! - bare: the objects by ranges of 8 MiB, 16 in flight, nothing done with the bytes;
//! - one reader, five times in turn with bare, and the median of the ratios: all of it as Kafka batches, 1 MiB asked for at a time (must reach 60 % of bare);
//! - four readers of one history, begun together: GETs and decodes of each slice (must be one).
use std::fmt::Write as _;
use std::sync::Arc;

use esker::archive::segment::{SegmentEncoder, SegmentMeta, SegmentSpec};
use esker::base::tasks::{Runtimes, Tasks};
use esker::base::{Clock, Limits, Metrics, Random, Uuid};
use esker::log::cold::{ColdError, ColdReader, ColdRequest, ColdTarget, Entry, EntryLookup, Look, SegmentRef};
use esker::record::{Codec, Headers, RecordRef, TimestampType};
use esker::store::{Store, StoreOptions};
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, stream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MIB: u64 = 1 << 20;
const RECORD_BYTES: u64 = 1 << 10;
/// Range of a bare GET.
const BARE_BYTES: u64 = 8 << 20;
/// Rounds of bare GETs and replay, in turn.
const ROUNDS: usize = 5;
const TOPIC: Uuid = Uuid([9; 16]);

struct Bench {
    clock: Clock,
    random: Random,
    tasks: Tasks,
    store: Store,
}

struct Manifest(Vec<SegmentRef>);

impl EntryLookup for Manifest {
    fn entry_at(&self, offset: i64, _look: Look) -> BoxFuture<'_, Result<Option<Entry>, ColdError>> {
        let found = self.0.iter().find(|segment| segment.next_offset() > offset).cloned().map(Entry::Segment);
        async move { Ok(found) }.boxed()
    }
}

fn main() {
    let runtimes = Runtimes::start().expect("runtimes start");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = std::env::var("ESKER_STORE").unwrap_or_else(|_| folder.path().display().to_string());
    let megabytes: u64 = std::env::var("BENCH_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(2048);
    let (clock, random) = (Clock::real(), Random::os());
    let store = Store::open(&url, StoreOptions::default(), &clock, &random, &Metrics::new()).expect("a store");
    let bench = Bench { clock, random, tasks: runtimes.tasks(), store };
    let cold = runtimes.tasks().cold;
    runtimes.block_on(async move {
        let task = cold.spawn(async move { bench.run(&url, megabytes).await });
        task.await.expect("the benchmark ran");
    });
}

impl Bench {
    async fn run(&self, url: &str, megabytes: u64) {
        println!("{megabytes} MiB of incompressible records of 1 KiB in {url}");
        let manifest = Arc::new(Manifest(self.prepare(megabytes).await));
        self.many(&manifest, megabytes).await; // first: what other rounds leave resident would count as its own
        let payload = megabytes as f64 * MIB as f64;
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let bare = self.timed("bare range GETs", payload, self.bare(&manifest)).await;
            let (reader, metrics) = self.reader(Limits::MEMORY_BYTES_DEFAULT);
            let one = self.timed("one reader", payload, self.replay(&reader, &manifest, 0, i64::MAX)).await;
            print_counts(&metrics);
            println!("  ratio {:.2}", bare / one);
            ratios.push(bare / one);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "one reader: {:.2} of bare range GETs, median of {ROUNDS} rounds (must reach 0.60)",
            ratios[ROUNDS / 2]
        );
        let (reader, metrics) = self.reader(Limits::MEMORY_BYTES_DEFAULT);
        let readers = join_all((0..4).map(|_| self.spawn_replay(&reader, &manifest, 0, i64::MAX)));
        self.timed("four readers, together", payload * 4.0, readers).await;
        print_counts(&metrics);
    }

    /// 32 readers, each on a range of its own.
    async fn many(&self, manifest: &Arc<Manifest>, megabytes: u64) {
        let (reader, metrics) = self.reader(512 * MIB);
        let records = (megabytes * MIB / RECORD_BYTES) as i64;
        let _ = std::fs::write("/proc/self/clear_refs", "5"); // forgets the peak
        let before = memory("VmRSS");
        let each = records / 32;
        let readers = join_all((0..32).map(|r| self.spawn_replay(&reader, manifest, r * each, (r + 1) * each)));
        self.timed("32 readers, different ranges", megabytes as f64 * MIB as f64, readers).await;
        print_counts(&metrics);
        println!("  resident MiB: before {before}, peak {}", memory("VmHWM"));
    }

    fn reader(&self, memory_bytes: u64) -> (ColdReader, Metrics) {
        let metrics = Metrics::new();
        let limits = Limits::new(memory_bytes);
        (ColdReader::new(self.store.clone(), &limits, &self.clock, self.tasks.clone(), &metrics), metrics)
    }

    async fn spawn_replay(&self, reader: &ColdReader, manifest: &Arc<Manifest>, from: i64, until: i64) {
        let (reader, manifest) = (reader.clone(), manifest.clone());
        let task = self.tasks.hot.spawn(async move { replay(&reader, manifest, from, until).await });
        task.await.expect("the replay ran");
    }

    async fn replay(&self, reader: &ColdReader, manifest: &Arc<Manifest>, from: i64, until: i64) {
        self.spawn_replay(reader, manifest, from, until).await;
    }

    async fn bare(&self, manifest: &Arc<Manifest>) {
        let mut ranges = Vec::new();
        for segment in &manifest.0 {
            for at in (0..segment.meta.size).step_by(BARE_BYTES as usize) {
                ranges.push((segment.path.clone(), at..(at + BARE_BYTES).min(segment.meta.size)));
            }
        }
        let store = &self.store;
        let gets = stream::iter(ranges)
            .map(move |(path, range)| async move { store.get_range(&path, range).await.expect("a range").len() as u64 })
            .buffer_unordered(16);
        let bytes: u64 = gets.fold(0, |sum, bytes| async move { sum + bytes }).await;
        assert_eq!(bytes, manifest.0.iter().map(|segment| segment.meta.size).sum::<u64>());
    }

    async fn timed<T>(&self, what: &str, payload: f64, work: impl Future<Output = T>) -> f64 {
        let (began, cpu) = (self.clock.elapsed(), cpu_seconds());
        work.await;
        let (seconds, cpu) = ((self.clock.elapsed() - began).as_secs_f64(), cpu_seconds() - cpu);
        println!("{what}: {:.0} MB/s, {:.2} CPU s per GB", payload / 1e6 / seconds, cpu / (payload / 1e9));
        seconds
    }

    async fn prepare(&self, megabytes: u64) -> Vec<SegmentRef> {
        let mut segments = Vec::new();
        let (mut first, end) = (0, (megabytes * MIB / RECORD_BYTES) as i64);
        while first < end {
            let next = (first + (512 * MIB / RECORD_BYTES) as i64).min(end);
            segments.push(self.put_segment(first, next).await);
            first = next;
        }
        segments
    }

    async fn put_segment(&self, first: i64, next: i64) -> SegmentRef {
        let path = format!("bench/{first:020}-{}.parquet", self.random.hex16());
        let mut encoder = SegmentEncoder::new(SegmentSpec::new(TOPIC, 0, first)).expect("an encoder");
        let mut upload = self.store.upload(&path).await.expect("an upload");
        let mut value = vec![0; RECORD_BYTES as usize];
        let random = Random::seeded(first as u64);
        for offset in first..next {
            value.chunks_exact_mut(128).for_each(|chunk| chunk.copy_from_slice(&random.bytes::<128>()));
            let record = RecordRef {
                offset,
                timestamp: 1_700_000_000_000 + offset,
                timestamp_type: TimestampType::Create,
                leader_epoch: 1,
                key: None,
                value: Some(&value),
                headers: Headers::NONE,
            };
            encoder.push(&record).expect("a record");
            for bytes in encoder.take_output() {
                upload.write(bytes).await.expect("written");
            }
        }
        let (rest, meta): (_, SegmentMeta) = encoder.finish(next).expect("a segment");
        for bytes in rest {
            upload.write(bytes).await.expect("written");
        }
        upload.finish().await.expect("uploaded");
        SegmentRef { path: path.into(), meta: Arc::new(meta) }
    }
}

async fn replay(reader: &ColdReader, manifest: Arc<Manifest>, from: i64, until: i64) {
    let entries: Arc<dyn EntryLookup> = manifest.clone();
    let end = manifest.0.last().map_or(0, SegmentRef::next_offset).min(until);
    let target = ColdTarget { topic_id: TOPIC, partition: 0, codec: Codec::None };
    let mut position = from;
    while position < end {
        let want = ColdRequest { from: position, until: end, min_bytes: 0, max_bytes: MIB as usize };
        let read = reader.read(&target, &entries, want).await.expect("readable");
        assert!(read.next > position, "a read moves on");
        position = read.next;
    }
}

fn print_counts(metrics: &Metrics) {
    let page = metrics.page().expect("a page");
    let mut line = String::new();
    for count in page.lines().filter(|line| line.starts_with("esker_cold_") && !line.contains("_bucket")) {
        let _ = write!(line, "{} ", count.trim_start_matches("esker_cold_").replace(' ', "="));
    }
    println!("  {line}");
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0 // user and system time; Linux counts in hundredths
}

/// In MiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
