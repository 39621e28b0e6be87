use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::archive::layout::Named;
use crate::archive::manifest::invariants;
use crate::archive::manifest::model::{
    ENTRIES_BYTES_MAX, ENTRIES_MAX, EPOCHS, PAGE, Page, PageItems, PageRef, REMOVED, Removed, RemovedPage,
    RemovedPageRef,
};
use crate::archive::manifest::producers::{AbortedTransaction, Producer, ProducerBatch};
use crate::archive::manifest::tree::Need;
use crate::archive::manifest::view::Retention;
use crate::archive::manifest::{Dropped, Gone, lookup};
use crate::archive::testing::{NOW_MS, seal, segment};
use crate::base::{Random, Uuid};
use crate::store::envelope::{self, Schema};

/// A bucket of pages, and a head.
struct World {
    head: Manifest,
    names: Names,
    objects: BTreeMap<String, Bytes>,
    loads: usize,
}

impl World {
    fn new() -> Self {
        let names = Names::new(0, 1, Random::seeded(1));
        Self { head: Manifest::empty(Uuid([1; 16]), 0, NOW_MS), names, objects: BTreeMap::new(), loads: 0 }
    }

    fn load(&mut self, need: Need, loaded: &mut Loaded) {
        self.loads += 1;
        match need {
            Need::Page(page) => {
                let content = self.page(&page);
                loaded.pages.insert(page.object.name, Arc::new(content));
            }
            Need::Epochs(page) => {
                let opened = envelope::decode(&EPOCHS, &self.objects[&page.object.name]).unwrap();
                loaded.epochs.insert(page.object.name, Arc::new(opened.into_body().unwrap()));
            }
            Need::Removed(page) => {
                let content = self.removed_page(&page);
                loaded.removed.insert(page.object.name, Arc::new(content));
            }
            Need::Producers => {
                let ProducersAt::Object(object) = &self.head.producers else { panic!("they are inline") };
                let opened = envelope::decode(&PRODUCERS, &self.objects[&object.name]).unwrap();
                loaded.producers = Some(Arc::new(opened.into_body().unwrap()));
            }
        }
    }

    fn removed_page(&self, page: &RemovedPageRef) -> Enveloped<RemovedPage> {
        let content: Enveloped<RemovedPage> =
            envelope::decode(&REMOVED, &self.objects[&page.object.name]).unwrap().into_body().unwrap();
        assert_eq!(content.removed.len() as u64, page.count);
        content
    }

    fn page(&self, page: &PageRef) -> Enveloped<Page> {
        let content: Enveloped<Page> =
            envelope::decode(&PAGE, &self.objects[&page.object.name]).unwrap().into_body().unwrap();
        invariants::check_page(&content, page).unwrap();
        content
    }

    fn plan(&mut self, change: &Change) -> Result<Planned, String> {
        let mut loaded = Loaded::default();
        loop {
            let (head, names) = (self.head.clone(), self.names.clone());
            match plan(&head, change, Context { loaded: &loaded, names: &names, now_ms: NOW_MS }) {
                Ok(planned) => return Ok(planned),
                Err(Hindrance::Need(need)) => self.load(need, &mut loaded),
                Err(Hindrance::Unfit(reason)) => return Err(reason),
                Err(Hindrance::Asks { name, error }) => return Err(format!("{name}: {error}")),
            }
        }
    }

    /// Applies a change, as the writer does; whether there was anything to do.
    fn apply(&mut self, change: &Change) -> Result<bool, String> {
        match self.plan(change)? {
            Planned::Already => Ok(false),
            Planned::Next(next, objects) => {
                invariants::check_next(&self.head, 1, &next, 1).map_err(|violation| violation.to_string())?;
                let text = serde_json::to_vec(&next).unwrap();
                assert_eq!(serde_json::from_slice::<Manifest>(&text).unwrap(), *next, "it survives its own text");
                self.head = *next;
                self.objects.extend(objects.into_iter().map(|object| (object.name, object.bytes)));
                Ok(true)
            }
        }
    }

    fn ask<T>(&mut self, question: impl Fn(&Manifest, &Loaded) -> Result<T, Need>) -> T {
        let mut loaded = Loaded::default();
        loop {
            match question(&self.head.clone(), &loaded) {
                Ok(answer) => return answer,
                Err(need) => self.load(need, &mut loaded),
            }
        }
    }

