use parquet::basic::Encoding;
use parquet::data_type::Int64Type;
use parquet::encodings::encoding::{DeltaBitPackEncoder, Encoder};
use proptest::prelude::*;

use super::*;

fn encoded(numbers: &[i64]) -> Vec<u8> {
    let mut encoder = DeltaBitPackEncoder::<Int64Type>::new();
    assert_eq!(encoder.encoding(), Encoding::DELTA_BINARY_PACKED);
    encoder.put(numbers).unwrap();
    encoder.flush_buffer().unwrap().to_vec()
}

proptest! {
    #[test]
    fn what_the_parquet_crate_packs_comes_back(
        wild in prop::collection::vec(any::<i64>(), 0..600), tame in prop::collection::vec(0i64..1000, 0..600),
    ) {
        for numbers in [wild, tame] {
            let mut out = Vec::new();
            prop_assert_eq!(decode(&encoded(&numbers), numbers.len(), &mut out), Some(()));
            prop_assert_eq!(&out, &numbers);
            prop_assert_eq!(decode(&encoded(&numbers), numbers.len() + 1, &mut out), None);
        }
    }

    #[test]
    fn garbage_is_refused_or_decoded_but_never_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..1000,
    ) {
        let mut out = Vec::new();
        if decode(&bytes, count, &mut out).is_some() {
            prop_assert_eq!(out.len(), count);
        }
    }
}
