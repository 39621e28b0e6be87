//! `esker verify`: reads every live segment and proves it against its hashes.
use std::io::Write;
use std::sync::Arc;

use futures::StreamExt;

use super::bucket;
use super::failure::Failure;
use super::progress::Progress;
use super::source::{HttpArg, StoreArg, bucket_url};
use crate::archive::manifest::{SegmentEntry, View};
use crate::archive::segment::{self, SegmentError};
use crate::archive::{ArchiveError, Bucket, PartitionReader};
use crate::log::TopicInfo;
use crate::record::HashSum;
use crate::store::StoreError;

/// Entries of a manifest that are read at once.
const ENTRIES: usize = 256;

/// Flags of `esker verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Topic; all topics if none is given
    topic: Option<String>,
    #[command(flatten)]
    http: HttpArg,
    #[command(flatten)]
    store: StoreArg,
}

/// What was proven of one partition.
#[derive(Debug, Default, PartialEq, Eq)]
struct Proven {
    segments: u64,
    records: u64,
    bytes: u64,
    hash: HashSum,
    bad: Vec<String>,
}

/// `esker verify`: a line for each partition, and one for each segment that is not what was written.
pub async fn run(args: Args) -> Result<(), Failure> {
    let log = bucket::open(&bucket_url(&args.http, &args.store).await?).await?;
    let mut bad = 0;
    for topic in bucket::topics(&log, args.topic.as_deref()).await? {
        for partition in 0..topic.partitions {
            let proven = prove(log.bucket(), &topic, partition).await?;
            bad += proven.bad.len();
            say(&topic.name, partition, &proven).map_err(Failure::of_stdout)?;
        }
    }
    match bad {
        0 => Ok(()),
        _ => Err(Failure::Failed(format!("{bad} segments are not what was written; everything else was proven"))),
    }
}

fn say(topic: &str, partition: i32, proven: &Proven) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for text in &proven.bad {
        writeln!(out, "{topic}/{partition} BAD {text}")?;
    }
    let Proven { segments, records, bytes, hash, bad } = proven;
    let verdict = if bad.is_empty() { "ok" } else { "BAD" };
    writeln!(out, "{topic}/{partition} {verdict} segments={segments} records={records} bytes={bytes} hash={hash}")
}

/// Proves all live segments of a partition, several at once.
async fn prove(bucket: &Bucket, topic: &TopicInfo, partition: i32) -> Result<Proven, Failure> {
    let opened = PartitionReader::open(bucket, &topic.name, topic.id, partition).await;
    let reader = match opened {
        Ok(reader) => Arc::new(reader),
        Err(ArchiveError::Store(error)) if error.is_retriable() => return Err(Failure::of(error)),
        Err(error) => return Ok(Proven { bad: vec![error.to_string()], ..Proven::default() }),
    };
    let view = reader.view();
    let total = view.stored_bytes();
    let mut progress = Progress::bytes(total);
    progress.at(&format!("{}/{partition}", topic.name));
    let mut proven = Proven::default();
    let mut at = view.manifest().first();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    while at < view.next() {
        let entries = view.entries_from(at, ENTRIES).await.map_err(Failure::of)?;
        let Some(last) = entries.last() else { break };
        at = last.next();
        let segments = entries.into_iter().filter_map(|entry| entry.segment().cloned());
        let mut checks = futures::stream::iter(segments)
            .map(|segment| tokio::spawn(check(bucket.clone(), reader.clone(), view.clone(), segment)))
            .buffered(cores);
        while let Some(checked) = checks.next().await {
            let (size, checked) = checked.map_err(Failure::of)?;
            progress.add(size);
            proven.segments += 1;
            match checked? {
                Ok((records, hash)) => {
                    proven.records += records;
                    proven.bytes += size;
                    proven.hash += hash;
                }
                Err(text) => proven.bad.push(text),
            }
        }
    }
    progress.finish();
    Ok(proven)
}

/// What a check found: records and hash, or what is wrong with the segment.
type Found = Result<(u64, HashSum), String>;

/// Proves one segment. One that is gone because it was replaced meanwhile is looked for in the manifest once more.
async fn check(
    bucket: Bucket,
    reader: Arc<PartitionReader>,
    view: View,
    segment: SegmentEntry,
) -> (u64, Result<Found, Failure>) {
    let path = view.path_of(&segment);
    let size = segment.meta.size;
    let found = match segment::verify(bucket.store(), &path, Some(&segment.meta)).await {
        Ok(proof) => Ok(Ok((proof.records, proof.hash))),
        Err(SegmentError::Store(error)) if error.is_not_found() => {
            was_replaced(&bucket, &reader, &segment, &error).await
        }
        Err(SegmentError::Store(error)) if error.is_retriable() => Err(Failure::of(error)),
        Err(error) => Ok(Err(format!("{}: {error}", bucket.store().url_of(&path)))),
    };
    (size, found)
}

/// A segment that the newest manifest no longer names counts as nothing; otherwise it is missing.
async fn was_replaced(
    bucket: &Bucket,
    reader: &PartitionReader,
    segment: &SegmentEntry,
    error: &StoreError,
) -> Result<Found, Failure> {
    let view = reader.refresh().await.map_err(Failure::of)?;
    let now = view.find(segment.meta.first_offset).await.map_err(Failure::of)?;
    let named = now.as_ref().and_then(|entry| entry.segment()).is_some_and(|one| one.name == segment.name);
    let url = bucket.store().url_of(&view.path_of(segment));
    Ok(if named {
        Err(format!("{url}: missing, though the manifest names it: {error}"))
    } else {
        Ok((0, HashSum::ZERO))
    })
}
