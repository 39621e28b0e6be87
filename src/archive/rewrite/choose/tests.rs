use proptest::prelude::*;

use super::*;
use crate::archive::testing::{NOW_MS, segment};

fn entry(first: i64, next: i64, bytes: u64) -> Entry {
    let mut segment = segment(&format!("s{first}"), first, next, (next - first) as u64, Some(NOW_MS));
    segment.meta.payload_bytes = bytes;
    Entry::Segment(Box::new(segment))
}

/// Entries of these lengths, sizes and kinds (0 a lost range, 1 control, others segments).
fn entries(parts: &[(i64, u64, u8)]) -> Vec<Entry> {
    let mut at = 0;
    let one = |(len, bytes, kind): &(i64, u64, u8)| {
        let (first, next) = (at, at + len);
        at = next;
        match kind {
            0 => Entry::gap(first, next, GapReason::WalLost),
            1 => Entry::gap(first, next, GapReason::Control),
            _ => entry(first, next, *bytes),
        }
    };
    parts.iter().map(one).collect()
}

fn parts() -> impl Strategy<Value = Vec<(i64, u64, u8)>> {
    prop::collection::vec((1i64..50, 1u64..400, 0u8..8), 0..40)
}

proptest! {
    #[test]
    fn runs_take_every_segment_once_and_no_lost_range(parts in parts(), size in 1u64..1000, cut in 0usize..40) {
        let entries = entries(&parts);
        let next = entries.get(cut).map_or(i64::MAX, Entry::first);
        let runs = runs(&entries, next, size);
        prop_assert!(runs.windows(2).all(|pair| pair[0].to <= pair[1].from));
        let in_runs = |at: usize| runs.iter().filter(|run| (run.from..run.to).contains(&at)).count();
        for (at, entry) in entries.iter().enumerate() {
            match entry {
                Entry::Segment(_) => prop_assert_eq!(in_runs(at), usize::from(entry.next() <= next)),
                Entry::Gap(gap) if gap.reason == GapReason::WalLost => prop_assert_eq!(in_runs(at), 0),
                Entry::Gap(_) => prop_assert!(in_runs(at) <= 1),
            }
        }
        for run in &runs {
            let bytes: Vec<u64> =
                entries[run.from..run.to].iter().filter_map(Entry::segment).map(|s| s.meta.payload_bytes).collect();
            prop_assert!(bytes.len() == 1 || bytes.iter().sum::<u64>() <= size);
        }
        for max in [1, 30, 1000] {
            let windows: Vec<Run> = windows(&entries, &runs, max).flatten().copied().collect();
            prop_assert_eq!(&windows, &runs);
        }
    }

    #[test]
    fn a_merge_is_of_small_neighbours_that_fit_and_repeated_merges_end(parts in parts(), large in 500u64..4000) {
        let mut entries = entries(&parts);
        let size = Size { segment_bytes: large, span_max_ms: None };
        let mut merges = 0;
        while let Some(run) = merge(&entries, &size) {
            let inputs = &entries[run.from..run.to];
            let bytes: Vec<u64> = inputs.iter().filter_map(Entry::segment).map(|s| s.meta.payload_bytes).collect();
            prop_assert!(bytes.len() >= MERGE_MIN && bytes.iter().sum::<u64>() <= large);
            prop_assert!(inputs.iter().all(is_joinable));
            let merged = entry(inputs[0].first(), inputs[inputs.len() - 1].next(), bytes.iter().sum());
            entries.splice(run.from..run.to, [merged]);
            merges += 1;
            prop_assert!(merges < 100);
        }
    }
}

#[test]
fn a_merged_segment_spans_no_more_time_than_it_may() {
    let mut entries: Vec<Entry> = (0..9).map(|n| entry(n * 10, n * 10 + 10, 10)).collect();
    for (n, entry) in entries.iter_mut().enumerate() {
        let Entry::Segment(segment) = entry else { continue };
        let at = Some(NOW_MS + n as i64 * 100);
        (segment.meta.min_timestamp, segment.meta.max_timestamp) = (at, at);
    }
    let merge = |span_max_ms| merge(&entries, &Size { segment_bytes: 10_000, span_max_ms });
    assert_eq!(merge(None).map(|run| run.to), Some(9));
    assert_eq!(merge(Some(700)).map(|run| run.to), Some(8));
    assert_eq!(merge(Some(699)), None);
}

#[test]
fn tombstones_have_done_their_work_below_the_newest_point_that_is_old_enough() {
    let cleaned = [CleanPoint(10, 100), CleanPoint(20, 200), CleanPoint(30, 300)];
    for (now, expected) in [(149, 0), (150, 10), (250, 20), (349, 20), (350, 30), (9999, 30)] {
        assert_eq!(horizon(&cleaned, 50, now), expected, "at {now}");
    }
}
