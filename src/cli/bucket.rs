//! A bucket read directly, with no broker: topics, layouts and records out of manifests and segments.
use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::consume::{Fetched, Span};
use super::failure::Failure;
use crate::archive::bucket::OpenMode;
use crate::archive::manifest::{self, View};
use crate::archive::{Bucket, PartitionReader, topics};
use crate::base::tasks::Tasks;
use crate::base::{Clock, Limits, Metrics, Random, Uuid};
use crate::http::Scope;
use crate::log::cold::{ColdError, ColdReader, ColdRequest, ColdTarget, Entry, EntryLookup, Look, SegmentRef};
use crate::log::{EntryLayout, PartitionLayout};
use crate::record::Codec;
use crate::store::{Store, StoreOptions};

/// Bytes of batches in one answer.
const ANSWER_BYTES: usize = 8 << 20;
/// Entries of a manifest that are read at once.
const ENTRIES: usize = 1000;

/// Opens a bucket that must be there; nothing is written.
pub async fn open(url: &str) -> Result<Bucket, Failure> {
    let store = Store::open(url, StoreOptions::default(), &Clock::real(), &Random::os(), &Metrics::new());
    Bucket::open(store.map_err(Failure::of)?, OpenMode::Read, &Limits::default()).await.map_err(Failure::of)
}

/// The live topics of a bucket, or the one of this name.
pub async fn topics(bucket: &Bucket, only: Option<&str>) -> Result<Vec<topics::Topic>, Failure> {
    let mut all = topics::read_all(bucket).await.map_err(Failure::of)?;
    if let Some(name) = only {
        all.retain(|topic| topic.name == name);
        if all.is_empty() {
            let url = bucket.store().display();
            return Err(Failure::Failed(format!(
                "there is no topic '{name}' in {url}; `esker topic list` names those there"
            )));
        }
    }
    Ok(all)
}

/// What lies where, as the bucket alone knows it.
pub async fn layout(url: &str, scope: &Scope) -> Result<Vec<PartitionLayout>, Failure> {
    let bucket = open(url).await?;
    let mut layouts = Vec::new();
    for topic in topics(&bucket, scope.topic.as_deref()).await? {
        if let Some(one) = scope.partition.filter(|one| !(0..topic.partitions).contains(one)) {
            let (name, count) = (&topic.name, topic.partitions);
            return Err(Failure::Failed(format!(
                "topic '{name}' has no partition {one}: it has {count}, numbered from 0"
            )));
        }
        for partition in (0..topic.partitions).filter(|number| scope.partition.is_none_or(|one| one == *number)) {
            let reader = PartitionReader::open(&bucket, &topic.name, topic.id, partition).await.map_err(Failure::of)?;
            layouts.push(layout_of(&bucket, &topic.name, partition, &reader.view()).await?);
        }
    }
    Ok(layouts)
}

async fn layout_of(bucket: &Bucket, topic: &str, partition: i32, view: &View) -> Result<PartitionLayout, Failure> {
    let manifest = view.manifest();
    let mut entries = Vec::new();
    let mut at = manifest.first();
    while at < manifest.next {
        let found = view.entries_from(at, ENTRIES).await.map_err(Failure::of)?;
        let Some(last) = found.last() else { break };
        at = last.next();
        entries.extend(found.iter().map(|entry| entry_layout(bucket, view, entry)));
    }
    Ok(PartitionLayout {
        topic: topic.to_owned(),
        partition,
        log_start: manifest.log_start,
        sealed_end: manifest.next,
        hot_start: manifest.next,
        high_watermark: manifest.next,
        hot_bytes: 0,
        entries,
    })
}

fn entry_layout(bucket: &Bucket, view: &View, entry: &manifest::Entry) -> EntryLayout {
    let (first, next) = (entry.first(), entry.next());
    match entry {
        manifest::Entry::Segment(segment) => EntryLayout {
            kind: "segment".to_owned(),
            first,
            next,
            records: segment.meta.records,
            payload_bytes: segment.meta.payload_bytes,
            stored_bytes: segment.meta.size,
            min_timestamp: segment.meta.min_timestamp,
            max_timestamp: segment.meta.max_timestamp,
            url: bucket.store().url_of(&view.path_of(segment)),
        },
        manifest::Entry::Gap(gap) => EntryLayout {
            kind: gap.reason.as_str().to_owned(),
            first,
            next,
            records: 0,
            payload_bytes: 0,
            stored_bytes: 0,
            min_timestamp: None,
            max_timestamp: None,
            url: String::new(),
        },
    }
}

