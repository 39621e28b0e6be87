//! A power cut at every single operation: nothing acknowledged is lost, nothing is invented, and the WAL goes on.
use super::*;
use crate::wal::fs::{Fault, Op};

const FRAMES: u64 = 36;

fn len(token: u64) -> usize {
    [3000, 9000, 40, 14_000][token as usize % 4]
}

/// Appends one frame after the other, releasing and condensing as it goes, until done or the power is off. Returns what was
/// acknowledged and is still needed.
fn work(fs: &FaultyFs) -> Vec<Done> {
    let Ok(world) = World::open(fs, &options()) else { return Vec::new() };
    let mut released = 0;
    for token in 0..FRAMES {
        if !world.put((token % 2) as i32, token, len(token)) {
            break;
        }
        if token == 12 {
            let _ = world.wal.condense(1, &|meta, _| meta.partition == 1);
        }
        if token == 24 {
            released = world.wal.space().files[2].first_group;
            world.wal.release_below(released);
        }
    }
    let file_2 = world.wal.space().files.iter().find(|f| f.file == 2).map_or(u64::MAX, |f| f.first_group);
    let _ = world.wal.close();
    let condensed = |done: &Done| done.position.group < file_2 && done.meta.partition == 0;
    world.acks.all().into_iter().filter(|d| d.position.group >= released && !condensed(d)).collect()
}

/// Checks an image, then lets a WAL go on from it.
fn check(fs: &FaultyFs, needed: &[Done], what: &str) {
    let found = image(fs, &options()).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(found.recovered.damage.is_empty(), "{what}: {:?}", found.recovered.damage);
    for done in needed {
        assert!(found.has(done, len(done.token)), "{what}: frame {} is lost", done.token);
    }
    for (token, (_, payload)) in &found.frames {
        assert!(*token < FRAMES, "{what}: nobody wrote frame {token}");
        assert_eq!(payload.as_deref(), Some(&body(*token, len(*token))[..]), "{what}: frame {token} changed");
    }
    let before = found.recovered.last_group;
    drop(found);
    let world = World::open(fs, &options()).unwrap_or_else(|e| panic!("{what}: {e}"));
    for token in 1000..1003 {
        assert!(world.put(0, token, 10_000), "{what}");
    }
    let after = world.acks.all();
    assert!(after[0].position.group > before, "{what}: group numbers rise");
    world.wal.close().unwrap();
    drop(world);
    let again = image(fs, &options()).unwrap_or_else(|e| panic!("{what}, second start: {e}"));
    assert!(after.iter().all(|done| again.has(done, 10_000)), "{what}: the second life lost a frame");
    assert!(needed.iter().all(|done| again.has(done, len(done.token))), "{what}: the second life lost an old frame");
}

/// How many operations the work does without a cut.
fn operations() -> u64 {
    let fs = FaultyFs::new();
    assert!(work(&fs).len() > 20);
    fs.changes()
}

#[test]
fn acked_records_survive_a_power_cut_at_every_operation() {
    for nth in 0..operations() {
        let fs = FaultyFs::new();
        fs.cut_power_at(nth);
        let needed = work(&fs);
        for seed in 0..4 {
            let after = fs.crash(&Random::seeded(nth * 100 + seed));
            check(&after, &needed, &format!("power cut at operation {nth}, seed {seed}"));
        }
    }
}

#[test]
fn acked_records_survive_a_second_power_cut_while_the_first_is_repaired() {
    let operations = operations();
    for round in 0..60 {
        let random = Random::seeded(round);
        let fs = FaultyFs::new();
        fs.cut_power_at(operations / 4 + random.below(operations * 3 / 4));
        let needed = work(&fs);
        let once = fs.crash(&random);
        once.cut_power_at(random.below(12));
        if let Ok(world) = World::open(&once, &options()) {
            let _ = world.wal.close();
        }
        check(&once.crash(&random), &needed, &format!("round {round}"));
    }
}

#[test]
fn acked_records_survive_the_end_of_the_process_at_every_operation() {
    for nth in (0..operations()).step_by(3) {
        let fs = FaultyFs::new();
        fs.cut_power_at(nth);
        let needed = work(&fs);
        let killed = fs.after_kill();
        check(&killed, &needed, &format!("killed at operation {nth}"));
        // What a kill left in the page cache only is on the disk once the next life serves.
        let killed = fs.after_kill();
        let served = image(&killed, &options()).unwrap().frames;
        let world = World::open(&killed, &options()).unwrap();
        let _ = world;
        let cut = image(&killed.crash(&Random::seeded(nth)), &options()).unwrap().frames;
        assert_eq!(served, cut, "killed at operation {nth}, then a power cut");
    }
}

