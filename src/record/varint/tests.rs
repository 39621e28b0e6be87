use proptest::prelude::*;

use super::*;

fn encoded(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, value);
    out
}

proptest! {
    #[test]
    fn numbers_round_trip_in_the_length_foretold(value in any::<i64>(), shift in 0u32..64, tail in any::<Vec<u8>>()) {
        let value = value >> shift;
        let mut bytes = encoded(value);
        prop_assert_eq!(bytes.len(), varint_len(value));
        bytes.extend_from_slice(&tail);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.varlong(), Some(value));
        prop_assert_eq!(reader.rest(), &tail[..]);
        prop_assert_eq!(Reader::new(&bytes).varint(), i32::try_from(value).ok());
    }

    #[test]
    fn a_cut_number_is_none(value in any::<i64>(), shift in 0u32..64) {
        let bytes = encoded(value >> shift);
        for end in 0..bytes.len() {
            prop_assert_eq!(Reader::new(&bytes[..end]).varlong(), None);
        }
    }
}

#[test]
fn known_numbers_have_the_bytes_of_the_protobuf_documentation() {
    let known: [(i64, &[u8]); 6] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (-64, &[0x7f]),
        (64, &[0x80, 1]),
        (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ];
    for (value, bytes) in known {
        assert_eq!(encoded(value), bytes, "{value}");
    }
}

#[test]
fn numbers_that_are_too_long_are_refused_even_if_they_would_fit() {
    assert_eq!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0]).varint(), Some(0));
    assert_eq!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]).varint(), None);
    assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).varint(), None, "33 bits");
    assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varlong(), None, "65 bits");
    assert_eq!(Reader::new(&[0x80; 11]).varlong(), None);
}

#[test]
fn lengths_below_minus_one_are_refused() {
    assert_eq!(Reader::new(&encoded(-1)).nullable_bytes(), Some(None));
    assert_eq!(Reader::new(&encoded(-2)).nullable_bytes(), None);
    assert_eq!(Reader::new(&[4, 7]).nullable_bytes(), None, "two announced, one there");
    assert_eq!(Reader::new(&[2, 7]).nullable_bytes(), Some(Some(&[7][..])));
}
