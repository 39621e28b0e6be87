//! The log read from its bucket alone: no broker, no claim, nothing written. It sees what is sealed.
use std::sync::Arc;

use super::cold::{ColdReader, ColdRequest, ColdTarget, EntryLookup};
use super::entries::Versions;
use super::layout::entries_of;
use super::read::read_error;
use super::sealed::{Sealed, archive_error};
use super::{Ends, Env, Fetched, FoundOffset, OffsetQuery, OpenError, PartitionLayout, ReadError, TopicInfo};
use crate::archive::bucket::OpenMode;
use crate::archive::{Bucket, PartitionReader, topics};
use crate::record::Codec;
use crate::store::{Store, StoreOptions};

/// A bucket opened for reading; cheap to clone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use esker::log::{BucketLog, Env, OffsetQuery};
///
/// let log = BucketLog::open("s3://bucket/prefix", Default::default(), Env::embedded()).await?;
/// let partition = log.partition("clicks", 0).await?;
/// let from = partition.find(OffsetQuery::AtOrAfter(1_700_000_000_000)).await?.offset;
/// let fetched = partition.read(from, 1 << 20).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BucketLog {
    bucket: Bucket,
    cold: ColdReader,
}

/// One partition of a bucket, as of when it was opened or refreshed; cheap to clone.
#[derive(Clone)]
pub struct BucketPartition {
    log: BucketLog,
    topic: Arc<TopicInfo>,
    reader: PartitionReader,
    entries: Arc<dyn EntryLookup>,
    versions: Versions,
}

impl BucketLog {
    /// Opens the bucket at `url`, which must be there.
    ///
    /// # Errors
    /// [`OpenError`] when there is no Esker bucket, or it cannot be read.
    pub async fn open(url: &str, options: StoreOptions, env: Env) -> Result<Self, OpenError> {
        let store = Store::open(url, options, &env.clock, &env.random, &env.metrics)
            .map_err(|e| OpenError::Refused(e.to_string()))?;
        let bucket = Bucket::open(store.clone(), OpenMode::Read, &env.limits).await.map_err(|e| match e {
            e if e.is_retriable() => OpenError::Unavailable(e.to_string()),
            e => OpenError::Refused(e.to_string()),
        })?;
        let cold = ColdReader::new(store, &env.limits, &env.clock, env.tasks.clone(), &env.metrics);
        Ok(Self { bucket, cold })
    }

    /// The bucket itself: for checks of it.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Live topics, by name.
    ///
    /// # Errors
    /// [`ReadError::Storage`] and [`ReadError::Damaged`] name the object.
    pub async fn topics(&self) -> Result<Vec<Arc<TopicInfo>>, ReadError> {
        let all = topics::read_all(&self.bucket).await.map_err(archive_error)?;
        let info =
            |t: topics::Topic| TopicInfo { name: t.name, id: t.id, partitions: t.partitions, settings: t.settings };
        Ok(all.into_iter().map(info).map(Arc::new).collect())
    }

    /// A partition by topic name.
    ///
    /// # Errors
    /// [`ReadError::UnknownPartition`]; the others name the object.
    pub async fn partition(&self, topic: &str, partition: i32) -> Result<BucketPartition, ReadError> {
        let unknown = || ReadError::UnknownPartition { topic: topic.to_owned(), partition };
        let info = self.topics().await?.into_iter().find(|t| t.name == topic).ok_or_else(unknown)?;
        if !(0..info.partitions).contains(&partition) {
            return Err(unknown());
        }
        self.partition_of(&info, partition).await
    }

    /// A partition of a topic that [`BucketLog::topics`] named.
    ///
    /// # Errors
    /// [`ReadError::Storage`] and [`ReadError::Damaged`] name the object.
    pub async fn partition_of(&self, topic: &Arc<TopicInfo>, partition: i32) -> Result<BucketPartition, ReadError> {
        let opened = PartitionReader::open(&self.bucket, &topic.name, topic.id, partition).await;
        let reader = opened.map_err(archive_error)?;
        let versions = Versions::Foreign(reader.clone());
        let entries = Arc::new(versions.clone());
        Ok(BucketPartition { log: self.clone(), topic: topic.clone(), reader, entries, versions })
    }
}

