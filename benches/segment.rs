//! What segments cost beyond the bare library: CPU of sealing against the bare Parquet writer on the same rows, and of
//! replaying against the bare decompression of the same pages. Run with `cargo bench --bench segment [-- NAME]`.
//!
//! CPU time is the kernel's account of this thread (`/proc`, so Linux only). Both sides of a ratio run in turn, `ROUNDS`
//! times each; the medians are compared, so that a noisy machine hurts both alike.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use esker::archive::segment::{Decoder, Footer, SegmentEncoder, SegmentError, SegmentMeta, SegmentSpec, SliceBytes};
use esker::base::{Random, Uuid};
use esker::record::{BatchBuilder, Codec, Pushed, Record, RecordRef, for_each_record};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const PAYLOAD_BYTES: usize = 96 << 20;
/// Size of replayed batches, as the cold tier makes them.
const BATCH_BYTES: usize = 256 << 10;
const SEAL_RATIO_MAX: f64 = 1.3;
const REPLAY_RATIO_MAX: f64 = 1.5;

fn main() {
    println!("CPU, MB of payload per second and core; medians of {ROUNDS}");
    println!(
        "{:<14}{:>9}{:>9}{:>8} | {:>9}{:>9}{:>8} | {:>7}",
        "seal", "bare", "esker", "ratio", "bare", "replay", "ratio", "stored"
    );
    let mut missed = false;
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    type Make = fn() -> Vec<Record>;
    let cases: [(&str, Make); 5] = [
        ("real lines", lines),
        ("JSON 100 B", || json(100)),
        ("JSON 1 KiB", || json(1024)),
        ("JSON 10 KiB", || json(10 * 1024)),
        ("random 1 KiB", || noise(1024)),
    ];
    for (name, make) in cases.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let records = make();
        if records.is_empty() {
            println!("{name:<14} not measured: ESKER_BENCH_LINES names no file");
            continue;
        }
        let payload: u64 = records.iter().map(|record| record.as_ref().payload_bytes()).sum();
        let batches = batches(&records);
        let (parts, meta) = seal(&batches);
        let bytes = Bytes::from(parts.concat());
        let rows = BareRows::new(&records, &bytes);
        let (bare_seal, our_seal) = compare(|| rows.write(), || drop(black_box(seal(&batches))));
        let pages = stored_pages(&bytes);
        let footer = Footer::parse("bench", &bytes.slice(meta.index_at as usize..), meta.size, Some(&meta)).unwrap();
        let (bare_replay, our_replay) = compare(|| decompress(&bytes, &pages), || replay(&bytes, &footer));
        let speed = |seconds: f64| payload as f64 / 1e6 / seconds;
        let (seal_ratio, replay_ratio) = (our_seal / bare_seal, our_replay / bare_replay);
        println!(
            "{name:<14}{:>9.0}{:>9.0}{seal_ratio:>8.2} | {:>9.0}{:>9.0}{replay_ratio:>8.2} | {:>6.2}x",
            speed(bare_seal),
            speed(our_seal),
            speed(bare_replay),
            speed(our_replay),
            payload as f64 / meta.size as f64
        );
        // pages of random values are stored as they are, so that their bare decompression costs nothing
        missed |= seal_ratio > SEAL_RATIO_MAX || (replay_ratio > REPLAY_RATIO_MAX && name != "random 1 KiB");
    }
    println!(
        "limits: seal {SEAL_RATIO_MAX}, replay {REPLAY_RATIO_MAX} where values compress: {}",
        if missed { "MISSED" } else { "met" }
    );
}

/// Median CPU seconds of both, run in turn.
fn compare(mut one: impl FnMut(), mut other: impl FnMut()) -> (f64, f64) {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ones.push(cpu_seconds(&mut one));
        others.push(cpu_seconds(&mut other));
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (median(ones), median(others))
}

fn cpu_seconds(work: &mut impl FnMut()) -> f64 {
    let on_cpu = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
    };
    let before = on_cpu();
    work();
    on_cpu() - before
}

