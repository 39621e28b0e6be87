//! Row 4: the log. The only place that knows there are two tiers.
//!
//! A [`Log`] owns topics and partitions. A [`Partition`] appends through the WAL and reads any offset from the right
//! tier. The mover seals the WAL's oldest records into segments and then releases WAL space.
//!
//! | file | what it does |
//! |---|---|
//! | `settings` | the table of topic settings |
//! | `topics` | names, ids, creation, deletion |
//! | `partition` | append: check, number, stamp; high watermark; waiters |
//! | `producers` | idempotence (pure) |
//! | `hot` | which offsets lie where in the WAL (pure) |
//! | `read`, `lookup` | the one read path; offsets by time and epoch |
//! | `cold` | slices, caches, read-ahead |
//! | `mover` | seal, upload, commit, release; retention; collection |
//! | `open` | the order of a start |
//! | `fence` | whether this broker may still answer |
pub mod cold;
mod error;
mod fence;
mod producers;
pub mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use error::{AppendError, OpenError, ReadError, TopicError};

use crate::base::tasks::Tasks;
use crate::base::{BytePermit, Clock, Limits, Metrics, Random, Uuid};
use bytes::Bytes;

/// What a log takes from its surroundings.
#[derive(Clone, Debug)]
pub struct Env {
    /// Wall and monotonic time.
    pub clock: Clock,
    /// Ids, nonces, object names.
    pub random: Random,
    /// Where it registers what it counts.
    pub metrics: Metrics,
    /// How much memory it may use.
    pub limits: Limits,
    /// Where its tasks run.
    pub tasks: Tasks,
}

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the WAL (and of the bucket, by default).
    pub data_dir: PathBuf,
    /// The bucket's URL; `None`: the folder `bucket` under `data_dir`.
    pub store_url: Option<String>,
    /// This broker's number, part of its claim. Default: 1.
    pub broker_id: i32,
    /// Take the bucket over from an owner that did not release it.
    pub take_over: bool,
    /// Probe the bucket again even if an earlier probe passed.
    pub probe: bool,
    /// Go on where the WAL is damaged, recording what is lost as gaps.
    pub accept_loss: bool,
    /// Defaults of topic settings, by name (`retention.ms`, `esker.seal.ms`, ...).
    pub topic_defaults: std::collections::BTreeMap<String, String>,
    /// Partitions of a topic that names no number. Default: 1.
    pub num_partitions: i32,
    /// WAL options: budget, durability.
    pub wal: WalSettings,
    /// How long a stop may take to seal what is left. Default: 30 s.
    pub stop_timeout: Duration,
}

/// The WAL's options that a user sets.
#[derive(Clone, Debug, Default)]
pub struct WalSettings {
    /// `wal.bytes`; `None`: a quarter of the free disk at the first start, 1 GiB to 64 GiB.
    pub budget_bytes: Option<u64>,
    /// `durability = os`: acknowledge when the operating system has it, without a sync.
    pub durability_os: bool,
}

/// An open log; cheap to clone. The last clone does not stop it: call [`Log::stop`].
#[derive(Clone, Debug)]
pub struct Log(Arc<()>);

/// What a start found and did, for the operator. One sentence a line.
#[derive(Clone, Debug, Default)]
pub struct StartReport {
    /// The cluster id of the bucket.
    pub cluster_id: Uuid,
    /// The number of this life of the broker.
    pub epoch: u32,
    /// Lines for the operator: what was recovered, cut, taken over.
    pub lines: Vec<String>,
}

/// A topic as it stands.
#[derive(Clone, Debug)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id; a topic that is deleted and created again gets another one.
    pub id: Uuid,
    /// Number of partitions, numbered from 0.
    pub partitions: i32,
    /// Settings that differ from the broker's defaults.
    pub settings: std::collections::BTreeMap<String, String>,
}

/// One setting as it is in force, with where it comes from.
#[derive(Clone, Debug)]
pub struct SettingInfo {
    /// Name, for example `retention.ms`.
    pub name: &'static str,
    /// Value in force, in canonical text.
    pub value: String,
    /// The built-in default, in canonical text.
    pub default: String,
    /// The broker's default if one was configured.
    pub broker: Option<String>,
    /// The topic's own value if it has one.
    pub topic: Option<String>,
    /// What sort of value it is.
    pub kind: SettingKind,
    /// What it does, with its unit.
    pub doc: &'static str,
}

/// Sorts of values, as Kafka's `ConfigDef.Type` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A word of a fixed list, or free text.
    Text,
    /// A list of words, comma separated.
    List,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A fraction.
    Double,
    /// `true` or `false`.
    Boolean,
}

/// A topic to create.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name: 1 to 249 characters of `[a-zA-Z0-9._-]`, not `.` or `..`, not reserved.
    pub name: String,
    /// Number of partitions; `None`: the broker's default.
    pub partitions: Option<i32>,
    /// Its own settings.
    pub settings: std::collections::BTreeMap<String, String>,
}

/// One partition of an open log; cheap to clone.
#[derive(Clone, Debug)]
pub struct Partition(Arc<()>);