/// A topic of a bucket, open for reading.
pub struct Topic {
    topic: topics::Topic,
    partitions: Vec<PartitionReader>,
    cold: ColdReader,
}

impl Topic {
    /// Opens a topic that must be there.
    pub async fn open(url: &str, name: &str) -> Result<Self, Failure> {
        let bucket = open(url).await?;
        let topic = topics(&bucket, Some(name)).await?.pop().ok_or_else(|| Failure::of("no topic"))?;
        let mut partitions = Vec::new();
        for partition in 0..topic.partitions {
            let reader = PartitionReader::open(&bucket, name, topic.id, partition).await.map_err(Failure::of)?;
            partitions.push(reader);
        }
        let (limits, clock, metrics) = (Limits::default(), Clock::real(), Metrics::new());
        let cold = ColdReader::new(bucket.store().clone(), &limits, &clock, Tasks::current(), &metrics);
        Ok(Self { topic, partitions, cold })
    }

    /// Its name.
    pub fn name(&self) -> &String {
        &self.topic.name
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.topic.id
    }

    /// Settings that differ from the broker's defaults.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.topic.settings
    }

    /// Number of its partitions.
    pub fn partitions(&self) -> i32 {
        self.topic.partitions
    }

    /// Log start and end of what is sealed.
    pub fn ends(&self, partition: i32) -> (i64, i64) {
        let view = self.reader(partition).view();
        (view.manifest().log_start, view.manifest().next)
    }

    /// The first offset whose record has this timestamp (ms) or a later one; -1 if there is none.
    pub async fn at_or_after(&self, partition: i32, ms: i64) -> Result<i64, Failure> {
        let view = self.reader(partition).view();
        let target = self.target(partition);
        let mut from = view.manifest().log_start;
        while let Some(segment) = view.find_time(ms, from).await.map_err(Failure::of)? {
            let found = segment_ref(&view, &segment);
            let hit = self.cold.first_at_or_after(&target, &found, from, ms).await.map_err(Failure::of)?;
            if let Some(hit) = hit {
                return Ok(hit.offset);
            }
            from = segment.meta.next_offset;
        }
        Ok(-1)
    }

    /// Reads the spans, one partition after the other: so the read-ahead of each works for it alone.
    pub async fn read(self, spans: Vec<Span>, send: mpsc::Sender<Vec<Fetched>>) -> Result<(), Failure> {
        for mut span in spans {
            let target = self.target(span.partition);
            let entries: Arc<dyn EntryLookup> = Arc::new(Entries(self.reader(span.partition).clone(), span.partition));
            let until = span.until.unwrap_or(i64::MAX);
            while !span.is_done() {
                let request = ColdRequest { from: span.next, until, min_bytes: 0, max_bytes: ANSWER_BYTES };
                let read = self.cold.read(&target, &entries, request).await.map_err(Failure::of)?;
                if read.next <= span.next && read.batches.is_empty() {
                    break;
                }
                span.next = read.next;
                let answer = vec![Fetched { partition: span.partition, batches: read.batches }];
                if send.send(answer).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn target(&self, partition: i32) -> ColdTarget {
        ColdTarget { topic_id: self.topic.id, partition, codec: Codec::None }
    }

    fn reader(&self, partition: i32) -> &PartitionReader {
        let index = usize::try_from(partition).expect("partitions are checked against the topic's count");
        &self.partitions[index]
    }
}

/// A partition's manifest as the cold tier asks it.
struct Entries(PartitionReader, i32);

impl EntryLookup for Entries {
    fn entry_at(&self, offset: i64, look: Look) -> BoxFuture<'_, Result<Option<Entry>, ColdError>> {
        Box::pin(async move {
            let failed = |e: crate::archive::ArchiveError| ColdError::Lookup {
                offset,
                partition: self.1,
                message: e.to_string().into(),
                retriable: e.is_retriable(),
            };
            let view = match look {
                Look::Known => self.0.view(),
                Look::Again => self.0.refresh().await.map_err(failed)?,
            };
            if offset >= view.manifest().next {
                return Ok(None);
            }
            let found = view.entries_from(offset, 1).await.map_err(failed)?.into_iter().next();
            Ok(found.map(|entry| match entry {
                manifest::Entry::Segment(segment) => Entry::Segment(segment_ref(&view, &segment)),
                manifest::Entry::Gap(gap) => Entry::Gap { first_offset: gap.first, next_offset: gap.next },
            }))
        })
    }
}

fn segment_ref(view: &View, segment: &manifest::SegmentEntry) -> SegmentRef {
    SegmentRef { path: view.path_of(segment).into(), meta: Arc::new(segment.meta.clone()) }
}