/// Web events of about `len` bytes, keyed by one of 5,000 sessions.
fn json(len: usize) -> Vec<Record> {
    let random = Random::seeded(len as u64);
    let words = ["checkout", "search", "cart", "product", "home", "login", "payment", "review", "wishlist", "account"];
    let mut records = Vec::new();
    let mut timestamp = 1_760_000_000_000;
    for offset in 0..PAYLOAD_BYTES / len {
        let mut value = format!(
            "{{\"id\":{},\"event\":\"{}\",\"user\":{}",
            random.u64() >> 24,
            words[random.below(10) as usize],
            random.below(100_000)
        );
        while value.len() + 45 < len {
            let (word, number) = (words[random.below(10) as usize], random.below(1_000_000));
            value += &format!(",\"{word}_{}\":\"{}/{number:x}\"", random.below(40), words[random.below(10) as usize]);
        }
        value += "}";
        timestamp += random.below(3) as i64;
        let key = Some(Bytes::from(format!("session-{}", random.below(5_000))));
        records.push(Record { offset: offset as i64, timestamp, key, value: Some(value.into()), ..Record::default() });
    }
    records
}

/// Real input, where there is some: the lines of the file that ESKER_BENCH_LINES names, keyed by their field `path`.
fn lines() -> Vec<Record> {
    let Ok(name) = std::env::var("ESKER_BENCH_LINES") else { return Vec::new() };
    let text = std::fs::read_to_string(name).unwrap();
    let mut left = PAYLOAD_BYTES;
    let mut records = Vec::new();
    for (offset, line) in text.lines().enumerate() {
        let Some(rest) = left.checked_sub(line.len()) else { break };
        left = rest;
        let key = line.split_once("\"path\":\"").and_then(|(_, rest)| rest.split_once('"'));
        let key = key.map(|(key, _)| Bytes::copy_from_slice(key.as_bytes()));
        let value = Some(Bytes::copy_from_slice(line.as_bytes()));
        records.push(Record { offset: offset as i64, timestamp: offset as i64 / 7, key, value, ..Record::default() });
    }
    records
}

/// Random bytes.
fn noise(len: usize) -> Vec<Record> {
    let random = Random::seeded(7);
    let value = || Some(Bytes::from((0..len / 64).flat_map(|_| random.bytes::<64>()).collect::<Vec<u8>>()));
    (0..PAYLOAD_BYTES / len)
        .map(|offset| Record { offset: offset as i64, timestamp: offset as i64, value: value(), ..Record::default() })
        .collect()
}

/// The records as the WAL holds them: uncompressed batches of 64 KiB.
fn batches(records: &[Record]) -> Vec<Bytes> {
    let (mut builder, mut batches) = (BatchBuilder::new(), Vec::new());
    for record in records {
        assert_eq!(builder.push(&record.as_ref()).unwrap(), Pushed::Added);
        if builder.size_estimate() >= 64 << 10 {
            batches.push(builder.finish(Codec::None, None).unwrap());
        }
    }
    if !builder.is_empty() {
        batches.push(builder.finish(Codec::None, None).unwrap());
    }
    batches
}

#[derive(Debug)]
enum Failed {
    Batch,
    Segment,
}

impl From<esker::record::BatchError> for Failed {
    fn from(_: esker::record::BatchError) -> Self {
        Self::Batch
    }
}

impl From<SegmentError> for Failed {
    fn from(_: SegmentError) -> Self {
        Self::Segment
    }
}

/// From batches to the object's bytes, as the mover does it.
fn seal(batches: &[Bytes]) -> (Vec<Bytes>, SegmentMeta) {
    let mut encoder = SegmentEncoder::new(SegmentSpec::new(Uuid([7; 16]), 0, 0)).unwrap();
    let (mut scratch, mut parts, mut next) = (Vec::new(), Vec::new(), 0);
    for batch in batches {
        for_each_record(batch, u64::MAX, &mut scratch, |record: RecordRef<'_>| {
            next = record.offset + 1;
            encoder.push(&record).map_err(Failed::from)
        })
        .unwrap();
        parts.append(&mut encoder.take_output());
    }
    let (rest, meta) = encoder.finish(next).unwrap();
    parts.extend(rest);
    (parts, meta)
}

