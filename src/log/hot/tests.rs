use super::*;
use proptest::prelude::*;

fn span(base: i64, n: i64, group: u64, len: u32) -> Span {
    let position = Position { file: group / 10, group, at: group * 4096, len, crc: 0 };
    Span { base, next: base + n, position, max_timestamp: base, append_time: 0, role: Role::Plain }
}

proptest! {
    #[test]
    fn every_offset_is_found_in_its_span_and_gaps_lead_to_the_next_one(
        parts in prop::collection::vec((1..50i64, 0..5i64, 1..5000u32), 1..60),
        forget in 0..60u64,
        max in 0..20_000usize,
    ) {
        let mut index = HotIndex::default();
        let mut all = Vec::new();
        let mut offset = 0;
        for (i, (n, gap, len)) in parts.into_iter().enumerate() {
            offset += gap;
            let s = span(offset, n, i as u64, len);
            index.push(s);
            all.push(s);
            offset += n;
        }
        index.forget_below(forget, i64::MAX);
        all.retain(|s| s.position.group >= forget);
        prop_assert_eq!(index.bytes(), all.iter().map(|s| u64::from(s.position.len)).sum::<u64>());
        for from in 0..offset {
            let expected = all.iter().find(|s| s.next > from);
            prop_assert_eq!(index.from(from).next(), expected);
            let taken = index.take(from, i64::MAX, max, true);
            prop_assert_eq!(taken.first(), expected);
            prop_assert!(taken.len() <= 1 || taken.iter().map(|s| s.position.len as usize).sum::<usize>() <= max);
        }
    }
}
