//! What was appended can be read: from memory, from disk, after a restart, and from a condensed file.
use super::*;

#[test]
fn frames_come_back_in_order_from_memory_from_disk_and_after_a_kill() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    for token in 0..200 {
        assert!(world.put((token % 3) as i32, token, 100 + token as usize * 7));
    }
    let acks = world.acks.all();
    assert!(world.wal.space().files.len() > 2, "the files rolled");
    assert_eq!(world.wait_durable(200), 200);
    for done in &acks {
        assert_eq!(world.read(done).unwrap(), body(done.token, 100 + done.token as usize * 7));
    }
    assert!(world.wal.read_memory(&[acks[199].position], false).is_some(), "the newest is in memory");
    assert!(world.wal.read_memory(&[acks[0].position], false).is_none(), "the oldest is not");
    let killed = fs.after_kill();
    let image = image(&killed, &options()).unwrap();
    assert!(acks.iter().all(|done| image.has(done, 100 + done.token as usize * 7)));
    assert_eq!((image.recovered.first_group, image.recovered.last_group), (1, 200));
    assert_eq!(image.recovered.identity, Some(identity()));
    assert_eq!(image.recovered.torn, None);
    drop(image);
    let again = World::open(&killed, &options()).unwrap();
    assert!(acks.iter().all(|done| again.read(done).unwrap() == body(done.token, 100 + done.token as usize * 7)));
}

#[test]
fn a_head_is_written_in_front_of_the_body() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    let frame = Append { head: Some([3; 61]), ..world.frame(0, 1, 40_000, false) };
    world.wal.append(frame).unwrap();
    assert!(world.acks.wait(1, || false));
    let read = world.read(&world.acks.last()).unwrap();
    assert_eq!(read[..61], [3; 61]);
    assert_eq!(read[61..], body(1, 40_000));
}

#[test]
fn frames_of_a_partition_lie_side_by_side_and_join_to_one_piece() {
    let fs = FaultyFs::new();
    let options = WalOptions { tail_bytes: 1 << 20, group_max_bytes: 32 << 10, ..options() };
    let world = World::open(&fs, &options).unwrap();
    let gate = Gate::default();
    world.wal.append(Append { sink: Arc::new(gate.clone()), ..world.frame(0, 99, 1, false) }).unwrap();
    gate.wait_until_reached();
    for token in 0..40 {
        world.append((token % 2) as i32, token, 100).unwrap();
    }
    gate.open();
    assert!(world.acks.wait(40, || false));
    let mut acks = world.acks.all();
    acks.retain(|d| d.meta.partition == 1 && d.position.group > 1);
    assert_eq!(acks.len(), 20);
    assert!(acks.iter().all(|d| d.position.group == acks[0].position.group), "one group took all that waited");
    let positions: Vec<_> = acks.iter().map(|d| d.position).collect();
    let expected: Vec<u8> = acks.iter().flat_map(|d| body(d.token, 100)).collect();
    assert_eq!(world.wal.read_memory(&positions, true).unwrap(), vec![Bytes::from(expected.clone())]);
    assert_eq!(world.wal.read_memory(&positions, false).unwrap().len(), positions.len());
    world.wal.close().unwrap();
    drop(world);
    let cold = World::open(&fs, &options).unwrap();
    assert_eq!(cold.wal.read_memory(&positions, true), None);
    assert_eq!(cold.wal.read(&positions, true).unwrap(), vec![Bytes::from(expected)]);
}

#[test]
fn a_read_may_mix_files_memory_and_disk() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    for token in 0..100 {
        assert!(world.put(0, token, 3000));
    }
    let positions: Vec<_> = world.acks.all().iter().map(|d| d.position).collect();
    for join in [false, true] {
        let expected: Vec<u8> = (0..100).flat_map(|token| body(token, 3000)).collect();
        assert_eq!(world.wal.read(&positions, join).unwrap().concat(), expected);
        let backwards: Vec<_> = positions.iter().rev().copied().collect();
        let expected: Vec<u8> = (0..100).rev().flat_map(|token| body(token, 3000)).collect();
        assert_eq!(world.wal.read(&backwards, join).unwrap().concat(), expected);
    }
}