/// From slices to uncompressed Kafka batches, as the cold tier does it.
fn replay(bytes: &Bytes, footer: &Footer) {
    let (mut decoder, mut builder) = (Decoder::new(), BatchBuilder::new());
    for slice in 0..footer.slices().len() {
        let ranges = footer.ranges(slice..slice + 1);
        let parts = ranges.iter().map(|range| bytes.slice(range.start as usize..range.end as usize)).collect();
        let fetched = SliceBytes::new(&ranges, parts);
        footer
            .decode(slice, &fetched, &mut decoder, |record| {
                let pushed = builder.push(&record).map_err(Failed::from)?;
                assert_eq!(pushed, Pushed::Added);
                if builder.size_estimate() >= BATCH_BYTES {
                    black_box(builder.finish(Codec::None, None).map_err(Failed::from)?);
                }
                Ok::<(), Failed>(())
            })
            .unwrap();
        if !builder.is_empty() {
            black_box(builder.finish(Codec::None, None).unwrap());
        }
    }
}

/// Where the compressed part of each page lies: a page that is compressed holds zstd's magic number near its beginning.
fn stored_pages(bytes: &Bytes) -> Vec<std::ops::Range<usize>> {
    let reader = SerializedFileReader::new_with_options(bytes.clone(), read_options()).unwrap();
    let metadata = reader.metadata();
    let mut found = Vec::new();
    for (block, offsets) in metadata.row_groups().iter().zip(metadata.offset_index().unwrap()) {
        for (column, pages) in block.columns().iter().zip(offsets) {
            let first = pages.page_locations()[0].offset;
            let dictionary = column.dictionary_page_offset().map(|at| at as usize..first as usize);
            let data = pages
                .page_locations()
                .iter()
                .map(|page| page.offset as usize..page.offset as usize + page.compressed_page_size as usize);
            for page in dictionary.into_iter().chain(data) {
                let head = &bytes[page.start..page.end.min(page.start + 128)];
                if let Some(at) = head.windows(4).position(|window| window == [0x28, 0xb5, 0x2f, 0xfd]) {
                    found.push(page.start + at..page.end);
                }
            }
        }
    }
    found
}

fn read_options() -> parquet::file::serialized_reader::ReadOptions {
    parquet::file::serialized_reader::ReadOptionsBuilder::new().with_page_index().build()
}

fn decompress(bytes: &Bytes, pages: &[std::ops::Range<usize>]) {
    let mut zstd = zstd::bulk::Decompressor::new().unwrap();
    let mut out = Vec::with_capacity(16 << 20);
    for page in pages {
        out.clear();
        zstd.decompress_to_buffer(&bytes[page.clone()], &mut out).unwrap();
        black_box(&out);
    }
}

/// The rows as the Parquet writer takes them, one set of arrays per slice, made before the clock runs.
struct BareRows {
    schema: TypePtr,
    /// Slices of each block.
    blocks: Vec<Vec<BareSlice>>,
    compresses: bool,
}

struct BareSlice {
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    zeros: Vec<i32>,
    keys: Vec<ByteArray>,
    key_levels: Vec<i16>,
    values: Vec<ByteArray>,
    present: Vec<i16>,
    absent: Vec<i16>,
}

