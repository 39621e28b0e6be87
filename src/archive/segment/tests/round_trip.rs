//! What went in comes back.
use super::*;
use crate::record::{HashSum, RecordRef, hash_record};

fn some_spec() -> impl Strategy<Value = SegmentSpec> {
    let kind = || prop_oneof![3 => Just(ColumnType::Utf8OrBinary), 1 => Just(ColumnType::Binary)];
    (kind(), kind(), 1u64..3000, 1u64..6000, any::<bool>()).prop_map(
        |(key_type, value_type, slice_bytes, block_bytes, key_bloom)| SegmentSpec {
            key_type,
            value_type,
            slice_bytes,
            block_bytes,
            key_bloom,
            ..small(100)
        },
    )
}

proptest! {
    #[test]
    fn every_record_comes_back_exactly(spec in some_spec(), records in some_records(100), above in 1..1000i64) {
        let next_offset = records[records.len() - 1].offset + above;
        let segment = encode(spec, &records, next_offset);
        prop_assert_eq!(segment.decode().unwrap(), records);
    }

    #[test]
    fn the_entry_tells_the_truth(records in some_records(100)) {
        let last = records[records.len() - 1].offset;
        let Segment { bytes, meta } = encode(small(100), &records, last + 1);
        let hash: HashSum = records.iter().map(|r| HashSum(hash_record(TOPIC, 3, &r.as_ref()))).sum();
        let dated = || records.iter().filter(|r| r.timestamp != RecordRef::NO_TIMESTAMP);
        let max = dated().map(|r| r.timestamp).max();
        prop_assert_eq!(meta.size, bytes.len() as u64);
        prop_assert_eq!((meta.first_offset, meta.next_offset), (100, last + 1));
        prop_assert_eq!(meta.records, records.len() as u64);
        prop_assert_eq!(meta.payload_bytes, records.iter().map(|r| r.as_ref().payload_bytes()).sum::<u64>());
        prop_assert_eq!(meta.hash, hash);
        prop_assert_eq!(meta.min_timestamp, dated().map(|r| r.timestamp).min());
        prop_assert_eq!(meta.max_timestamp, max);
        prop_assert_eq!(meta.offset_of_first_max, dated().find(|r| Some(r.timestamp) == max).map(|r| r.offset));
        prop_assert_eq!(meta.null_timestamps, (records.len() - dated().count()) as u64);
        prop_assert_eq!((meta.first_record, meta.last_record), (records[0].offset, last));
        let text = |bytes: &Option<Bytes>| bytes.as_ref().is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
        let nulls = |is_null: &dyn Fn(&Record) -> bool| records.iter().filter(|r| is_null(r)).count() as u64;
        let expected = [
            (3, nulls(&|r| r.timestamp == RecordRef::NO_TIMESTAMP)),
            (4, nulls(&|r| !text(&r.key))),
            (5, nulls(&|r| !text(&r.value))),
            (7, nulls(&|r| r.key.is_none() || text(&r.key))),
            (8, nulls(&|r| r.value.is_none() || text(&r.value))),
        ];
        prop_assert_eq!(&meta.null_counts[..], expected);
        prop_assert_eq!(meta.column_bytes.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13]);
        prop_assert_eq!(meta.column_bytes.iter().map(|(_, bytes)| bytes).sum::<u64>(), meta.stored_bytes);
        let ends: Vec<u64> = meta.blocks.iter().map(|block| block.at + block.len).collect();
        prop_assert_eq!(meta.blocks[0].at, 4);
        prop_assert!(meta.blocks[1..].iter().zip(&ends).all(|(block, end)| block.at == *end));
        prop_assert_eq!(ends.last(), Some(&meta.index_at));
        let json = serde_json::to_string(&meta).unwrap();
        prop_assert_eq!(serde_json::from_str::<SegmentMeta>(&json).unwrap(), meta);
    }

    #[test]
    fn slices_are_found_by_offset_and_hold_what_they_say(records in some_records(100), above in 1..1000i64) {
        let next_offset = records[records.len() - 1].offset + above;
        let segment = encode(small(100), &records, next_offset);
        let footer = segment.footer().unwrap();
        prop_assert_eq!(footer.slices().iter().map(|s| s.records as usize).sum::<usize>(), records.len());
        prop_assert_eq!(footer.find(next_offset), footer.slices().len());
        for record in &records {
            for offset in [record.offset - 1, record.offset] {
                let slice = footer.find(offset);
                let first = records.iter().find(|r| r.offset >= offset).unwrap();
                let info = &footer.slices()[slice];
                prop_assert!((info.first_offset..info.next_offset).contains(&first.offset));
            }
        }
        let mut decoder = Decoder::new();
        for (index, info) in footer.slices().iter().enumerate() {
            let mut got = Vec::new();
            footer.decode(index, &segment.fetch(&footer, index..index + 1), &mut decoder, |record| {
                got.push(record.to_record());
                Ok::<(), SegmentError>(())
            }).unwrap();
            let dated = || got.iter().map(|r| r.timestamp).filter(|t| *t != RecordRef::NO_TIMESTAMP);
            prop_assert_eq!(got[0].offset, info.first_offset);
            prop_assert_eq!(got[got.len() - 1].offset + 1, info.next_offset);
            prop_assert_eq!(got.iter().map(|r| r.as_ref().payload_bytes()).sum::<u64>(), info.payload_bytes);
            prop_assert_eq!((dated().min(), dated().max()), (info.min_timestamp, info.max_timestamp));
        }
    }

    #[test]
    fn a_bare_file_reads_as_one_with_an_entry(records in some_records(0), more in 0..100usize) {
        let segment = encode(small(0), &records, i64::MAX);
        let from = (segment.meta.index_at as usize).saturating_sub(more);
        let bare = Footer::parse("a/segment", &segment.bytes.slice(from..), segment.meta.size, None).unwrap();
        prop_assert_eq!(format!("{bare:?}"), format!("{:?}", segment.footer().unwrap()));
    }
}

