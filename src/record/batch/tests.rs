use proptest::prelude::*;

use super::*;
use crate::record::testing::*;
use crate::record::{check, commit_marker};

proptest! {
    #[test]
    fn headers_round_trip_through_their_61_bytes(
        places in any::<(i64, i32, u32, i16, i32)>(),
        times in any::<(i64, i64)>(),
        producer in any::<(i64, i16, i32, i32)>(),
    ) {
        let header = BatchHeader {
            base_offset: places.0,
            batch_length: (BatchHeader::LEN - BatchHeader::LENGTH_END) as i32,
            leader_epoch: places.1,
            magic: 2,
            crc: places.2,
            attributes: places.3 & !0b111,
            last_offset_delta: places.4,
            base_timestamp: times.0,
            max_timestamp: times.1,
            producer_id: producer.0,
            producer_epoch: producer.1,
            base_sequence: producer.2,
            record_count: producer.3,
        };
        prop_assert_eq!(BatchHeader::parse(&header.encode()), Ok(header));
    }

    #[test]
    fn a_record_set_is_cut_where_it_was_joined(sets in prop::collection::vec((stored(), codec()), 0..5)) {
        let batches: Vec<Bytes> = sets.iter().flat_map(|(records, codec)| batches_of(records, *codec)).collect();
        let joined = Bytes::from(batches.concat());
        let cut: Vec<Bytes> = split(joined.clone()).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(&cut, &batches);
        for piece in &cut {
            prop_assert!(joined.as_ptr_range().contains(&piece.as_ptr()), "zero copy");
        }
    }

    #[test]
    fn a_record_set_that_is_cut_short_ends_in_one_error(records in produced(), codec in codec(), cut in any::<prop::sample::Index>()) {
        let batch = batch_of(&records, codec);
        let whole = [batch.clone(), batch.clone()].concat();
        let end = batch.len() + 1 + cut.index(batch.len() - 1);
        let pieces: Vec<_> = split(Bytes::from(whole).slice(..end)).collect();
        prop_assert_eq!(pieces.len(), 2);
        prop_assert_eq!(pieces[0].as_ref(), Ok(&batch));
        prop_assert!(matches!(pieces[1], Err(BatchError::Truncated { .. })), "{:?}", pieces[1]);
    }

    #[test]
    fn one_changed_byte_behind_the_leader_epoch_is_seen(
        records in produced(),
        codec in codec(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let batch = batch_of(&records, codec);
        let mut bytes = batch.to_vec();
        let at = BatchHeader::MAGIC_AT + at.index(bytes.len() - BatchHeader::MAGIC_AT);
        bytes[at] ^= flip;
        prop_assert!(verify_crc(&bytes).is_err());
        prop_assert!(check(&bytes.into(), &lenient()).is_err());
    }
}

#[test]
fn what_is_shorter_than_it_says_is_truncated() {
    let marker = commit_marker(0, 0, 0);
    for end in 0..marker.len() {
        assert!(matches!(BatchHeader::parse(&marker[..end]), Err(BatchError::Truncated { .. })), "{end}");
    }
    assert!(BatchHeader::parse(&marker).is_ok());
}

#[test]
fn older_formats_are_named_even_when_shorter_than_a_header() {
    let mut old = vec![0u8; 34];
    for magic in [0, 1, 3, 0xff] {
        old[BatchHeader::MAGIC_AT] = magic;
        assert_eq!(BatchHeader::parse(&old), Err(BatchError::Magic(magic.cast_signed())));
    }
}

#[test]
fn impossible_lengths_are_refused() {
    let mut bytes = commit_marker(0, 0, 0).to_vec();
    for length in [-1, i32::MIN, 0, 48] {
        bytes[8..12].copy_from_slice(&i32::to_be_bytes(length));
        assert_eq!(BatchHeader::parse(&bytes), Err(BatchError::Length(length)));
    }
    bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let need = i32::MAX as u64 + 12;
    let error = BatchError::Truncated { need, have: bytes.len() as u64 };
    assert_eq!(BatchHeader::parse(&bytes), Err(error.clone()));
    assert_eq!(split(bytes.clone().into()).collect::<Vec<_>>(), [Err(error)]);
    bytes[8..12].copy_from_slice(&(-5i32).to_be_bytes());
    assert_eq!(split(bytes.into()).collect::<Vec<_>>(), [Err(BatchError::Length(-5))]);
}

#[test]
fn sequences_wrap_as_in_kafka() {
    let mut header = BatchHeader::parse(&commit_marker(0, 0, 0)).unwrap();
    assert_eq!(header.last_sequence(), -1);
    header.last_offset_delta = 4;
    header.base_sequence = 10;
    assert_eq!(header.last_sequence(), 14);
    header.base_sequence = i32::MAX - 1;
    assert_eq!(header.last_sequence(), 2);
}

#[test]
fn an_unknown_codec_is_refused_by_number() {
    for code in 5..=7 {
        let batch = with_header_unparsed(&commit_marker(0, 0, 0), code);
        assert_eq!(BatchHeader::parse(&batch), Err(BatchError::UnknownCodec(code)));
    }
}

fn with_header_unparsed(batch: &[u8], codec: u8) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    bytes[22] = (bytes[22] & !0b111) | codec;
    bytes
}
