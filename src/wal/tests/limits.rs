//! Budget, reserve, a full disk, the first error, and how many appends one sync covers.
use super::*;
use crate::wal::fs::{DiskSpace, Fault, Op};

/// Appends frames numbered from `first` on until one is refused; how many were taken. Each frame waits for the one before:
/// how a long queue falls into groups, and what that leaves empty at the ends of files as small as these, would decide how
/// much of the reserve is left.
fn fill(world: &World, first: u64) -> (u64, WalError) {
    let before = world.acks.all().len();
    for taken in 0..10_000 {
        if let Err(error) = world.wal.append(world.frame(0, first + taken, 8000, false)) {
            return (taken, error);
        }
        assert!(world.acks.wait(before + taken as usize + 1, || false), "what was taken is written");
    }
    panic!("never full");
}

#[test]
fn at_the_reserve_appends_are_refused_but_urgent_ones_go_on_and_release_makes_room() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    let (ordinary, error) = fill(&world, 0);
    assert!(error.is_retriable() && error.to_string().contains("wal.bytes"), "{error}");
    assert!(matches!(error, WalError::NoSpace { .. }), "{error}");
    // Not to the last byte: what is taken beyond waits for room, as how it falls into groups and files decides what fits.
    let urgent = 5;
    for token in 20_000..20_000 + urgent {
        world.wal.append(world.frame(0, token, 8000, true)).expect("urgent frames find room in the reserve");
    }
    assert!(world.acks.wait((ordinary + urgent) as usize, || false));
    let space = world.wal.space();
    assert!(space.used <= space.budget && space.pinned <= space.used, "{space:?}");
    assert!(ordinary > 70, "{ordinary} frames in a budget of 16 files");
    let acks = world.acks.all();
    world.wal.release_below(world.wait_durable(acks.last().unwrap().position.group) + 1);
    let in_third = acks.iter().find(|d| d.position.file == 3).unwrap();
    assert!(world.read(in_third).is_ok(), "released data stays readable while nothing needs its room");
    let (more, _) = fill(&world, 30_000);
    assert!(more > 70, "{more}");
    let space = world.wal.space();
    assert!(space.used <= space.budget, "{space:?}");
    assert!(matches!(world.read(&acks[0]), Err(WalError::Recycled(_))));
    assert!(world.wal.oldest_group() > acks[0].position.group);
    assert_eq!(
        fs.paths().iter().filter(|p| p.extension().is_some()).count(),
        15,
        "files were recycled, and room for a condensed one is held back"
    );
    world.wal.close().unwrap();
    drop(world);
    let found = image(&fs.after_kill(), &options()).unwrap();
    assert!(found.recovered.torn.is_none() && found.recovered.damage.is_empty());
}

#[test]
fn a_full_disk_refuses_for_a_while_and_is_not_fatal() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &WalOptions { budget_bytes: Some(64 * FILE), ..options() }).unwrap();
    world.spare_is_ready();
    fs.set_capacity(Some(3 * FILE));
    let mut taken = 0;
    let error = loop {
        match world.append(0, taken, 8000) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(matches!(error, WalError::DiskFull(_)), "{error}");
    assert!(error.is_retriable() && error.to_string().contains("/wal"), "{error}");
    assert!(world.wal.space().disk_full);
    fs.set_capacity(None);
    let mut again = world.append(0, 99_001, 8000);
    for _ in 0..1000 {
        if again.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
        again = world.append(0, 99_001, 8000);
    }
    again.unwrap();
    assert!(world.acks.wait(taken as usize + 1, || false), "what was taken was never lost");
    assert!(world.fatal.lock().unwrap().is_empty());
}

#[test]
fn the_first_error_of_a_write_or_sync_ends_everything() {
    for (op, fault) in [(Op::Write, Fault::Eio), (Op::Sync, Fault::Eio), (Op::Write, Fault::Enospc)] {
        let fs = FaultyFs::new();
        let world = World::open(&fs, &options()).unwrap();
        assert!(world.put(0, 1, 100));
        // Let the maker of spare files finish, so that the fault meets the group.
        world.spare_is_ready();
        fs.fail(op, 0, fault);
        assert!(!world.put(0, 2, 100), "{op:?}: never acknowledged");
        assert_eq!(world.fatal.lock().unwrap().len(), 1);
        let later = world.append(0, 3, 100).unwrap_err();
        assert!(matches!(later, WalError::Failed(_)) && !later.is_retriable(), "{later}");
        assert!(world.wal.close().is_err());
        assert_eq!(world.acks.all().len(), 1);
        assert_eq!(world.fatal.lock().unwrap().len(), 1, "told once");
    }
}

