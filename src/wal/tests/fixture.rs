//! Files that the first version wrote, kept in `tests/fixtures`, are read by every later one, and written again to the byte.
//!
//! `wal` has a condensed file, frames of every kind, and a file that was recycled: behind its groups lies what the file held
//! before, under another salt. `wal-first` is the very first file of a WAL, which has 8 MiB. Zeros at their ends are left out.
use super::*;
use crate::record::{EndMarker, Outcome};
use crate::wal::buffer::BLOCK;
use crate::wal::frame::{ENTRY_LEN, Entry};
use crate::wal::group::{GroupHead, HEAD_LEN};
use crate::wal::header::{Header, Kind};
use crate::wal::kept::{Directory, index};
use crate::wal::window::Window;

const FIRST: u64 = 8 << 20;
const FILLED_FROM: u64 = 100;

fn dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn large() -> WalOptions {
    WalOptions { file_bytes: 2 * FIRST, budget_bytes: Some(8 * FIRST), ..options() }
}

/// Frames of the kinds that hold no records, by their base offset: of state, a move of log start, a gap, a marker, and one of
/// a kind that nobody knows.
fn kinds() -> BTreeMap<u64, (FrameMeta, Bytes)> {
    let state = FrameMeta { topic_id: Uuid([0xff; 16]), partition: 0, records: 3, max_timestamp: -1, ..meta(0, 0) };
    let marker = EndMarker {
        producer_id: 1 << 32,
        producer_epoch: 3,
        outcome: Outcome::Aborted,
        coordinator_epoch: 1,
        offset: 25,
        leader_epoch: 1,
        timestamp: 5,
    };
    let text = r#"{"group/g":{"type":"consumer","epoch":1,"target_epoch":0},"offset/BAQEBAQEBAQEBAQEBAQEBA/0/g":{"3":[42,1,"",6]},"txn/x":null}"#;
    [
        (FrameMeta { kind: 6, topic_id: Uuid::ZERO, max_timestamp: -1, ..meta(5, 16) }, body(16, 30)),
        (FrameMeta { kind: FrameKind::STATE, ..state }, Bytes::from_static(text.as_bytes())),
        (FrameMeta { kind: FrameKind::LOG_START, records: 0, max_timestamp: -1, ..meta(1, 18) }, Bytes::new()),
        (FrameMeta { kind: FrameKind::GAP, records: 0, last_offset: 24, ..meta(1, 19) }, Bytes::new()),
        (meta(1, 25), marker.to_batch()),
    ]
    .into_iter()
    .map(|(meta, body)| (meta.base_offset as u64, (meta, body)))
    .collect()
}

fn filler() -> Bytes {
    Bytes::from(vec![b'x'; 7000])
}

/// A file that was begun and still holds what was written to the first.
fn recycled(world: &World, fs: &FaultyFs) -> Option<u64> {
    let old = body(6, 7000);
    let holds_old = |file: &u64| {
        let bytes = fs.bytes(&file_path(*file)).unwrap_or_default();
        bytes.chunks(BLOCK).any(|block| block.windows(64).any(|bytes| bytes == &old[100..164]))
    };
    world.wal.space().files.iter().map(|file| file.file).filter(|file| *file > 2).find(holds_old)
}

/// Frames 0 to 15, of which the first file's seven were condensed to those of partition 1; one of each other kind; then as many
/// as it takes until the first file is in use again.
fn write(fs: &FaultyFs) {
    let world = World::open(fs, &options()).unwrap();
    for token in 0..16 {
        assert!(world.put((token % 4) as i32, token, if token < 8 { 7000 } else { 200 }));
    }
    world.wal.condense(1, &|meta, _| meta.partition == 1).unwrap();
    let put = |meta: FrameMeta, body: Bytes| {
        let before = world.acks.all().len();
        world.wal.append(Append { meta, body, ..world.frame(0, meta.base_offset as u64, 0, true) }).unwrap();
        assert!(world.acks.wait(before + 1, || false));
    };
    kinds().into_values().for_each(|(meta, body)| put(meta, body));
    let mut token = FILLED_FROM;
    while recycled(&world, fs).is_none() {
        assert!(token < FILLED_FROM + 100, "the first file does not come back");
        put(meta(0, token), filler());
        token += 1;
    }
    world.wal.close().unwrap();
}

