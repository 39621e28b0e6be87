use proptest::prelude::*;

use super::super::tests::{entries, entry, parts};
use super::*;
use crate::archive::testing::NOW_MS;

const SEGMENT: u64 = 512 << 20;
const SIZE: Size = Size { segment_bytes: SEGMENT, span_max_ms: None };
const NONE: &(dyn Fn(&SegmentEntry) -> bool + Sync) = &|_| false;

fn weights(entries: &[Entry]) -> Vec<u64> {
    entries.iter().filter_map(Entry::segment).map(|segment| segment.meta.weight()).collect()
}

/// A history as it is sealed and merged.
#[derive(Default)]
struct World {
    entries: Vec<Entry>,
    /// What lies before this entry is not looked at any more.
    from: usize,
    payload: u64,
    rewritten: u64,
}

impl World {
    fn seal(&mut self, bytes: u64) {
        let at = self.entries.last().map_or(0, Entry::next);
        self.entries.push(entry(at, at + 1, bytes));
        self.payload += bytes.max(16);
    }

    /// Merges whatever is to be merged.
    fn merge(&mut self, is_quiet: bool) {
        loop {
            let look = Look { entries: &self.entries[self.from..], avoid: NONE, is_quiet };
            let Some(run) = merge(&look, &SIZE) else {
                self.from += open_from(&look, &SIZE);
                return;
            };
            let range = self.from + run.from..self.from + run.to;
            let inputs = &self.entries[range.clone()];
            let bytes: u64 = weights(inputs).iter().sum();
            let mut merged = entry(inputs[0].first(), inputs[inputs.len() - 1].next(), bytes);
            if let Entry::Segment(segment) = &mut merged {
                segment.meta.records = 0; // they have their weight
            }
            self.rewritten += bytes;
            self.entries.splice(range, [merged]);
        }
    }

    fn times_written_again(&self) -> f64 {
        self.rewritten as f64 / self.payload as f64
    }
}

const BURSTS: [&[u64]; 8] = [
    &[100_000],
    &[100_000, 10_000],
    &[10_000, 100_000, 100_000],
    &[100_000, 100_000, 100_000, 100_000, 100_000, 100_000, 100_000, 5_000],
    &[300, 3_000, 30_000],
    &[10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 5_000_000],
    &[100_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000],
    &[100_000, 100, 100, 100],
];

#[test]
fn of_128_segments_of_a_burst_at_most_four_are_left_whenever_they_are_merged() {
    for burst in BURSTS {
        for merged_every in [1, 2, 7, 15, 40, 128] {
            let mut world = World::default();
            for n in 0..128 {
                world.seal(burst[n % burst.len()]);
                if (n + 1) % merged_every == 0 {
                    world.merge(false);
                }
            }
            world.merge(true);
            let left = world.entries.len();
            assert!(left <= LEFT_MAX, "{left} left of {burst:?}, merged every {merged_every}");
            if merged_every == 128 {
                assert_eq!(left, 1, "{burst:?}");
            }
        }
    }
}