    /// Names of segments and objects: of the live tree, or of a removed one.
    fn names_below(&self, page: &PageRef, segments: &mut BTreeSet<String>, objects: &mut BTreeSet<String>) {
        objects.insert(page.object.name.clone());
        match self.page(page).body.items {
            PageItems::Pages(pages) => pages.iter().for_each(|page| self.names_below(page, segments, objects)),
            PageItems::Entries(entries) => segments.extend(segment_names(&entries)),
        }
    }

    /// Everything that the head names as live, and everything that it names as removed.
    fn accounts(&self) -> [(BTreeSet<String>, BTreeSet<String>); 2] {
        let (mut live, mut removed) = <(_, _)>::default();
        let (segments, objects): &mut (BTreeSet<String>, BTreeSet<String>) = &mut live;
        self.head.pages.iter().for_each(|page| self.names_below(page, segments, objects));
        segments.extend(segment_names(&self.head.entries));
        objects.extend(self.head.removed_pages.iter().map(|page| page.object.name.clone()));
        objects.extend(self.head.epoch_pages.iter().map(|page| page.object.name.clone()));
        if let ProducersAt::Object(object) = &self.head.producers {
            objects.insert(object.name.clone());
        }
        let (segments, objects): &mut (BTreeSet<String>, BTreeSet<String>) = &mut removed;
        let pages = self.head.removed_pages.iter().flat_map(|page| self.removed_page(page).body.removed);
        for Removed { what, .. } in pages.chain(self.head.removed.iter().cloned()) {
            match &what {
                RemovedObject::Segment { name, .. } => drop(segments.insert(name.clone())),
                RemovedObject::Object { name, .. } => drop(objects.insert(name.clone())),
                RemovedObject::Tree(page) => self.names_below(page, segments, objects),
            }
        }
        [live, removed]
    }
}

fn segment_names(entries: &[Entry]) -> impl Iterator<Item = String> {
    entries.iter().filter_map(Entry::segment).map(|segment| segment.name.clone())
}

/// What a reader should see: one entry after the other, no pages.
#[derive(Default)]
struct Reference {
    entries: Vec<Entry>,
    log_start: i64,
    ever: BTreeSet<String>,
}

impl Reference {
    fn trim(&mut self) {
        let log_start = self.log_start;
        self.entries.retain(|entry| entry.next() > log_start);
    }

    fn find(&self, offset: i64) -> Option<&Entry> {
        self.entries.iter().find(|entry| (entry.first()..entry.next()).contains(&offset))
    }

