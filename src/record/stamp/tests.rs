use proptest::prelude::*;

use super::*;
use crate::record::testing::*;
use crate::record::{CheckLimits, Codec, TimestampType, check, verify_crc};

proptest! {
    #[test]
    fn a_patched_crc_is_that_of_the_patched_bytes(
        old in prop::collection::vec(any::<u8>(), 40),
        new in prop::collection::vec(any::<u8>(), 40),
        rest in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        let sum = |head: &[u8]| crc32c::crc32c(&[head, &rest].concat());
        prop_assert_eq!(patch_crc(sum(&old), &old, &new, rest.len()), sum(&new));
    }

    #[test]
    fn the_patch_reaches_over_any_length(difference in any::<u32>(), length in any::<u32>()) {
        let length = length as usize;
        prop_assert_eq!(multiply(x_to_8(length), difference), crc32c::crc32c_combine(difference, 0, length));
    }

    #[test]
    fn a_stamped_batch_has_its_place_and_a_right_crc(
        records in produced(),
        codec in codec(),
        base_offset in 0i64..1 << 60,
        epoch in 0i32..,
        now in proptest::option::of(0i64..1 << 42),
    ) {
        let batch = batch_of(&records, codec);
        let timestamp_type = if now.is_some() { TimestampType::Append } else { TimestampType::Create };
        let sent = check(&batch, &CheckLimits { timestamp_type, ..lenient() }).unwrap().header;
        let stamped = stamp(&batch, &sent, base_offset, epoch, now);
        prop_assert_eq!(stamped.body.as_ptr(), batch[BatchHeader::LEN..].as_ptr(), "zero copy");
        prop_assert_eq!(stamped.total_len(), batch.len());
        let header = verify_crc(&stamped.to_bytes()).unwrap();
        prop_assert_eq!((header.base_offset, header.leader_epoch), (base_offset, epoch));
        prop_assert_eq!(header.timestamp_type(), timestamp_type);
        prop_assert_eq!(header.last_offset(), base_offset + records.len() as i64 - 1);
        let mut found = read(&stamped.to_bytes()).unwrap();
        for record in &mut found {
            prop_assert_eq!((record.leader_epoch, record.timestamp_type), (epoch, timestamp_type));
            prop_assert!(now.is_none_or(|now| record.timestamp == now));
            record.offset -= base_offset;
            let sent = &records[record.offset as usize];
            record.leader_epoch = sent.leader_epoch;
            record.timestamp_type = sent.timestamp_type;
            record.timestamp = sent.timestamp;
        }
        prop_assert_eq!(found, records);
    }
}

fn sample() -> Bytes {
    let record =
        crate::record::Record { timestamp: 500, leader_epoch: -1, value: Some("v".into()), ..Default::default() };
    batch_of(&[record], Codec::None)
}

#[test]
fn a_max_timestamp_that_lies_is_put_right() {
    let lying = with_header(&sample(), |header| header.max_timestamp = 999_999);
    let checked = check(&lying, &lenient()).unwrap();
    let stamped = stamp(&lying, &checked.header, 7, 1, None).to_bytes();
    assert_eq!(verify_crc(&stamped).unwrap().max_timestamp, 500);
}

#[test]
fn what_needs_no_change_keeps_the_producers_crc() {
    let batch = sample();
    let checked = check(&batch, &lenient()).unwrap();
    let stamped = stamp(&batch, &checked.header, 7, 1, None);
    assert_eq!(stamped.head[17..], batch[17..BatchHeader::LEN]);
}

#[test]
fn bytes_damaged_after_the_check_get_no_crc_that_blesses_them() {
    let batch = sample();
    let checked = check(&batch, &lenient()).unwrap();
    let mut damaged = batch.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let stamped = stamp(&damaged.into(), &checked.header, 7, 1, Some(1_000)).to_bytes();
    assert!(verify_crc(&stamped).is_err());
}