fn record(offset: i64) -> Record {
    Record { offset, timestamp: offset, value: Some(Bytes::from(vec![b'x'; 100])), ..Record::default() }
}

#[test]
fn what_a_segment_cannot_hold_is_refused_and_leaves_no_trace() {
    let mut encoder = SegmentEncoder::new(small(10)).unwrap();
    encoder.push(&record(10).as_ref()).unwrap();
    let bad_header = Header { key: Bytes::from_static(b"\xff"), value: None };
    let refused = [
        record(9),
        record(10),
        Record { timestamp: TIMESTAMP_MAX + 1, ..record(11) },
        Record { timestamp: i64::MIN, ..record(11) },
        Record { headers: vec![bad_header], ..record(11) },
    ];
    for bad in &refused {
        let error = encoder.push(&bad.as_ref()).unwrap_err();
        assert!(matches!(error, SegmentError::Record { offset, .. } if offset == bad.offset), "{error}");
    }
    encoder.push(&record(11).as_ref()).unwrap();
    let (parts, meta) = encoder.finish(12).unwrap();
    let segment = Segment { bytes: parts.concat().into(), meta };
    assert_eq!(segment.decode().unwrap(), [record(10), record(11)]);
}

#[test]
fn an_empty_segment_and_one_that_ends_below_its_records_are_refused() {
    let error = SegmentEncoder::new(small(10)).unwrap().finish(20).err().unwrap();
    assert!(matches!(error, SegmentError::Empty { first_offset: 10, next_offset: 20 }), "{error}");
    let mut encoder = SegmentEncoder::new(small(10)).unwrap();
    encoder.push(&record(10).as_ref()).unwrap();
    assert!(matches!(encoder.finish(10), Err(SegmentError::Record { .. })));
}

#[test]
fn values_that_do_not_compress_come_back_and_are_stored_as_they_are() {
    let random = crate::base::Random::seeded(7);
    let value = || Some(Bytes::from(random.bytes::<1024>().to_vec()));
    let records: Vec<Record> = (0..300).map(|offset| Record { value: value(), ..record(offset) }).collect();
    let spec = SegmentSpec { block_bytes: 128 << 10, slice_bytes: 32 << 10, ..SegmentSpec::new(TOPIC, 3, 0) };
    let segment = encode(spec, &records, 300);
    assert_eq!(segment.decode().unwrap(), records);
    let slices = segment.footer().unwrap().slices().len();
    assert!(slices >= 30, "{slices} slices: they are a quarter of the size");
    let at = segment.bytes.windows(1024).position(|window| Some(window) == records[100].value.as_deref());
    assert!(at.is_some(), "a value lies in the file as it is");
}

#[test]
fn a_topic_that_mixes_text_and_bytes_is_noticed() {
    let mut encoder = SegmentEncoder::new(small(0)).unwrap();
    let text = Record { key: Some(Bytes::from_static(b"text")), ..record(0) };
    encoder.push(&text.as_ref()).unwrap();
    assert_eq!(encoder.mixed(), (false, false));
    encoder.push(&Record { key: Some(Bytes::from_static(b"\xff")), ..record(1) }.as_ref()).unwrap();
    assert_eq!(encoder.mixed(), (true, false));
}