fn write_first(fs: &FaultyFs) {
    let world = World::open(fs, &large()).unwrap();
    assert!((0..3).all(|token| world.put(1, token, 200)));
    world.wal.close().unwrap();
}

#[test]
#[ignore = "writes the fixture anew, which only a new format may ask for"]
fn write_the_fixture() {
    for (name, write) in [("wal", write as fn(&FaultyFs)), ("wal-first", write_first)] {
        let fs = FaultyFs::new();
        write(&fs);
        let _ = std::fs::remove_dir_all(dir(name));
        std::fs::create_dir_all(dir(name)).unwrap();
        for path in fs.paths() {
            let mut bytes = fs.bytes(&path).unwrap_or_default();
            let kind = match path.extension().and_then(|kind| kind.to_str()) {
                Some("wal") => Kind::Wal,
                Some("kept") => Kind::Kept,
                _ => continue,
            };
            let header = Header::decode(kind, &bytes, &path).unwrap();
            // A file under the name of another number was not begun yet.
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if header.is_some_and(|header| stem == format!("{:020}", header.file)) {
                bytes.truncate(end_of(&bytes).next_multiple_of(BLOCK));
                std::fs::write(dir(name).join(path.file_name().unwrap()), bytes).unwrap();
            }
        }
    }
}

fn end_of(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)
}

/// The fixture on a disk, each file of this length at least, and the paths of its files.
fn stored(name: &str, len: u64) -> (FaultyFs, Vec<PathBuf>) {
    let fs = FaultyFs::new();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir(name)).unwrap() {
        let from = entry.unwrap().path();
        let path = Path::new("/wal").join(from.file_name().unwrap());
        let mut bytes = std::fs::read(from).unwrap();
        if path.extension().is_some_and(|kind| kind == "wal") {
            bytes.resize(len as usize, 0);
        }
        fs.open(&path, fs::Open::Create).unwrap().write_at(&bytes, 0).unwrap();
        paths.push(path);
    }
    paths.sort();
    (fs, paths)
}

#[test]
fn files_of_the_first_version_are_read_as_they_were_written() {
    let (fs, paths) = stored("wal", FILE);
    let found = image(&fs, &options()).unwrap();
    assert_eq!(found.recovered.identity, Some(identity()));
    assert_eq!((found.recovered.first_group, &found.recovered.torn), (1, &None));
    let tokens: Vec<u64> = found.frames.keys().copied().collect();
    let fillers = tokens.iter().filter(|token| **token >= FILLED_FROM).count();
    assert_eq!(tokens[..tokens.len() - fillers], [0, 1, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 25]);
    assert_eq!(tokens[tokens.len() - fillers..], (FILLED_FROM..).take(fillers).collect::<Vec<_>>());
    let kinds = kinds();
    for (token, (position, payload)) in &found.frames {
        let expected = match kinds.get(token) {
            Some((_, body)) => body.clone(),
            None if *token >= FILLED_FROM => filler(),
            None => body(*token, if *token < 8 { 7000 } else { 200 }),
        };
        assert_eq!(payload.as_deref(), Some(&expected[..]), "{token}");
        if (1..16).contains(token) {
            assert_eq!((position.file, position.group), (if *token < 7 { 1 } else { 2 }, token + 1));
        }
    }
    drop(found);
    let mut metas = BTreeMap::new();
    recover(Arc::new(fs.clone()), &options(), &mut |visit| {
        metas.insert(visit.meta.base_offset as u64, *visit.meta);
    })
    .unwrap();
    kinds.iter().for_each(|(token, (meta, _))| assert_eq!(metas[token], *meta));
    assert!(paths[0].ends_with("00000000000000000001.kept") && paths.len() > 2);
    // The newest file was another before: groups of another salt lie behind its own.
    let bytes = fs.bytes(paths.last().unwrap()).unwrap();
    let header = Header::decode(Kind::Wal, &bytes, Path::new("f")).unwrap().unwrap();
    let heads = bytes.chunks(BLOCK).filter_map(|block| GroupHead::peek(block, [9; 8], 1));
    assert!(heads.clone().count() > 0 && heads.into_iter().all(|head| head.salt != header.salt));
    let world = World::open(&fs, &options()).unwrap();
    assert!(world.put(0, 17, 100), "and written to");
}

