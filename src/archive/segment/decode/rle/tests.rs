use proptest::prelude::*;

use super::*;

/// Bit-packs one bit after the other, as the format's text says: from the least significant bit of each byte.
fn packed(width: u32, numbers: &[u64]) -> Vec<u8> {
    let bits = numbers.iter().flat_map(|number| (0..width).map(move |bit| number >> bit & 1 == 1));
    let mut bytes = vec![0; (numbers.len() * width as usize).div_ceil(8)];
    for (at, _) in bits.enumerate().filter(|(_, bit)| *bit) {
        bytes[at / 8] |= 1 << (at % 8);
    }
    bytes
}

proptest! {
    #[test]
    fn packed_numbers_of_any_width_come_back(width in 1u32..=64, seeds in prop::collection::vec(any::<u64>(), 0..100)) {
        let numbers: Vec<u64> = seeds.iter().map(|seed| seed >> (64 - width)).collect();
        let mut got = Vec::new();
        unpack(&packed(width, &numbers), width, numbers.len(), |number| got.push(number));
        prop_assert_eq!(got, numbers);
    }

    #[test]
    fn runs_and_groups_in_any_order_come_back(
        width in 1u32..=32,
        parts in prop::collection::vec((any::<bool>(), 1usize..20, any::<u32>()), 1..20),
    ) {
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        for (run, len, seed) in parts {
            let number = seed >> (32 - width);
            if run {
                bytes.push((len << 1) as u8);
                bytes.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
                numbers.resize(numbers.len() + len, number);
            } else {
                bytes.push(1 << 1 | 1);
                let group: Vec<u32> = (0..8).map(|i| number.wrapping_mul(i) & (u32::MAX >> (32 - width))).collect();
                bytes.extend(packed(width, &group.iter().map(|&n| u64::from(n)).collect::<Vec<_>>()));
                numbers.extend(group);
            }
        }
        let mut out = Vec::new();
        match decode(&bytes, width, numbers.len(), &mut out) {
            Some(Some(same)) => prop_assert!(numbers.iter().all(|&number| number == same)),
            Some(None) => prop_assert_eq!(out, numbers),
            None => prop_assert!(false, "refused"),
        }
    }

    #[test]
    fn garbage_is_refused_or_decoded_but_never_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), width in 0u32..40, count in 0usize..1000,
    ) {
        let mut out = Vec::new();
        if decode(&bytes, width, count, &mut out) == Some(None) {
            prop_assert_eq!(out.len(), count);
        }
    }
}