#[test]
fn a_changed_byte_is_noticed_when_it_is_read() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &WalOptions { tail_bytes: 0, ..options() }).unwrap();
    assert!(world.put(0, 1, 500));
    let done = world.acks.last();
    fs.tamper(&file_path(done.position.file), |bytes| bytes[done.position.at as usize + 5] ^= 1);
    let error = world.read(&done).unwrap_err();
    assert!(matches!(error, WalError::Damaged(_)), "{error}");
    assert!(error.to_string().contains("00000001.wal"), "{error}");
}

#[test]
fn slow_readers_do_not_hold_more_than_the_tail_may() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &WalOptions { tail_bytes: 16 << 10, ..options() }).unwrap();
    let mut held = Vec::new();
    for token in 0..60 {
        assert!(world.put(0, token, 5000));
        held.push(world.wal.read(&[world.acks.last().position], false).unwrap());
    }
    for (token, pieces) in held.iter().enumerate() {
        assert_eq!(pieces[0], body(token as u64, 5000));
    }
}

#[test]
fn condensing_keeps_what_is_needed_at_its_position_also_after_a_restart() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    for token in 0..90 {
        assert!(world.put((token % 10) as i32, token, 2000));
    }
    let acks = world.acks.all();
    let last = world.wal.space().files.last().unwrap().file;
    assert!(last >= 3);
    let slow = |meta: &FrameMeta, _: u64| meta.partition == 3;
    assert!(matches!(world.wal.condense(1, &|_, _| true), Ok(Condensed::TooMuch { .. })));
    assert!(matches!(world.wal.condense(last, &slow), Err(WalError::NotCondensable { .. })));
    for file in 1..last {
        let Condensed::Done { kept } = world.wal.condense(file, &slow).unwrap() else { panic!("{file}") };
        assert!(kept < FILE / 2);
    }
    let check = |world: &World| {
        for done in acks.iter().filter(|d| d.position.file < last) {
            match done.meta.partition {
                3 => assert_eq!(world.read(done).unwrap(), body(done.token, 2000)),
                _ => assert!(matches!(world.read(done), Err(WalError::Recycled(_)))),
            }
        }
    };
    check(&world);
    world.wal.close().unwrap();
    drop(world);
    let found = image(&fs, &options()).unwrap();
    assert!(acks.iter().filter(|d| d.meta.partition == 3 || d.position.file == last).all(|d| found.has(d, 2000)));
    assert_eq!(found.recovered.first_group, 1);
    drop(found);
    let again = World::open(&fs, &options()).unwrap();
    check(&again);
    // A condensed file is condensed further, down to a header that keeps the chain whole.
    assert!(matches!(again.wal.condense(1, &|_, _| false), Ok(Condensed::Done { kept: 4096 })));
    again.wal.close().unwrap();
    drop(again);
    assert_eq!(image(&fs, &options()).unwrap().recovered.first_group, 1);
}

#[test]
fn the_real_file_system_does_the_same_with_and_without_direct_io() {
    for real in [fs::RealFs::new(), fs::RealFs::buffered()] {
        let dir = tempfile::tempdir().unwrap();
        let options = WalOptions { dir: dir.path().join("a/wal"), ..options() };
        let fs: Arc<dyn FileSystem> = Arc::new(real);
        let world = World::open_on(fs.clone(), &options).unwrap();
        for token in 0..150 {
            assert!(world.put((token % 3) as i32, token, 1500));
        }
        let acks = world.acks.all();
        assert!(acks.iter().all(|done| world.read(done).unwrap() == body(done.token, 1500)));
        let locked = recover(fs.clone(), &options, &mut |_| {}).unwrap_err();
        assert!(matches!(locked, WalError::Locked(_)), "{locked}");
        world.wal.close().unwrap();
        drop(world);
        let again = World::open_on(fs, &options).unwrap();
        assert!(acks.iter().all(|done| again.read(done).unwrap() == body(done.token, 1500)));
        assert!(again.put(0, 1000, 60_000));
        again.wal.close().unwrap();
    }
}

#[test]
fn a_group_counts_as_durable_only_when_all_its_sinks_were_told() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    let before = world.wal.durable_group();
    let gate = Gate::default();
    world.wal.append(Append { sink: Arc::new(gate.clone()), ..world.frame(0, 99, 1, false) }).unwrap();
    gate.wait_until_reached();
    assert_eq!(world.wal.durable_group(), before, "whoever releases the WAL up to here would miss the frame");
    gate.open();
    assert!(world.put(0, 1, 10));
    assert!(world.wal.durable_group() > before);
}
