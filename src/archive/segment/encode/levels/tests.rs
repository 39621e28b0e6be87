use proptest::prelude::*;

use super::*;
use crate::archive::segment::decode::rle;

proptest! {
    #[test]
    fn levels_in_runs_of_any_length_come_back(
        max in 1i16..6, v2: bool, runs in prop::collection::vec((0i16..6, 1usize..30), 0..40),
    ) {
        let levels: Vec<i16> = runs.iter().flat_map(|&(level, len)| vec![level.min(max); len]).collect();
        let mut out = vec![7];
        Levels::new(max, v2).encode(&levels, &mut out);
        let bytes = if v2 { &out[1..] } else { &out[5..] };
        if !v2 {
            prop_assert_eq!(u32::from_le_bytes(out[1..5].try_into().unwrap()) as usize, bytes.len());
        }
        let width = 16 - max.leading_zeros();
        let mut got = Vec::new();
        match rle::decode(bytes, width, levels.len(), &mut got) {
            Some(Some(same)) => prop_assert!(levels.iter().all(|&level| level as u32 == same)),
            Some(None) => prop_assert_eq!(got, levels.iter().map(|&level| level as u32).collect::<Vec<_>>()),
            None => prop_assert!(false, "refused"),
        }
    }
}

#[test]
fn rows_that_are_all_alike_take_one_run() {
    let mut out = Vec::new();
    Levels::new(1, true).encode(&[1; 1000], &mut out);
    assert_eq!(out, [0xd0, 0x0f, 1]);
}

/// The example of the format's text: 0 to 7 with 3 bits each.
#[test]
fn groups_are_packed_from_the_lowest_bit_up() {
    let mut out = Vec::new();
    Levels::new(7, true).encode(&[0, 1, 2, 3, 4, 5, 6, 7], &mut out);
    assert_eq!(out, [3, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
}