#[test]
fn a_short_write_is_gone_on_with() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    world.spare_is_ready();
    fs.fail(Op::Write, 0, Fault::Short);
    assert!(world.put(0, 1, 14_000));
    assert!(image(&fs.after_kill(), &options()).unwrap().has(&world.acks.last(), 14_000));
}

#[test]
fn a_frame_that_no_file_holds_is_refused_and_the_largest_goes() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    let error = world.append(0, 1, FILE as usize).unwrap_err();
    assert!(matches!(error, WalError::TooLarge { .. }) && !error.is_retriable(), "{error}");
    assert!(world.put(0, 2, FILE as usize - 4096 - 152));
    assert!(world.put(0, 3, FILE as usize - 4096 - 152));
    assert_eq!(world.read(&world.acks.last()).unwrap().len(), FILE as usize - 4096 - 152);
}

#[test]
fn closing_writes_what_waits_and_refuses_what_comes() {
    let fs = FaultyFs::new();
    fs.set_sync_delay(Duration::from_millis(2));
    let world = World::open(&fs, &options()).unwrap();
    for token in 0..50 {
        world.append(0, token, 2000).unwrap();
    }
    world.wal.close().unwrap();
    assert_eq!(world.acks.all().len(), 50);
    assert!(matches!(world.append(0, 51, 1), Err(WalError::Closed)));
    world.wal.close().unwrap();
}

#[test]
fn what_sixteen_producers_append_during_a_sync_shares_the_next() {
    const ROUNDS: u64 = 20;
    let fs = FaultyFs::new();
    let world = World::open(&fs, &WalOptions { file_bytes: 8 << 20, budget_bytes: None, ..options() }).unwrap();
    for round in 0..ROUNDS {
        let busy = Gate::default();
        world.wal.append(Append { sink: Arc::new(busy.clone()), ..world.frame(99, round, 1, false) }).unwrap();
        busy.wait_until_reached();
        std::thread::scope(|scope| {
            for producer in 0..16 {
                let world = &world;
                scope.spawn(move || world.append(producer, round, 100).unwrap());
            }
        });
        busy.open();
        assert!(world.acks.wait(16 * (round as usize + 1), || false));
    }
    assert_eq!(
        world.wait_durable(2 * ROUNDS),
        2 * ROUNDS,
        "one group for the first frame of a round, one for the others"
    );
    let page = world.metrics.page().unwrap();
    assert!(page.contains(&format!("esker_wal_frames_total {}", 17 * ROUNDS)), "{page}");
}

#[test]
fn the_budget_is_a_quarter_of_the_free_disk_at_first_and_then_what_it_was() {
    let gib = 1 << 30;
    let options = WalOptions { budget_bytes: None, file_bytes: 64 << 20, ..WalOptions::default() };
    let disk = |free| DiskSpace { free: free * gib, total: 1000 * gib };
    assert_eq!(options.budget(None, disk(40)).unwrap(), 10 * gib);
    assert_eq!(options.budget(None, disk(2)).unwrap(), gib);
    assert_eq!(options.budget(None, disk(900)).unwrap(), 64 * gib);
    assert_eq!(options.budget(Some(10 * gib), disk(2)).unwrap(), 10 * gib, "an old WAL starts on a full disk");
    let error = options.budget(None, disk(0)).unwrap_err().to_string();
    assert!(error.contains("1073741824 bytes") && error.contains("wal.bytes"), "{error}");
    let set = |bytes| WalOptions { budget_bytes: Some(bytes), ..options.clone() };
    assert!(set(5000 * gib).budget(Some(gib), disk(40)).is_err(), "larger than the disk");
    assert!(set(41 * gib).budget(None, disk(40)).is_err(), "larger than what is free");
    assert!(set(1 << 20).budget(None, disk(40)).unwrap_err().to_string().contains("at least 268435456"));
    let fs = FaultyFs::new();
    drop(World::open(&fs, &super::options()).unwrap());
    let again = World::open(&fs.after_kill(), &WalOptions { budget_bytes: None, ..super::options() }).unwrap();
    assert_eq!(again.wal.space().budget, 16 * FILE, "remembered");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let refused = |options: WalOptions| options.check().unwrap_err().to_string();
    assert!(refused(WalOptions { file_bytes: 100_000, ..options() }).contains("wal.file.bytes"));
    assert!(refused(WalOptions { group_max_bytes: FILE, ..options() }).contains("wal.group.max.bytes"));
    assert!(refused(WalOptions { successor_ms: 0, ..options() }).contains("wal.successor.ms"));
}
