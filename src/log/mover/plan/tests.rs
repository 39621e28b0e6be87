use super::*;
use crate::log::settings::Compaction;
use crate::log::transactions::Role;
use crate::wal::Position;
use proptest::prelude::*;

fn span(base: i64, next: i64, len: u32) -> Span {
    let position = Position { file: 0, group: 0, at: 0, len, crc: 0 };
    Span { base, next, position, max_timestamp: -1, append_time: 0, role: Role::Plain }
}

#[test]
fn size_age_and_pressure_each_lead_to_a_seal_and_nothing_else_does() {
    let settings = TopicSettings { seal_bytes: 1000, seal_ms: 500, ..TopicSettings::built_in() };
    let choose = |payload, oldest_ms, group, wanted| {
        super::choose(&Unsealed { bytes: 1, payload, oldest_ms, group }, &settings, 10_000, wanted)
    };
    assert_eq!(choose(999, 9_501, 7, None), None);
    assert_eq!(choose(1000, 9_501, 7, None), Some(Why::Size));
    assert_eq!(choose(1, 9_500, 7, None), Some(Why::Age));
    assert_eq!(choose(1, 9_999, 7, Some(8)), Some(Why::Pressure));
    assert_eq!(choose(1, 9_999, 8, Some(8)), None);
    assert_eq!(choose(1, 20_000, 8, None), None, "a clock that went back seals nothing by age");
}

#[test]
fn a_compacted_partition_is_sealed_when_its_oldest_record_waited_for_max_compaction_lag_ms() {
    let settings = |max_lag_ms| TopicSettings {
        seal_ms: 600_000,
        compaction: Some(Compaction { dirty_ratio: 0.5, min_lag_ms: 0, max_lag_ms, delete_retention_ms: 0 }),
        ..TopicSettings::built_in()
    };
    for (max_lag_ms, age_ms, expected) in [
        (60_000, 59_999, None),
        (60_000, 60_000, Some(Why::Lag)),
        (1_000, 4_999, None),
        (1_000, 5_000, Some(Why::Lag)),
        (0, 5_000, Some(Why::Lag)),
        (i64::MAX, 599_999, None),
        (i64::MAX, 600_000, Some(Why::Age)),
        (60_000, -1, None),
    ] {
        let unsealed = Unsealed { bytes: 1, payload: 1, oldest_ms: 1_000_000 - age_ms, group: 7 };
        let found = super::choose(&unsealed, &settings(max_lag_ms), 1_000_000, None);
        assert_eq!(found, expected, "lag {max_lag_ms}, age {age_ms}");
    }
    let unsealed = Unsealed { bytes: 1, payload: 1, oldest_ms: 0, group: 7 };
    let plain = TopicSettings { seal_ms: 600_000, compaction: None, ..TopicSettings::built_in() };
    assert_eq!(super::choose(&unsealed, &plain, 60_000, None), None, "a topic that is not compacted has time");
}

proptest! {
    #[test]
    fn runs_one_after_the_other_cover_every_offset_once_with_holes_as_gaps(
        parts in prop::collection::vec((0..4i64, 1..30i64, 1..500u32), 0..40),
        tail_hole in 0..4i64,
        sealed_end in 0..100i64,
        log_start in 0..400i64,
        max_bytes in 1..2000u64,
    ) {
        let mut end = 0;
        let mut spans = Vec::new();
        for (hole, n, len) in parts {
            end += hole;
            spans.push(span(end, end + n, len));
            end += n;
        }
        let until = end + tail_hole;
        let (sealed_end, log_start) = (sealed_end.min(until), log_start.min(until));
        // A seal ends between two batches.
        let start = spans.iter().find(|s| s.base < sealed_end && sealed_end < s.next).map_or(sealed_end, |s| s.next);
        let mut at = start;
        while at < until {
            let mut run = Run::new(at, log_start, until, max_bytes);
            let above = spans.iter().filter(|s| s.next > at);
            let took: Vec<_> = above.map(|s| (*s, run.take(&(*s, None)))).take_while(|(_, t)| *t != Took::Nothing).collect();
            let run = run.end();
            let mut expected = at;
            for gap in &run.gaps {
                prop_assert_eq!(gap.first, expected);
                expected = gap.next;
                for offset in gap.first..gap.next {
                    let held = spans.iter().any(|s| s.base <= offset && offset < s.next);
                    prop_assert_eq!(gap.reason == GapReason::Deleted, offset < log_start);
                    prop_assert!(!held || offset < log_start);
                }
            }
            prop_assert_eq!(run.first, expected);
            prop_assert!(took.iter().filter(|(_, t)| *t == Took::Leading).all(|(s, _)| s.next <= run.first));
            let part: Vec<Span> = took.into_iter().filter(|(_, t)| *t == Took::Part).map(|(s, _)| s).collect();
            prop_assert_eq!(run.bytes, part.iter().map(|s| u64::from(s.position.len)).sum::<u64>());
            for s in &part {
                prop_assert!(s.base <= expected && expected < s.next);
                expected = s.next;
            }
            prop_assert_eq!(run.next, expected);
            prop_assert!(expected > at, "every run makes progress");
            at = expected;
        }
        prop_assert_eq!(at, until);
    }
}
