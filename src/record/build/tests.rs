use proptest::prelude::*;

use super::*;
use crate::record::testing::*;
use crate::record::{Record, verify_crc};

fn record(offset: i64) -> Record {
    Record { offset, timestamp: 100, value: Some("v".into()), ..Record::default() }
}

fn pushed(builder: &mut BatchBuilder, record: &Record) -> Pushed {
    builder.push(&record.as_ref()).unwrap()
}

proptest! {
    #[test]
    fn batches_name_what_they_hold(records in stored(), codec in codec()) {
        for batch in batches_of(&records, codec) {
            let header = verify_crc(&batch).unwrap();
            let found = read(&batch).unwrap();
            prop_assert_eq!(header.total_len(), batch.len());
            prop_assert_eq!(header.base_offset, found[0].offset);
            prop_assert_eq!(header.last_offset(), found[found.len() - 1].offset);
            prop_assert_eq!(header.record_count as usize, found.len());
            let max = found.iter().map(|r| r.timestamp).filter(|&t| t != -1).max();
            prop_assert_eq!(header.max_timestamp, max.unwrap_or(-1));
            prop_assert_eq!(header.producer_id, -1);
        }
    }

    #[test]
    fn the_estimate_is_exact_without_compression(records in produced()) {
        let mut builder = BatchBuilder::new();
        for record in &records {
            prop_assert_eq!(pushed(&mut builder, record), Pushed::Added);
        }
        let estimate = builder.size_estimate();
        prop_assert_eq!(builder.count() as usize, records.len());
        prop_assert_eq!(builder.finish(Codec::None, None).unwrap().len(), estimate);
        prop_assert_eq!((builder.size_estimate(), builder.is_empty()), (0, true));
    }
}

#[test]
fn a_new_batch_begins_where_one_header_cannot_speak_for_both() {
    let first = Record { leader_epoch: 1, ..record(0) };
    let append = Record { timestamp_type: TimestampType::Append, ..first.clone() };
    let far = i64::from(i32::MAX);
    let cases = [
        (first.clone(), Record { offset: 1, ..first.clone() }, Pushed::Added),
        (first.clone(), Record { offset: 1, leader_epoch: 2, ..first.clone() }, Pushed::NeedsNewBatch),
        (first.clone(), Record { offset: 1, ..append.clone() }, Pushed::NeedsNewBatch),
        (append.clone(), Record { offset: 1, ..append.clone() }, Pushed::Added),
        (append.clone(), Record { offset: 1, timestamp: 101, ..append }, Pushed::NeedsNewBatch),
        (first.clone(), Record { offset: far, ..first.clone() }, Pushed::Added),
        (first.clone(), Record { offset: far + 1, ..first.clone() }, Pushed::NeedsNewBatch),
        (Record { timestamp: i64::MIN, ..first.clone() }, Record { offset: 1, ..first }, Pushed::NeedsNewBatch),
    ];
    for (first, second, expected) in cases {
        let mut builder = BatchBuilder::new();
        assert_eq!(pushed(&mut builder, &first), Pushed::Added);
        assert_eq!(pushed(&mut builder, &second), expected, "{first:?} {second:?}");
        let count = if expected == Pushed::Added { 2 } else { 1 };
        assert_eq!(builder.count(), count);
        assert_eq!(read(&builder.finish(Codec::None, None).unwrap()).unwrap().len(), count as usize);
    }
}

#[test]
fn offsets_must_rise() {
    let mut builder = BatchBuilder::new();
    assert_eq!(pushed(&mut builder, &record(5)), Pushed::Added);
    for offset in [5, 4] {
        let error = builder.push(&record(offset).as_ref()).unwrap_err();
        assert!(matches!(error, BatchError::Build { offset: o, .. } if o == offset));
    }
}

#[test]
fn an_empty_batch_is_never_made() {
    assert!(BatchBuilder::new().finish(Codec::None, None).is_err());
}

#[test]
fn producer_and_kind_belong_to_one_batch_only() {
    let mut builder = BatchBuilder::new();
    builder.set_producer(Producer { id: 9, epoch: 2, base_sequence: 40 });
    builder.set_transactional();
    builder.set_control();
    assert_eq!(pushed(&mut builder, &record(0)), Pushed::Added);
    let first = verify_crc(&builder.finish(Codec::Zstd, Some(5)).unwrap()).unwrap();
    assert_eq!((first.producer_id, first.producer_epoch, first.base_sequence), (9, 2, 40));
    assert!(first.is_transactional() && first.is_control());
    assert_eq!(pushed(&mut builder, &record(1)), Pushed::Added);
    let second = verify_crc(&builder.finish(Codec::None, None).unwrap()).unwrap();
    assert_eq!((second.producer_id, second.producer_epoch, second.base_sequence), (-1, -1, -1));
    assert!(!second.is_transactional() && !second.is_control());
}

#[test]
fn every_level_is_taken_and_wild_ones_are_clamped() {
    let text = Record { value: Some(b"abc ".repeat(1000).into()), ..record(0) };
    for codec in Codec::ALL {
        for level in [i32::MIN, -1, 0, 1, 9, 22, i32::MAX] {
            let mut builder = BatchBuilder::new();
            assert_eq!(pushed(&mut builder, &text), Pushed::Added);
            let batch = builder.finish(codec, Some(level)).unwrap();
            assert_eq!(read(&batch).unwrap(), std::slice::from_ref(&text), "{codec} {level}");
        }
    }
}
