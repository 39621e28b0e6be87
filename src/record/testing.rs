//! Generated records and batches for this module's tests.
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Small enough for a test to run many, large enough for every generated batch.
pub(super) const CAP: u64 = 16 << 20;

/// Null, empty, random, and repetitive bytes of several blocks of every codec.
pub(super) fn nullable_bytes() -> impl Strategy<Value = Option<Bytes>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Bytes::new())),
        6 => vec(any::<u8>(), 1..80).prop_map(|b| Some(Bytes::from(b))),
        1 => (any::<u8>(), 1usize..200_000).prop_map(|(b, n)| Some(Bytes::from(vec![b; n]))),
        1 => vec(any::<u8>(), 1..9000).prop_map(|b| Some(Bytes::from(b))),
    ]
}

/// Few keys, so that they repeat.
pub(super) fn headers() -> impl Strategy<Value = Vec<Header>> {
    let key = prop_oneof![Just(""), Just("trace"), Just("é"), Just("a key longer than most")];
    let value =
        prop_oneof![Just(None), Just(Some(Bytes::new())), vec(any::<u8>(), 1..20).prop_map(|b| Some(Bytes::from(b))),];
    prop_oneof![
        2 => Just(Vec::new()),
        1 => vec((key, value).prop_map(|(key, value)| Header { key: key.into(), value }), 1..6),
    ]
}

/// None, negative, usual, and the extremes that a segment can hold.
pub(super) fn timestamp() -> impl Strategy<Value = i64> {
    const MAX: i64 = i64::MAX / 1000;
    prop_oneof![
        1 => Just(-1),
        1 => -100_000i64..0,
        6 => 1_600_000_000_000i64..1_800_000_000_000,
        1 => prop_oneof![Just(0), Just(MAX), Just(-MAX), -MAX..MAX],
    ]
}

pub(super) fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(&Codec::ALL[..])
}

/// Records as a producer numbers them: from offset 0, dense, no leader yet, create time.
pub(super) fn produced() -> impl Strategy<Value = Vec<Record>> {
    vec((timestamp(), nullable_bytes(), nullable_bytes(), headers()), 1..20).prop_map(|rows| {
        let number = |(offset, (timestamp, key, value, headers)): (usize, _)| Record {
            offset: offset as i64,
            timestamp,
            timestamp_type: TimestampType::Create,
            leader_epoch: -1,
            key,
            value,
            headers,
        };
        rows.into_iter().enumerate().map(number).collect()
    })
}

/// Records as a log holds them: sparse offsets, both timestamp types, changing leader epochs.
pub(super) fn stored() -> impl Strategy<Value = Vec<Record>> {
    let step = prop_oneof![8 => Just(1i64), 2 => 1i64..1000, 1 => i64::from(i32::MAX) - 2..i64::from(i32::MAX) + 3];
    let place = (step, 0i32..2, prop_oneof![4 => Just(TimestampType::Create), 1 => Just(TimestampType::Append)]);
    (0i64..1 << 60, produced(), vec(place, 20)).prop_map(|(mut offset, mut records, places)| {
        for (record, (step, leader_epoch, timestamp_type)) in records.iter_mut().zip(places) {
            offset += step;
            record.offset = offset;
            record.leader_epoch = leader_epoch;
            record.timestamp_type = timestamp_type;
        }
        records
    })
}

/// One batch, or a panic.
pub(super) fn batch_of(records: &[Record], codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new();
    for record in records {
        assert_eq!(builder.push(&record.as_ref()).unwrap(), Pushed::Added);
    }
    builder.finish(codec, None).unwrap()
}

/// As many batches as it takes.
pub(super) fn batches_of(records: &[Record], codec: Codec) -> Vec<Bytes> {
    let mut builder = BatchBuilder::new();
    let mut batches = Vec::new();
    for record in records {
        if builder.push(&record.as_ref()).unwrap() == Pushed::NeedsNewBatch {
            batches.push(builder.finish(codec, None).unwrap());
            assert_eq!(builder.push(&record.as_ref()).unwrap(), Pushed::Added);
        }
    }
    batches.push(builder.finish(codec, None).unwrap());
    batches
}

/// All records of one batch.
pub(super) fn read(batch: &[u8]) -> Result<Vec<Record>, BatchError> {
    let mut records = Vec::new();
    for_each_record(batch, CAP, &mut Vec::new(), |record| {
        records.push(record.to_record());
        Ok::<_, BatchError>(())
    })?;
    Ok(records)
}

/// A copy of `batch` with another header, its CRC right.
pub(super) fn with_header(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    change(&mut header);
    let mut bytes = batch.to_vec();
    bytes[..BatchHeader::LEN].copy_from_slice(&header.encode());
    sum(bytes)
}

/// A copy of an uncompressed batch with other encoded records, its length and CRC right.
pub(super) fn with_records(batch: &Bytes, records: &[u8]) -> Bytes {
    let mut bytes = [&batch[..BatchHeader::LEN], records].concat();
    let length = (bytes.len() - BatchHeader::LENGTH_END) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    sum(bytes)
}

fn sum(mut bytes: Vec<u8>) -> Bytes {
    let crc = crc32c::crc32c(&bytes[BatchHeader::CRC_START..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// Limits that refuse as little as any.
pub(super) fn lenient() -> CheckLimits {
    CheckLimits {
        message_max_bytes: u32::MAX,
        unpacked_max_bytes: CAP,
        now_ms: 1_700_000_000_000,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        key_required: false,
    }
}
