//! Files that the first version wrote, kept in `tests/fixtures/wal`, are read by every later one.
use super::*;

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/wal");
const NAMES: [&str; 2] = ["00000000000000000001.kept", "00000000000000000002.wal"];

/// Frames 0 to 15, of which the first file's seven were condensed to those of partition 1; then one urgent one of another kind.
fn write(fs: &FaultyFs) {
    let world = World::open(fs, &options()).unwrap();
    for token in 0..16 {
        assert!(world.put((token % 4) as i32, token, if token < 8 { 7000 } else { 200 }));
    }
    world.wal.condense(1, &|meta, _| meta.partition == 1).unwrap();
    let txn = FrameMeta { kind: 6, topic_id: Uuid::ZERO, max_timestamp: -1, ..meta(5, 16) };
    world.wal.append(Append { meta: txn, ..world.frame(5, 16, 30, true) }).unwrap();
    assert!(world.acks.wait(17, || false));
    world.wal.close().unwrap();
}

#[test]
#[ignore = "writes the fixture anew, which only a new format may ask for"]
fn write_the_fixture() {
    let fs = FaultyFs::new();
    write(&fs);
    for name in NAMES {
        let mut bytes = fs.bytes(&Path::new("/wal").join(name)).unwrap();
        let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
        bytes.truncate(end.next_multiple_of(4096));
        std::fs::create_dir_all(DIR).unwrap();
        std::fs::write(Path::new(DIR).join(name), bytes).unwrap();
    }
}

#[test]
fn files_of_the_first_version_are_read_as_they_were_written() {
    let fs = FaultyFs::new();
    for name in NAMES {
        let bytes = std::fs::read(Path::new(DIR).join(name)).unwrap();
        let file = fs.open(&Path::new("/wal").join(name), fs::Open::Create).unwrap();
        file.write_at(&bytes, 0).unwrap();
    }
    let found = image(&fs, &options()).unwrap();
    assert_eq!(found.recovered.identity, Some(identity()));
    assert_eq!((found.recovered.first_group, found.recovered.last_group), (1, 18));
    assert_eq!(found.recovered.torn, None);
    let tokens: Vec<u64> = found.frames.keys().copied().collect();
    assert_eq!(tokens, [1, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    for (token, (position, payload)) in &found.frames {
        let len = [7000, 200, 30][usize::from(*token > 7) + usize::from(*token > 15)];
        assert_eq!(payload.as_deref(), Some(&body(*token, len)[..]));
        assert_eq!((position.file, position.group), (if *token < 7 { 1 } else { 2 }, token + 1));
    }
    drop(found);
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 17, 100), "and written to");
}
