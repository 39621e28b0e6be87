use super::*;
use crate::record::{Headers, TimestampType, for_each_record};

fn record(offset: i64, value: &[u8]) -> RecordRef<'_> {
    RecordRef {
        offset,
        timestamp: 1000 + offset,
        timestamp_type: TimestampType::Create,
        leader_epoch: 0,
        key: None,
        value: Some(value),
        headers: Headers::NONE,
    }
}

fn info(records: u32) -> SliceInfo {
    SliceInfo {
        block: 0,
        page: 0,
        first_offset: 0,
        next_offset: i64::from(records),
        records,
        payload_bytes: 0,
        min_timestamp: None,
        max_timestamp: None,
    }
}

fn encode(encoder: &mut SliceEncoder, values: &[Vec<u8>]) -> EncodedSlice {
    let payload_bytes = values.iter().map(|value| value.len() as u64).sum();
    encoder.begin(encoder.codec, &SliceInfo { payload_bytes, ..info(values.len() as u32) });
    for (offset, value) in values.iter().enumerate() {
        encoder.push(&record(offset as i64, value)).expect("it fits");
    }
    encoder.finish(&info(values.len() as u32)).expect("all records came")
}

#[test]
fn batches_end_before_256_kib_and_their_memory_is_what_is_counted() {
    let values: Vec<Vec<u8>> = (0..1000).map(|n| vec![n as u8; 300 + n * 5]).collect();
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let mut encoder = SliceEncoder::new(codec);
        for _again in 0..2 {
            let slice = encode(&mut encoder, &values);
            let mut held = 0;
            for batch in slice.batches {
                assert!(batch.bytes.len() <= BATCH_BYTES_MAX as usize);
                let len = batch.bytes.len();
                let capacity = batch.bytes.try_into_mut().expect("nobody else has it").capacity();
                assert!(capacity <= len + len / 8, "{capacity} bytes are held for {len} that are counted");
                held += capacity;
            }
            assert!(held > 0);
        }
    }
}

#[test]
fn a_slice_is_cut_evenly() {
    for (count, bytes, batches) in
        [(257, 1 << 10, 2), (2000, 1 << 10, 9), (10_000, 100, 5), (3, 20, 1), (250, 1 << 10, 2)]
    {
        let values: Vec<Vec<u8>> = (0..count).map(|_| vec![7; bytes]).collect();
        let slice = encode(&mut SliceEncoder::new(Codec::None), &values);
        assert_eq!(slice.batches.len(), batches, "{count} records of {bytes} bytes");
        let longest = slice.batches.iter().map(|batch| batch.bytes.len()).max().expect("batches");
        let shortest = slice.batches.iter().map(|batch| batch.bytes.len()).min().expect("batches");
        assert!(shortest * 10 >= longest * 7, "{count} records of {bytes} bytes: {shortest} to {longest}");
    }
}

#[test]
fn a_slice_with_fewer_records_than_its_index_says_is_an_error_and_the_next_slice_is_not() {
    let mut encoder = SliceEncoder::new(Codec::None);
    encoder.push(&record(0, b"a")).expect("it fits");
    let error = encoder.finish(&info(2)).expect_err("one is missing");
    assert!(error.contains("has 1 records where its index says 2"), "{error}");
    assert_eq!(encode(&mut encoder, &[b"b".to_vec()]).batches.len(), 1);
}

#[test]
fn every_batch_names_its_last_record() {
    let values: Vec<Vec<u8>> = (0..900).map(|_| vec![1; 1024]).collect();
    let slice = encode(&mut SliceEncoder::new(Codec::Lz4), &values);
    let mut next = 0;
    for batch in slice.batches {
        let walked = for_each_record::<BatchError>(&batch.bytes, 1 << 30, &mut Vec::new(), |record| {
            assert_eq!(record.offset, next);
            next += 1;
            Ok(())
        });
        walked.expect("readable");
        assert_eq!(batch.last_offset, next - 1);
    }
    assert_eq!(next, 900);
}
