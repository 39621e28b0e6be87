//! Damage is never skipped silently: it is told from a torn tail, named, and given up only by accept-loss.
use super::*;

const LEN: usize = 2500;

/// A WAL of three files and more, as a kill leaves it, and what was acknowledged.
fn written() -> (FaultyFs, Vec<Done>) {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    for token in 0..50 {
        assert!(world.put((token % 3) as i32, token, LEN));
    }
    world.wal.close().unwrap();
    assert_eq!(world.acks.last().position.file, 4);
    (fs.after_kill(), world.acks.all())
}

fn damaged(fs: &FaultyFs) -> Damage {
    match image(fs, &options()) {
        Err(WalError::Damaged(damage)) => *damage,
        Err(other) => panic!("{other}"),
        Ok(found) => panic!("not noticed: {:?}", found.recovered),
    }
}

/// Accepts the loss; everything but the frames of `lost` is there, now and after a restart, and the WAL goes on.
fn accept(fs: &FaultyFs, acks: &[Done], lost: impl Fn(&Done) -> bool) {
    let refused = World::open_surveyed(fs);
    assert!(matches!(refused, Err(WalError::Damaged(_))), "no start on damage that nobody accepted");
    let accepted = accept_loss(Arc::new(fs.clone()), &options()).unwrap();
    assert!(!accepted.is_empty());
    assert_eq!(accept_loss(Arc::new(fs.clone()), &options()).unwrap(), [], "once is enough");
    for _life in 0..2 {
        let found = image(fs, &options()).unwrap();
        assert!(found.recovered.damage.iter().all(|d| d.accepted));
        assert_eq!(found.recovered.damage.len(), accepted.len());
        for done in acks {
            assert_eq!(found.has(done, LEN), !lost(done), "frame {}", done.token);
        }
        let last = found.recovered.last_group;
        drop(found);
        let world = World::open(fs, &options()).unwrap();
        let read = |done: &&Done| world.read(done).is_ok_and(|bytes| bytes == body(done.token, LEN));
        assert!(acks.iter().filter(|d| !lost(d)).all(|d| read(&d)));
        assert!(world.put(9, 1000 + last, 100));
        assert!(world.acks.last().position.group > last);
        world.wal.close().unwrap();
    }
}

impl World {
    /// Starts on what a survey found.
    fn open_surveyed(fs: &FaultyFs) -> Result<Wal, WalError> {
        let fs: Arc<dyn FileSystem> = Arc::new(fs.clone());
        let found = survey(fs.clone(), &options(), &mut |_| {})?;
        Wal::start(found, identity(), &options(), &surroundings(fs).0)
    }
}

#[test]
fn a_damaged_directory_stops_the_start_and_names_file_and_byte() {
    let (fs, acks) = written();
    let hit = acks[20];
    fs.tamper(&file_path(hit.position.file), |bytes| bytes[hit.position.at as usize - 30] ^= 0x40);
    let damage = damaged(&fs);
    assert_eq!(
        (damage.kind, damage.file, damage.at),
        (DamageKind::Directory, hit.position.file, hit.position.at - 152)
    );
    assert_eq!(damage.groups, hit.position.group..=hit.position.group);
    let text = damage.to_string();
    assert!(text.contains(&format!("{:020}.wal", hit.position.file)) && text.contains("accept-loss"), "{text}");
    accept(&fs, &acks, |done| done.token == hit.token);
}