/// Sizes that come again, or that are drawn anew each time.
fn sizes() -> impl Strategy<Value = Vec<u64>> {
    let one = || (4u32..24, 0u64..1000).prop_map(|(log, part)| (1 << log) + (part << log) / 1000);
    prop_oneof![
        3 => prop::collection::vec(one(), 1..9)
            .prop_flat_map(|burst| (1usize..1500).prop_map(move |n| burst.iter().copied().cycle().take(n).collect())),
        1 => prop::collection::vec(one(), 1..1500),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn over_the_life_of_a_history_no_more_is_written_again_than_six_times_its_payload(
        sizes in sizes(),
        merged_every in 1usize..40,
        quiet_every in prop_oneof![1usize..4, 1usize..200],
    ) {
        let mut world = World::default();
        for (n, bytes) in sizes.iter().enumerate() {
            world.seal(*bytes);
            if (n + 1) % merged_every == 0 {
                world.merge((n + 1) % (merged_every * quiet_every) == 0);
            }
        }
        world.merge(true);
        prop_assert!(world.times_written_again() <= 6.0, "{} times", world.times_written_again());
        prop_assert_eq!(weights(&world.entries).iter().sum::<u64>(), world.payload);
    }

    #[test]
    fn a_run_is_of_small_neighbours_that_fit_and_repeated_merges_end(
        parts in parts(),
        large in 500u64..4000,
        avoided in prop::collection::vec(0usize..40, 0..4),
        is_quiet: bool,
    ) {
        let mut entries = entries(&parts);
        let avoided: Vec<String> =
            avoided.iter().filter_map(|at| Some(entries.get(*at)?.segment()?.name.clone())).collect();
        let avoid = |segment: &SegmentEntry| avoided.contains(&segment.name);
        let size = Size { segment_bytes: large, span_max_ms: None };
        let mut merges = 0;
        while let Some(run) = merge(&Look { entries: &entries, avoid: &avoid, is_quiet }, &size) {
            let inputs = &entries[run.from..run.to];
            let bytes = weights(inputs);
            let (sum, max) = (bytes.iter().sum::<u64>(), bytes.iter().max().copied().unwrap_or(0));
            prop_assert!(bytes.len() > 1 && sum <= large && sum >= 3 * max);
            prop_assert!(inputs.iter().all(is_joinable));
            prop_assert!(inputs.iter().filter_map(Entry::segment).all(|segment| !avoid(segment)));
            let (first, next) = (inputs[0].first(), inputs[inputs.len() - 1].next());
            entries.splice(run.from..run.to, [entry(first, next, sum)]);
            merges += 1;
            prop_assert!(merges < 100);
        }
    }
}

#[test]
fn a_merged_segment_spans_no_more_time_than_it_may() {
    let mut entries: Vec<Entry> = (0..9).map(|n| entry(n * 10, n * 10 + 1, 100)).collect();
    for (n, entry) in entries.iter_mut().enumerate() {
        let Entry::Segment(segment) = entry else { continue };
        segment.meta.next_offset = n as i64 * 10 + 10;
        let at = Some(NOW_MS + n as i64 * 100);
        (segment.meta.min_timestamp, segment.meta.max_timestamp) = (at, at);
    }
    let run = |span_max_ms, is_quiet| {
        merge(&Look { entries: &entries, avoid: NONE, is_quiet }, &Size { segment_bytes: 10_000, span_max_ms })
    };
    assert_eq!(run(None, false).map(|run| run.to), Some(9));
    assert_eq!(run(Some(700), false).map(|run| (run.from, run.to)), Some((0, 8)));
    assert_eq!(run(Some(699), false), None);
    // Of the first the time lies far back: those behind it are looked at on their own.
    if let Entry::Segment(first) = &mut entries[0] {
        first.meta.min_timestamp = Some(0);
    }
    let run = merge(
        &Look { entries: &entries, avoid: NONE, is_quiet: false },
        &Size { segment_bytes: 10_000, span_max_ms: Some(700) },
    );
    assert_eq!(run.map(|run| (run.from, run.to)), Some((1, 9)));
}

#[test]
fn where_large_ones_were_left_out_there_is_no_run_across() {
    let part = |first: i64| (0..7).map(move |n| entry(first + n, first + n + 1, 1000));
    let entries: Vec<Entry> = part(0).chain(part(100)).collect();
    let look = |is_quiet| Look { entries: &entries, avoid: NONE, is_quiet };
    assert_eq!(
        merge(&look(false), &SIZE).map(|run| (run.from, run.to)),
        Some((3, 7)),
        "nothing follows the first part"
    );
    assert_eq!(open_from(&look(false), &SIZE), 7);
    let together: Vec<Entry> = (0..14).map(|n| entry(n, n + 1, 1000)).collect();
    let run = merge(&Look { entries: &together, avoid: NONE, is_quiet: false }, &SIZE);
    assert_eq!(run.map(|run| (run.from, run.to)), Some((0, 14)));
}

#[test]
fn pages_of_large_segments_are_not_looked_at() {
    let sums = |bytes: &[u64]| {
        let entries = bytes.iter().enumerate().map(|(n, bytes)| entry(n as i64, n as i64 + 1, *bytes));
        entries.map(|entry| Sums::of(&entry)).reduce(Sums::and).unwrap()
    };
    assert!(is_merged(&sums(&[SEGMENT / 8, SEGMENT]), &SIZE));
    assert!(!is_merged(&sums(&[SEGMENT / 8, 1, 1, 1]), &SIZE));
    assert!(!is_merged(&sums(&[5 << 20]), &SIZE), "one that is small may be merged with what lies in the next page");
}
