//! A whole log in one thread, on paused time: whatever happens to it happens again with the same seed.
use std::sync::Arc;

use super::*;
use crate::store::testing::{Faulty, store_on_clock};
use crate::wal::fs::FaultyFs;

/// A world without anything of the machine's: disk, bucket, time and randomness.
struct Simulated {
    random: Random,
    clock: Clock,
    bucket: Faulty,
    trace: Vec<String>,
}

impl Simulated {
    fn new(seed: u64) -> Self {
        let clock = Clock::of_runtime(1_700_000_000_000);
        Self { random: Random::seeded(seed), bucket: Faulty::on_clock(&clock), clock, trace: Vec::new() }
    }

    fn note(&mut self, what: String) {
        self.trace.push(format!("{:>9} ms: {what}", self.clock.elapsed().as_millis()));
    }

    async fn open(&mut self, fs: &FaultyFs) -> Log {
        let mut options = Options::new("/disk");
        options.wal.file_bytes = 64 << 10;
        options.wal.budget_bytes = Some(16 * options.wal.file_bytes);
        options.wal.group_max_bytes = 16 << 10;
        options.wal.tail_bytes = 16 << 10;
        options.topic_defaults.insert("esker.seal.ms".to_owned(), "60000".to_owned());
        let env = Env {
            clock: self.clock.clone(),
            random: self.random.clone(),
            metrics: Metrics::new(),
            limits: Limits::default(),
            tasks: Tasks::in_one_thread(),
        };
        let store = store_on_clock(Arc::new(self.bucket.clone()), &self.clock, self.random.u64());
        let log = Log::open_on(options, env, Arc::new(fs.clone()), store).await.unwrap();
        self.note(format!("{:?}", log.start_report()));
        log
    }

    /// Appends some batches and waits a while after each; how many were acknowledged before the disk was gone.
    async fn appends(&mut self, log: &Log, count: u64) -> u64 {
        for n in 0..count {
            let partition = log.partition(["a", "b"][self.random.below(2) as usize], 0).unwrap();
            let value = "x".repeat(self.random.below(6000) as usize);
            let appended = match partition.append(batch(&[(n as i64, &value)]), None) {
                Ok(appended) => tokio::select! {
                    biased;
                    done = appended.durable() => done.map_err(|e| e.to_string()),
                    why = log.failed() => Err(why),
                },
                Err(e) => Err(e.to_string()),
            };
            let failed = appended.is_err();
            self.note(format!("{} {appended:?}", partition.topic()));
            if failed {
                return n;
            }
            tokio::time::sleep(Duration::from_millis(self.random.below(2000))).await;
        }
        count
    }

    async fn read(&mut self, log: &Log) {
        for topic in ["a", "b"] {
            let found = read_all(&log.partition(topic, 0).unwrap(), 0).await;
            let sum = found.iter().fold(0, |sum, (at, value)| sum + (*at as usize + 1) * (value.len() + 1));
            self.note(format!("{topic}: {} records, {sum}", found.len()));
        }
    }
}

/// Appends, seals, loses power in the middle of something, starts again, stops, and starts from the bucket alone.
async fn life(seed: u64) -> Vec<String> {
    let mut world = Simulated::new(seed);
    let fs = FaultyFs::new();
    let log = world.open(&fs).await;
    for topic in ["a", "b"] {
        log.create_topic(new_topic(topic)).await.unwrap();
    }
    assert_eq!(world.appends(&log, 100).await, 100);
    log.seal(Some("a")).await.unwrap();
    world.read(&log).await;
    fs.cut_power_at(world.random.below(60));
    assert!(world.appends(&log, 100).await < 100);
    let why = log.failed().await;
    world.note(why);

    let fs = fs.crash(&world.random);
    let log = world.open(&fs).await;
    world.read(&log).await;
    assert_eq!(world.appends(&log, 30).await, 30);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    world.clock.set_wall_by(25 * 3_600_000);
    assert_eq!(world.appends(&log, 30).await, 30);
    let stopped = log.stop().await;
    world.note(format!("{stopped:?}"));
    assert!(stopped.released, "{stopped:?}");

    let log = world.open(&FaultyFs::new()).await;
    world.read(&log).await;
    log.stop().await;
    let calls = world.bucket.log().into_iter().map(|call| format!("{call:?}"));
    world.trace.extend(calls);
    for path in fs.paths() {
        let sum = crc32c::crc32c(&fs.bytes(&path).unwrap());
        world.trace.push(format!("{} {sum}", path.display()));
    }
    world.trace
}

/// A runtime of one thread whose time goes on only when nobody has anything to do.
fn run(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(life(seed))
}

#[test]
fn a_log_in_one_thread_does_the_same_with_the_same_seed() {
    for seed in 0..3 {
        let (one, two) = (run(seed), run(seed));
        let differs = one.iter().zip(&two).find(|(one, two)| one != two);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.len(), two.len(), "seed {seed}");
    }
    assert_ne!(run(0), run(1));
}
