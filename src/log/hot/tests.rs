use super::*;
use proptest::prelude::*;

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        Just(Role::Plain),
        Just(Role::Control),
        (0..i64::MAX).prop_map(Role::Part),
        (0..9i64).prop_map(Role::Part)
    ]
}

/// A batch of so many records, behind a hole of so many offsets, in a group or a file further on or not.
#[derive(Clone, Debug)]
struct Part {
    hole: i64,
    records: i64,
    len: u32,
    group: u64,
    file: u64,
    at: u64,
    times: (i64, i64),
    role: Role,
    crc: u32,
}

fn part() -> impl Strategy<Value = Part> {
    let holes = prop_oneof![8 => Just(0), 1 => 0..5i64, 1 => Just(1 << 26)];
    let times = prop_oneof![(0..10_000i64, -5..5i64), (any::<i64>(), any::<i64>()), Just((0, -1))];
    let place = (0..3u64, prop_oneof![9 => Just(0u64), 1 => 1..3u64], 0..9_000u64);
    (holes, 1..50i64, 1..5000u32, place, times, role(), any::<u32>()).prop_map(
        |(hole, records, len, (group, file, at), times, role, crc)| Part {
            hole,
            records,
            len,
            group,
            file,
            at,
            times,
            role,
            crc,
        },
    )
}

fn spans(parts: Vec<Part>) -> Vec<Span> {
    let (mut offset, mut group, mut file, mut at) = (0, 0, 0, 0);
    let spans = parts.into_iter().map(|part| {
        let base = offset + part.hole;
        offset = base + part.records;
        (group, file) = (group + part.group, file + part.file);
        at = if part.file > 0 { 0 } else { at } + part.at;
        let position = Position { file, group, at, len: part.len, crc: part.crc };
        at += u64::from(part.len);
        let (append_time, max_timestamp) = part.times;
        Span { base, next: offset, position, max_timestamp, append_time, role: part.role }
    });
    spans.collect()
}

fn index(spans: &[Span]) -> HotIndex {
    let mut index = HotIndex::default();
    assert!(spans.iter().all(|span| index.push(*span)));
    index
}

proptest! {
    #[test]
    fn a_span_comes_out_as_it_went_in_and_every_offset_is_found_in_its_span_or_leads_to_the_next(
        parts in prop::collection::vec(part(), 1..300),
        forget in 0..300u64,
        sealed in any::<prop::sample::Index>(),
        max in 0..20_000usize,
        timestamp in prop_oneof![-1..10_000i64, any::<i64>()],
    ) {
        let mut all = spans(parts);
        let mut index = index(&all);
        let sealed_end = all[sealed.index(all.len())].next;
        index.forget_below(forget, sealed_end);
        all.drain(..all.iter().take_while(|s| s.position.group < forget && s.next <= sealed_end).count());

        prop_assert_eq!(index.from(i64::MIN).collect::<Vec<_>>(), all.clone());
        prop_assert_eq!((index.start(), index.end()), (all.first().map(|s| s.base), all.last().map(|s| s.next)));
        let bytes = |spans: &[Span]| spans.iter().map(|s| u64::from(s.position.len)).sum::<u64>();
        prop_assert_eq!(index.bytes(), bytes(&all));
        for at in (0..all.len()).step_by(7) {
            for from in [all[at].base - 1, all[at].base, all[at].next - 1, all[at].next] {
                let above: Vec<Span> = all.iter().filter(|s| s.next > from).copied().collect();
                prop_assert_eq!(index.from(from).next(), above.first().copied());
                prop_assert_eq!(index.bytes_above(from), bytes(&above));
                let late = above.iter().find(|s| s.max_timestamp >= timestamp).copied();
                prop_assert_eq!(index.at_or_after(from, timestamp), late);
                prop_assert_eq!(index.max_timestamp(from), above.iter().map(|s| s.max_timestamp).max());
                let taken = index.take(from, i64::MAX, max, true);
                prop_assert_eq!(taken.first(), above.first());
                prop_assert!(taken.len() <= 1 || bytes(&taken) <= max as u64);
                prop_assert!(above.starts_with(&taken));
            }
        }
    }

    #[test]
    fn an_old_copy_is_not_taken_and_what_comes_behind_it_is(parts in prop::collection::vec(part(), 2..200)) {
        let all = spans(parts);
        let mut index = index(&all);
        for span in &all {
            prop_assert!(!index.push(*span));
        }
        let last = all[all.len() - 1];
        let behind = Span { base: last.next, next: last.next + 1, ..last };
        prop_assert!(index.push(behind));
        prop_assert_eq!(index.from(0).last(), Some(behind));
    }

    #[test]
    fn what_the_index_says_it_takes_is_what_its_chunks_take(
        parts in prop::collection::vec(part(), 1..300),
        forget in 0..300u64,
    ) {
        let mut index = index(&spans(parts));
        let taken = |index: &HotIndex| index.by_group(i64::MAX, true).map(|(_, bytes)| bytes).sum::<u64>();
        prop_assert_eq!(index.memory(), taken(&index));
        index.forget_below(forget, i64::MAX);
        prop_assert_eq!(index.memory(), taken(&index));
        index.forget_below(u64::MAX, i64::MAX);
        prop_assert_eq!((index.memory(), index.bytes(), index.start(), index.end()), (0, 0, None, None));
    }
}

#[test]
fn a_small_batch_takes_a_quarter_of_what_a_span_does() {
    let spans = (0..100_000u64).map(|i| {
        let position = Position {
            file: i / 200_000,
            group: i * 7,
            at: i * 30_000 % (60 << 20),
            len: 300,
            crc: 0x9e37_79b9_u32.wrapping_mul(i as u32),
        };
        let (base, time) = (i as i64 * 3, 1_700_000_000_000 + i as i64 * 70);
        Span { base, next: base + 3, position, max_timestamp: time - 2, append_time: time, role: Role::Plain }
    });
    let spans: Vec<Span> = spans.collect();
    let each = index(&spans).memory() as f64 / spans.len() as f64;
    assert!(each < 20.0, "{each} bytes a span");
}
