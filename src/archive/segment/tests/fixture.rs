//! A segment that was written once is read by every later version.
//!
//! It has two blocks: one with something of everything that is easily lost, whose keys outgrow their dictionary; and one
//! whose values do not compress, so that their pages are of the second version. Both have Bloom filters, and its footer says
//! things that this version does not know.
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::base::Random;

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
    // keys that have no room in a dictionary
    for n in 0..1600 {
        let key = Some(Bytes::from(format!("{n:0240}")));
        records.push(Record { key, timestamp: base.timestamp + n, ..base.clone() });
    }
    let random = Random::seeded(1);
    for n in 0..24 {
        let value = Some(Bytes::from(random.bytes::<1024>().to_vec()));
        records.push(Record { key: Some(Bytes::from(format!("{n}"))), value, ..base.clone() });
    }
    for (index, record) in records.iter_mut().enumerate() {
        record.offset = (1 << 33) + index as i64 * if index < 100 { 1 } else { 200 };
    }
    records
}

fn spec() -> SegmentSpec {
    SegmentSpec { block_bytes: 365_000, slice_bytes: 24_000, key_bloom: true, ..SegmentSpec::new(TOPIC, 3, 1 << 33) }
}

/// With fields of a later version, at every level.
fn make() -> Segment {
    let mut encoder = SegmentEncoder::new(spec()).unwrap();
    encoder.alter_facts = |json| {
        let mut facts: serde_json::Value = serde_json::from_str(&json).unwrap();
        facts["later"] = serde_json::json!({"a": [1, "b", null]});
        facts["blocks"].as_array_mut().unwrap().iter_mut().for_each(|block| block["later"] = true.into());
        facts.to_string()
    };
    records().iter().for_each(|record| encoder.push(&record.as_ref()).unwrap());
    let (parts, meta) = encoder.finish(NEXT_OFFSET).unwrap();
    Segment { bytes: parts.concat().into(), meta }
}

/// How it is written: for each column of each block what other readers are told of its pages, but not how large they are.
fn shape(segment: &Segment) -> Vec<String> {
    let reader = SerializedFileReader::new(segment.bytes.clone()).unwrap();
    let metadata = reader.metadata();
    let mut shape = vec![format!("{:?}", metadata.file_metadata().schema_descr().root_schema())];
    for (number, block) in metadata.row_groups().iter().enumerate() {
        for (place, column) in block.columns().iter().enumerate() {
            let mut pages = reader.get_row_group(number).unwrap().get_column_page_reader(place).unwrap();
            let pages = std::iter::from_fn(|| pages.get_next_page().unwrap());
            let mut kinds: Vec<String> =
                pages.map(|page| format!("{} {}", page.page_type(), page.encoding())).collect();
            kinds.dedup();
            let has_bloom = column.bloom_filter_offset().is_some();
            let (path, codec, statistics) = (column.column_path().string(), column.compression(), column.statistics());
            shape.push(format!("{path} {codec:?} {kinds:?} {statistics:?} bloom {has_bloom}"));
        }
    }
    shape
}

/// What its entry says, but for what depends on how well it compresses.
fn said(meta: &SegmentMeta) -> SegmentMeta {
    let mut said = SegmentMeta { size: 0, stored_bytes: 0, index_at: 0, index_crc32c: 0, ..meta.clone() };
    said.column_bytes.iter_mut().for_each(|(_, bytes)| *bytes = 0);
    said.blocks.iter_mut().for_each(|block| (block.at, block.len) = (0, 0));
    said
}

const NEXT_OFFSET: i64 = (1 << 33) + (1 << 20);

#[test]
fn the_first_versions_segment_is_read_exactly() {
    let segment = Segment { bytes: Bytes::from_static(SEGMENT), meta: serde_json::from_str(ENTRY).unwrap() };
    assert_eq!(segment.decode().unwrap(), records());
    let bare = Footer::parse("a/segment", &segment.bytes, SEGMENT.len() as u64, None).unwrap();
    assert_eq!((bare.topic_id(), bare.partition(), bare.first_offset()), (TOPIC, 3, 1 << 33));
    assert_eq!(bare.next_offset(), NEXT_OFFSET);
    let again = make();
    assert_eq!(said(&segment.meta), said(&again.meta));
    assert_eq!(shape(&segment), shape(&again));
}

#[test]
fn the_fixture_has_every_kind_of_page_and_says_more_than_this_version_knows() {
    let segment = make();
    assert_eq!(segment.decode().unwrap(), records());
    let of = |column: &str| -> Vec<String> {
        shape(&segment).into_iter().filter(|line| line.starts_with(&format!("{column} "))).collect()
    };
    let has = |column: &str, what: &[&str]| of(column).iter().any(|line| what.iter().all(|what| line.contains(what)));
    let keys = of("key");
    assert!(keys.len() == 2 && keys.iter().all(|line| line.contains("bloom true")), "{keys:?}");
    assert!(has("key", &[r#"["DICTIONARY_PAGE PLAIN", "DATA_PAGE RLE_DICTIONARY"]"#]), "{keys:?}");
    assert!(has("key", &[r#""DATA_PAGE RLE_DICTIONARY", "DATA_PAGE PLAIN"]"#]), "{keys:?}");
    assert!(has("value_raw", &[r#"["DATA_PAGE PLAIN"]"#]) && has("value_raw", &[r#"["DATA_PAGE_V2 PLAIN"]"#]));
    let reader = SerializedFileReader::new(segment.bytes.clone()).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let facts = entries.iter().find(|entry| entry.key == facts::KEY).unwrap().value.clone().unwrap();
    assert!(facts.contains(r#""later":{"a":[1,"b",null]}"#) && facts.contains(r#""later":true"#), "{facts}");
    assert!(segment.bytes.len() < 128 << 10, "{} bytes", segment.bytes.len());
}

#[test]
#[ignore = "writes the fixture: only when a new format gets one"]
fn write_the_fixture() {
    let segment = make();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(format!("{folder}/segment-1.parquet"), &segment.bytes).unwrap();
    let entry = serde_json::to_string_pretty(&segment.meta).unwrap();
    std::fs::write(format!("{folder}/segment-1.json"), entry + "\n").unwrap();
}