impl BareRows {
    /// Cut into the slices and blocks of the segment, with its schema.
    fn new(records: &[Record], segment: &Bytes) -> Self {
        let reader = SerializedFileReader::new_with_options(segment.clone(), read_options()).unwrap();
        let metadata = reader.metadata();
        let mut rest = records;
        let mut blocks = Vec::new();
        for (block, offsets) in metadata.row_groups().iter().zip(metadata.offset_index().unwrap()) {
            let starts: Vec<i64> = offsets[0].page_locations().iter().map(|page| page.first_row_index).collect();
            let ends = starts[1..].iter().copied().chain([block.num_rows()]);
            let slices = starts.iter().zip(ends).map(|(start, end)| {
                let (slice, after) = rest.split_at((end - start) as usize);
                rest = after;
                BareSlice::new(slice)
            });
            blocks.push(slices.collect());
        }
        let compresses = segment.len() < PAYLOAD_BYTES / 10 * 9;
        Self { schema: metadata.file_metadata().schema_descr().root_schema_ptr(), blocks, compresses }
    }

    fn write(&self) {
        let properties = Arc::new(properties(self.compresses));
        let mut file = SerializedFileWriter::new(Sink(0), self.schema.clone(), properties).unwrap();
        for slices in &self.blocks {
            let mut block = file.next_row_group().unwrap();
            let mut place = 0;
            while let Some(mut column) = block.next_column().unwrap() {
                for slice in slices {
                    let (absent, no_repeats) = (Some(&slice.absent[..]), Some(&slice.absent[..]));
                    match place {
                        1 => column.typed::<Int64Type>().write_batch(&slice.offsets, None, None),
                        2 => column.typed::<Int64Type>().write_batch(&slice.timestamps, Some(&slice.present), None),
                        5 => column.typed::<ByteArrayType>().write_batch(&slice.keys, Some(&slice.key_levels), None),
                        6 => column.typed::<ByteArrayType>().write_batch(&[], absent, None),
                        7 | 8 => column.typed::<ByteArrayType>().write_batch(&[], absent, no_repeats),
                        9 | 10 => {
                            let is_text = self.compresses == (place == 10);
                            let (values, levels) =
                                if is_text { (&slice.values[..], &slice.present) } else { (&[][..], &slice.absent) };
                            column.typed::<ByteArrayType>().write_batch(values, Some(levels), None)
                        }
                        _ => column.typed::<Int32Type>().write_batch(&slice.zeros, None, None),
                    }
                    .unwrap();
                }
                column.close().unwrap();
                place += 1;
            }
            block.close().unwrap();
        }
        black_box(file.close().unwrap());
    }
}

impl BareSlice {
    fn new(records: &[Record]) -> Self {
        let strings = |of: fn(&Record) -> &Option<Bytes>| {
            records.iter().filter_map(|record| of(record).clone()).map(ByteArray::from).collect()
        };
        Self {
            offsets: records.iter().map(|record| record.offset).collect(),
            timestamps: records.iter().map(|record| record.timestamp * 1000).collect(),
            zeros: vec![0; records.len()],
            keys: strings(|record| &record.key),
            key_levels: records.iter().map(|record| i16::from(record.key.is_some())).collect(),
            values: strings(|record| &record.value),
            present: vec![1; records.len()],
            absent: vec![0; records.len()],
        }
    }
}

/// The settings of a segment, written down a second time so that a change of one shows in the ratio.
fn properties(compresses: bool) -> WriterProperties {
    use parquet::basic::{Compression, Encoding, ZstdLevel};
    let path = |path: &str| ColumnPath::new(path.split('.').map(str::to_owned).collect());
    let mut builder = WriterProperties::builder()
        .set_writer_version(if compresses { WriterVersion::PARQUET_1_0 } else { WriterVersion::PARQUET_2_0 })
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_encoding(Encoding::PLAIN)
        .set_dictionary_enabled(false)
        .set_dictionary_page_size_limit(256 << 10)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_data_page_row_count_limit(1)
        .set_data_page_size_limit(1 << 40)
        .set_write_batch_size(1 << 40);
    for column in ["log_offset", "timestamp"] {
        builder = builder
            .set_column_encoding(path(column), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(path(column), EnabledStatistics::Page);
    }
    for column in ["key", "key_raw", "headers.list.element.key"] {
        builder = builder.set_column_dictionary_enabled(path(column), true);
    }
    builder.build()
}

/// Takes what is written and forgets it.
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(bytes).len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
