//! A damaged byte is noticed before anything is made of it.
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;
use crate::store::Store;
use crate::store::testing::store_over;

const PATH: &str = "topics/t/id/table/data/00003-00000000000000000000-1-abc.parquet";

fn records() -> Vec<Record> {
    let header = |n: i64| Header::new(b"trace", (n % 3 == 0).then_some(b"on"));
    (0..40)
        .map(|offset| Record {
            offset,
            timestamp: 1000 + offset % 7,
            key: Some(Bytes::from(format!("key-{}", offset % 5))),
            value: Some(Bytes::from(format!("value {offset} {}", "x".repeat(60)))),
            headers: (0..offset % 3).map(header).collect(),
            ..Record::default()
        })
        .collect()
}

fn segment() -> Segment {
    encode(small(0), &records(), 40)
}

async fn store_with(bytes: Bytes) -> Store {
    let objects = Arc::new(InMemory::new());
    objects.put(&PATH.into(), bytes.into()).await.unwrap();
    store_over(objects)
}

/// Decodes with the manifest's entry, then without.
fn read(segment: &Segment) -> Result<Vec<Record>, SegmentError> {
    let records = segment.decode()?;
    Footer::parse("a/segment", &segment.bytes, segment.bytes.len() as u64, None)?;
    Ok(records)
}

#[test]
fn any_damaged_byte_of_pages_indexes_and_footer_is_noticed_when_it_is_read() {
    let whole = segment();
    assert_eq!(read(&whole).unwrap(), records());
    for at in 4..whole.bytes.len() {
        for bit in [1, 0x80] {
            let mut bytes = whole.bytes.to_vec();
            bytes[at] ^= bit;
            let damaged = Segment { bytes: bytes.into(), meta: whole.meta.clone() };
            let error = read(&damaged).expect_err("a damaged byte went through");
            let SegmentError::Damaged { object, at: named, .. } = &error else { panic!("{error}") };
            assert_eq!(object, "a/segment");
            assert!(*named <= at as u64, "byte {at} is damaged, but {named} is named");
        }
    }
}

#[test]
fn a_bare_file_with_a_damaged_end_is_not_parsed() {
    let whole = segment();
    for at in whole.meta.index_at as usize..whole.bytes.len() {
        let mut bytes = whole.bytes.to_vec();
        bytes[at] ^= 0x10;
        let parsed = Footer::parse("a/segment", &Bytes::from(bytes), whole.meta.size, None);
        assert!(matches!(parsed, Err(SegmentError::Damaged { .. })), "byte {at}");
    }
}

#[test]
fn a_cut_file_is_refused_wherever_it_was_cut() {
    let whole = segment();
    for len in 0..whole.bytes.len() {
        let cut = Segment { bytes: whole.bytes.slice(..len), meta: whole.meta.clone() };
        assert!(matches!(cut.footer(), Err(SegmentError::Damaged { .. })), "cut to {len}");
        assert!(Footer::parse("a/segment", &cut.bytes, len as u64, None).is_err(), "cut to {len}");
    }
}

#[test]
fn a_segment_in_the_place_of_another_is_refused() {
    let one = segment();
    let mut others = records();
    others[7].value = Some(Bytes::from_static(b"another"));
    let other = encode(small(0), &others, 40);
    let meta = SegmentMeta {
        size: other.meta.size,
        index_at: other.meta.index_at,
        index_crc32c: other.meta.index_crc32c,
        ..one.meta.clone()
    };
    let swapped = Segment { bytes: other.bytes, meta };
    let error = swapped.footer().unwrap_err();
    assert!(error.to_string().contains("do not speak of the same segment"), "{error}");
}

#[test]
fn ranges_that_were_not_fetched_are_an_error_not_a_panic() {
    let whole = segment();
    let footer = whole.footer().unwrap();
    let mut decoder = Decoder::new();
    let none = SliceBytes::new(&[], Vec::new());
    let error = footer.decode(0, &none, &mut decoder, |_| Ok::<(), SegmentError>(())).unwrap_err();
    assert!(error.to_string().contains("was not fetched"), "{error}");
}

