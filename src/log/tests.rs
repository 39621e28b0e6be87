//! The log as a whole, on a real folder: both tiers, restarts, lost disks.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::record::{Record, TimestampType, for_each_record};

mod away;
mod beginnings;
mod broker_settings;
mod compaction;
mod condensed;
mod damage;
mod deleted;
mod lags;
mod later;
mod looks;
mod model;
mod one_thread;
mod pressed;
mod restarts;
mod small_batches;
mod state;
mod tiers;
mod transactions;

/// A folder that a log lives in, and what was appended to it.
struct Place {
    folder: tempfile::TempDir,
    clock: Clock,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Clock::real() }
    }

    fn env(&self) -> Env {
        Env {
            clock: self.clock.clone(),
            random: Random::os(),
            metrics: Metrics::new(),
            limits: Limits::default(),
            tasks: Tasks::current(),
        }
    }

    fn options(&self) -> Options {
        let mut options = Options::new(self.folder.path().join("disk"));
        options.store_url = Some(self.folder.path().join("bucket").display().to_string());
        options.store.create_directory = true;
        options.wal.budget_bytes = Some(16 << 20);
        options.wal.file_bytes = 1 << 20;
        options.wal.group_max_bytes = 256 << 10;
        options.topic_defaults.insert("esker.seal.ms".to_owned(), "3600000".to_owned());
        options
    }

    /// The same with files of 64 KiB, so that few records fill several.
    fn with_small_files(&self, files: u64) -> Options {
        let mut options = self.options();
        options.wal.file_bytes = 64 << 10;
        options.wal.group_max_bytes = 16 << 10;
        options.wal.budget_bytes = Some(files * options.wal.file_bytes);
        options
    }

    async fn open(&self) -> Log {
        Log::open(self.options(), self.env()).await.unwrap()
    }

    fn lose_disk(&self) {
        std::fs::remove_dir_all(self.folder.path().join("disk")).unwrap();
    }
}

/// Opens the log again as soon as the last task of the old one let go of the directory's lock.
async fn reopened_with(options: Options, place: &Place) -> Result<Log, OpenError> {
    for _ in 0..100 {
        match Log::open(options.clone(), place.env()).await {
            Err(OpenError::Refused(why)) if why.contains("in use") => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            opened => return opened,
        }
    }
    panic!("the directory stays locked");
}

/// A batch of records with these values and timestamps.
fn batch(values: &[(i64, &str)]) -> Bytes {
    let mut builder = crate::record::BatchBuilder::new();
    for (i, (timestamp, value)) in values.iter().enumerate() {
        let record = Record {
            offset: i as i64,
            timestamp: *timestamp,
            timestamp_type: TimestampType::Create,
            leader_epoch: -1,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        };
        let _ = builder.push(&record.as_ref()).unwrap();
    }
    builder.finish(crate::record::Codec::None, None).unwrap()
}

/// A record of an idempotent producer.
fn idempotent(producer: i64, sequence: i32, value: &str) -> Bytes {
    of_producer(crate::record::BatchBuilder::new(), producer, sequence, &[value])
}

/// A record of a transaction.
fn part(producer: i64, sequence: i32, value: &str) -> Bytes {
    transactional(producer, sequence, &[value])
}

/// Records of a transaction.
fn transactional(producer: i64, sequence: i32, values: &[&str]) -> Bytes {
    let mut builder = crate::record::BatchBuilder::new();
    builder.set_transactional();
    of_producer(builder, producer, sequence, values)
}

fn of_producer(mut builder: crate::record::BatchBuilder, id: i64, base_sequence: i32, values: &[&str]) -> Bytes {
    builder.set_producer(crate::record::Producer { id, epoch: 0, base_sequence });
    for (offset, value) in (0..).zip(values) {
        let value = Some(Bytes::copy_from_slice(value.as_bytes()));
        let record = Record { offset, timestamp: 1_000, value, ..Record::default() };
        let _ = builder.push(&record.as_ref()).unwrap();
    }
    builder.finish(crate::record::Codec::None, None).unwrap()
}

async fn append(log: &Log, topic: &str, values: &[(i64, &str)]) -> Appended {
    let partition = log.partition(topic, 0).unwrap();
    partition.append(batch(values), None).unwrap().durable().await.unwrap()
}

/// Every record from `from` to the end, as (offset, value); control batches are skipped as clients do.
async fn read_all(partition: &Partition, from: i64) -> Vec<(i64, String)> {
    let (mut at, mut out) = (from, Vec::new());
    loop {
        let fetched = partition.read(at, 1 << 20, true, Isolation::ReadUncommitted).await.unwrap();
        if fetched.batches.is_empty() {
            return out;
        }
        for piece in fetched.batches {
            for one in crate::record::split(piece) {
                let one = one.unwrap();
                let mut records = Vec::new();
                let header = for_each_record::<crate::record::BatchError>(&one, 1 << 30, &mut Vec::new(), |r| {
                    records.push((r.offset, String::from_utf8_lossy(r.value.unwrap_or_default()).into_owned()));
                    Ok(())
                })
                .unwrap();
                if !header.is_control() {
                    out.extend(records.into_iter().filter(|(offset, _)| *offset >= at));
                }
                at = header.last_offset() + 1;
            }
        }
    }
}

fn new_topic(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions: None, settings: BTreeMap::new() }
}