#[test]
fn a_damaged_payload_stops_only_its_own_frame() {
    let (fs, acks) = written();
    let hit = acks[20];
    fs.tamper(&file_path(hit.position.file), |bytes| bytes[hit.position.at as usize + 30] ^= 0x40);
    let found = image(&fs, &options()).unwrap();
    assert_eq!(found.recovered.damage.len(), 1);
    assert_eq!(found.recovered.damage[0].frame, Some(hit.meta));
    assert_eq!(found.frames[&hit.token], (hit.position, None));
    assert!(acks.iter().all(|done| done.token == hit.token || found.has(done, LEN)));
    drop(found);
    drop(World::open(&fs, &options()).unwrap());
    let fs = fs.after_kill();
    assert_eq!(accept_loss(Arc::new(fs.clone()), &options()).unwrap().len(), 1);
    let found = image(&fs, &options()).unwrap();
    assert_eq!(found.frames[&hit.token].1, None, "the visit still tells of it");
    assert!(found.recovered.damage[0].accepted);
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let (fs, acks) = written();
    let random = Random::seeded(3);
    for round in 0..400 {
        let fs = fs.after_kill();
        let (number, at) = (1 + random.below(3), random.below(FILE) as usize);
        fs.tamper(&file_path(number), |bytes| bytes[at] ^= 1 << random.below(8));
        let Ok(found) = image(&fs, &options()) else { continue };
        let reported = found.recovered.damage.iter().filter_map(|d| d.frame).map(|m| m.base_offset as u64);
        let reported: Vec<u64> = reported.collect();
        for done in &acks {
            let there = found.has(done, LEN);
            assert!(there != reported.contains(&done.token), "round {round}: byte {at} of file {number}");
        }
    }
}

#[test]
fn several_groups_in_a_row_and_the_end_of_a_file_can_be_lost() {
    let (fs, acks) = written();
    let last_of_2 = acks.iter().rfind(|d| d.position.file == 2).unwrap();
    let from = last_of_2.position.at as usize - 152 - 8192;
    fs.tamper(&file_path(2), |bytes| bytes[from..].fill(0));
    let damage = damaged(&fs);
    assert_eq!((damage.file, damage.at, *damage.groups.end()), (2, from as u64, last_of_2.position.group));
    accept(&fs, &acks, |done| done.position.file == 2 && done.position.at as usize > from);
}

#[test]
fn a_damaged_header_costs_no_group() {
    for fill in [0, 0xFF] {
        for file in 1..=4 {
            let (fs, acks) = written();
            fs.tamper(&file_path(file), |bytes| bytes[..4096].fill(fill));
            let damage = damaged(&fs);
            assert_eq!((damage.kind, damage.file), (DamageKind::Header, file));
            accept(&fs, &acks, |_| false);
        }
    }
}

#[test]
fn a_missing_file_is_damage_and_so_is_one_that_is_all_zeros() {
    for gone in [true, false] {
        let (fs, acks) = written();
        match gone {
            true => fs.remove(&file_path(2)).unwrap(),
            false => fs.tamper(&file_path(2), |bytes| bytes.fill(0)),
        }
        let damage = damaged(&fs);
        let groups = acks.iter().filter(|d| d.position.file == 2).map(|d| d.position.group);
        assert_eq!(damage.groups, groups.clone().min().unwrap()..=groups.max().unwrap());
        assert_eq!(damage.kind, if gone { DamageKind::Missing } else { DamageKind::Header });
        accept(&fs, &acks, |done| done.position.file == 2);
    }
}

#[test]
fn a_damaged_condensed_file_is_noticed_too() {
    let (fs, acks) = written();
    let world = World::open(&fs, &options()).unwrap();
    world.wal.condense(2, &|meta, _| meta.partition == 1).unwrap();
    world.wal.close().unwrap();
    drop(world);
    let path = names::kept(Path::new("/wal"), 2);
    let acks: Vec<Done> = acks.into_iter().filter(|d| d.position.file != 2 || d.meta.partition == 1).collect();
    let whole = fs.after_kill();
    fs.tamper(&path, |bytes| bytes[4096 + 10] ^= 1);
    assert_eq!(damaged(&fs).kind, DamageKind::Kept);
    accept(&fs, &acks, |done| done.position.file == 2);
    whole.tamper(&path, |bytes| bytes[9000] ^= 1);
    let found = image(&whole, &options()).unwrap();
    assert_eq!(found.recovered.damage.len(), 1);
    assert_eq!(found.frames.values().filter(|(_, payload)| payload.is_none()).count(), 1);
}