/// The ends of a partition: `log_start <= last_stable <= high_watermark <= log_end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// First offset that may be read.
    pub log_start: i64,
    /// End of what is decided (LSO).
    pub last_stable: i64,
    /// End of what is durable and visible.
    pub high_watermark: i64,
    /// Where the next record goes.
    pub log_end: i64,
}

/// A batch that was written, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// The broker's time if the topic stamps append time, else -1.
    pub append_time_ms: i64,
    /// Log start offset at that moment.
    pub log_start: i64,
}

/// An append that was numbered and handed to the WAL; resolves when a sync covered it. Dropping it forgets the answer,
/// not the records.
#[derive(Debug)]
pub struct Pending(());

impl Pending {
    /// Waits for the sync.
    pub async fn durable(self) -> Result<Appended, AppendError> {
        unimplemented!()
    }
}

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset, with the aborted transactions named.
    ReadCommitted,
}

/// A range of batches, from whichever tier.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Whole Kafka v2 batches in offset order; the first may begin below the position that was asked for.
    pub batches: Vec<Bytes>,
    /// Ends as of this read.
    pub ends: Ends,
    /// For read-committed readers: (producer id, first offset) of aborted transactions in the range.
    pub aborted: Vec<(i64, i64)>,
}

/// What `ListOffsets` may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// -2: log start.
    Earliest,
    /// -1: the high watermark, or the LSO for read-committed readers.
    Latest,
    /// -3: the first offset that has the greatest timestamp.
    MaxTimestamp,
    /// -4: first offset in the WAL, else the next offset.
    EarliestLocal,
    /// -5: the last sealed offset, or -1.
    LatestTiered,
    /// The first offset whose timestamp (ms) is at or after this.
    AtOrAfter(i64),
}

/// An answer to [`OffsetQuery`]; offset -1 and timestamp -1 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset, or -1.
    pub offset: i64,
    /// Timestamp of its record in ms, or -1 where the query is not about time.
    pub timestamp: i64,
    /// Leader epoch of its record, or -1.
    pub leader_epoch: i32,
}

/// One place of the wait for new data.
#[derive(Clone, Debug)]
pub struct WaitOn {
    /// The partition.
    pub partition: Partition,
    /// The reader's position.
    pub from: i64,
    /// What it may see.
    pub isolation: Isolation,
}

/// What lies where, for `esker segments`. Serialises to the JSON of `GET /v1/segments`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct PartitionLayout {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// First offset that may be read.
    pub log_start: i64,
    /// One past the last sealed offset.
    pub sealed_end: i64,
    /// First offset in the WAL; equal to `high_watermark` when nothing is hot.
    pub hot_start: i64,
    /// End of what is visible.
    pub high_watermark: i64,
    /// Bytes of batches in the WAL.
    pub hot_bytes: u64,
    /// Live segments and gaps in offset order.
    pub entries: Vec<EntryLayout>,
}

/// One live segment or gap.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct EntryLayout {
    /// `segment`, or the reason of a gap: `control`, `aborted`, `compacted`, `deleted`, `wal-lost`.
    pub kind: String,
    /// First offset.
    pub first: i64,
    /// One past the last offset.
    pub next: i64,
    /// Records (0 for a gap).
    pub records: u64,
    /// Bytes of keys, values and headers.
    pub payload_bytes: u64,
    /// Bytes of the object.
    pub stored_bytes: u64,
    /// Smallest timestamp in ms, if any.
    pub min_timestamp: Option<i64>,
    /// Greatest timestamp in ms, if any.
    pub max_timestamp: Option<i64>,
    /// URL of the object (empty for a gap).
    pub url: String,
}

/// What a stop left behind.
#[derive(Clone, Debug, Default)]
pub struct StopReport {
    /// Whether the bucket was released: everything is sealed, another disk may go on without `--take-over`.
    pub released: bool,
    /// What remains in the WAL only, one line for each partition.
    pub unsealed: Vec<String>,
}

#[allow(unused_variables, clippy::unused_async)]
impl Log {
    /// Opens a log: recovers the WAL, opens and claims the bucket, loads topics and manifests, starts the mover.
    pub async fn open(options: Options, env: Env) -> Result<Log, OpenError> {
        unimplemented!()
    }

    /// What the start found.
    pub fn start_report(&self) -> &StartReport {
        unimplemented!()
    }

    /// Resolves, with the reason, when this log can no longer serve: the WAL failed, or another broker owns the bucket.
    /// The process should end at once with exit code 1.
    pub async fn failed(&self) -> String {
        unimplemented!()
    }

    /// Must be awaited before any answer leaves the process: checks that the last look at the owner chain is not too
    /// old (DESIGN 4.4). An error means that nothing may be answered any more.
    pub async fn may_answer(&self) -> Result<(), String> {
        unimplemented!()
    }

    /// Number of this broker.
    pub fn broker_id(&self) -> i32 {
        unimplemented!()
    }

    /// Id of the cluster (of the bucket).
    pub fn cluster_id(&self) -> Uuid {
        unimplemented!()
    }