impl BucketPartition {
    /// Its ends: the sealed range is all there is.
    pub fn ends(&self) -> Ends {
        let view = self.reader.view();
        let manifest = view.manifest();
        let end = manifest.next.max(manifest.log_start);
        Ends { log_start: manifest.log_start, last_stable: end, high_watermark: end, log_end: end }
    }

    /// Reads the manifest again: what was sealed meanwhile becomes visible.
    ///
    /// # Errors
    /// [`ReadError::Storage`] and [`ReadError::Damaged`] name the object.
    pub async fn refresh(&self) -> Result<Ends, ReadError> {
        self.reader.refresh().await.map_err(archive_error)?;
        Ok(self.ends())
    }

    /// Reads batches from `from` on, about `max_bytes` of them, at least one if there is any; also where to go on, which is
    /// `from` only at the end.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] outside of the sealed range; the others name the object.
    pub async fn read(&self, from: i64, max_bytes: usize) -> Result<(Fetched, i64), ReadError> {
        let ends = self.ends();
        if from < ends.log_start || from > ends.high_watermark {
            return Err(ReadError::OutOfRange { offset: from, log_start: ends.log_start, end: ends.high_watermark });
        }
        let want = ColdRequest { from, until: ends.high_watermark, min_bytes: 0, max_bytes };
        let read = self.log.cold.read(&self.target(), &self.entries, want).await.map_err(read_error)?;
        Ok((Fetched { batches: read.batches, ends, aborted: Vec::new() }, read.next))
    }

    /// Answers an offset query; [`OffsetQuery::EarliestLocal`] and [`OffsetQuery::EarliestUnsealed`] are the end, for
    /// all is sealed and nothing is local.
    ///
    /// # Errors
    /// [`ReadError::Storage`] and [`ReadError::Damaged`] name the object.
    pub async fn find(&self, query: OffsetQuery) -> Result<FoundOffset, ReadError> {
        let ends = self.ends();
        let sealed = Sealed { versions: self.versions.clone(), cold: self.log.cold.clone(), target: self.target() };
        let at = |offset: i64| FoundOffset { offset, timestamp: -1, leader_epoch: -1 };
        let hit = match query {
            OffsetQuery::Earliest => return Ok(at(ends.log_start)),
            OffsetQuery::Latest | OffsetQuery::EarliestLocal | OffsetQuery::EarliestUnsealed => {
                return Ok(at(ends.high_watermark));
            }
            OffsetQuery::LatestTiered if ends.high_watermark > ends.log_start => {
                return Ok(at(ends.high_watermark - 1));
            }
            OffsetQuery::LatestTiered => None,
            OffsetQuery::MaxTimestamp => sealed.max_timestamp(ends.log_start).await?,
            OffsetQuery::AtOrAfter(timestamp) => sealed.at_or_after(ends.log_start, timestamp).await?,
        };
        Ok(hit.map_or(at(-1), |h| FoundOffset { offset: h.offset, timestamp: h.timestamp, leader_epoch: -1 }))
    }

    /// What lies where.
    ///
    /// # Errors
    /// [`ReadError::Storage`] and [`ReadError::Damaged`] name the object.
    pub async fn layout(&self) -> Result<PartitionLayout, ReadError> {
        let entries = entries_of(&self.versions, self.log.bucket.store()).await.map_err(archive_error)?;
        let view = self.reader.view();
        let ends = self.ends();
        Ok(PartitionLayout {
            topic: self.topic.name.clone(),
            partition: view.partition(),
            log_start: ends.log_start,
            sealed_end: view.next(),
            hot_start: ends.high_watermark,
            high_watermark: ends.high_watermark,
            hot_bytes: 0,
            damaged: None,
            entries,
        })
    }

    fn target(&self) -> ColdTarget {
        ColdTarget { topic_id: self.topic.id, partition: self.reader.view().partition(), codec: Codec::None }
    }
}
