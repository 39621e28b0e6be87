use proptest::prelude::*;

use super::*;
use crate::archive::testing::{NOW_MS, segment};

pub(super) fn entry(first: i64, next: i64, bytes: u64) -> Entry {
    let mut segment = segment(&format!("s{first}"), first, next, (next - first) as u64, Some(NOW_MS));
    segment.meta.payload_bytes = bytes;
    Entry::Segment(Box::new(segment))
}

/// Entries of these lengths, sizes and kinds (0 a lost range, 1 control, others segments).
pub(super) fn entries(parts: &[(i64, u64, u8)]) -> Vec<Entry> {
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

pub(super) fn parts() -> impl Strategy<Value = Vec<(i64, u64, u8)>> {
    prop::collection::vec((1i64..20, 1u64..400, 0u8..8), 0..40)
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
                entries[run.from..run.to].iter().filter_map(Entry::segment).map(|s| s.meta.weight()).collect();
            prop_assert!(bytes.len() == 1 || bytes.iter().sum::<u64>() <= size);
        }
        // Piece by piece the same runs come out, but for one that fills a piece.
        let mut pieces = Vec::new();
        let (mut rest, mut at) = (&entries[..entries.partition_point(|e| e.next() <= next)], 0);
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(12)];
            let (some, taken) = closed_runs(piece, size, piece.len() == rest.len());
            prop_assert!(taken > 0);
            pieces.extend(some.iter().map(|run| Run { from: run.from + at, to: run.to + at, ..*run }));
            (rest, at) = (&rest[taken..], at + taken);
        }
        if runs.iter().all(|run| run.to - run.from < 12) {
            let of = |runs: &[Run]| -> Vec<Vec<i64>> {
                let segments = |run: &Run| entries[run.from..run.to].iter().filter_map(Entry::segment);
                runs.iter().map(|run| segments(run).map(|segment| segment.meta.first_offset).collect()).collect()
            };
            prop_assert_eq!(of(&pieces), of(&runs));
        }
        for max in [1, 30, 1000] {
            let windows: Vec<Run> = windows(&entries, &runs, max).flatten().copied().collect();
            prop_assert_eq!(&windows, &runs);
        }
    }
}

#[test]
fn tombstones_have_done_their_work_below_the_newest_point_that_is_old_enough() {
    let cleaned = [CleanPoint(10, 100), CleanPoint(20, 200), CleanPoint(30, 300)];
    for (now, expected) in [(149, 0), (150, 10), (250, 20), (349, 20), (350, 30), (9999, 30)] {
        assert_eq!(horizon(&cleaned, 50, now), expected, "at {now}");
    }
}

fn policy() -> Policy {
    Policy { dirty_ratio: 0.5, min_lag_ms: 0, max_lag_ms: i64::MAX, delete_retention_ms: 0, segment_bytes: 1000 }
}

/// Entries of 100 bytes, written at these times, ms after [`NOW_MS`].
fn written_at(times: &[i64]) -> Vec<Entry> {
    let one = |(n, ms): (i64, &i64)| {
        let Entry::Segment(mut segment) = entry(n * 10, n * 10 + 1, 100) else { unreachable!() };
        segment.meta.next_offset = n * 10 + 10;
        (segment.meta.min_timestamp, segment.meta.max_timestamp) = (Some(NOW_MS + ms), Some(NOW_MS + ms));
        segment.sealed_ms = NOW_MS + ms;
        Entry::Segment(segment)
    };
    (0..).zip(times).map(one).collect()
}

#[test]
fn what_is_not_due_says_when_it_may_be() {
    let above = written_at(&[0, 100, 200]);
    let due = |clean, policy: &Policy, ms| dirty(clean, &above, policy, NOW_MS + ms);
    let all = Due::Now(Dirty { first: 0, next: 30, records: 3 });
    let two = Due::Now(Dirty { first: 0, next: 20, records: 2 });
    assert_eq!(due(300, &policy(), 200), all);
    assert_eq!(due(301, &policy(), 200), Due::NotBefore(i64::MAX));
    assert_eq!(dirty(0, &[], &policy(), NOW_MS), Due::NotBefore(i64::MAX));
    let patient = Policy { min_lag_ms: 50, ..policy() };
    assert_eq!(due(200, &patient, 249), two);
    assert_eq!(due(201, &patient, 249), Due::NotBefore(NOW_MS + 250));
    assert_eq!(due(201, &patient, 250), all);
    let impatient = Policy { max_lag_ms: 1000, ..patient };
    assert_eq!(due(900, &impatient, 200), Due::NotBefore(NOW_MS + 250));
    assert_eq!(due(900, &impatient, 999), Due::NotBefore(NOW_MS + 1000));
    assert_eq!(due(900, &impatient, 1000), all);
}