    fn find_time(&self, timestamp: i64, from: i64) -> Option<&str> {
        let segments = self.entries.iter().filter(|entry| entry.next() > from).filter_map(Entry::segment);
        segments.filter(|s| s.meta.max_timestamp >= Some(timestamp)).map(|s| s.name.as_str()).next()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// (kind, length, timestamp) of each entry; whether a new epoch begins.
    Seal(Vec<(u8, i64, i64)>, bool),
    Reserve,
    /// Parts per hundred of the range from first to a bit beyond `next`.
    LogStart(i64),
    /// Which entry to begin with, in parts per hundred, how many, and whether one record is dropped.
    Merge(usize, usize, bool),
    WalLost,
    TakeOver,
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let entry = (0..6u8, 1..20i64, 0..1000i64);
    let step = prop_oneof![
        6 => (prop::collection::vec(entry, 1..12), any::<bool>()).prop_map(|(entries, epoch)| Step::Seal(entries, epoch)),
        1 => Just(Step::Reserve),
        2 => (0..110i64).prop_map(Step::LogStart),
        3 => (0..100usize, 1..9usize, any::<bool>()).prop_map(|(at, count, drop)| Step::Merge(at, count, drop)),
        1 => Just(Step::WalLost),
        1 => Just(Step::TakeOver),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..40)
}

/// The change of a step on this head, and what it should do to the reference.
fn change_of(step: &Step, world: &World, reference: &mut Reference, serial: &mut u64) -> Option<Change> {
    let head = &world.head;
    *serial += 1;
    Some(match step {
        Step::Seal(shape, new_epoch) => {
            let mut at = head.next;
            let mut entries = Vec::new();
            for (index, (kind, length, time)) in shape.iter().enumerate() {
                let name = format!("data/{serial}-{index}");
                entries.push(match kind {
                    0 => Entry::gap(at, at + length, GapReason::Control),
                    1 => Entry::gap(at, at + length, GapReason::Aborted),
                    _ => {
                        let time = (*time % 7 != 0).then_some(NOW_MS + time);
                        reference.ever.insert(name.clone());
                        Entry::Segment(Box::new(segment(&name, at, at + length, (*length as u64).div_ceil(2), time)))
                    }
                });
                at += length;
            }
            reference.entries.extend(entries.clone());
            let epoch = i32::try_from(*serial).unwrap();
            let epochs: &[_] = if *new_epoch { &[(epoch, entries[0].first())] } else { &[] };
            seal(entries, epochs)
        }
        Step::Reserve => Change::Reserve { to: head.reserved + 5 },
        Step::LogStart(percent) => {
            let to = head.first() + (head.next - head.first() + 3) * percent / 100;
            reference.log_start = reference.log_start.max(to);
            Change::LogStart { to }
        }
        Step::Merge(at, count, drop) => {
            let live: Vec<Entry> =
                reference.entries.iter().skip(reference.entries.len() * at / 100).take(*count).cloned().collect();
            // Gaps of one reason may stand as one entry: a merge begins and ends with segments.
            let begin = live.iter().position(|entry| entry.segment().is_some())?;
            let end = live.iter().rposition(|entry| entry.segment().is_some())? + 1;
            merge(&live[begin..end], *serial, *drop, reference)
        }
        Step::WalLost => {
            reference.entries.push(Entry::gap(head.next, head.reserved, GapReason::WalLost));
            Change::WalLost { next: head.next }
        }
        Step::TakeOver => Change::TakeOver,
        Step::Forget => {
            let names = head.removed.iter().map(|r| r.what.name().to_owned()).collect();
            let pages = head.removed_pages.iter().map(|page| page.object.name.clone()).collect();
            let [_, (segments, _)] = world.accounts();
            reference.ever.retain(|name| !segments.contains(name));
            Change::Forget(Gone { names, pages })
        }
    })
}

fn merge(live: &[Entry], serial: u64, drop: bool, reference: &mut Reference) -> Change {
    let (first, next) = (live[0].first(), live[live.len() - 1].next());
    let sums = live.iter().map(Sums::of).reduce(Sums::and).unwrap();
    let drop = drop && sums.records > 1;
    let dropped = if drop { Dropped { records: 1, hash: crate::record::HashSum(99) } } else { Dropped::default() };
    let name = format!("data/{serial}-merged");
    let mut output = segment(&name, first, next, sums.records - dropped.records, sums.max_timestamp);
    output.compacted = dropped.records;
    output.control -= dropped.records;
    output.meta.offset_of_first_max = sums.offset_of_first_max;
    output.meta.hash = sums.hash;
    output.meta.hash -= dropped.hash;
    let output = Entry::Segment(Box::new(output));
    let at = reference.entries.iter().position(|entry| entry.first() == first).unwrap();
    reference.entries.splice(at..at + live.len(), [output.clone()]);
    reference.ever.insert(name);
    Change::Replace(Replace { first, next, inputs: segment_names(live).collect(), outputs: vec![output], dropped })
}

/// Checks the head against the reference, at every border and between.
fn agree(world: &mut World, reference: &Reference) {
    let borders: Vec<i64> =
        reference.entries.iter().flat_map(|e| [e.first(), e.next() - 1, (e.first() + e.next()) / 2]).collect();
    for offset in borders.into_iter().chain([world.head.next, reference.log_start]) {
        let found = world.ask(|m, loaded| lookup::find(m, loaded, offset));
        match (reference.find(offset), &found) {
            (Some(Entry::Gap(a)), Some(Entry::Gap(b))) => assert_eq!(a.reason, b.reason),
            (a, b) => assert_eq!(a.and_then(Entry::segment), b.as_ref().and_then(Entry::segment), "at {offset}"),
        }
        assert_eq!(reference.find(offset).is_some(), found.is_some(), "at {offset}");
    }
    for time in (0..1000).step_by(97) {
        for from in [reference.log_start, (reference.log_start + world.head.next) / 2] {
            let found = world.ask(|m, loaded| lookup::find_time(m, loaded, NOW_MS + time, from));
            let name = found.map(|segment| segment.name);
            assert_eq!(name.as_deref(), reference.find_time(NOW_MS + time, from));
        }
    }
    let known = world.ask(lookup::max_timestamp);
    let times = reference.entries.iter().filter_map(Entry::segment);
    let maxima = times.filter_map(|s| Some((s.meta.max_timestamp?, s.meta.offset_of_first_max?)));
    let whole = maxima.clone().filter(|(_, offset)| *offset >= reference.log_start);
    let best = whole.min_by_key(|(time, offset)| (std::cmp::Reverse(*time), *offset));
    match known.cut {
        None => assert_eq!(known.known, best),
        // What is known lies wholly above; the cut segment is named because it may hold as much.
        Some(cut) => {
            assert!(cut.meta.offset_of_first_max < Some(reference.log_start));
            assert_eq!(known.known.map(|k| k.1), best.map(|b| b.1));
        }
    }
    let [(live, live_objects), (removed, removed_objects)] = world.accounts();
    let expected: BTreeSet<String> = segment_names(&reference.entries).collect();
    assert_eq!(live, expected);
    assert_eq!(removed, reference.ever.difference(&expected).cloned().collect(), "what is gone waits to be deleted");
    assert!(live_objects.is_disjoint(&removed_objects));
    let named: BTreeSet<String> = live_objects.union(&removed_objects).cloned().collect();
    assert_eq!(named, world.objects.keys().cloned().collect(), "every object is live or waits to be deleted");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_sequence_of_changes_is_dense_accounted_for_and_found(steps in steps()) {
        let mut world = World::new();
        let mut reference = Reference::default();
        let mut serial = 0;
        for step in &steps {
            let Some(change) = change_of(step, &world, &mut reference, &mut serial) else { continue };
            reference.trim();
            let [_, (_, removed)] = world.accounts();
            let applied = world.apply(&change).unwrap_or_else(|reason| panic!("{change:?}: {reason}"));
            if let Change::Forget(_) = change {
                let is_page = |r: &Removed| matches!(Named::of(r.what.name()), Named::Removed { .. });
                prop_assert!(world.head.removed.iter().all(is_page) && world.head.removed_pages.is_empty());
                world.objects.retain(|name, _| !removed.contains(name)); // they were deleted
            }
            if applied && change != Change::TakeOver {
                prop_assert_eq!(world.plan(&change), Ok(Planned::Already), "{:?} again", change);
            }
            agree(&mut world, &reference);
        }
    }
}

fn segments(count: i64) -> Vec<Entry> {
    let one = |at: i64| {
        Entry::Segment(Box::new(segment(&format!("data/{at}"), at * 10, at * 10 + 10, 10, Some(NOW_MS + at))))
    };
    (0..count).map(one).collect()
}

#[test]
fn a_version_stays_small_and_a_look_up_costs_the_depth() {
    let mut world = World::new();
    for entry in segments(3000) {
        world.apply(&seal(vec![entry], &[])).unwrap();
    }
    let items = world.head.entries.len() + world.head.pages.len();
    let depth = usize::from(world.head.pages[0].level) + 1;
    assert!(items < 60, "{items} items");
    assert!((4..8).contains(&depth), "{depth} levels");
    for offset in [0, 9_999, 15_000, 29_999] {
        world.loads = 0;
        assert!(world.ask(|m, loaded| lookup::find(m, loaded, offset)).is_some());
        assert!(world.loads <= depth, "{} loads at {offset}", world.loads);
        world.loads = 0;
        let found = world.ask(|m, loaded| lookup::find_time(m, loaded, NOW_MS + offset / 10, 0)).unwrap();
        assert_eq!(found.meta.first_offset, offset / 10 * 10);
        assert!(world.loads <= depth, "{} loads for the time of {offset}", world.loads);
    }
    world.loads = 0;
    assert_eq!(world.ask(lookup::max_timestamp).known, Some((NOW_MS + 2999, 29_990)));
    assert_eq!(world.loads, 0, "the greatest timestamp is in the version");
}

#[test]
fn a_clock_that_ran_ahead_hides_nothing_after_it() {
    let mut world = World::new();
    let times = [5, 9_000, 6, 7];
    for (at, time) in (0..).zip(times) {
        let entry = segment(&format!("data/{at}"), at * 10, at * 10 + 10, 10, Some(time));
        world.apply(&seal(vec![Entry::Segment(Box::new(entry))], &[])).unwrap();
    }
    let find = |world: &mut World, time, from| {
        world.ask(|m, loaded| lookup::find_time(m, loaded, time, from)).map(|segment| segment.meta.first_offset)
    };
    assert_eq!(find(&mut world, 6, 0), Some(10));
    assert_eq!(find(&mut world, 6, 20), Some(20), "asked again from the end of the first");
    assert_eq!(find(&mut world, 9_001, 0), None);
}

#[test]
fn retention_takes_the_oldest_only_and_a_future_timestamp_pins_nothing() {
    let mut world = World::new();
    let mut entries = segments(40);
    if let Entry::Segment(first) = &mut entries[0] {
        first.meta.max_timestamp = Some(NOW_MS * 2); // sealed at NOW_MS: that is what counts
        first.sealed_ms = NOW_MS - 1;
    }
    entries.iter().for_each(|entry| drop(world.apply(&seal(vec![entry.clone()], &[]))));
    let ask = |world: &mut World, before_ms, keep_bytes, limit| {
        world.ask(|m, loaded| lookup::retention(m, loaded, Retention { before_ms, keep_bytes }, limit))
    };
    assert_eq!(ask(&mut world, None, None, 100), None);
    assert_eq!(ask(&mut world, Some(NOW_MS), None, 100), Some(10));
    assert_eq!(ask(&mut world, Some(NOW_MS + 1), None, 100), Some(400), "all were sealed at NOW_MS");
    assert_eq!(ask(&mut world, Some(NOW_MS + 1), None, 7), Some(70), "a bounded look");
    assert_eq!(ask(&mut world, None, Some(10_000), 100), Some(300), "ten of a thousand bytes each stay");
    assert_eq!(ask(&mut world, None, Some(9_500), 100), Some(300));
}

#[test]
fn epochs_are_found_inline_and_in_pages() {
    let mut world = World::new();
    for (epoch, entry) in (0..).zip(segments(50)) {
        let first = entry.first();
        world.apply(&seal(vec![entry], &[(epoch * 2, first)])).unwrap();
    }
    assert!(world.head.epoch_pages.len() > 2 && world.head.epochs.len() <= EPOCHS_MAX);
    for epoch in 0..98 {
        let end = world.ask(|m, loaded| lookup::epoch_end(m, loaded, epoch));
        let even = epoch / 2 * 2;
        assert_eq!(end.at_or_below, Some(EpochStart(even, i64::from(even) * 5)), "epoch {epoch}");
        let above = EpochStart(even + 2, i64::from(even + 2) * 5);
        assert_eq!(end.above, (even < 98).then_some(above), "epoch {epoch}");
    }
    let end = world.ask(|m, loaded| lookup::epoch_end(m, loaded, 200));
    assert_eq!((end.at_or_below, end.above), (Some(EpochStart(98, 490)), None));
    let end = world.ask(|m, loaded| lookup::epoch_end(m, loaded, -1));
    assert_eq!((end.at_or_below, end.above), (None, Some(EpochStart(0, 0))));
    // Log start leaves the epoch that holds the first record, and none before.
    world.apply(&Change::LogStart { to: 495 }).unwrap();
    assert_eq!((world.head.epochs.clone(), world.head.epoch_pages.len()), (vec![EpochStart(98, 490)], 0));
    world.apply(&seal(vec![Entry::gap(500, 510, GapReason::Control)], &[(98, 500)])).unwrap();
    assert_eq!(world.head.epochs, vec![EpochStart(98, 490)], "an epoch begins once");
}

fn producers(count: i64) -> Producers {
    let batch =
        ProducerBatch { first_sequence: 0, last_sequence: 9, first_offset: 0, last_offset: 9, timestamp: NOW_MS };
    let producer = |id| Producer {
        id,
        epoch: 3,
        last_timestamp: NOW_MS + id,
        coordinator_epoch: -1,
        open_from: if id == 0 { 4 } else { -1 },
        batches: vec![batch; 5],
        unknown: Unknown::new(),
    };
    let aborted = vec![AbortedTransaction { producer_id: 1, first_offset: 2, last_offset: 30 }];
    Producers { producers: (0..count).map(producer).collect(), aborted, lost_until: None, unknown: Unknown::new() }
}

fn seal_with(first: i64, producers: Producers) -> Change {
    let entries = vec![Entry::gap(first, first + 10, GapReason::Control)];
    let Change::Seal(seal) = seal(entries, &[]) else { unreachable!() };
    Change::Seal(Seal { producers, ..seal })
}

#[test]
fn many_producers_go_to_an_object_that_is_written_only_when_it_changes() {
    let mut world = World::new();
    world.apply(&seal_with(0, producers(3))).unwrap();
    assert_eq!(world.head.producers, ProducersAt::Inline(producers(3)));
    world.apply(&seal_with(10, producers(500))).unwrap();
    let ProducersAt::Object(object) = world.head.producers.clone() else { panic!("500 are too many") };
    world.apply(&seal_with(20, producers(500))).unwrap();
    assert_eq!(world.head.producers, ProducersAt::Object(object.clone()));
    assert_eq!(world.objects.len(), 1);
    world.apply(&seal_with(30, producers(501))).unwrap();
    assert_eq!(world.head.removed[0].what, RemovedObject::object(object.name));
}

#[test]
fn after_a_lost_wal_no_transaction_is_open_and_sequences_may_jump() {
    for count in [3, 500] {
        let mut world = World::new();
        world.apply(&seal_with(0, producers(count))).unwrap();
        let reserved = world.head.reserved;
        world.apply(&Change::WalLost { next: 10 }).unwrap();
        assert_eq!((world.head.next, world.head.reserved), (reserved, reserved + RESERVE));
        let after = match world.head.producers.clone() {
            ProducersAt::Inline(producers) => producers,
            ProducersAt::Object(object) => {
                envelope::decode(&PRODUCERS, &world.objects[&object.name]).unwrap().parse().unwrap()
            }
        };
        assert_eq!((after.lost_until, after.producers.len()), (Some(reserved), count as usize));
        assert!(after.aborted.is_empty() && after.producers.iter().all(|producer| producer.open_from == -1));
    }
}

#[test]
fn producers_are_capped_and_an_open_transaction_goes_last() {
    let mut all = producers(20);
    all.forget_beyond(5);
    assert_eq!(all.producers.iter().map(|p| p.id).collect::<Vec<_>>(), [0, 16, 17, 18, 19]);
}

#[test]
fn what_does_not_fit_the_head_is_cancelled() {
    let mut world = World::new();
    let ten = segments(10);
    world.apply(&seal(ten.clone(), &[])).unwrap();
    let refuse = |world: &mut World, change: &Change| world.apply(change).unwrap_err();
    // A hole, an overlap, another segment in the same place.
    refuse(&mut world, &seal(vec![Entry::gap(101, 110, GapReason::Control)], &[]));
    refuse(&mut world, &seal(vec![Entry::gap(95, 110, GapReason::Control)], &[]));
    let mut other = segments(10);
    if let Entry::Segment(segment) = &mut other[9] {
        segment.name = "data/other".into();
    }
    refuse(&mut world, &seal(other, &[]));
    refuse(
        &mut world,
        &seal(vec![Entry::gap(100, 110, GapReason::Control), Entry::gap(111, 112, GapReason::Control)], &[]),
    );
    // A merge whose input is gone, cuts an entry, or does not add up.
    let mut reference = Reference { entries: ten.clone(), ..Reference::default() };
    let good = merge(&ten[2..4], 1, false, &mut reference);
    let Change::Replace(replace) = good.clone() else { unreachable!() };
    let mut gone = replace.clone();
    gone.inputs[0] = "data/gone".into();
    refuse(&mut world, &Change::Replace(gone));
    let mut more = replace.clone();
    more.dropped.records = 1;
    assert!(refuse(&mut world, &Change::Replace(more)).contains("add up"));
    let mut hash = replace.clone();
    hash.dropped.hash = crate::record::HashSum(1);
    assert!(refuse(&mut world, &Change::Replace(hash)).contains("add up"));
    let mut cut = replace;
    cut.next -= 1;
    cut.outputs = vec![Entry::gap(cut.first, cut.next, GapReason::Compacted)];
    refuse(&mut world, &Change::Replace(cut));
    assert_eq!(world.apply(&good), Ok(true));
    // The range was lost already, from another end.
    refuse(&mut world, &Change::WalLost { next: 101 });
}

#[test]
fn what_is_sealed_below_log_start_is_removed_at_once() {
    let mut world = World::new();
    world.apply(&Change::LogStart { to: 25 }).unwrap();
    world.apply(&seal(segments(4), &[])).unwrap();
    assert_eq!((world.head.first(), world.head.removed.len()), (20, 2));
    assert_eq!(world.head.log_start, 25);
}

/// A seal that makes pages, and a log start that cuts into them, come to the same together as one after the other.
#[test]
fn changes_that_come_together_account_for_all_that_they_make_on_the_way() {
    for log_start in [0, 3, 15, 35, 70, 95, 131, 200] {
        let (mut together, mut apart) = (World::new(), World::new());
        let all = segments(20);
        let end = all.last().unwrap().next();
        let changes = vec![seal(all.clone(), &[]), Change::LogStart { to: log_start.min(end) }];
        together.apply(&Change::All(changes.clone())).unwrap();
        for change in &changes {
            apart.apply(change).unwrap();
        }
        let [(live, _), (removed, _)] = together.accounts();
        let all: BTreeSet<String> = segment_names(&all).collect();
        assert_eq!(&live | &removed, all, "below {log_start}: nothing is nobody's");
        let [(live_apart, _), (removed_apart, _)] = apart.accounts();
        assert_eq!((live, removed), (live_apart, removed_apart), "below {log_start}");
    }
}

/// An entry whose text is long, for it has many blocks.
fn large(at: i64, blocks: usize) -> Entry {
    let mut entry = segment(&format!("data/{at}"), at * 10, at * 10 + 10, 10, Some(NOW_MS + at));
    entry.meta.blocks = vec![entry.meta.blocks[0].clone(); blocks];
    Entry::Segment(Box::new(entry))
}

fn text_of(entries: &[Entry]) -> usize {
    serde_json::to_vec(entries).unwrap().len()
}

#[test]
fn entries_whose_text_is_long_go_to_pages_though_they_are_few() {
    let mut world = World::new();
    for at in 0..60 {
        world.apply(&seal(vec![large(at, 200)], &[])).unwrap();
        assert!(text_of(&world.head.entries) <= ENTRIES_BYTES_MAX + ENTRIES_MAX, "{at}");
        assert!(world.head.entries.len() <= ENTRIES_MAX);
    }
    assert!(text_of(&[large(0, 200)]) * ENTRIES_MAX > ENTRIES_BYTES_MAX, "by their number they might stay");
    assert!(world.head.entries.len() > 1 && world.head.pages.iter().any(|page| page.level > 0));
    for at in 0..60 {
        let found = world.ask(|m, loaded| lookup::find(m, loaded, at * 10 + 3)).unwrap();
        assert_eq!(found, large(at, 200));
    }
    // One that is longer than all that a version holds is in a page alone, and the next begins anew.
    world.apply(&seal(vec![large(60, 2000)], &[])).unwrap();
    assert_eq!((world.head.entries.len(), world.head.pages.last().unwrap().sums.segments), (0, 1));
    world.apply(&seal(vec![large(61, 1)], &[])).unwrap();
    assert_eq!(world.head.entries.len(), 1);
    // Several at once, and those that a rewrite puts in the place of others.
    world.apply(&seal((62..90).map(|at| large(at, 200)).collect(), &[])).unwrap();
    assert!(text_of(&world.head.entries) <= ENTRIES_BYTES_MAX + ENTRIES_MAX);
}

impl World {
    /// What a later build might have written at this name.
    fn alter(&mut self, schema: &Schema, name: &str, features: Features, later: bool) {
        let opened = envelope::decode(schema, &self.objects[name]).unwrap();
        let mut body: serde_json::Value = opened.parse().unwrap();
        if later {
            body["later"] = 1.into();
        }
        self.objects.insert(name.to_owned(), envelope::encode(schema, &features, &body).unwrap());
    }
}

fn asks(list: &str, name: &str) -> Features {
    let mut features = Features::default();
    match list {
        "must_write" => features.must_write.push(name.to_owned()),
        _ => features.must_collect.push(name.to_owned()),
    }
    features
}

/// A head with a tree of two levels, and the pages of its left edge: the top one first.
fn with_tree() -> (World, Vec<PageRef>) {
    let mut world = World::new();
    segments(60).into_iter().for_each(|entry| assert!(world.apply(&seal(vec![entry], &[])).unwrap()));
    let mut edge = vec![world.head.pages[0].clone()];
    while let PageItems::Pages(pages) = world.page(edge.last().unwrap()).body.items {
        edge.push(pages[0].clone());
    }
    assert!(edge.len() >= 2);
    (world, edge)
}

#[test]
fn a_page_that_asks_for_what_is_not_known_is_not_written_anew_and_nothing_in_its_range_is_removed() {
    for list in ["must_write", "must_collect"] {
        for depth in [0, 1] {
            let (mut world, edge) = with_tree();
            let page = &edge[depth];
            world.alter(&PAGE, &page.object.name, asks(list, "staged"), false);
            let live: Vec<Entry> = world.ask(|m, loaded| lookup::entries_from(m, loaded, 0, 2));
            let change = merge(&live, 1, false, &mut Reference { entries: live.clone(), ..Reference::default() });
            let refused = world.apply(&change).unwrap_err();
            assert!(refused.contains("'staged'") && refused.contains(&page.object.name), "{list}: {refused}");
            // Log start moves into it, and it stays as it is with all that it lists.
            world.apply(&Change::LogStart { to: 15 }).unwrap();
            let found = world.ask(|m, loaded| lookup::find(m, loaded, 5)).unwrap();
            assert_eq!(found, live[0], "{list} {depth}");
            let segments = |world: &World| world.accounts()[1].0.clone();
            assert_eq!(segments(&world), BTreeSet::new());
            // Beyond it: the page waits as a whole, so that the collector sees what it asks for.
            world.apply(&Change::LogStart { to: page.sums.next }).unwrap();
            let trees = world.head.removed.iter().filter_map(|removed| match &removed.what {
                RemovedObject::Tree(page) => Some(page.object.name.as_str()),
                _ => None,
            });
            assert_eq!(trees.collect::<Vec<_>>(), [page.object.name.as_str()], "{list} {depth}");
        }
    }
}

#[test]
fn what_a_later_build_said_of_a_page_is_said_of_those_that_take_its_place() {
    let first_line =
        Features { unknown: [("later".to_owned(), 1.into())].into_iter().collect(), ..Features::default() };
    let (mut world, edge) = with_tree();
    edge.iter().for_each(|page| world.alter(&PAGE, &page.object.name, first_line.clone(), true));
    world.head.pages[0].unknown.insert("later".into(), 1.into());
    let live: Vec<Entry> = world.ask(|m, loaded| lookup::entries_from(m, loaded, 0, 2));
    let change = merge(&live, 1, false, &mut Reference { entries: live.clone(), ..Reference::default() });
    for change in [change, Change::LogStart { to: 25 }] {
        let before = world.head.pages[0].object.name.clone();
        world.apply(&change).unwrap();
        let top = world.head.pages[0].clone();
        assert_ne!(top.object.name, before, "it was written anew");
        let content = world.page(&top);
        assert_eq!((content.unknown.get("later"), &content.features), (Some(&1.into()), &first_line), "{change:?}");
        if matches!(change, Change::Replace(_)) {
            assert_eq!(top.unknown.get("later"), Some(&1.into()));
        }
    }
}

#[test]
fn a_page_of_epochs_that_may_not_be_written_anew_stays_and_the_next_begins() {
    for list in ["must_write", "must_collect", "none"] {
        let mut world = World::new();
        let grow = |world: &mut World, epochs: std::ops::Range<i32>| {
            for epoch in epochs {
                let first = world.head.next;
                let entry = Entry::gap(first, first + 10, GapReason::Control);
                world.apply(&seal(vec![entry], &[(epoch, first)])).unwrap();
            }
        };
        grow(&mut world, 0..9);
        let first = world.head.epoch_pages[0].clone();
        assert!(first.count < EPOCH_PAGE_ITEMS as u64);
        let features = if list == "none" { Features::default() } else { asks(list, "staged") };
        world.alter(&EPOCHS, &first.object.name, features, true);
        grow(&mut world, 9..15);
        let is_kept = world.head.epoch_pages[0] == first;
        assert_eq!((is_kept, world.head.epoch_pages.len()), if list == "none" { (false, 1) } else { (true, 2) });
        let last = world.head.epoch_pages.last().unwrap().object.name.clone();
        let text = String::from_utf8(world.objects[&last].to_vec()).unwrap();
        assert_eq!(text.contains("\"later\":1"), list == "none", "only what is written anew says it again");
    }
}

#[test]
fn what_an_object_of_producers_asks_for_is_asked_for_by_the_next_or_refuses_it() {
    for change in [seal_with(10, producers(3)), seal_with(10, producers(501)), Change::WalLost { next: 10 }] {
        let mut world = World::new();
        world.apply(&seal_with(0, producers(500))).unwrap();
        let ProducersAt::Object(object) = world.head.producers.clone() else { panic!("500 are too many") };
        world.alter(&PRODUCERS, &object.name, asks("must_write", "staged"), false);
        let refused = world.apply(&change).unwrap_err();
        assert!(refused.contains("'staged'") && refused.contains(&object.name), "{refused}");
        world.alter(&PRODUCERS, &object.name, asks("must_collect", "staged"), false);
        world.apply(&change).unwrap();
        let ProducersAt::Object(next) = world.head.producers.clone() else { panic!("a version cannot ask for it") };
        assert_ne!(next.name, object.name);
        let opened = envelope::decode(&PRODUCERS, &world.objects[&next.name]).unwrap();
        assert_eq!(opened.features, asks("must_collect", "staged"));
    }
}
