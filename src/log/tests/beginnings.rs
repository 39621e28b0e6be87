//! A disk whose WAL is another life's begins a new one: cut at any point, it starts again as it is.
use super::*;
use crate::store::testing::{Faulty, store_on_clock};
use crate::wal::fs::FaultyFs;

struct World {
    random: Random,
    clock: Clock,
    bucket: Faulty,
}

impl World {
    fn new() -> Self {
        let clock = Clock::of_runtime(1_700_000_000_000);
        Self { random: Random::seeded(5), bucket: Faulty::on_clock(&clock), clock }
    }

    async fn open(&self, fs: &FaultyFs, take_over: bool) -> Result<Log, OpenError> {
        let mut options = Options::new("/disk");
        options.take_over = take_over;
        options.wal.file_bytes = 64 << 10;
        options.wal.budget_bytes = Some(16 * options.wal.file_bytes);
        options.wal.group_max_bytes = 16 << 10;
        options.wal.tail_bytes = 16 << 10;
        let env = Env {
            clock: self.clock.clone(),
            random: self.random.clone(),
            metrics: Metrics::new(),
            limits: Limits::default(),
            tasks: Tasks::in_one_thread(),
        };
        let store = store_on_clock(Arc::new(self.bucket.clone()), &self.clock, self.random.u64());
        Log::open_on(options, env, Arc::new(fs.clone()), store).await
    }

    /// Versions of the owner chain so far.
    fn claims(&self) -> usize {
        self.bucket.created().iter().filter(|(path, _)| path.contains("owner/")).count()
    }

    /// A disk with a WAL of several files, all of which is in the bucket, and that another disk owns since.
    async fn superseded(&self) -> FaultyFs {
        let fs = FaultyFs::new();
        let log = self.open(&fs, false).await.unwrap();
        log.create_topic(new_topic("t")).await.unwrap();
        for n in 0..30 {
            append(&log, "t", &[(n, &"x".repeat(9000))]).await;
        }
        assert!(log.stop().await.released);
        self.life(&FaultyFs::new(), false).await;
        fs
    }

    async fn life(&self, fs: &FaultyFs, take_over: bool) {
        let log = self.open(fs, take_over).await.unwrap();
        append(&log, "t", &[(1, "one more")]).await;
        assert!(log.stop().await.released);
    }
}

/// Cuts the power at each change of the disk during the start of a superseded disk; `left` makes the disk after it.
async fn every_cut_starts_again(left: impl Fn(&World, &FaultyFs) -> FaultyFs, owned: bool) {
    let world = World::new();
    let old = world.superseded().await;
    let mut cuts = 0;
    loop {
        if owned {
            // The last owner is gone without a release; once the claim was made nobody is asked to take over again.
            let log = world.open(&FaultyFs::new(), false).await.unwrap();
            append(&log, "t", &[(1, "lost")]).await;
            log.0.core.fence.end("killed");
        }
        let (fs, before) = (old.after_kill(), world.claims());
        fs.cut_power_at(cuts);
        let opened = world.open(&fs, owned).await;
        if !fs.is_off() {
            assert!(opened.unwrap().stop().await.released);
            break;
        }
        drop(opened);
        let claimed = world.claims() > before;
        world.life(&left(&world, &fs), owned && !claimed).await;
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_begins_a_new_wal_and_loses_power_at_any_point_starts_again() {
    every_cut_starts_again(|world, fs| fs.crash(&world.random), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_begins_a_new_wal_and_is_killed_at_any_point_starts_again() {
    every_cut_starts_again(|_, fs| fs.after_kill(), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_take_over_by_a_disk_with_an_older_wal_that_is_cut_at_any_point_goes_on() {
    every_cut_starts_again(|world, fs| fs.crash(&world.random), true).await;
}