    /// Number of this life of the broker; also the leader epoch of what it writes.
    pub fn epoch(&self) -> u32 {
        unimplemented!()
    }

    /// A producer id that was never given out before and never will be again.
    pub fn new_producer_id(&self) -> i64 {
        unimplemented!()
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<TopicInfo>> {
        unimplemented!()
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<Arc<TopicInfo>> {
        unimplemented!()
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<TopicInfo>> {
        unimplemented!()
    }

    /// A partition by topic name.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<Partition> {
        unimplemented!()
    }

    /// Checks a topic as [`Log::create_topic`] would, without creating it. Returns the number of partitions it would get.
    pub fn check_new_topic(&self, topic: &NewTopic) -> Result<i32, TopicError> {
        unimplemented!()
    }

    /// Creates a topic; durable in the bucket when it returns.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<Arc<TopicInfo>, TopicError> {
        unimplemented!()
    }

    /// Raises the number of partitions.
    pub async fn create_partitions(&self, topic: &str, total: i32, validate_only: bool) -> Result<(), TopicError> {
        unimplemented!()
    }

    /// Replaces a topic's own settings as `change` says: from the present ones to the ones it returns.
    pub async fn alter_settings(
        &self,
        topic: &str,
        validate_only: bool,
        change: impl FnOnce(&mut std::collections::BTreeMap<String, String>) -> Result<(), TopicError> + Send,
    ) -> Result<(), TopicError> {
        unimplemented!()
    }

    /// Deletes a topic; its objects are removed in the background.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), TopicError> {
        unimplemented!()
    }

    /// Settings of a topic as they are in force (`None`: the broker's defaults).
    pub fn settings(&self, topic: Option<&str>) -> Result<Vec<SettingInfo>, TopicError> {
        unimplemented!()
    }

    /// Waits until about `min_bytes` can be read at the given positions together, or until `max_wait` is over, or
    /// until one of the partitions is gone. Costs no thread and one timer for all of them.
    pub async fn wait(&self, places: &[WaitOn], min_bytes: usize, max_wait: Duration) {
        unimplemented!()
    }

    /// Seals and commits what is decided now, of one topic or of all, and waits for it.
    pub async fn seal(&self, topic: Option<&str>) -> Result<Vec<PartitionLayout>, TopicError> {
        unimplemented!()
    }

    /// What lies where.
    pub async fn layout(
        &self,
        topic: Option<&str>,
        partition: Option<i32>,
    ) -> Result<Vec<PartitionLayout>, TopicError> {
        unimplemented!()
    }

    /// Bytes in the WAL and in live segments of each partition, for `DescribeLogDirs`: (topic, partition, bytes).
    pub fn sizes(&self) -> Vec<(String, i32, u64)> {
        unimplemented!()
    }

    /// The WAL's folder, its budget and what of it is free, in bytes.
    pub fn wal_space(&self) -> (PathBuf, u64, u64) {
        unimplemented!()
    }

    /// Whether requests may be served now; else what is being waited for.
    pub fn ready(&self) -> Result<(), String> {
        unimplemented!()
    }

    /// A clean stop: refuses appends, seals to the LSO, writes state, and releases the bucket if nothing remains.
    pub async fn stop(&self) -> StopReport {
        unimplemented!()
    }
}

#[allow(unused_variables, clippy::unused_async)]
impl Partition {
    /// Topic name.
    pub fn topic(&self) -> &str {
        unimplemented!()
    }

    /// Partition number.
    pub fn number(&self) -> i32 {
        unimplemented!()
    }

    /// Its ends now.
    pub fn ends(&self) -> Ends {
        unimplemented!()
    }

    /// Checks, numbers and stamps one record set (exactly one v2 batch) and hands it to the WAL, all without waiting.
    /// `permit` is the share of the request budget that its bytes hold; it is returned when they are durable.
    pub fn append(&self, records: Bytes, permit: Option<Arc<BytePermit>>) -> Result<Pending, AppendError> {
        unimplemented!()
    }

    /// Reads batches from `from` on, up to about `max_bytes`; the first batch always goes, whatever its size, if
    /// `first_always`. An empty answer means that nothing is readable there now.
    pub async fn read(
        &self,
        from: i64,
        max_bytes: usize,
        first_always: bool,
        isolation: Isolation,
    ) -> Result<Fetched, ReadError> {
        unimplemented!()
    }

    /// Answers an offset query.
    pub async fn find(&self, query: OffsetQuery, isolation: Isolation) -> Result<FoundOffset, ReadError> {
        unimplemented!()
    }

    /// For `OffsetForLeaderEpoch`: the greatest epoch at or below `epoch` that has records, and its end offset;
    /// (-1, -1) if there is none.
    pub async fn end_of_epoch(&self, epoch: i32) -> Result<(i32, i64), ReadError> {
        unimplemented!()
    }

    /// Moves the log start up to `before` (-1: the high watermark); returns the new log start when that is durable.
    pub async fn delete_records(&self, before: i64) -> Result<i64, ReadError> {
        unimplemented!()
    }
}
