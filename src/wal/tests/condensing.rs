//! What happens beside a file that is being condensed, and when that fails.
use super::*;
use crate::wal::fs::{Fault, Op};

/// A WAL with so many files, in a budget of so many; all of its frames are of partition 0.
fn filled(fs: &FaultyFs, files: usize, budget: u64) -> (World, WalOptions) {
    let options = WalOptions { budget_bytes: Some(budget * FILE), ..options() };
    let world = World::open(fs, &options).unwrap();
    let mut token = 0;
    while world.wal.space().files.len() < files {
        assert!(world.put(0, token, 7000));
        token += 1;
    }
    (world, options)
}

#[test]
fn a_file_behind_the_one_that_is_condensed_is_not_recycled() {
    let fs = FaultyFs::new();
    let (world, options) = filled(&fs, 5, 7);
    let busy = world.wal.space().files[1].file;
    let mut condensing = world.wal.condensing(busy).unwrap();
    assert_eq!(condensing.step(&|_, _| false).unwrap(), None);
    world.wal.release_below(world.wal.durable_group() + 1); // a seal that was not part of it
    for token in 1000..1060 {
        if world.append(0, token, 7000).is_err() {
            break;
        }
    }
    while world.wal.space().files[0].file < busy {
        std::thread::sleep(Duration::from_millis(1)); // what lies before it goes
    }
    std::thread::sleep(Duration::from_millis(50));
    let files: Vec<u64> = world.wal.space().files.iter().map(|f| f.file).collect();
    assert!(files.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a hole: {files:?}");
    assert_eq!(files[0], busy);
    while condensing.step(&|_, _| false).unwrap().is_none() {}
    drop(condensing);
    world.wal.close().unwrap();
    drop(world);
    image(&fs, &options).unwrap();
}

#[test]
fn condensing_that_was_given_up_leaves_everything_as_it_was() {
    let fs = FaultyFs::new();
    let (world, options) = filled(&fs, 4, 16);
    let acks = world.acks.all();
    let mut condensing = world.wal.condensing(1).unwrap();
    assert!(matches!(world.wal.condensing(2), Err(WalError::NotCondensable { .. })), "one at a time");
    assert_eq!(condensing.step(&|_, _| false).unwrap(), None);
    drop(condensing);
    assert!(matches!(world.wal.condense(2, &|_, _| false), Ok(Condensed::Done { .. })), "the next one may begin");
    let kept = acks.iter().filter(|done| done.position.file != 2);
    assert!(kept.clone().all(|done| world.read(done).is_ok()));
    world.wal.close().unwrap();
    drop(world);
    let found = image(&fs, &options).unwrap();
    assert!(kept.clone().all(|done| found.has(done, 7000)));
    assert!(fs.paths().iter().all(|path| !path.to_string_lossy().ends_with(".tmp")));
}

#[test]
fn an_error_of_a_write_sync_or_name_while_condensing_is_the_end_and_the_next_start_finds_everything() {
    for (op, fault) in [
        (Op::Write, Fault::Eio),
        (Op::Sync, Fault::Eio),
        (Op::Rename, Fault::Eio),
        (Op::SyncDir, Fault::Eio),
        (Op::SyncDir, Fault::Enospc),
    ] {
        let fs = FaultyFs::new();
        let (world, options) = filled(&fs, 4, 16);
        let acks = world.acks.all();
        while world.wal.space().used < 5 * FILE {
            std::thread::sleep(Duration::from_millis(1)); // the maker has nothing to do
        }
        fs.fail(op, 0, fault);
        let error = world.wal.condense(1, &|meta, _| meta.base_offset == 0).unwrap_err();
        assert!(matches!(error, WalError::Io { .. }), "{op:?}: {error}");
        assert_eq!(world.fatal.lock().unwrap().len(), 1, "{op:?}");
        assert!(matches!(world.append(0, 9999, 10), Err(WalError::Failed(_))), "{op:?}");
        assert!(world.wal.close().is_err());
        drop(world);
        let fs = fs.after_kill();
        for life in 0..2 {
            let found = image(&fs, &options).unwrap_or_else(|e| panic!("{op:?}: {e}"));
            let needed = |done: &&Done| done.position.file != 1 || done.token == 0;
            assert!(acks.iter().filter(needed).all(|done| found.has(done, 7000)), "{op:?}, life {life}");
            drop(found);
            let world = World::open(&fs, &options).unwrap();
            // The number of the condensed file comes up again when files are recycled.
            world.wal.release_below(2);
            assert!(world.put(0, 5000 + life, 100));
            world.wal.close().unwrap();
        }
    }
}

#[test]
fn room_for_a_condensed_file_is_held_back() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    let mut token = 0;
    while world.append((token % 4) as i32, token, 7000).is_ok() {
        token += 1;
        assert!(world.acks.wait(token as usize, || false));
    }
    let space = world.wal.space();
    assert!(space.budget - space.used >= FILE / 2, "{space:?}");
    for file in space.files.iter().rev().skip(1).map(|f| f.file) {
        let done = world.wal.condense(file, &|meta, _| meta.partition == 1);
        assert!(matches!(done, Ok(Condensed::Done { .. })), "{done:?}");
        while world.wal.space().used > space.budget - FILE / 2 {
            std::thread::sleep(Duration::from_millis(1)); // a file without content goes, if need be
        }
    }
    let before = token;
    while world.append(0, token, 7000).is_ok() {
        token += 1;
        assert!(world.acks.wait(token as usize, || false));
    }
    assert!(token > before + 40, "condensing made room for {} frames", token - before);
    let space = world.wal.space();
    assert!(space.budget - space.used >= FILE / 2, "again: {space:?}");
}
