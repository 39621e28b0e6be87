//! Row 4: the log. The only place that knows there are two tiers.
//!
//! A [`Log`] owns topics and partitions. A [`Partition`] appends through the WAL and reads any offset from the right
//! tier. The mover seals the WAL's oldest records into segments and then releases WAL space.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! use esker::log::{Env, Isolation, Log, NewTopic, OffsetQuery, Options};
//! use esker::record::{BatchBuilder, Codec, Record};
//!
//! let mut options = Options::new(folder);
//! options.wal.budget_bytes = Some(1 << 28);
//! let log = Log::open(options, Env::embedded()).await?;
//! log.create_topic(NewTopic { name: "clicks".into(), partitions: None, settings: Default::default() }).await?;
//! let partition = log.partition("clicks", 0).expect("it was just created");
//!
//! let mut batch = BatchBuilder::new();
//! let record = Record { timestamp: 1_700_000_000_000, value: Some("hello".into()), ..Record::default() };
//! let _ = batch.push(&record.as_ref())?;
//! let appended = partition.append(batch.finish(Codec::None, None)?, None)?.durable().await?;
//! assert_eq!(appended.base_offset, 0);
//!
//! log.seal(Some("clicks")).await?; // it is Parquet in the bucket now
//! let found = partition.find(OffsetQuery::AtOrAfter(1_600_000_000_000), Isolation::ReadUncommitted).await?;
//! let fetched = partition.read(found.offset, 1 << 20, true, Isolation::ReadUncommitted).await?;
//! assert_eq!(fetched.ends.high_watermark, 1);
//! log.stop().await;
//! # Ok(()) }
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `settings` | the table of topic settings |
//! | `topics` | names, ids, creation, deletion |
//! | `partition` | append: check, number, stamp; high watermark; waiters |
//! | `producers` | idempotence (pure) |
//! | `transactions` | what is open and what was aborted (pure) |
//! | `ending` | the end of a transaction: markers and state in one group |
//! | `pressing` | which open transaction keeps the WAL from being released |
//! | `hot` | which offsets lie where in the WAL (pure) |
//! | `read`, `lookup`, `sealed` | the one read path; offsets by time and epoch |
//! | `bucket` | the read-only form, on a bucket alone |
//! | [`settings`], [`defaults`] | settings of topics, and the broker's defaults of them |
//! | `broker_settings` | changes of the broker's settings while it runs |
//! | `state` | the coordinator's items: changes in the WAL, folded into the bucket |
//! | `cold` | slices, caches, read-ahead |
//! | `mover` | seal, upload, commit, release; retention; collection |
//! | `open` | the order of a start |
//! | `types` | what goes in and comes out: plain data |
//! | `fence`, `watch` | whether this broker may still answer |
mod broker_settings;
mod bucket;
pub mod cold;
mod core;
mod count;
pub mod defaults;
mod ending;
mod entries;
mod error;
mod fence;
mod hot;
mod layout;
mod lookup;
mod mover;
mod open;
mod partition;
mod pressing;
mod producers;
mod read;
mod recovery;
mod sealed;
pub mod settings;
mod state;
mod topics;
mod transactions;
mod types;
mod wait;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use bucket::{BucketLog, BucketPartition};
pub use defaults::{Changed, Defaults, Scope};
pub use ending::{ActiveProducer, TransactionEnd};
pub use error::{AppendError, OpenError, ReadError, TopicError};
pub use partition::Partition;
pub use state::{Changes, PendingState};
pub use types::{
    Appended, Ends, EntryLayout, Fetched, FoundOffset, Isolation, NewTopic, OffsetQuery, PartitionLayout, Pending,
    SettingInfo, SettingKind, StartReport, StopReport, TopicInfo, WaitOn,
};

use crate::base::tasks::Tasks;
use crate::base::{Clock, Limits, Metrics, Random, Uuid};
use core::Core;
use mover::Mover;
use partition::Closed;
use topics::Registry;

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

impl Env {
    /// For a log inside of another program: the machine's clock and randomness, default limits, the current runtime for
    /// everything.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn embedded() -> Self {
        Self {
            clock: Clock::real(),
            random: Random::os(),
            metrics: Metrics::new(),
            limits: Limits::default(),
            tasks: Tasks::current(),
        }
    }
}

/// What a start waits for, if it waits.
pub type Waiting = tokio::sync::watch::Sender<Option<String>>;

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
    /// Where clients find this broker; told to whoever is refused the bucket.
    pub address: String,
    /// Defaults of topic settings, by name (`retention.ms`, `esker.seal.ms`, ...).
    pub topic_defaults: BTreeMap<String, String>,
    /// Partitions of a topic that names no number. Default: 1.
    pub num_partitions: i32,
    /// The WAL's options; its folder is always `wal` under `data_dir`.
    pub wal: crate::wal::WalOptions,
    /// The store's options.
    pub store: crate::store::StoreOptions,
    /// Told what a start waits for: the store, while it does not answer.
    pub waiting: Option<Waiting>,
    /// How long a stop may take to seal what is left. Default: 30 s.
    pub stop_timeout: Duration,
}

