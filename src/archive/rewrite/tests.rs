use std::collections::BTreeMap;

use bytes::Bytes;

use super::choose::{Policy, Size};
use super::*;
use crate::archive::Bucket;
use crate::archive::bucket::OpenMode;
use crate::archive::fsck::fsck;
use crate::archive::manifest::{PartitionReader, Sums};
use crate::archive::segment::SegmentEncoder;
use crate::archive::testing::OwnedBucket;
use crate::archive::testing::seal;
use crate::record::Record;
use crate::store::envelope::Unknown;

/// Key and value by offset.
type History = BTreeMap<i64, (Option<u8>, Option<u8>)>;

struct World {
    owned: OwnedBucket,
    rewriter: Rewriter,
    spec: SegmentSpec,
    sealed: History,
    next: i64,
}

impl World {
    /// `memory`: of the rewriter.
    async fn new(memory: u64) -> Self {
        let owned = OwnedBucket::new().await;
        let rewriter = Rewriter {
            store: owned.store.clone(),
            budget: ByteBudget::new("test", memory),
            random: Random::seeded(7),
            clock: owned.clock.clone(),
            tasks: Tasks::current(),
        };
        let partition = &owned.partition;
        let spec = SegmentSpec { block_bytes: 600, slice_bytes: 100, ..SegmentSpec::new(partition.topic_id(), 0, 0) };
        Self { owned, rewriter, spec, sealed: History::new(), next: 0 }
    }

    /// Seals records of these keys and values as one segment.
    async fn seal(&mut self, records: &[(Option<u8>, Option<u8>)]) {
        self.seal_saying(records, &Unknown::new()).await;
    }

    /// The same; the entry says more than this build knows, at every level.
    async fn seal_saying(&mut self, records: &[(Option<u8>, Option<u8>)], unknown: &Unknown) {
        let partition = &self.owned.partition;
        let (first, next) = (self.next, self.next + records.len() as i64);
        let name = partition.begin_segment(first);
        let mut encoder = SegmentEncoder::new(SegmentSpec { first_offset: first, ..self.spec.clone() }).unwrap();
        for (offset, (key, value)) in (first..).zip(records) {
            let record = Record {
                offset,
                timestamp: self.owned.clock.now_ms(),
                key: key.map(|k| Bytes::from(format!("key {k}"))),
                value: value.map(|v| Bytes::from(format!("a value {v}"))),
                ..Record::default()
            };
            encoder.push(&record.as_ref()).unwrap();
            self.sealed.insert(offset, (*key, *value));
        }
        let (chunks, mut meta) = encoder.finish(next).unwrap();
        meta.unknown = unknown.clone();
        meta.blocks[0].unknown = unknown.clone();
        self.owned.store.create(name.path(), chunks.concat().into()).await.unwrap();
        let entry = SegmentEntry {
            name: name.name().to_owned(),
            root: None,
            control: 0,
            aborted: 0,
            compacted: 0,
            sealed_ms: self.owned.clock.now_ms(),
            meta,
            unknown: unknown.clone(),
        };
        partition.commit(seal(vec![Entry::Segment(Box::new(entry))], &[])).await.unwrap();
        self.next = next;
    }

    async fn compact(&self, policy: &Policy) -> Option<Done> {
        self.rewriter.compact(&self.owned.partition, policy, &self.spec, &mut Looked::default()).await.unwrap()
    }

    /// What is there, by reading every segment.
    async fn contents(&self) -> History {
        let partition = &self.owned.partition;
        let scanner =
            Scanner { store: self.owned.store.clone(), view: partition.view(), tasks: self.rewriter.tasks.clone() };
        let mut found = History::new();
        for entry in live(partition).await {
            let Some(segment) = entry.segment() else { continue };
            found = scanner
                .scan(segment, Part::Whole, found, |found, _, record| {
                    let number = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().rsplit(' ').next().unwrap().parse();
                    let (key, value) = (record.key.map(number), record.value.map(number));
                    let of = |n: Option<Result<u8, _>>| n.map(Result::unwrap);
                    assert!(found.insert(record.offset, (of(key), of(value))).is_none());
                    Ok(())
                })
                .await
                .unwrap();
        }
        found
    }

    /// Every offset is a record or counted as compacted.
    async fn adds_up(&self) {
        let entries = live(&self.owned.partition).await;
        let sums = entries.iter().map(Sums::of).reduce(Sums::and).unwrap();
        assert_eq!((sums.first, sums.next), (0, self.next));
        assert_eq!(sums.records, self.contents().await.len() as u64);
        let bucket = Bucket::open(self.owned.store.clone(), OpenMode::Read, &Default::default()).await.unwrap();
        let mut findings = Vec::new();
        fsck(&bucket, &mut |finding| findings.push(finding)).await.unwrap();
        assert_eq!(findings, []);
    }
}

/// All live entries.
async fn live(partition: &PartitionArchive) -> Vec<Entry> {
    let view = partition.view();
    view.entries_from(view.manifest().first().max(view.manifest().log_start), 10_000).await.unwrap()
}

