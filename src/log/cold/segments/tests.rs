//! The whole way with real segments in a folder.
use super::super::source::{Entry, EntryLookup};
use super::super::{ColdReader, ColdRequest, ColdTarget, fake::FakeManifest};
use super::*;
use crate::archive::segment::{SegmentEncoder, SegmentMeta, SegmentSpec};
use crate::base::tasks::Tasks;
use crate::base::{Clock, Limits, Metrics, Random, Uuid};
use crate::record::{BatchError, Codec, Header, Record, TimestampType, for_each_record};
use crate::store::StoreOptions;

const TOPIC: Uuid = Uuid([5; 16]);
const TARGET: ColdTarget = ColdTarget { topic_id: TOPIC, partition: 2, codec: Codec::None };

struct Folder {
    folder: tempfile::TempDir,
    store: Store,
    reader: ColdReader,
    metrics: Metrics,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    let (clock, random, metrics) = (Clock::real(), Random::seeded(1), Metrics::new());
    let url = folder.path().display().to_string();
    let store = Store::open(&url, StoreOptions::default(), &clock, &random, &metrics).unwrap();
    let reader = ColdReader::new(store.clone(), &Limits::default(), &clock, Tasks::current(), &metrics);
    Folder { folder, store, reader, metrics }
}

/// Records of every sort: null and empty fields, binary, repeated and null headers, both timestamp types, holes.
fn records(first: i64, count: i64) -> Vec<Record> {
    let record = |n: i64| Record {
        offset: first + n * 2,
        timestamp: if n % 7 == 0 { -1 } else { 1_700_000_000_000 + n },
        timestamp_type: if n / 50 % 2 == 0 { TimestampType::Create } else { TimestampType::Append },
        leader_epoch: (n / 300) as i32,
        key: [None, Some(Bytes::new()), Some(format!("key {}", n % 5).into())][n as usize % 3].clone(),
        value: [None, Some(vec![0xff, n as u8].into()), Some("v".repeat(n as usize % 900).into())][n as usize % 3]
            .clone(),
        headers: (0..n % 4).map(|h| Header::new(b"h", (h % 2 == 0).then_some(&b"x"[..]))).collect(),
    };
    (0..count).map(record).collect()
}

impl Folder {
    async fn put(&self, path: &str, records: &[Record], next_offset: i64) -> SegmentRef {
        let mut spec = SegmentSpec::new(TOPIC, TARGET.partition, records[0].offset);
        (spec.block_bytes, spec.slice_bytes) = (64 << 10, 8 << 10);
        let mut encoder = SegmentEncoder::new(spec).unwrap();
        for record in records {
            encoder.push(&record.as_ref()).unwrap();
        }
        let mut bytes = encoder.take_output();
        let (rest, meta): (_, SegmentMeta) = encoder.finish(next_offset).unwrap();
        bytes.extend(rest);
        let mut upload = self.store.upload(path).await.unwrap();
        for bytes in bytes {
            upload.write(bytes).await.unwrap();
        }
        upload.finish().await.unwrap();
        SegmentRef { path: path.into(), meta: Arc::new(meta) }
    }

    async fn read(&self, codec: Codec, entries: &Arc<dyn EntryLookup>, from: i64) -> Result<Vec<Record>, ColdError> {
        let (mut position, mut all) = (from, Vec::new());
        loop {
            let want = ColdRequest { from: position, until: i64::MAX, min_bytes: 0, max_bytes: 10_000 };
            let read = self.reader.read(&ColdTarget { codec, ..TARGET }, entries, want).await?;
            for batch in &read.batches {
                let keep = |record: crate::record::RecordRef<'_>| {
                    if record.offset >= position {
                        all.push(record.to_record());
                    }
                    Ok(())
                };
                for_each_record::<BatchError>(batch, 1 << 30, &mut Vec::new(), keep).unwrap();
            }
            if read.next == position {
                return Ok(all);
            }
            position = read.next;
        }
    }
}

/// A batch of append time has one timestamp: what comes back is what a consumer sees, which is the same record.
#[tokio::test]
async fn sealed_records_come_back_exactly_in_every_compression_and_from_the_middle() {
    let folder = folder();
    let all = records(100, 2000);
    let (left, right) = all.split_at(1200);
    let middle = right[0].offset;
    let segments = [folder.put("a.parquet", left, middle).await, folder.put("b.parquet", right, 5000).await];
    assert!(segments[0].meta.blocks.len() > 1);
    let entries = FakeManifest::of(segments.into_iter().map(Entry::Segment).collect());
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        for from in [0, 1000, middle - 1, middle, 4099] {
            let expected: Vec<&Record> = all.iter().filter(|record| record.offset >= from).collect();
            let read = folder.read(codec, &entries, from).await.unwrap();
            assert!(read.iter().eq(expected.iter().copied()), "{codec} from {from}");
        }
    }
    assert!(folder.metrics.page().unwrap().contains("esker_cold_gets_total"));
}

#[tokio::test]
async fn a_damaged_slice_names_the_object_and_spares_the_others() {
    let folder = folder();
    let all = records(0, 2000);
    let segment = folder.put("a.parquet", &all, 5000).await;
    let file = folder.folder.path().join("a.parquet");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = segment.meta.blocks.last().cloned().unwrap();
    bytes[(last.at + last.len - 5) as usize] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let entries = FakeManifest::of(vec![Entry::Segment(segment)]);
    let want = |from| ColdRequest { from, until: i64::MAX, min_bytes: 0, max_bytes: 10_000 };
    folder.reader.read(&TARGET, &entries, want(0)).await.expect("the first block is whole");
    let error = folder.read(Codec::None, &entries, 0).await.expect_err("the last block is not");
    assert!(matches!(&error, ColdError::Damaged { path, .. } if &**path == "a.parquet"), "{error}");
    assert!(!error.is_retriable());
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[tokio::test]
async fn a_truncated_object_and_a_missing_one_are_told_apart() {
    let folder = folder();
    let segment = folder.put("a.parquet", &records(0, 2000), 5000).await;
    let file = folder.folder.path().join("a.parquet");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let entries = FakeManifest::of(vec![Entry::Segment(segment)]);
    let error = folder.read(Codec::None, &entries, 0).await.expect_err("it is cut short");
    assert!(matches!(error, ColdError::Damaged { .. }), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = folder.read(Codec::None, &entries, 0).await.expect_err("it is gone");
    assert!(matches!(error, ColdError::Missing { .. }), "{error}");
}