/// An open log; cheap to clone. The last clone does not stop it: call [`Log::stop`].
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    registry: Arc<Registry>,
    mover: Arc<Mover>,
    report: StartReport,
    options: Options,
}

/// How often a stop looks whether everything that was appended is synced.
const SYNC_POLL: Duration = Duration::from_millis(1);

impl Options {
    /// The defaults, with everything under `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            store_url: None,
            broker_id: 1,
            take_over: false,
            probe: false,
            address: "embedded".to_owned(),
            topic_defaults: BTreeMap::new(),
            num_partitions: 1,
            wal: crate::wal::WalOptions::default(),
            store: crate::store::StoreOptions::default(),
            waiting: None,
            stop_timeout: Duration::from_secs(30),
        }
    }
}

impl Log {
    /// Starts the tasks of a log whose parts are there.
    fn start(
        core: Arc<Core>,
        registry: Arc<Registry>,
        mover: Arc<Mover>,
        report: StartReport,
        options: Options,
    ) -> Self {
        core.env.tasks.hot.spawn(watch::watch_owner(core.clone()));
        core.env.tasks.cold.spawn(mover.clone().run());
        Self(Arc::new(Inner { core, registry, mover, report, options }))
    }

    /// What the start found.
    pub fn start_report(&self) -> &StartReport {
        &self.0.report
    }

    /// Resolves, with the reason, when this log can no longer serve: the WAL failed, or another broker owns the bucket.
    /// The process should end at once with exit code 1.
    pub async fn failed(&self) -> String {
        self.0.core.fence.failed().await
    }

    /// Must be awaited before any answer leaves the process: checks that the last look at the owner chain is not too
    /// old (DESIGN 4.4). An error means that nothing may be answered any more.
    ///
    /// # Errors
    /// The reason for which this log serves no more.
    pub async fn may_answer(&self) -> Result<(), String> {
        self.0.core.fence.may_answer().await
    }

    /// Number of this broker.
    pub fn broker_id(&self) -> i32 {
        self.0.options.broker_id
    }

    /// Id of the cluster (of the bucket).
    pub fn cluster_id(&self) -> Uuid {
        self.0.report.cluster_id
    }

    /// Number of this life of the broker; also the leader epoch of what it writes.
    pub fn epoch(&self) -> u32 {
        self.0.report.epoch
    }

    /// A producer id that was never given out before and never will be again.
    pub fn new_producer_id(&self) -> i64 {
        self.0.core.new_producer_id()
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<TopicInfo>> {
        self.0.registry.list()
    }

    /// A number that rises whenever topics or partitions are added or removed, before anybody is told of it.
    pub fn topics_version(&self) -> u64 {
        self.0.registry.version()
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<Arc<TopicInfo>> {
        self.0.registry.get(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<TopicInfo>> {
        self.0.registry.by_id(id)
    }

    /// A partition by topic name.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<Partition> {
        self.0.registry.partition(topic, partition)
    }

    /// Checks a topic as [`Log::create_topic`] would, without creating it. Returns the number of partitions it would get.
    ///
    /// # Errors
    /// [`TopicError`] as for the creation.
    pub fn check_new_topic(&self, topic: &NewTopic) -> Result<i32, TopicError> {
        self.0.registry.check(topic)
    }

    /// Creates a topic; durable in the bucket when it returns.
    ///
    /// # Errors
    /// [`TopicError`]; after [`TopicError::Storage`] it may have been created all the same.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<Arc<TopicInfo>, TopicError> {
        self.0.registry.create(topic).await
    }

    /// Raises the number of partitions.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn create_partitions(&self, topic: &str, total: i32, validate_only: bool) -> Result<(), TopicError> {
        self.0.registry.add_partitions(topic, total, validate_only).await
    }

    /// Replaces a topic's own settings as `change` says: from the present ones to the ones it returns.
    ///
    /// # Errors
    /// [`TopicError`]; what `change` returns too.
    pub async fn alter_settings(
        &self,
        topic: &str,
        validate_only: bool,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), TopicError> + Send,
    ) -> Result<(), TopicError> {
        self.0.registry.alter(topic, validate_only, change).await
    }