fn policy() -> Policy {
    Policy { dirty_ratio: 0.5, min_lag_ms: 0, max_lag_ms: i64::MAX, delete_retention_ms: 1000, segment_bytes: 4000 }
}

/// What compaction up to `next` may leave: of each key the newest below `next`, all above; tombstones from `tombstones` on.
fn expected(sealed: &History, next: i64, tombstones: i64) -> History {
    let newest: BTreeMap<u8, i64> =
        sealed.range(..next).filter_map(|(offset, (key, _))| Some(((*key)?, *offset))).collect();
    let stays = |offset: i64, key: Option<u8>, value: Option<u8>| {
        offset >= next || key.is_some_and(|key| newest[&key] == offset && (value.is_some() || offset >= tombstones))
    };
    sealed.iter().filter(|(offset, (key, value))| stays(**offset, *key, *value)).map(|(o, kv)| (*o, *kv)).collect()
}

fn random_records(random: &Random, count: u64, keys: u64) -> Vec<(Option<u8>, Option<u8>)> {
    let one = |_| {
        let key = (random.below(20) > 0).then(|| random.below(keys) as u8);
        (key, (random.below(4) > 0).then(|| random.below(200) as u8))
    };
    (0..count).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_key_the_newest_record_stays_at_its_offset_whatever_the_memory() {
    for (seed, memory) in [(1, 1 << 20), (2, 8 << 10), (3, 2 << 10)] {
        let random = Random::seeded(seed);
        let mut world = World::new(memory).await;
        for round in 0..4 {
            for _ in 0..1 + random.below(4) {
                let count = 20 + random.below(150);
                world.seal(&random_records(&random, count, 250)).await;
            }
            let before = world.contents().await;
            let always = Policy { dirty_ratio: 0.0, ..policy() };
            let done = world.compact(&always).await.expect("everything new is dirty");
            assert_eq!(done.clean_to, Some(world.next));
            let after = world.contents().await;
            assert_eq!(after, expected(&world.sealed, world.next, 0), "seed {seed} round {round}");
            assert_eq!(done.dropped, (before.len() - after.len()) as u64);
            world.adds_up().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_stays_for_its_time_after_the_clean_point_passed_it() {
    let mut world = World::new(1 << 20).await;
    world.seal(&[(Some(1), Some(1)), (Some(2), Some(1)), (Some(1), None)]).await;
    let first = world.next;
    assert_eq!(world.compact(&policy()).await.unwrap().dropped, 1);
    assert_eq!(world.contents().await, expected(&world.sealed, first, 0));
    world.owned.clock.advance(std::time::Duration::from_millis(999));
    world.seal(&[(Some(3), Some(1)), (Some(4), None), (Some(5), Some(0))]).await;
    world.compact(&policy()).await.unwrap();
    assert_eq!(world.contents().await, expected(&world.sealed, world.next, 0), "too early");
    world.owned.clock.advance(std::time::Duration::from_millis(1));
    world.seal(&[(Some(6), Some(1)), (Some(6), Some(2)), (Some(7), Some(2)), (Some(8), Some(2))]).await;
    world.compact(&policy()).await.unwrap();
    assert_eq!(world.contents().await, expected(&world.sealed, world.next, first), "the first one, not the second");
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_young_or_too_little_is_not_compacted_and_what_waited_too_long_is() {
    let mut world = World::new(1 << 20).await;
    world.seal(&random_records(&Random::seeded(1), 100, 10)).await;
    let young = Policy { min_lag_ms: 500, ..policy() };
    assert_eq!(world.compact(&young).await, None);
    world.owned.clock.advance(std::time::Duration::from_millis(500));
    assert!(world.compact(&young).await.is_some());
    world.seal(&[(Some(1), Some(1))]).await;
    let picky = Policy { dirty_ratio: 0.9, ..policy() };
    assert_eq!(world.compact(&picky).await, None);
    world.owned.clock.advance(std::time::Duration::from_millis(700));
    let impatient = Policy { max_lag_ms: 700, ..picky };
    assert!(world.compact(&impatient).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_which_nothing_stays_becomes_a_gap() {
    let mut world = World::new(1 << 20).await;
    world.seal(&[(Some(1), Some(1)); 60]).await;
    world.seal(&[(Some(2), Some(1)), (Some(1), Some(9))]).await;
    world.compact(&Policy { segment_bytes: 300, ..policy() }).await.unwrap();
    let entries = live(&world.owned.partition).await;
    assert!(matches!(&entries[0], Entry::Gap(gap) if (gap.first, gap.next) == (0, 60)), "{entries:?}");
    assert_eq!(world.contents().await, expected(&world.sealed, 62, 0));
    // The gap is taken into a segment with the next round, when there is room.
    world.seal(&random_records(&Random::seeded(4), 50, 10)).await;
    world.compact(&policy()).await.unwrap();
    assert_eq!(live(&world.owned.partition).await.len(), 1);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_neighbours_hold_the_same_records_in_fewer_segments() {
    let mut world = World::new(1 << 20).await;
    let random = Random::seeded(3);
    for _ in 0..20 {
        world.seal(&random_records(&random, 10, 10)).await;
    }
    let size = Size { segment_bytes: 100_000, span_max_ms: None };
    let mut looked = Looked::default();
    let mut merges = 0;
    while let Some(done) = world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap()
    {
        assert_eq!(done.dropped, 0);
        merges += 1;
    }
    assert!(merges >= 1);
    assert!(live(&world.owned.partition).await.len() <= 8);
    assert_eq!(world.contents().await, world.sealed);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_build_said_of_the_inputs_is_kept_of_them_and_not_said_of_the_output() {
    let mut world = World::new(1 << 20).await;
    let unknown: Unknown = [("later".to_owned(), true.into())].into_iter().collect();
    for _ in 0..8 {
        world.seal_saying(&random_records(&Random::seeded(5), 10, 10), &unknown).await;
    }
    let bucket = Bucket::open(world.owned.store.clone(), OpenMode::Read, &Default::default()).await.unwrap();
    let said = async || {
        let id = world.owned.partition.topic_id();
        let reader = PartitionReader::open(&bucket, "t", id, 0).await.unwrap();
        let entries = reader.view().entries_from(0, 100).await.unwrap();
        let says = |s: &SegmentEntry| [s.unknown.len(), s.meta.unknown.len(), s.meta.blocks[0].unknown.len()];
        entries.iter().filter_map(Entry::segment).map(says).collect::<Vec<_>>()
    };
    assert_eq!(said().await, [[1; 3]; 8], "though each seal wrote the manifest anew");
    let size = Size { segment_bytes: 100_000, span_max_ms: None };
    let mut looked = Looked::default();
    world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap().unwrap();
    assert_eq!(said().await, [[0; 3]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_burst_of_128_segments_at_most_four_are_left_though_most_went_to_pages() {
    let mut world = World::new(1 << 20).await;
    let random = Random::seeded(6);
    for n in 0..128 {
        world.seal(&random_records(&random, if n % 2 == 0 { 40 } else { 4 }, 10)).await;
    }
    assert!(world.owned.partition.head().pages.len() > 1, "the tree is deep");
    let size = Size { segment_bytes: 10_000_000, span_max_ms: None };
    let mut looked = Looked::default();
    while let Some(done) = world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap()
    {
        assert_eq!(done.dropped, 0);
    }
    assert!(live(&world.owned.partition).await.len() <= choose::LEFT_MAX);
    assert_eq!(world.contents().await, world.sealed);
    world.adds_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_merged_when_it_was_quiet_for_a_while() {
    let mut world = World::new(1 << 20).await;
    let size = Size { segment_bytes: 10_000_000, span_max_ms: None };
    let mut looked = Looked::default();
    for n in 0..7 {
        world.seal(&random_records(&Random::seeded(n), 10, 10)).await;
        let merged = world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap();
        assert_eq!(merged, None, "{n}");
    }
    world.owned.clock.advance(std::time::Duration::from_millis(QUIET_MS as u64 - 1));
    assert_eq!(world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap(), None);
    world.owned.clock.advance(std::time::Duration::from_millis(1));
    assert!(world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap().is_some());
    assert!(live(&world.owned.partition).await.len() <= choose::LEFT_MAX);
    assert_eq!(world.contents().await, world.sealed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_is_named_and_its_neighbours_are_merged_without_it() {
    let mut world = World::new(1 << 20).await;
    for n in 0..25 {
        world.seal(&random_records(&Random::seeded(n), 10, 10)).await;
    }
    let entries = live(&world.owned.partition).await;
    let damaged = entries[12].segment().unwrap().clone();
    let path = world.owned.partition.view().path_of(&damaged);
    let store = &world.owned.store;
    store.delete(&path).await.unwrap();
    store.create(&path, Bytes::from(vec![b'?'; damaged.meta.size as usize])).await.unwrap();
    let size = Size { segment_bytes: 10_000_000, span_max_ms: None };
    let mut looked = Looked::default();
    let error = world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap_err();
    assert!(error.to_string().contains(&path), "{error}");
    while world.rewriter.merge(&world.owned.partition, &size, &world.spec, &mut looked).await.unwrap().is_some() {}
    let left = live(&world.owned.partition).await;
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(left[1].segment(), Some(&damaged));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_more_entries_than_a_round_holds_is_compacted_exactly() {
    let mut world = World::new(1 << 20).await;
    let random = Random::seeded(9);
    for _ in 0..5 * ENTRIES_MAX {
        world.seal(&random_records(&random, 5, 40)).await;
    }
    let mut rounds = 0;
    while let Some(done) = world.compact(&Policy { dirty_ratio: 0.0, segment_bytes: 500, ..policy() }).await {
        rounds += 1;
        let clean_to = done.clean_to.unwrap();
        assert_eq!(world.contents().await, expected(&world.sealed, clean_to, 0), "round {rounds}");
        world.adds_up().await;
        if clean_to == world.next {
            break;
        }
    }
    assert!(rounds > 1, "of a long dirty range the beginning comes first");
    assert_eq!(world.contents().await, expected(&world.sealed, world.next, 0));
}
