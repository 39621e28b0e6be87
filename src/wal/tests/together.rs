//! Frames that were appended together: all of them or none, whatever happens.
use super::*;

const UNITS: u64 = 14;
const LEN: usize = 3000;

fn frames_of(world: &World, unit: u64) -> Vec<Append> {
    let count = 1 + unit % 5;
    (0..count).map(|n| world.frame(n as i32, unit * 10 + n, LEN, true)).collect()
}

/// Appends units between single frames, without waiting in between but for every third.
fn work(fs: &FaultyFs) {
    let Ok(world) = World::open(fs, &options()) else { return };
    for unit in 0..UNITS {
        let _ = world.append(9, unit * 10 + 9, 500);
        let so_far = world.acks.all().len();
        let frames = frames_of(&world, unit);
        let count = frames.len();
        if world.wal.append_together(frames).is_err() {
            break;
        }
        if unit % 3 == 2 {
            world.acks.wait(so_far + count, || !world.fatal.lock().unwrap().is_empty());
        }
    }
    let _ = world.wal.close();
}

fn check(fs: &FaultyFs, what: &str) -> u64 {
    let found = image(fs, &options()).unwrap_or_else(|e| panic!("{what}: {e}"));
    let mut whole = 0;
    for unit in 0..UNITS {
        let count = 1 + unit % 5;
        let places: Vec<u64> =
            (0..count).filter_map(|n| found.frames.get(&(unit * 10 + n))).map(|(at, _)| at.group).collect();
        assert!(places.is_empty() || places.len() as u64 == count, "{what}: {places:?} of unit {unit}");
        assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "{what}: unit {unit} is in groups {places:?}");
        whole += u64::from(!places.is_empty());
    }
    whole
}

#[test]
fn frames_appended_together_are_all_there_or_none_after_a_power_cut_at_every_operation() {
    let fs = FaultyFs::new();
    work(&fs);
    assert_eq!(check(&fs.after_kill(), "no cut"), UNITS);
    for nth in 0..fs.changes() {
        let fs = FaultyFs::new();
        fs.cut_power_at(nth);
        work(&fs);
        for seed in 0..3 {
            check(&fs.crash(&Random::seeded(nth * 10 + seed)), &format!("power cut at operation {nth}, seed {seed}"));
        }
    }
}

#[test]
fn more_frames_than_a_file_holds_are_refused_together() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    let frames = (0..30).map(|n| world.frame(n as i32, n, LEN, true)).collect();
    assert!(matches!(world.wal.append_together(frames), Err(WalError::TooLarge { .. })));
    assert!(world.put(0, 99, LEN), "the WAL goes on");
    world.wal.close().unwrap();
    assert_eq!(image(&fs.after_kill(), &options()).unwrap().frames.keys().copied().collect::<Vec<_>>(), [99]);
}