    /// Deletes a topic; its objects are removed in the background.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn delete_topic(&self, topic: &str) -> Result<(), TopicError> {
        self.0.registry.delete(topic).await
    }

    /// Settings of a topic as they are in force.
    ///
    /// # Errors
    /// [`TopicError::Unknown`].
    pub fn settings(&self, topic: &str) -> Result<Vec<SettingInfo>, TopicError> {
        self.0.registry.describe(topic)
    }

    /// Settings as they would be in force of a topic that has these of its own.
    pub fn settings_with(&self, own: &BTreeMap<String, String>) -> Vec<SettingInfo> {
        self.0.registry.describe_with(own)
    }

    /// Seals and commits what is decided now, of one topic or of all, and waits for it.
    ///
    /// # Errors
    /// [`TopicError::Unknown`]; [`TopicError::Storage`] when the store or the WAL failed.
    pub async fn seal(&self, topic: Option<&str>) -> Result<Vec<PartitionLayout>, TopicError> {
        let partitions = self.0.registry.partitions(topic)?;
        self.0.mover.seal_now(&partitions).await.map_err(|e| TopicError::Storage(e.to_string()))?;
        self.layout(topic, None).await
    }

    /// Bytes in the WAL and in live segments of each partition, for `DescribeLogDirs`: (topic, partition, bytes).
    pub fn sizes(&self) -> Vec<(String, i32, u64)> {
        let all = self.0.registry.partitions(None).unwrap_or_default();
        all.iter().map(|p| (p.topic().to_owned(), p.number(), p.stored_bytes())).collect()
    }

    /// The WAL's folder, its budget and what of it is free, in bytes.
    pub fn wal_space(&self) -> (PathBuf, u64, u64) {
        let space = self.0.core.wal.space();
        (open::wal_dir(&self.0.options), space.budget, space.budget.saturating_sub(space.pinned))
    }

    /// Whether requests may be served now; else why not.
    ///
    /// # Errors
    /// The reason for which this log serves no more.
    pub fn ready(&self) -> Result<(), String> {
        self.0.core.fence.reason().map_or(Ok(()), Err)
    }

    /// What is damaged or could not be loaded, one line each: it is neither written nor sealed, and the rest goes on.
    pub fn not_served(&self) -> Vec<String> {
        let partitions = self.0.registry.partitions(None).unwrap_or_default();
        let damaged = partitions.iter().filter_map(|p| p.state().damaged.as_ref().map(|damaged| damaged.why.clone()));
        self.0.registry.unserved().into_iter().chain(damaged).collect()
    }

    /// A clean stop: refuses appends, seals to the LSO, writes state, and releases the bucket if nothing remains.
    pub async fn stop(&self) -> StopReport {
        let inner = &self.0;
        // The state first: a transaction that ends now ends as a whole, or is refused as a whole.
        inner.core.state.close("the broker is stopping");
        let partitions = inner.registry.partitions(None).unwrap_or_default();
        partitions.iter().for_each(|p| p.refuse_appends("the broker is stopping"));
        let mut unsealed = Vec::new();
        let synced = async {
            while !(inner.core.state.is_synced() && partitions.iter().all(Partition::is_synced)) {
                tokio::time::sleep(SYNC_POLL).await
            }
        };
        if tokio::time::timeout(inner.options.stop_timeout, synced).await.is_err() {
            unsealed.push("the WAL could not be written to its end".to_owned());
        }
        match inner.core.fence.reason() {
            // The bucket may be another's: nothing more is written to it.
            Some(why) => unsealed.push(why),
            None => match tokio::time::timeout(inner.options.stop_timeout, inner.mover.seal_now(&partitions)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => unsealed.push(error.to_string()),
                Err(_) => unsealed.push(format!("sealing took longer than {:?}", inner.options.stop_timeout)),
            },
        }
        unsealed
            .extend(inner.registry.partitions(None).unwrap_or_default().iter().filter_map(Partition::unsealed_line));
        unsealed.extend(inner.registry.strangers().iter().map(|(topic, partition)| {
            format!("partition {partition} of topic id {topic}, which no topic names: its records are in the WAL only")
        }));
        unsealed.extend(inner.registry.unserved());
        if !inner.core.state.behind().is_empty() {
            unsealed.push("the newest changes of groups and transactions are in the WAL only".to_owned());
        }
        let mut released = false;
        if unsealed.is_empty() {
            match inner.core.ownership.release().await {
                Ok(()) => released = true,
                Err(error) => unsealed.push(format!("the bucket was not released: {error}")),
            }
        }
        inner.core.fence.end("the broker has stopped");
        partitions.iter().for_each(|p| p.close(Closed::Ended("the broker has stopped".to_owned())));
        let wal = inner.core.wal.clone();
        let _ = inner.core.env.tasks.blocking_hot(move || wal.close()).await;
        StopReport { released, unsealed }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
