//! A segment gives back what went in, whatever went in; and notices every damaged byte.
mod damage;
mod fixture;
mod layout;
mod round_trip;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::record::{Header, Record, TimestampType};

pub(super) const TOPIC: Uuid = Uuid(*b"a topic's own id");

/// An encoded segment and its entry.
pub(super) struct Segment {
    pub(super) bytes: Bytes,
    pub(super) meta: SegmentMeta,
}

/// Small slices and blocks, so that a few records make several of each.
pub(super) fn small(first_offset: i64) -> SegmentSpec {
    SegmentSpec { block_bytes: 2000, slice_bytes: 500, ..SegmentSpec::new(TOPIC, 3, first_offset) }
}

pub(super) fn encode(spec: SegmentSpec, records: &[Record], next_offset: i64) -> Segment {
    let mut encoder = SegmentEncoder::new(spec).unwrap();
    let mut bytes = Vec::new();
    for record in records {
        encoder.push(&record.as_ref()).unwrap();
        encoder.take_output().iter().for_each(|part| bytes.extend_from_slice(part));
    }
    let (rest, meta) = encoder.finish(next_offset).unwrap();
    rest.iter().for_each(|part| bytes.extend_from_slice(part));
    Segment { bytes: bytes.into(), meta }
}

impl Segment {
    pub(super) fn footer(&self) -> Result<Footer, SegmentError> {
        let tail = self.bytes.slice((self.meta.index_at as usize).min(self.bytes.len())..);
        Footer::parse("a/segment", &tail, self.bytes.len() as u64, Some(&self.meta))
    }

    /// What a store would answer for the ranges of `slices`.
    pub(super) fn fetch(&self, footer: &Footer, slices: std::ops::Range<usize>) -> SliceBytes {
        let ranges = footer.ranges(slices);
        let bytes = ranges.iter().map(|range| self.bytes.slice(range.start as usize..range.end as usize)).collect();
        SliceBytes::new(&ranges, bytes)
    }

    /// Every record, read slice by slice with one decoder.
    pub(super) fn decode(&self) -> Result<Vec<Record>, SegmentError> {
        let footer = self.footer()?;
        let (mut decoder, mut records) = (Decoder::new(), Vec::new());
        for slice in 0..footer.slices().len() {
            let bytes = self.fetch(&footer, slice..slice + 1);
            footer.decode(slice, &bytes, &mut decoder, |record| {
                records.push(record.to_record());
                Ok::<(), SegmentError>(())
            })?;
        }
        Ok(records)
    }
}

/// Bytes that are now text, now not, now empty; few different ones, so that dictionaries come into play.
fn some_bytes(len_max: usize) -> impl Strategy<Value = Bytes> {
    prop_oneof![
        2 => Just(Bytes::new()),
        4 => (0u8..4).prop_map(|n| Bytes::from(format!("key-{n}"))),
        4 => prop::collection::vec(any::<u8>(), 0..len_max).prop_map(Bytes::from),
        4 => prop::collection::vec(any::<char>(), 0..len_max / 4)
            .prop_map(|chars| Bytes::from(chars.into_iter().collect::<String>())),
        1 => Just(Bytes::from_static(b"\xff\xfe not text")),
    ]
}

fn some_header() -> impl Strategy<Value = Header> {
    let key = prop_oneof![Just(String::new()), Just("trace".to_owned()), "[a-z\u{e9}]{1,8}"];
    (key, prop::option::of(some_bytes(20))).prop_map(|(key, value)| Header { key: Bytes::from(key), value })
}

/// The largest timestamp in ms that a segment can hold.
const TIMESTAMP_MAX: i64 = i64::MAX / 1000;

fn some_timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => Just(-1i64),
        1 => Just(-2i64),
        1 => Just(0i64),
        1 => Just(TIMESTAMP_MAX),
        1 => Just(-TIMESTAMP_MAX),
        6 => -5_000i64..5_000,
        6 => 1_700_000_000_000i64..1_700_000_100_000,
    ]
}

fn some_record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![Just(TimestampType::Create), Just(TimestampType::Append)];
    let epoch = prop_oneof![4 => 0..3i32, 1 => any::<i32>()];
    let headers = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(some_header(), 0..6)];
    let gap = prop_oneof![8 => Just(1i64), 1 => 2..5i64, 1 => 1i64 << 33..1 << 34];
    (gap, some_timestamp(), kind, epoch, prop::option::of(some_bytes(40)), prop::option::of(some_bytes(400)), headers)
        .prop_map(|(offset, timestamp, timestamp_type, leader_epoch, key, value, headers)| Record {
            offset, // a distance until `some_records` adds them up
            timestamp,
            timestamp_type,
            leader_epoch,
            key,
            value,
            headers,
        })
}

/// Records with rising offsets, sparse and beyond 32 bits, that begin at or above `first`.
pub(super) fn some_records(first: i64) -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec(some_record(), 1..60).prop_map(move |mut records| {
        let mut at = first - 1;
        for record in &mut records {
            at += record.offset;
            record.offset = at;
        }
        records
    })
}

#[test]
fn what_a_later_build_says_of_a_segment_or_a_block_comes_back() {
    let mut entry = serde_json::to_value(&encode(small(0), &[Record::default()], 1).meta).unwrap();
    assert_eq!(serde_json::from_value::<SegmentMeta>(entry.clone()).unwrap().unknown.len(), 0);
    entry["later"] = serde_json::json!({"a": [1, "b"]});
    entry["blocks"][0]["later_too"] = serde_json::json!(1.5);
    let read: SegmentMeta = serde_json::from_value(entry.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), entry);
}
