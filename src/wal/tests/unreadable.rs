//! A sector that the disk does not give is damage like bytes that do not match: named, and with a way out.
use super::*;

const LEN: usize = 5000;
/// What is read at once: the block behind the one with the directory is the payload's alone.
const BLOCK: u64 = 4096;

/// Frames in three files and more, after a clean stop.
fn written() -> (FaultyFs, Vec<Done>) {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    for token in 0..40 {
        assert!(world.put((token % 3) as i32, token, LEN));
    }
    world.wal.close().unwrap();
    (fs.after_kill(), world.acks.all())
}

#[test]
fn an_unreadable_payload_stops_only_its_own_frame() {
    let (fs, acks) = written();
    let hit = acks[12];
    fs.spoil(&file_path(hit.position.file), hit.position.at + BLOCK);
    let found = image(&fs, &options()).unwrap();
    assert_eq!(found.recovered.damage.len(), 1);
    assert_eq!(found.recovered.damage[0].frame, Some(hit.meta));
    assert!(acks.iter().all(|done| found.has(done, LEN) == (done.token != hit.token)));
}

#[test]
fn an_unreadable_directory_or_header_is_named_shown_and_can_be_given_up() {
    let (_, acks) = written();
    for (at, lost) in [(Some(acks[12]), Some(12)), (None, None)] {
        let (fs, acks) = written();
        let file = at.map_or(2, |done| done.position.file);
        fs.spoil(&file_path(file), at.map_or(0, |done| done.position.at - 152));
        let error = image(&fs, &options()).err().unwrap();
        assert!(matches!(&error, WalError::Damaged(damage) if damage.file == file), "{error}");
        let seen = look(&fs, &options(), survey).unwrap();
        assert!(acks.iter().all(|done| seen.has(done, LEN) == (Some(done.token) != lost)));
        drop(seen);
        assert_eq!(accept_loss(Arc::new(fs.clone()), &options()).unwrap().len(), 1);
        let found = image(&fs, &options()).unwrap();
        assert!(acks.iter().all(|done| found.has(done, LEN) == (Some(done.token) != lost)));
        drop(found);
        assert!(World::open(&fs, &options()).unwrap().put(0, 1000, LEN), "it goes on");
    }
}

#[test]
fn the_last_block_that_was_never_acknowledged_may_be_unreadable() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 1, LEN) && world.put(0, 2, LEN));
    let killed = fs.after_kill();
    killed.spoil(&file_path(1), world.acks.last().position.at);
    let found = image(&killed, &options()).unwrap();
    assert_eq!((found.recovered.last_group, found.recovered.damage.len()), (1, 0));
    drop(found);
    assert!(World::open(&killed, &options()).unwrap().put(0, 3, LEN));
}

#[test]
fn a_reader_of_a_running_wal_is_told_which_frame_cannot_be_read_and_gets_the_others() {
    let (fs, acks) = written();
    let world = World::open(&fs, &options()).unwrap();
    let hit = acks[12];
    fs.spoil(&file_path(hit.position.file), hit.position.at + BLOCK);
    let positions: Vec<Position> = acks.iter().map(|done| done.position).collect();
    let error = world.wal.read(&positions, true).unwrap_err();
    assert!(matches!(&error, WalError::Damaged(damage) if damage.at == hit.position.at), "{error}");
    for done in acks.iter().filter(|done| done.token != hit.token) {
        assert_eq!(world.read(done).unwrap(), body(done.token, LEN), "frame {}", done.token);
    }
    assert!(matches!(world.wal.condense(hit.position.file, &|_, _| true), Ok(Condensed::TooMuch { .. })));
    let condensed = world.wal.condense(hit.position.file, &|meta, _| meta == &hit.meta);
    assert!(matches!(condensed, Err(WalError::Damaged(_))), "{condensed:?}");
    assert!(world.put(0, 1000, LEN), "which is not the end");
}
