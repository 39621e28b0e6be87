//! What a record costs in this module: the check of a produced batch, the walk, the hash, and building batches, for
//! records of 100 B, 1 KiB and 10 KiB of JSON-like text. `cargo bench --bench record [FILTER]`.
//!
//! Each row is the median of nine runs over at least 64 MiB of payload, on one thread.
use std::hint::black_box;

use bytes::Bytes;
use esker::base::{Clock, Uuid};
use esker::record::{
    BatchBuilder, BatchError, CheckLimits, Codec, Pushed, Record, RecordHasher, TimestampType, check, for_each_record,
    stamp,
};

const RUNS: usize = 9;
const PAYLOAD_PER_RUN: usize = 64 << 20;
const BATCH_BYTES: usize = 256 << 10;
const NOW_MS: i64 = 1_700_000_000_000;

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    println!("{:<28}{:>12}{:>12}", "", "ns/record", "MB/s");
    for size in [100, 1 << 10, 10 << 10] {
        let records = records(size);
        let bench = Bench { filter: &filter, size, records: &records, clock: Clock::real() };
        for codec in Codec::ALL {
            let batch = build(&mut BatchBuilder::new(), &records, codec);
            bench.row(&format!("check {codec}"), || check(&batch, &limits()));
        }
        let batch = build(&mut BatchBuilder::new(), &records, Codec::None);
        let mut scratch = Vec::new();
        bench.row("walk", || {
            for_each_record(&batch, 64 << 20, &mut scratch, |record| {
                black_box(record);
                Ok::<_, BatchError>(())
            })
        });
        let header = check(&batch, &limits()).expect("it is valid").header;
        bench.row("stamp append time", || stamp(&batch, &header, 1 << 40, 1, Some(NOW_MS)));
        let mut hasher = RecordHasher::new(Uuid([7; 16]), 3);
        bench.row("hash", || records.iter().map(|record| hasher.hash(&record.as_ref())).fold(0, u64::wrapping_add));
        let mut builder = BatchBuilder::new();
        for codec in Codec::ALL {
            bench.row(&format!("build {codec}"), || build(&mut builder, &records, codec));
        }
    }
}

struct Bench<'a> {
    filter: &'a str,
    size: usize,
    records: &'a [Record],
    clock: Clock,
}

impl Bench<'_> {
    /// Prints what one pass of `run` over the records costs.
    fn row<T>(&self, name: &str, mut run: impl FnMut() -> T) {
        let name = format!("{name} {} B", self.size);
        if !name.contains(self.filter) {
            return;
        }
        let payload = self.records.len() * self.size;
        let passes = (PAYLOAD_PER_RUN / payload).max(1);
        let mut seconds: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = self.clock.elapsed();
                (0..passes).for_each(|_| drop(black_box(run())));
                (self.clock.elapsed() - start).as_secs_f64() / passes as f64
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[RUNS / 2];
        let (ns, mb) = (median * 1e9 / self.records.len() as f64, payload as f64 / median / 1e6);
        println!("{name:<28}{ns:>12.1}{mb:>12.0}");
    }
}

/// One batch's worth of records of `size` bytes: a short key, and a value that compresses about as JSON does.
fn records(size: usize) -> Vec<Record> {
    let mut state = 1u64;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let count = (BATCH_BYTES / size).max(4);
    let mut record = |offset: usize| {
        let key = format!("user-{:05}", word() % 100_000);
        let mut value = String::new();
        while value.len() + key.len() < size {
            value += &format!("{{\"id\":{},\"kind\":\"page_view\",\"ms\":{}}}", word(), word() % 10_000);
        }
        value.truncate(size - key.len());
        Record {
            offset: offset as i64,
            timestamp: NOW_MS + offset as i64,
            leader_epoch: -1,
            key: Some(key.into()),
            value: Some(value.into()),
            ..Record::default()
        }
    };
    (0..count).map(&mut record).collect()
}

fn build(builder: &mut BatchBuilder, records: &[Record], codec: Codec) -> Bytes {
    for record in records {
        assert_eq!(builder.push(&record.as_ref()).expect("it is small"), Pushed::Added);
    }
    builder.finish(codec, None).expect("it has records")
}

fn limits() -> CheckLimits {
    CheckLimits {
        message_max_bytes: u32::MAX,
        unpacked_max_bytes: 64 << 20,
        now_ms: NOW_MS,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        key_required: false,
    }
}
