use proptest::prelude::*;

use super::*;
use crate::record::testing::*;
use crate::record::{Codec, Header, Record};

const NOW: i64 = 1_700_000_000_000;

fn record(timestamp: i64) -> Record {
    Record { timestamp, leader_epoch: -1, key: Some("k".into()), value: Some("value".into()), ..Record::default() }
}

fn numbered(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let numbered = |(offset, record)| Record { offset: offset as i64, ..record };
    records.into_iter().enumerate().map(numbered).collect()
}

fn sample() -> Bytes {
    batch_of(&numbered([record(NOW), record(NOW + 5), record(NOW + 5)]), Codec::None)
}

fn refused(batch: &Bytes) -> Reject {
    check(batch, &lenient()).unwrap_err()
}

#[track_caller]
fn assert_invalid(batch: &Bytes, word: &str) {
    match refused(batch) {
        Reject::InvalidRecord(text) if text.contains(word) => {}
        other => panic!("expected '{word}', got {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_a_check_finds_out_is_what_is_there(records in produced(), codec in codec()) {
        let checked = check(&batch_of(&records, codec), &lenient()).unwrap();
        let timed: Vec<_> = records.iter().filter(|r| r.timestamp != -1).collect();
        let max = timed.iter().map(|r| r.timestamp).max();
        prop_assert_eq!(checked.max_timestamp, max.unwrap_or(-1));
        prop_assert_eq!(checked.header.max_timestamp, checked.max_timestamp);
        let first = timed.iter().find(|r| Some(r.timestamp) == max).map_or(0, |r| r.offset);
        prop_assert_eq!(i64::from(checked.offset_delta_of_max_timestamp), first);
        prop_assert_eq!(checked.null_timestamps as usize, records.len() - timed.len());
        prop_assert_eq!(checked.payload_bytes, records.iter().map(|r| r.as_ref().payload_bytes()).sum::<u64>());
        prop_assert_eq!(checked.header.record_count as usize, records.len());
    }

    #[test]
    fn the_unpacked_cap_is_exact(records in produced(), codec in codec()) {
        let unpacked = batch_of(&records, Codec::None).len() as u64 - BatchHeader::LEN as u64;
        let batch = batch_of(&records, codec);
        let with = |unpacked_max_bytes| check(&batch, &CheckLimits { unpacked_max_bytes, ..lenient() });
        prop_assert!(with(unpacked).is_ok());
        // Uncompressed batches are bounded by their own length.
        prop_assert_eq!(matches!(with(unpacked - 1), Err(Reject::TooLarge(_))), codec != Codec::None);
    }
}

#[test]
fn a_batch_above_max_message_bytes_is_too_large() {
    let batch = sample();
    let with = |message_max_bytes| check(&batch, &CheckLimits { message_max_bytes, ..lenient() });
    assert!(with(batch.len() as u32).is_ok());
    assert!(matches!(with(batch.len() as u32 - 1), Err(Reject::TooLarge(text)) if text.contains("max.message.bytes")));
}

#[test]
fn damaged_or_cut_bytes_are_corrupt() {
    let batch = sample();
    let mut damaged = batch.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(&damaged.into()), Reject::Corrupt(BatchError::Crc { .. })));
    assert!(matches!(refused(&batch.slice(..batch.len() - 1)), Reject::Corrupt(BatchError::Truncated { .. })));
    assert!(matches!(refused(&Bytes::new()), Reject::Corrupt(BatchError::Truncated { .. })));
    let longer = [&batch[..], b"x"].concat();
    assert!(matches!(refused(&longer.into()), Reject::Corrupt(BatchError::Header(_))));
}

#[test]
fn formats_and_codecs_that_are_not_kafkas_are_named() {
    let batch = sample();
    for magic in [0, 1, 3] {
        let old = with_header(&batch, |header| header.magic = magic);
        assert_eq!(refused(&old), Reject::UnsupportedFormat(magic));
    }
    assert_eq!(refused(&with_header(&batch, |header| header.attributes |= 6)), Reject::UnsupportedCodec(6));
}

#[test]
fn headers_that_a_producer_may_not_send_are_invalid() {
    let batch = sample();
    let with = |change: fn(&mut BatchHeader)| with_header(&batch, change);
    assert_invalid(&with(|h| h.attributes |= BatchHeader::CONTROL_BIT), "control");
    assert_invalid(&with(|h| h.attributes |= 1 << 6), "attribute bits");
    assert_invalid(&with(|h| h.attributes |= 1 << 12), "attribute bits");
    assert_invalid(&with(|h| h.base_offset = 1), "base offset");
    assert_invalid(&with(|h| h.record_count = 0), "at least one record");
    assert_invalid(&with(|h| h.record_count = -3), "at least one record");
    assert_invalid(&with(|h| h.last_offset_delta = 3), "last offset delta");
    assert_invalid(&with(|h| h.producer_id = 5), "sequence");
    assert_invalid(&with(|h| (h.producer_id, h.base_sequence) = (5, 0)), "epoch");
    assert_invalid(&with(|h| h.attributes |= BatchHeader::TRANSACTIONAL_BIT), "producer id");
    let append = with(|h| h.attributes |= BatchHeader::TIMESTAMP_TYPE_BIT);
    assert!(matches!(refused(&append), Reject::InvalidTimestamp(text) if text.contains("LogAppendTime")));
    let transactional = with(|h| {
        h.attributes |= BatchHeader::TRANSACTIONAL_BIT;
        (h.producer_id, h.producer_epoch, h.base_sequence) = (5, 0, 0);
    });
    assert!(check(&transactional, &lenient()).is_ok());
}

