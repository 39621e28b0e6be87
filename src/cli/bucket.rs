//! A bucket read directly, with no broker.
use std::sync::Arc;

use tokio::sync::mpsc;

use super::consume::{Fetched, Span};
use super::failure::Failure;
use crate::http::Scope;
use crate::log::{BucketLog, BucketPartition, Env, OffsetQuery, PartitionLayout, TopicInfo};
use crate::store::StoreOptions;

/// Bytes of batches in one answer.
const ANSWER_BYTES: usize = 8 << 20;

/// Opens a bucket that must be there; nothing is written.
pub async fn open(url: &str) -> Result<BucketLog, Failure> {
    BucketLog::open(url, StoreOptions::default(), Env::embedded()).await.map_err(Failure::of)
}

/// The live topics of a bucket by name, or the one of this name.
pub async fn topics(log: &BucketLog, only: Option<&str>) -> Result<Vec<Arc<TopicInfo>>, Failure> {
    let mut all = log.topics().await.map_err(Failure::of)?;
    if let Some(name) = only {
        all.retain(|topic| topic.name == name);
        if all.is_empty() {
            let url = log.bucket().store().display();
            return Err(Failure::Failed(format!(
                "there is no topic '{name}' in {url}; `esker topic list` names those there"
            )));
        }
    }
    Ok(all)
}

/// The partitions that were asked for, one or all, of a topic that has `count`.
pub fn partitions(topic: &str, count: i32, only: Option<i32>) -> Result<Vec<i32>, Failure> {
    match only {
        None => Ok((0..count).collect()),
        Some(one) if (0..count).contains(&one) => Ok(vec![one]),
        Some(one) => {
            Err(Failure::Failed(format!("topic '{topic}' has no partition {one}: it has {count}, numbered from 0")))
        }
    }
}

/// What lies where, as the bucket alone knows it.
pub async fn layout(url: &str, scope: &Scope) -> Result<Vec<PartitionLayout>, Failure> {
    let log = open(url).await?;
    let mut layouts = Vec::new();
    for topic in topics(&log, scope.topic.as_deref()).await? {
        for partition in partitions(&topic.name, topic.partitions, scope.partition)? {
            let partition = log.partition_of(&topic, partition).await.map_err(Failure::of)?;
            layouts.push(partition.layout().await.map_err(Failure::of)?);
        }
    }
    Ok(layouts)
}

/// A topic of a bucket, open for reading.
pub struct Topic {
    /// The topic.
    pub info: Arc<TopicInfo>,
    partitions: Vec<BucketPartition>,
}

impl Topic {
    /// Opens a topic that must be there.
    pub async fn open(url: &str, name: &str) -> Result<Self, Failure> {
        let log = open(url).await?;
        let info = topics(&log, Some(name)).await?.swap_remove(0);
        let mut partitions = Vec::new();
        for partition in 0..info.partitions {
            partitions.push(log.partition_of(&info, partition).await.map_err(Failure::of)?);
        }
        Ok(Self { info, partitions })
    }

    /// Log start and end of what is sealed.
    pub fn ends(&self, partition: i32) -> (i64, i64) {
        let ends = self.partition(partition).ends();
        (ends.log_start, ends.last_stable)
    }

    /// The first offset whose record has this timestamp (ms) or a later one; -1 if there is none.
    pub async fn at_or_after(&self, partition: i32, ms: i64) -> Result<i64, Failure> {
        let found = self.partition(partition).find(OffsetQuery::AtOrAfter(ms)).await;
        found.map(|found| found.offset).map_err(Failure::of)
    }

    /// Reads the spans, one partition after the other: so the read-ahead of each works for it alone.
    pub async fn read(self, spans: Vec<Span>, send: mpsc::Sender<Vec<Fetched>>) -> Result<(), Failure> {
        for mut span in spans {
            let partition = self.partition(span.partition);
            while !span.is_done() {
                let (read, next) = partition.read(span.next, ANSWER_BYTES).await.map_err(Failure::of)?;
                if next <= span.next {
                    break;
                }
                span.next = next;
                let answer = vec![Fetched { partition: span.partition, batches: read.batches, next }];
                if send.send(answer).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn partition(&self, partition: i32) -> &BucketPartition {
        let index = usize::try_from(partition).expect("partitions are checked against the topic's count");
        &self.partitions[index]
    }
}
