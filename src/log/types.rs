//! What goes into a log and comes out of it: plain data.
use std::collections::BTreeMap;

use bytes::Bytes;

use super::{AppendError, Partition};
use crate::base::Uuid;

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
    pub settings: BTreeMap<String, String>,
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
    /// What the broker calls it, for example `log.retention.ms`; none for a setting that only topics have.
    pub broker_name: Option<&'static str>,
    /// The topic's own value if it has one.
    pub topic: Option<String>,
    /// This broker's, changed while it runs.
    pub broker: Option<String>,
    /// The cluster's, changed while it runs.
    pub cluster: Option<String>,
    /// The broker's default if one was configured at its start.
    pub file: Option<String>,
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
    pub settings: BTreeMap<String, String>,
}

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
pub struct Pending {
    pub(super) appended: Appended,
    pub(super) durable: tokio::sync::oneshot::Receiver<()>,
}

impl Pending {
    /// Waits for the sync.
    ///
    /// # Errors
    /// [`AppendError::NotServing`] when the log ended first: the records may or may not be there after a restart.
    pub async fn durable(self) -> Result<Appended, AppendError> {
        match self.durable.await {
            Ok(()) => Ok(self.appended),
            Err(_) => Err(AppendError::NotServing("it was closed before the records were synced".to_owned())),
        }
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
    /// Pieces of one or more whole Kafka v2 batches, in offset order; the first may begin below the position that was
    /// asked for.
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
    /// -6: the first offset that is not sealed.
    EarliestUnsealed,
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
    /// Why it is neither written nor sealed, where acknowledged records of it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
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