#[test]
fn records_that_do_not_add_up_are_invalid() {
    let batch = sample();
    let more = with_header(&batch, |h| (h.record_count, h.last_offset_delta) = (4, 3));
    assert_invalid(&more, "record 3");
    let fewer = with_header(&batch, |h| (h.record_count, h.last_offset_delta) = (2, 1));
    assert_invalid(&fewer, "bytes follow the last record");
    let body = &batch[BatchHeader::LEN..];
    let length = body.len() / 3;
    let swapped = [&body[length..2 * length], &body[..length], &body[2 * length..]].concat();
    assert_invalid(&with_records(&batch, &swapped), "offset delta");
    for (at, value, word) in [(0, 0x7e, "past the batch"), (0, 1, "length is negative"), (0, 2, "timestamp delta")] {
        let mut broken = body.to_vec();
        broken[at] = value;
        assert_invalid(&with_records(&batch, &broken), word);
    }
    let last = body.len() - 1;
    for (value, word) in [(1, "number of headers is negative"), (2, "header key")] {
        let mut broken = body.to_vec();
        broken[last] = value;
        assert_invalid(&with_records(&batch, &broken), word);
    }
}

#[test]
fn header_keys_are_utf8_and_never_null() {
    let with_key = |key: &[u8]| {
        let record = Record { headers: vec![Header::new(key, None)], ..record(NOW) };
        batch_of(&[record], Codec::Lz4)
    };
    assert!(check(&with_key("é".as_bytes()), &lenient()).is_ok());
    assert_invalid(&with_key(b"\xff"), "UTF-8");
    let mut body = batch_of(&[Record { headers: vec![Header::new(b"", None)], ..record(NOW) }], Codec::None).to_vec();
    let key_length = body.len() - 2;
    body[key_length] = 1;
    assert_invalid(&with_records(&body.clone().into(), &body[BatchHeader::LEN..]), "header key is null");
}

#[test]
fn a_compacted_topic_needs_keys() {
    let keyless = batch_of(&numbered([record(NOW), Record { key: None, ..record(NOW) }]), Codec::Zstd);
    assert!(check(&keyless, &lenient()).is_ok());
    let error = check(&keyless, &CheckLimits { key_required: true, ..lenient() }).unwrap_err();
    assert!(matches!(error, Reject::InvalidRecord(text) if text.contains("record 1") && text.contains("no key")));
}

#[test]
fn timestamps_outside_the_window_are_named_and_none_is_always_inside() {
    let limits = CheckLimits { now_ms: NOW, timestamp_before_max_ms: 10, timestamp_after_max_ms: 5, ..lenient() };
    for (timestamp, fine) in
        [(NOW - 10, true), (NOW - 11, false), (NOW + 5, true), (NOW + 6, false), (-1, true), (-2, false)]
    {
        let result = check(&batch_of(&[record(timestamp)], Codec::None), &limits);
        match result {
            Ok(_) => assert!(fine, "{timestamp}"),
            Err(Reject::InvalidTimestamp(text)) => {
                assert!(!fine && text.contains(&timestamp.to_string()), "{text}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn timestamps_that_a_segment_cannot_hold_are_refused_where_they_enter() {
    let max = i64::MAX / 1000;
    for (timestamp, fine) in [(max, true), (max + 1, false), (-max, true), (-max - 1, false), (i64::MIN, false)] {
        let result = check(&batch_of(&[record(timestamp)], Codec::None), &lenient());
        assert_eq!(result.is_ok(), fine, "{timestamp}: {result:?}");
        assert!(fine || matches!(result, Err(Reject::InvalidTimestamp(_))));
    }
    // A sum that runs over the end of 64 bits, onto a time that would be fine.
    let delta = [[0xfe].as_slice(), &[0xff; 8], &[1]].concat();
    let records = [&[2 * 15, 0], &delta[..], &[0, 1, 1, 0]].concat();
    let late = with_records(&batch_of(&[record(0)], Codec::None), &records);
    for (base, fine) in [(i64::MAX, false), (i64::MIN, true)] {
        let result = check(&with_header(&late, |header| header.base_timestamp = base), &lenient());
        assert_eq!(result.is_ok(), fine, "{result:?}");
        assert!(fine || matches!(result, Err(Reject::InvalidTimestamp(_))));
    }
}

#[test]
fn append_time_does_not_look_at_the_producers_timestamps() {
    let limits = CheckLimits { timestamp_type: TimestampType::Append, timestamp_after_max_ms: 0, ..lenient() };
    let batch = batch_of(&numbered([record(-1), record(i64::MAX - 2), record(-5)]), Codec::Snappy);
    let checked = check(&batch, &limits).unwrap();
    assert_eq!(
        (checked.max_timestamp, checked.offset_delta_of_max_timestamp, checked.null_timestamps),
        (limits.now_ms, 0, 0)
    );
}

#[test]
fn a_bomb_is_too_large() {
    let bomb = Record { value: Some(vec![0; 32 << 20].into()), ..record(NOW) };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let error = refused(&batch_of(std::slice::from_ref(&bomb), codec));
        assert!(matches!(error, Reject::TooLarge(ref text) if text.contains("unpacks to more")), "{error}");
    }
}

#[test]
fn more_headers_than_a_record_may_have_are_refused_with_both_numbers() {
    let header = Header { key: Bytes::new(), value: None };
    let with = |count: usize| {
        let headers = vec![header.clone(); count];
        batch_of(&numbered([record(NOW), Record { headers, ..record(NOW) }]), Codec::Zstd)
    };
    assert!(check(&with(100_000), &lenient()).is_ok());
    let many = with(100_001);
    assert!(many.len() < 1000, "it is {} bytes on the wire", many.len());
    match refused(&many) {
        Reject::InvalidRecord(text) => {
            assert!(text.contains("record 1") && text.contains("100001") && text.contains("100000"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}
