//! The WAL alone: appends per sync on a slow disk, then bytes, frames and recovery on the real one.
//!
//! `cargo bench --bench wal [-- DIR]`; DIR (default: Cargo's directory for such files) takes 1 GiB.
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use esker::base::{Clock, Metrics, Random, Uuid};
use esker::wal::fs::{FaultyFs, FileSystem, RealFs};
use esker::wal::{
    Append, Done, Drive, Durable, FrameKind, FrameMeta, Identity, Surroundings, Wal, WalOptions, recover,
};

/// A producer that has at most `window` frames under way.
struct Producer {
    partition: i32,
    acknowledged: Mutex<u64>,
    told: Condvar,
}

impl Durable for Producer {
    fn durable(&self, done: &[Done]) {
        *self.acknowledged.lock().expect("nobody panics with the lock") += done.len() as u64;
        self.told.notify_one();
    }
}

impl Producer {
    fn frame(self: &Arc<Self>, n: u64, body: &Bytes) -> Append {
        let offset = i64::try_from(n).expect("few frames");
        let meta = FrameMeta {
            kind: FrameKind::BATCH,
            topic_id: Uuid([1; 16]),
            partition: self.partition,
            epoch: 1,
            base_offset: offset,
            last_offset: offset,
            records: 1,
            max_timestamp: 0,
            append_time: 0,
        };
        let (head, body) = (Some([0; 61]), body.clone());
        Append { meta, head, body, urgent: false, patient: false, permit: None, sink: self.clone(), token: n }
    }

    fn run(self: &Arc<Self>, wal: &Wal, frames: u64, window: u64, body: &Bytes) {
        for n in 0..frames {
            let acknowledged = self.acknowledged.lock().expect("nobody panics with the lock");
            drop(self.told.wait_while(acknowledged, |a| *a + window <= n).expect("nobody panics with the lock"));
            while wal.append(self.frame(n, body)).is_err() {
                std::thread::sleep(Duration::from_millis(1)); // the budget is used up until the next release
            }
        }
        let acknowledged = self.acknowledged.lock().expect("nobody panics with the lock");
        drop(self.told.wait_while(acknowledged, |a| *a < frames).expect("nobody panics with the lock"));
    }
}

fn open(fs: Arc<dyn FileSystem>, dir: &Path) -> Wal {
    let options = WalOptions { dir: dir.to_owned(), budget_bytes: Some(1 << 30), ..WalOptions::default() };
    let recovered = recover(fs.clone(), &options, &mut |_| {}).expect("the directory is sound");
    let (clock, random, metrics) = (Clock::real(), Random::os(), Metrics::new());
    let on_fatal = Arc::new(|error| panic!("{error}"));
    let identity = Identity { cluster_id: Uuid([2; 16]), broker_id: 0, wal_id: Uuid([3; 16]), born: 1, epoch: 1 };
    Wal::start(
        recovered,
        identity,
        &options,
        &Surroundings { fs, clock, drive: Drive::Threads, random, metrics, on_fatal },
    )
    .expect("the WAL starts")
}

/// What a run took.
struct Took {
    seconds: f64,
    cpu_seconds: f64,
    groups: u64,
}

/// Runs 16 producers of `frames` frames each and releases what is written as a mover would.
fn produce(wal: &Wal, frames: u64, window: u64, len: usize) -> Took {
    let clock = Clock::real();
    let (cpu, groups) = (cpu_seconds(), wal.durable_group());
    let body: Bytes = (0..len.div_ceil(8)).flat_map(|_| Random::os().bytes::<8>()).take(len).collect::<Vec<_>>().into();
    let running = AtomicU64::new(16);
    std::thread::scope(|scope| {
        for partition in 0..16 {
            let (body, running) = (&body, &running);
            scope.spawn(move || {
                let producer = Producer { partition, acknowledged: Mutex::new(0), told: Condvar::new() };
                Arc::new(producer).run(wal, frames, window, body);
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while running.load(Ordering::SeqCst) > 0 {
            wal.release_below(wal.durable_group());
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let seconds = clock.elapsed().as_secs_f64();
    Took { seconds, cpu_seconds: cpu_seconds() - cpu, groups: wal.durable_group() - groups }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

fn slow_disk() -> bool {
    let fs = FaultyFs::new();
    fs.set_sync_delay(Duration::from_millis(2));
    let wal = open(Arc::new(fs), Path::new("/wal"));
    let took = produce(&wal, 200, 1, 1024);
    let per_sync = 3200.0 / took.groups as f64;
    println!(
        "16 producers, one frame of 1 KiB under way each, 2 ms a sync: {per_sync:.1} appends per sync (must be 8)"
    );
    wal.close().expect("it closes");
    per_sync >= 8.0
}

fn real_disk(dir: &Path, name: &str, frames: u64, window: u64, len: usize) {
    let wal = open(Arc::new(RealFs::new()), dir);
    let took = produce(&wal, frames, window, len);
    let (count, bytes) = (16.0 * frames as f64, 16.0 * frames as f64 * (len + 61) as f64);
    println!(
        "{name}: {:.0} MB/s, {:.0} frames/s, {:.2} CPU s per GB, {:.2} us CPU per frame, {:.1} frames per sync",
        bytes / took.seconds / 1e6,
        count / took.seconds,
        took.cpu_seconds / (bytes / 1e9),
        took.cpu_seconds / count * 1e6,
        count / took.groups as f64,
    );
    wal.close().expect("it closes");
}

fn recovery(dir: &Path) {
    let (clock, cpu) = (Clock::real(), cpu_seconds());
    let mut payload = 0;
    let options = WalOptions { dir: dir.to_owned(), ..WalOptions::default() };
    let found = recover(Arc::new(RealFs::new()), &options, &mut |visit| payload += u64::from(visit.position.len))
        .expect("the directory is sound");
    let (seconds, cpu) = (clock.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let gib = found.bytes as f64 / f64::from(1 << 30);
    println!("recovery of {gib:.2} GiB: {seconds:.2} s, {cpu:.2} CPU s ({payload} bytes of payload)");
}

fn main() {
    let dir = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let dir = dir.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from).join("bench-wal");
    let _ = std::fs::remove_dir_all(&dir);
    let good = slow_disk();
    real_disk(&dir, "warm-up, files are made", 1_000, 4, 64 << 10);
    real_disk(&dir, "64 KiB frames", 1_500, 4, 64 << 10);
    real_disk(&dir, "1 MiB frames", 60, 2, 1 << 20);
    real_disk(&dir, "100 B frames, 64 under way each", 40_000, 64, 100);
    recovery(&dir);
    let _ = std::fs::remove_dir_all(&dir);
    if !good {
        std::process::exit(1);
    }
}
