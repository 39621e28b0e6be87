//! The end of the WAL, and what it must never do before.
use super::*;

struct Panics;

impl Durable for Panics {
    fn durable(&self, _done: &[Done]) {
        panic!("a sink of this test panics");
    }
}

#[test]
fn a_panic_in_the_thread_that_writes_is_an_error_of_the_disk() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 1, 100));
    world.wal.append(Append { sink: Arc::new(Panics), ..world.frame(0, 2, 100, false) }).unwrap();
    while world.fatal.lock().unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let refused = world.append(0, 3, 100).unwrap_err();
    assert!(matches!(&refused, WalError::Failed(why) if why.contains("a sink of this test panics")), "{refused}");
    assert!(world.wal.close().is_err());
    assert_eq!(world.fatal.lock().unwrap().len(), 1, "told once");
}

#[test]
fn the_last_group_before_a_restart_gets_a_successor_too() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 1, 5000));
    let done = world.acks.last();
    let killed = fs.after_kill();
    let again = World::open(&killed, &WalOptions { successor_ms: 1, ..options() }).unwrap();
    assert_eq!(again.wait_durable(done.position.group + 1), done.position.group + 1);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(again.wal.durable_group(), done.position.group + 1, "an empty group needs none itself");
    let killed = killed.after_kill();
    let third = World::open(&killed, &WalOptions { successor_ms: 1, ..options() }).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(third.wal.durable_group(), done.position.group + 1, "nor after a restart");
    let killed = killed.after_kill();
    killed.tamper(&file_path(1), |bytes| bytes[done.position.at as usize - 100] ^= 1);
    let error = image(&killed, &options()).err().unwrap();
    assert!(matches!(&error, WalError::Damaged(d) if d.kind == DamageKind::Directory), "{error}");
}

#[test]
fn the_last_synced_group_is_known_by_number_and_crc_while_it_runs_and_after() {
    for durability in [Durability::Fsync, Durability::Os] {
        let options = WalOptions { durability, ..options() };
        let fs = FaultyFs::new();
        let world = World::open(&fs, &options).unwrap();
        assert_eq!(world.wal.last_synced(), (0, 0));
        for token in 0..30 {
            assert!(world.put(0, token, 5000));
            let durable = world.wait_durable(token + 1);
            let synced = world.wal.last_synced();
            match durability {
                Durability::Fsync => assert_eq!(synced.0, durable),
                Durability::Os => assert!(synced.0 < durable, "only what is in older files"),
            }
            let cut = image(&fs.crash(&Random::seeded(token)), &options).unwrap().recovered;
            assert!(cut.last_group >= synced.0, "whatever the power does");
            if cut.last_group == synced.0 {
                assert_eq!(cut.last_crc, synced.1);
            }
        }
        world.wal.close().unwrap();
        let stopped = image(&fs.crash(&Random::seeded(1)), &options).unwrap().recovered;
        assert_eq!(world.wal.last_synced(), (stopped.last_group, stopped.last_crc));
        assert_eq!(World::open(&fs, &options).unwrap().wal.last_synced(), (stopped.last_group, stopped.last_crc));
    }
}

#[test]
fn urgent_frames_are_taken_only_when_they_fit_whatever_is_lost_to_padding_and_at_the_ends_of_files() {
    for seed in 0..60 {
        let random = Random::seeded(seed);
        let fs = FaultyFs::new();
        let world = World::open(&fs, &WalOptions { budget_bytes: Some(5 * FILE), ..options() }).unwrap();
        let mut taken = 0;
        // Frames that fit badly: many small ones, each alone or not, and some that fill most of a file.
        for token in 0..2000 {
            let len = [10, 300, 9000, 21_000, 40_000][random.below(5) as usize];
            match world.wal.append(world.frame(0, token, len, true)) {
                Ok(()) => taken += 1,
                Err(WalError::NoSpace { .. }) if taken > 0 && random.below(4) == 0 => break,
                Err(WalError::NoSpace { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            if random.below(3) == 0 {
                assert!(world.acks.wait(taken, || false));
            }
        }
        world.wal.close().unwrap_or_else(|e| panic!("seed {seed}: what was taken did not fit: {e}"));
        assert_eq!(world.acks.all().len(), taken, "seed {seed}");
    }
}
