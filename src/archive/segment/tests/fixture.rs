//! A segment that was written once is read by every later version.
use super::*;

/// Written by the first version; never written again. A new format gets a fixture of its own beside it.
const SEGMENT: &[u8] = include_bytes!("../../../../tests/fixtures/segment-1.parquet");
/// Its entry in the manifest.
const ENTRY: &str = include_str!("../../../../tests/fixtures/segment-1.json");

/// One record for each thing that is easily lost.
fn records() -> Vec<Record> {
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let raw = |bytes: &'static [u8]| Some(Bytes::from_static(bytes));
    let header = |key: &'static str, value| Header { key: Bytes::from_static(key.as_bytes()), value };
    let base = Record { timestamp: 1_700_000_000_123, leader_epoch: 1, ..Record::default() };
    let mut records = vec![
        Record { key: text("plain"), value: text("text"), ..base.clone() },
        Record { key: None, value: None, ..base.clone() },
        Record { key: text(""), value: text(""), ..base.clone() },
        Record { key: raw(b"\xff\xfe"), value: raw(b"\x80\0\x81"), ..base.clone() },
        Record { key: text("nul \0 within"), value: raw(b"\xc3\x28"), ..base.clone() },
        Record { key: text("h\u{e9}llo \u{1f600}"), value: text("w\u{f6}rld"), ..base.clone() },
        Record { timestamp: -1, ..base.clone() },
        Record { timestamp: -2, ..base.clone() },
        Record { timestamp: 0, ..base.clone() },
        Record { timestamp: TIMESTAMP_MAX, ..base.clone() },
        Record { timestamp: -TIMESTAMP_MAX, ..base.clone() },
        Record { timestamp_type: TimestampType::Append, ..base.clone() },
        Record { leader_epoch: 0, ..base.clone() },
        Record { leader_epoch: i32::MAX, ..base.clone() },
        Record { headers: vec![header("a", text("1"))], ..base.clone() },
        Record { headers: vec![header("a", None), header("a", text("")), header("a", raw(b"\xff"))], ..base.clone() },
        Record { headers: vec![header("", None), header("\u{e9}", text("2"))], ..base.clone() },
    ];
    for n in 0..200 {
        let value = Some(Bytes::from(format!("{{\"n\":{n},\"what\":\"{}\"}}", "filler ".repeat(n % 9))));
        records.push(Record { key: Some(Bytes::from(format!("key-{}", n % 13))), value, ..base.clone() });
    }
    for (index, record) in records.iter_mut().enumerate() {
        record.offset = (1 << 33) + index as i64 * if index < 100 { 1 } else { 1000 };
    }
    records
}

fn spec() -> SegmentSpec {
    SegmentSpec { block_bytes: 4000, slice_bytes: 1000, ..SegmentSpec::new(TOPIC, 3, 1 << 33) }
}

const NEXT_OFFSET: i64 = (1 << 33) + (1 << 20);

#[test]
fn the_first_versions_segment_is_read_exactly() {
    let segment = Segment { bytes: Bytes::from_static(SEGMENT), meta: serde_json::from_str(ENTRY).unwrap() };
    assert_eq!(segment.decode().unwrap(), records());
    let bare = Footer::parse("a/segment", &segment.bytes, SEGMENT.len() as u64, None).unwrap();
    assert_eq!((bare.topic_id(), bare.partition(), bare.first_offset()), (TOPIC, 3, 1 << 33));
    assert_eq!(bare.next_offset(), NEXT_OFFSET);
    assert_eq!(segment.meta.hash, encode(spec(), &records(), NEXT_OFFSET).meta.hash);
}

#[test]
#[ignore = "writes the fixture: only when a new format gets one"]
fn write_the_fixture() {
    let segment = encode(spec(), &records(), NEXT_OFFSET);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(format!("{folder}/segment-1.parquet"), &segment.bytes).unwrap();
    let entry = serde_json::to_string_pretty(&segment.meta).unwrap();
    std::fs::write(format!("{folder}/segment-1.json"), entry + "\n").unwrap();
}
