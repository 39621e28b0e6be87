use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn over_all_passes_each_key_has_its_newest_offset(
        keys in prop::collection::vec(0u16..300, 0..600), passes in 1u64..6, seeds: [u64; 2],
    ) {
        let mut model = HashMap::new();
        let mut tables: Vec<_> =
            (0..passes).map(|index| KeyTable::new(seeds, Pass { index, passes }, 600)).collect();
        for (offset, key) in keys.iter().enumerate() {
            model.insert(*key, offset as i64);
            for table in &mut tables {
                prop_assert_eq!(table.put(&key.to_be_bytes(), offset as i64), Ok(()));
            }
        }
        for key in 0u16..310 {
            let found: Vec<i64> = tables.iter().filter_map(|table| table.newest(&key.to_be_bytes())).collect();
            prop_assert_eq!(found, model.get(&key).copied().into_iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_table_says_when_it_is_full_and_still_finds_what_it_has() {
    let mut table = KeyTable::new([1, 2], Pass { index: 0, passes: 1 }, 100);
    let fitted = (0u32..).take_while(|n| table.put(&n.to_be_bytes(), i64::from(*n)).is_ok()).count();
    assert!((100..130).contains(&fitted), "{fitted}");
    assert_eq!(table.newest(&5u32.to_be_bytes()), Some(5));
    assert_eq!(table.put(&5u32.to_be_bytes(), 1000), Ok(()), "a key that is there needs no place");
    assert_eq!(table.newest(&5u32.to_be_bytes()), Some(1000));
}