#[test]
fn what_can_be_read_beyond_the_damage_can_be_exported() {
    let (fs, acks) = written();
    fs.remove(&file_path(2)).unwrap();
    let found = look(&fs, &options(), survey).unwrap();
    assert!(acks.iter().all(|done| found.has(done, LEN) == (done.position.file != 2)));
    assert!(!found.recovered.damage[0].accepted);
}

#[test]
fn a_file_of_another_wal_is_refused_by_name() {
    let (fs, _) = written();
    let other = FaultyFs::new();
    let options = options();
    let recovered = recover(Arc::new(other.clone()), &options, &mut |_| {}).unwrap();
    let stranger = Identity { wal_id: Uuid([8; 16]), ..identity() };
    let around = surroundings(Arc::new(other.clone())).0;
    Wal::start(recovered, stranger, &options, &around).unwrap().close().unwrap();
    let foreign = other.bytes(&file_path(1)).unwrap();
    fs.tamper(&file_path(1), |bytes| bytes[..foreign.len()].copy_from_slice(&foreign));
    let error = image(&fs, &options).err().unwrap();
    assert!(matches!(error, WalError::Foreign { .. }), "{error}");
    let recovered = recover(Arc::new(other.clone()), &options, &mut |_| {}).unwrap();
    let error = Wal::start(recovered, identity(), &options, &around).unwrap_err();
    assert!(matches!(error, WalError::Foreign { .. }), "{error}");
}

#[test]
fn a_file_whose_header_is_that_of_another_number_and_whose_groups_are_its_own_is_damaged_and_not_blank() {
    for file in [3, 4] {
        let (fs, acks) = written();
        let other = fs.bytes(&file_path(1)).unwrap()[..4096].to_vec();
        fs.tamper(&file_path(file), |bytes| bytes[..4096].copy_from_slice(&other));
        let damage = damaged(&fs);
        assert_eq!((damage.kind, damage.file), (DamageKind::Header, file));
        accept(&fs, &acks, |_| false);
    }
}

#[test]
fn a_chain_that_does_not_fit_is_whole_again_once_its_loss_is_accepted() {
    for file in 2..=4 {
        let (fs, acks) = written();
        // The file says that it came after another group than the one that is there.
        fs.tamper(&file_path(file), |bytes| {
            bytes[88] ^= 1;
            let crc = crc32c::crc32c(&bytes[..4092]);
            bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
        });
        assert_eq!(damaged(&fs).file, file);
        // What is in its first group was chained to what is there; the rest of the file is not lost.
        let accepted = accept_loss(Arc::new(fs.clone()), &options()).unwrap();
        assert!(!accepted.is_empty());
        assert_eq!(accept_loss(Arc::new(fs.clone()), &options()).unwrap(), [], "file {file}: once is enough");
        let found = image(&fs, &options()).unwrap();
        assert!(acks.iter().filter(|done| done.position.file != file).all(|done| found.has(done, LEN)), "file {file}");
        drop(found);
        assert!(World::open(&fs, &options()).unwrap().put(0, 1000, LEN));
    }
}

#[test]
fn groups_go_on_above_what_is_known_to_be_lost_and_a_file_says_so() {
    let (fs, acks) = written();
    let mut recovered = recover(Arc::new(fs.clone()), &options(), &mut |_| {}).unwrap();
    let (last, file) = (recovered.last_group, recovered.files.last().unwrap().file);
    recovered.go_on_above(last - 1);
    drop(recovered);
    for life in 0..3 {
        let mut recovered = recover(Arc::new(fs.clone()), &options(), &mut |_| {}).unwrap();
        recovered.go_on_above(last + 50);
        let (around, _) = surroundings(Arc::new(fs.clone()));
        let wal = Wal::start(recovered, identity(), &options(), &around).unwrap();
        assert!(wal.durable_group() >= last + 50, "life {life}");
        let world = World { wal, acks: Arc::default(), fatal: Arc::default(), metrics: Metrics::new() };
        assert!(world.put(0, 1000 + life, LEN));
        assert!(world.acks.last().position.group > last + 50);
        world.wal.close().unwrap();
        drop(world);
        let found = image(&fs, &options()).unwrap();
        assert!(acks.iter().all(|done| found.has(done, LEN)));
        let [jump] = &found.recovered.damage[..] else { panic!("{:?}", found.recovered.damage) };
        assert_eq!((jump.accepted, jump.file, jump.groups.clone()), (true, file + 1, last + 1..=last + 50));
    }
}