#[test]
fn the_first_file_of_the_first_version_has_8_mib_and_is_read_as_it_was_written() {
    let (fs, paths) = stored("wal-first", FIRST);
    assert_eq!(paths.len(), 1);
    let found = image(&fs, &large()).unwrap();
    assert_eq!(found.frames.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((found.recovered.torn.clone(), found.recovered.last_group), (None, 4));
    drop(found);
    let world = World::open(&fs, &large()).unwrap();
    assert!(world.put(0, 3, 100), "and written to");
    let fresh = FaultyFs::new();
    write_first(&fresh);
    assert_eq!(fresh.bytes(&file_path(1)).unwrap().len() as u64, FIRST, "so it is made today");
}

/// Header and groups of a file, taken apart and put together again.
fn again(bytes: &[u8]) -> Vec<u8> {
    let header = Header::decode(Kind::Wal, bytes, Path::new("f")).unwrap().unwrap();
    let mut out = header.encode().to_vec();
    while let Some(head) =
        GroupHead::peek(&bytes[out.len()..], [9; 8], header.file).filter(|head| head.salt == header.salt)
    {
        let old = &bytes[out.len()..out.len() + head.len as usize];
        assert!(head.is_intact(old) && head.payloads_match(old));
        let mut group = vec![0; old.len()];
        let entries: Vec<Entry> = head.entries(old).collect();
        for (at, entry) in entries.iter().enumerate() {
            group[HEAD_LEN + at * ENTRY_LEN..][..ENTRY_LEN].copy_from_slice(&entry.encode());
        }
        let payloads = head.directory_end()..head.directory_end() + head.payload as usize;
        group[payloads.clone()].copy_from_slice(&old[payloads]);
        assert_eq!(head.seal(&mut group), head.crc);
        out.extend(group);
        if out.len() >= bytes.len() {
            break;
        }
    }
    out
}

#[test]
fn files_of_the_first_version_are_written_again_to_the_byte() {
    let mut groups = 0;
    for (name, len) in [("wal", FILE), ("wal-first", FIRST)] {
        let (fs, paths) = stored(name, len);
        for path in paths {
            let bytes = fs.bytes(&path).unwrap();
            if path.extension().is_some_and(|kind| kind == "kept") {
                let mut directory = Directory::read(&mut Window::open(&fs, &path).unwrap(), &path).unwrap().unwrap();
                let places: BTreeMap<u64, u64> = index(&directory).into_iter().collect();
                let copy = FaultyFs::new();
                let mut payload =
                    |frame: &crate::wal::kept::KeptFrame, put: &mut dyn FnMut(&[u8]) -> Result<(), WalError>| {
                        let at = places[&frame.at] as usize;
                        put(&bytes[at..at + frame.entry.len as usize])
                    };
                directory.write(&copy, Path::new("/wal"), &mut payload).unwrap();
                assert_eq!(copy.bytes(&path).unwrap(), bytes);
                continue;
            }
            let again = again(&bytes);
            assert!(again == bytes[..again.len()], "{}", path.display());
            assert!(again.len() > BLOCK, "{}", path.display());
            groups += 1;
        }
    }
    assert!(groups > 2);
}