/// `segment` with a text of its metadata replaced by one of the same length, and the entry's checksum made right.
fn altered(segment: &Segment, from: &str, to: &str) -> Segment {
    assert_eq!(from.len(), to.len());
    let mut bytes = segment.bytes.to_vec();
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    let index_crc32c = crc32c::crc32c(&bytes[segment.meta.index_at as usize..]);
    Segment { bytes: bytes.into(), meta: SegmentMeta { index_crc32c, ..segment.meta.clone() } }
}

#[test]
fn a_segment_of_the_future_is_refused_by_name() {
    let whole = segment();
    let refusal = |from, to| altered(&whole, from, to).footer().unwrap_err().to_string();
    let future = refusal(r#""format":1"#, r#""format":7"#);
    assert!(future.contains("segment format 7") && future.contains("newer"), "{future}");
    let feature = refusal(r#""must_read":[],"must_write":[]"#, r#""must_read":["encrypted"]     "#);
    assert!(feature.contains("'encrypted'") && feature.contains("a/segment"), "{feature}");
}

#[test]
fn a_segment_that_must_not_be_rewritten_is_read_and_says_so() {
    let records: Vec<Record> = records().into_iter().map(|r| Record { offset: r.offset + 1000, ..r }).collect();
    let whole = encode(small(1000), &records, 1040);
    assert_eq!(whole.footer().unwrap().check_rewritable(), Ok(()));
    // the three letters that the feature takes come from the first offset
    let part = |feature: &str, first: &str| {
        format!(r#""must_write":[{feature}],"topic_id":"{TOPIC}","partition":3,"first_offset":{first},"#)
    };
    let mut kept = altered(&whole, &part("", "1000"), &part(r#""x""#, "0"));
    kept.meta.first_offset = 0;
    assert_eq!(kept.decode().unwrap(), records);
    let error = kept.footer().unwrap().check_rewritable().unwrap_err().to_string();
    assert!(error.contains("the feature 'x'"), "{error}");
}

#[tokio::test]
async fn a_whole_segment_is_proven_with_and_without_its_entry() {
    let whole = segment();
    let store = store_with(whole.bytes.clone()).await;
    for meta in [Some(&whole.meta), None] {
        let proof = verify(&store, PATH, meta).await.unwrap();
        assert_eq!((proof.records, proof.hash, proof.size), (40, whole.meta.hash, whole.meta.size));
        assert_eq!(proof.payload_bytes, whole.meta.payload_bytes);
    }
}

#[tokio::test]
async fn verify_notices_every_damaged_byte() {
    let whole = segment();
    for at in 0..whole.bytes.len() {
        let mut bytes = whole.bytes.to_vec();
        bytes[at] ^= 4;
        let store = store_with(bytes.into()).await;
        let error = verify(&store, PATH, Some(&whole.meta)).await.expect_err("a damaged byte went through");
        assert!(error.to_string().contains(PATH), "byte {at}: {error}");
    }
}

#[tokio::test]
async fn verify_notices_an_entry_that_lies() {
    let whole = segment();
    let store = store_with(whole.bytes.clone()).await;
    let lies = [
        SegmentMeta { min_timestamp: Some(0), ..whole.meta.clone() },
        SegmentMeta { max_timestamp: None, ..whole.meta.clone() },
        SegmentMeta { offset_of_first_max: Some(39), ..whole.meta.clone() },
        SegmentMeta { null_timestamps: 1, ..whole.meta.clone() },
        SegmentMeta { records: 41, ..whole.meta.clone() },
    ];
    for meta in &lies {
        assert!(matches!(verify(&store, PATH, Some(meta)).await, Err(SegmentError::Damaged { .. })), "{meta:?}");
    }
}

#[tokio::test]
async fn a_missing_segment_is_the_stores_error() {
    let store = store_with(Bytes::new()).await;
    let error = verify(&store, "topics/t/none.parquet", None).await.unwrap_err();
    assert!(matches!(error, SegmentError::Store(_)) && !error.is_retriable(), "{error}");
}