#[test]
fn what_follows_the_end_tells_a_damaged_end_from_an_old_copy() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 1, LEN));
    let copy = fs.after_kill();
    assert!(world.put(0, 2, LEN));
    let last = world.acks.last().position;
    assert!(image(&copy, &options()).unwrap().recovered.beyond.is_none());
    for unreadable in [false, true] {
        let hurt = fs.after_kill();
        match unreadable {
            true => hurt.spoil(&file_path(1), last.at - 152),
            false => hurt.tamper(&file_path(1), |bytes| bytes[last.at as usize + 5] ^= 1),
        }
        let found = image(&hurt, &options()).unwrap().recovered;
        assert_eq!((found.last_group, found.beyond.is_some()), (1, true), "unreadable: {unreadable}");
    }
    world.wal.close().unwrap();
}

#[test]
fn a_feature_that_only_writing_or_recycling_needs_does_not_keep_anybody_from_reading() {
    for (list, name) in [(0, "encrypted"), (1, "staged"), (2, "standby")] {
        let (fs, acks) = written();
        fs.tamper(&file_path(3), |bytes| {
            let at = 128 + 2 * list;
            bytes[at] = 1;
            bytes[at + 2] = name.len() as u8;
            bytes[at + 3..][..name.len()].copy_from_slice(name.as_bytes());
            let crc = crc32c::crc32c(&bytes[..4092]);
            bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
        });
        let refused = image(&fs, &options()).err().unwrap();
        assert!(matches!(refused, WalError::Unsupported { .. }) && refused.to_string().contains(name), "{refused}");
        assert!(accept_loss(Arc::new(fs.clone()), &options()).is_err());
        match look(&fs, &options(), survey) {
            Ok(found) => assert!(list > 0 && acks.iter().all(|done| found.has(done, LEN))),
            Err(error) => assert!(list == 0, "{error}"),
        }
    }
}

#[test]
fn an_end_that_looks_torn_is_given_up_where_nothing_else_is_damaged() {
    let (fs, acks) = written();
    let last = acks.iter().map(|done| done.position).max_by_key(|position| (position.group, position.at)).unwrap();
    fs.tamper(&file_path(last.file), |bytes| {
        let at = usize::try_from(last.at).unwrap();
        bytes[at] ^= 1;
        bytes[(at + LEN).next_multiple_of(4096)..].fill(0);
    });
    let found = image(&fs, &options()).unwrap().recovered;
    assert!(found.torn.is_some() && found.damage.is_empty(), "nothing here tells it from a torn tail");
    assert_eq!(found.last_group, last.group - 1);
    drop(found);
    let accepted = accept_loss(Arc::new(fs.clone()), &options()).unwrap();
    assert_eq!(accepted.iter().map(|damage| damage.groups.clone()).collect::<Vec<_>>(), [last.group..=last.group]);
    assert_eq!(accept_loss(Arc::new(fs.clone()), &options()).unwrap(), [], "once is enough");
    for life in 0..2 {
        let found = image(&fs, &options()).unwrap();
        assert!(found.recovered.torn.is_none() && found.recovered.damage.len() == 1, "{:?}", found.recovered);
        assert!(found.recovered.damage[0].accepted && found.recovered.damage[0].frame.is_none());
        for done in &acks {
            assert_eq!(found.has(done, LEN), done.position.group < last.group, "frame {}", done.token);
        }
        drop(found);
        let world = World::open(&fs, &options()).unwrap();
        assert!(world.put(9, 1000 + life, 100));
        assert!(world.acks.last().position.group > last.group, "no group number is used twice");
        world.wal.close().unwrap();
    }
}