#[test]
fn what_a_failed_sync_left_in_the_page_cache_is_on_the_disk_before_it_is_served() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 1, 5000));
    world.spare_is_ready();
    fs.fail(Op::Sync, 0, Fault::Eio);
    assert!(!world.put(0, 2, 5000), "a failed sync acknowledges nothing");
    let next = fs.after_kill();
    let served = image(&next, &options()).unwrap();
    assert_eq!(served.recovered.last_group, 2, "the page cache shows it");
    drop(served);
    drop(World::open(&next, &options()).unwrap());
    let cut = image(&next.crash(&Random::seeded(1)), &options()).unwrap();
    assert!(cut.recovered.last_group >= 2 && cut.frames.contains_key(&2), "so a power cut must not take it back");
}

#[test]
fn a_torn_tail_is_cut_once_and_never_comes_back() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 1, 9000) && world.put(0, 2, 9000));
    let (file, last) = (file_path(1), world.acks.last());
    let head = (last.position.at - 152) as usize;
    let torn = fs.after_kill();
    drop(world);
    torn.tamper(&file, |bytes| bytes[head + 8192..head + 8192 + 512].fill(0));
    let found = image(&torn, &options()).unwrap();
    let cut = found.recovered.torn.clone().unwrap();
    assert_eq!((cut.at, cut.group, cut.bytes, &cut.path), (head as u64, 2, 12_288, &file));
    assert_eq!(found.recovered.last_group, 1);
    drop(found);
    let _open = World::open(&torn, &options()).unwrap(); // its end would write a group
    assert!(torn.bytes(&file).unwrap()[head..head + 4096].iter().all(|b| *b == 0), "its first block is zeroed");
    // Even when the missing sector turns up again, the group stays gone.
    let whole = fs.bytes(&file).unwrap()[head + 8192..head + 8192 + 512].to_vec();
    torn.tamper(&file, |bytes| bytes[head + 8192..head + 8192 + 512].copy_from_slice(&whole));
    let found = image(&torn.after_kill(), &options()).unwrap();
    assert_eq!((found.recovered.last_group, found.recovered.torn), (1, None));
}

#[test]
fn an_acknowledged_group_gets_a_successor_so_that_damage_to_it_is_no_torn_tail() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &WalOptions { successor_ms: 1, ..options() }).unwrap();
    assert!(world.put(0, 1, 5000));
    let done = world.acks.last();
    world.wait_durable(done.position.group + 1);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(world.wal.durable_group(), done.position.group + 1, "an empty group needs none itself");
    drop(world);
    let killed = fs.after_kill();
    killed.tamper(&file_path(1), |bytes| bytes[done.position.at as usize - 100] ^= 1);
    let error = image(&killed, &options()).err().unwrap();
    assert!(matches!(&error, WalError::Damaged(d) if d.kind == DamageKind::Directory), "{error}");
}

#[test]
fn without_syncs_a_reboot_is_noticed_and_a_kill_is_harmless() {
    let os = WalOptions { durability: Durability::Os, ..options() };
    let fs = FaultyFs::new();
    let world = World::open(&fs, &os).unwrap();
    for token in 0..30 {
        assert!(world.put(0, token, 5000));
    }
    let acks = world.acks.all();
    let killed = image(&fs.after_kill(), &os).unwrap();
    assert!(!killed.recovered.os_tail_uncertain);
    assert!(acks.iter().all(|done| killed.has(done, 5000)));
    for seed in 0..40 {
        let cut = fs.crash(&Random::seeded(seed));
        let found = image(&cut, &os).unwrap();
        assert!(found.recovered.os_tail_uncertain, "seed {seed}");
        let newest = acks.last().unwrap().position.file;
        let synced = acks.iter().filter(|d| d.position.file < newest);
        assert!(
            synced.clone().all(|done| found.has(done, 5000)),
            "seed {seed}: only the newest file may lose anything"
        );
        let kept = found.frames.clone();
        drop(found);
        let world = World::open(&cut, &options()).unwrap();
        assert!(world.put(0, 1000, 5000));
        drop(world);
        let again = image(&cut.after_kill(), &os).unwrap();
        assert_eq!(again.frames.len(), kept.len() + 1, "seed {seed}: what was cut does not come back");
    }
    world.wal.close().unwrap();
    let stopped = image(&fs.crash(&Random::seeded(0)), &os).unwrap();
    assert!(!stopped.recovered.os_tail_uncertain, "a clean stop syncs");
    assert!(acks.iter().all(|done| stopped.has(done, 5000)));
}
