//! Why a bucket cannot be had.
use super::version::OwnerVersion;
use crate::archive::ArchiveError;
use crate::base::Uuid;

/// Records in a WAL that are in nobody's bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// First offset that is not sealed.
    pub first: i64,
    /// Offset after the last one in the WAL.
    pub next: i64,
}

/// Where a WAL ends, and where the bucket knows that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// The last group on the disk.
    pub ends_at: u64,
    /// A group that was synced, as a version in the bucket says.
    pub known: u64,
}

/// Why the bucket cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OwnerError {
    /// The data directory belongs to another bucket.
    #[error(
        "this data directory belongs to cluster {disk}, the bucket {url} is cluster {bucket}: use the right --store, or an empty --data directory"
    )]
    OtherBucket {
        /// Cluster id on the disk.
        disk: Uuid,
        /// Cluster id of the bucket.
        bucket: Uuid,
        /// URL of the bucket.
        url: String,
    },
    /// Another broker, or another disk, owns the bucket.
    #[error(
        "{url} is owned by broker {} at {} (epoch {epoch}, WAL {}), which did not release it{}: stop that broker, or give --take-over if its disk is lost (what it had not sealed becomes a recorded gap)",
        owner.broker_id, owner.address, owner.wal_id, old_copy(.short)
    )]
    Owned {
        /// URL of the bucket.
        url: String,
        /// Epoch of the owner.
        epoch: u32,
        /// Its claim.
        owner: Box<OwnerVersion>,
        /// This disk is an old copy of the owner's.
        short: Option<Short>,
    },
    /// The WAL ends before what the bucket knows of it, and is not cut off there.
    #[error(
        "the WAL {wal_id} on this disk ends at group {}, {url} says that group {} was synced, and something follows the end: it is damaged there. Restore the WAL file, or record what is missing as lost with `esker wal accept-loss`",
        short.ends_at, short.known
    )]
    Damaged {
        /// URL of the bucket.
        url: String,
        /// Which WAL.
        wal_id: Uuid,
        /// Where it ends.
        short: Short,
    },
    /// This disk lost the bucket while it held records that are nowhere else.
    #[error(
        "this disk no longer owns {url}, and its WAL holds records that are not in the bucket: {}; save them with `esker wal export`, then start on an empty --data directory",
        ranges(.unsealed)
    )]
    TakenOver {
        /// URL of the bucket.
        url: String,
        /// What the WAL holds alone.
        unsealed: Vec<Unsealed>,
    },
    /// The bucket could not be read or written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

fn old_copy(short: &Option<Short>) -> String {
    let Some(Short { ends_at, known }) = short else { return String::new() };
    format!(
        ". This disk is an old copy of that broker's: its WAL ends at group {ends_at}, the bucket knows of group {known}"
    )
}

fn ranges(unsealed: &[Unsealed]) -> String {
    const SHOWN: usize = 10;
    let mut words: Vec<String> =
        unsealed.iter().take(SHOWN).map(|u| format!("{}-{} {}..{}", u.topic, u.partition, u.first, u.next)).collect();
    if unsealed.len() > SHOWN {
        words.push(format!("and {} more partitions", unsealed.len() - SHOWN));
    }
    words.join(", ")
}

impl OwnerError {
    /// Whether waiting may help: the store did not answer.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Archive(e) if e.is_retriable())
    }
}
