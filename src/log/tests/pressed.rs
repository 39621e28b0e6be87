//! What the mover does about a WAL that has no room, and what a release does not pass.
use super::*;
use crate::store::testing::{Faulty, store_on_clock};
use crate::wal::fs::FaultyFs;

struct World {
    clock: Clock,
    bucket: Faulty,
    fs: FaultyFs,
}

impl World {
    fn new() -> Self {
        let clock = Clock::of_runtime(1_700_000_000_000);
        Self { bucket: Faulty::on_clock(&clock), clock, fs: FaultyFs::new() }
    }

    async fn open(&self, seal_ms: u64) -> Log {
        let mut options = Options::new("/disk");
        options.wal.file_bytes = 64 << 10;
        options.wal.budget_bytes = Some(64 * options.wal.file_bytes);
        options.wal.group_max_bytes = 16 << 10;
        options.wal.tail_bytes = 16 << 10;
        options.topic_defaults.insert("esker.seal.ms".to_owned(), seal_ms.to_string());
        let env = Env {
            clock: self.clock.clone(),
            random: Random::seeded(3),
            metrics: Metrics::new(),
            limits: Limits::default(),
            tasks: Tasks::in_one_thread(),
        };
        let store = store_on_clock(Arc::new(self.bucket.clone()), &self.clock, 7);
        Log::open_on(options, env, Arc::new(self.fs.clone()), store).await.unwrap()
    }

    fn uploads(&self) -> usize {
        self.bucket.log().iter().filter(|(_, path)| path.contains("/table/data/")).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_below_the_budget_is_pressure() {
    let world = World::new();
    let log = world.open(3_600_000).await;
    log.create_topic(new_topic("t")).await.unwrap();
    let used: u64 = world.fs.paths().iter().map(|path| world.fs.bytes(path).unwrap().len() as u64).sum();
    world.fs.set_capacity(Some(used + (1 << 20)));
    for n in 0..400 {
        let partition = log.partition("t", 0).unwrap();
        let appended = partition.append(batch(&[(n, &"x".repeat(9000))]), None);
        appended.unwrap_or_else(|e| panic!("batch {n}: {e}")).durable().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(world.clock.elapsed() < Duration::from_secs(3_000), "no seal was due by its age");
    assert!(world.uploads() > 0);
    log.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waited_does_not_pass_a_topic_made_meanwhile() {
    let world = World::new();
    let log = world.open(3_600_000).await;
    log.create_topic(new_topic("t")).await.unwrap();
    append(&log, "t", &[(1, "sealed")]).await;
    let one = log.0.mover.releasing.clone().lock_owned().await;
    let second = {
        let log = log.clone();
        tokio::spawn(async move { log.seal(Some("t")).await })
    };
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!second.is_finished(), "it waits for the release under way");
    log.create_topic(new_topic("u")).await.unwrap();
    append(&log, "u", &[(1, "acknowledged")]).await;
    drop(one);
    second.await.unwrap().unwrap();
    let first = log.partition("u", 0).unwrap().state().pinned_group().unwrap();
    let released = log.0.mover.released_below();
    assert!(released > 0 && released <= first, "R {released} passes group {first}, which is not sealed");
    log.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_seal_is_due_when_enough_payload_is_there_however_small_it_is_packed() {
    let world = World::new();
    let log = world.open(3_600_000).await;
    let settings = BTreeMap::from([("esker.seal.bytes".to_owned(), (1 << 20).to_string())]);
    log.create_topic(NewTopic { settings, ..new_topic("t") }).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    let packed = || {
        let mut builder = crate::record::BatchBuilder::new();
        let value = Some(Bytes::from(vec![b'x'; 100 << 10]));
        let _ = builder.push(&Record { value, timestamp: 1_000, ..Record::default() }.as_ref()).unwrap();
        builder.finish(crate::record::Codec::Lz4, None).unwrap()
    };
    assert!(packed().len() < 4 << 10);
    for sealed in [false, true] {
        for _ in 0..10 {
            partition.append(packed(), None).unwrap().durable().await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.uploads() > 0, sealed);
    }
    log.stop().await;
}