#[test]
fn memory_is_bounded_by_a_block_and_a_slice_and_output_leaves_block_by_block() {
    let random = crate::base::Random::seeded(8);
    let spec = SegmentSpec { block_bytes: 1 << 20, slice_bytes: 64 << 10, ..SegmentSpec::new(TOPIC, 3, 0) };
    let mut encoder = SegmentEncoder::new(spec).unwrap();
    let (mut most, mut outputs) = (0, 0);
    for offset in 0..8192 {
        let value = Some(Bytes::from(random.bytes::<1024>().to_vec()));
        encoder.push(&Record { value, ..record(offset) }.as_ref()).unwrap();
        outputs += encoder.take_output().len();
        most = most.max(encoder.memory_bytes());
    }
    assert_eq!(outputs, 8, "one part per block");
    assert!((1 << 20..4 << 20).contains(&most), "{most} bytes at most");
}

#[test]
fn a_reader_gives_back_the_memory_of_a_giant_record() {
    let giant = Record { value: Some(Bytes::from(vec![b'g'; 20 << 20])), ..record(1) };
    let segment = encode(SegmentSpec::new(TOPIC, 3, 0), &[record(0), giant.clone(), record(2)], 3);
    let footer = segment.footer().unwrap();
    let (mut decoder, mut seen) = (Decoder::new(), 0);
    for slice in 0..footer.slices().len() {
        let bytes = segment.fetch(&footer, slice..slice + 1);
        footer
            .decode(slice, &bytes, &mut decoder, |record| {
                seen += usize::from(record.value == giant.value.as_deref());
                Ok::<(), SegmentError>(())
            })
            .unwrap();
        assert!(decoder.memory_bytes() < 5 << 20, "{}", decoder.memory_bytes());
    }
    assert_eq!(seen, 1);
}

fn empty_headers(offset: i64, count: usize) -> Record {
    let header = Header { key: Bytes::new(), value: None };
    Record { value: None, headers: vec![header; count], ..record(offset) }
}

#[test]
fn more_headers_than_a_record_may_have_are_refused() {
    let mut encoder = SegmentEncoder::new(small(0)).unwrap();
    let error = encoder.push(&empty_headers(0, 100_001).as_ref()).unwrap_err();
    assert!(matches!(error, SegmentError::Record { offset: 0, .. }), "{error}");
    encoder.push(&empty_headers(0, 100_000).as_ref()).unwrap();
}

/// Pushes `count` records that `make` gives; returns the most that the encoder held, output that was not taken apart.
fn most_held(spec: SegmentSpec, count: i64, make: impl Fn(i64) -> Record) -> (u64, Segment) {
    let mut encoder = SegmentEncoder::new(spec).unwrap();
    let (mut most, mut bytes) = (0, Vec::new());
    for offset in 0..count {
        encoder.push(&make(offset).as_ref()).unwrap();
        most = most.max(encoder.memory_bytes());
        encoder.take_output().iter().for_each(|part| bytes.extend_from_slice(part));
    }
    let (rest, meta) = encoder.finish(count).unwrap();
    rest.iter().for_each(|part| bytes.extend_from_slice(part));
    (most, Segment { bytes: bytes.into(), meta })
}

#[test]
fn what_has_no_bytes_takes_no_more_memory_than_the_encoder_says_it_may() {
    let spec = SegmentSpec { slice_bytes: 128 << 10, ..SegmentSpec::new(TOPIC, 3, 0) }.expecting(1 << 20);
    let bound = spec.memory_bytes();
    assert!(bound < 4 << 20);
    let nothing = |offset| Record { value: None, ..record(offset) };
    let mixed = |offset| empty_headers(offset, [0, 1, 7, 30][offset as usize % 4]);
    let makes: [(i64, &dyn Fn(i64) -> Record); 4] = [
        (300_000, &nothing),
        (50_000, &|offset| empty_headers(offset, 40)),
        (100_000, &mixed),
        (40_000, &|offset| Record { key: Some(Bytes::from(format!("{offset}"))), ..empty_headers(offset, 3) }),
    ];
    for (count, make) in makes {
        let (most, segment) = most_held(spec.clone(), count, make);
        assert!(most <= bound, "{most} bytes held, {bound} said");
        assert!(segment.meta.blocks.len() > 1, "blocks end though their payload is next to nothing");
        let footer = segment.footer().unwrap();
        assert!(footer.slices().iter().all(|slice| slice.records <= 1 << 16));
        assert_eq!(segment.meta.records, count as u64);
    }
}

#[test]
fn a_slice_ends_at_a_million_headers_whatever_its_size_is_set_to() {
    let spec = SegmentSpec { slice_bytes: 1 << 40, block_bytes: 1 << 40, ..SegmentSpec::new(TOPIC, 3, 0) };
    let records: Vec<Record> = (0..32).map(|offset| empty_headers(offset, 99_999)).collect();
    let segment = encode(spec, &records, 32);
    let footer = segment.footer().unwrap();
    assert!(footer.slices().iter().all(|slice| slice.records <= 11), "{:?}", footer.slices());
    assert_eq!(segment.decode().unwrap(), records);
}
