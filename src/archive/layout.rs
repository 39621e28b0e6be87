//! Every path of the bucket, in one place. All are relative to the store's root, without a slash at either end.
//!
//! ```text
//! esker.json                                     cluster id, created once
//! owner/<20 digits>.json                         broker lives
//! state/<20 digits>.json                         groups and transactions as of R
//! state/page-<shard>-<epoch>-<random>.json       shards of a large state
//! topics/<topic>/topic/<20 digits>.json          per name: live topic id or "deleted", partition count, settings
//! topics/<topic>/<topic id>/                     the topic's root; names in a manifest are relative to it
//!   log/<p>/<20 digits>.json
//!   log/<p>/page-<first offset>-<level>-<epoch>-<random>.json
//!   log/<p>/epochs-<first epoch>-<epoch>-<random>.json
//!   log/<p>/removed-<time of the first>-<epoch>-<random>.json
//!   log/<p>/producers-<next offset>-<epoch>-<random>.json
//!   table/data/<p, 5 digits>-<first offset>-<epoch>-<random>.parquet
//!   table/metadata/                              Iceberg's; `table/` is the table's location
//!   foreign/                                     where engines that were given write keys put what they wrote
//! probe/<random>/                                of a probe or a comparison of clocks, removed by it
//! brokers/ cells/ leases/ wal/                   of later builds: neither deleted nor called damage or orphans here
//! ```
//! Offsets in names have 20 digits, so that a listing is in the order of offsets. Random parts make every name unique:
//! no name is used twice, and none is derived from a size.
use crate::base::{Limits, Random, Uuid};

/// The bucket's birth certificate.
pub const ESKER: &str = "esker.json";
/// Prefix of the owner chain.
pub const OWNER: &str = "owner";
/// Prefix of the state chain.
pub const STATE: &str = "state";
/// Folder of all topics.
pub const TOPICS: &str = "topics";
/// Folder of the objects of probes.
pub const PROBE: &str = "probe";
/// Folders of the root that belong to later builds.
pub const RESERVED: [&str; 4] = ["brokers", "cells", "leases", "wal"];
/// Folder of the manifests of all partitions, relative to the topic's root.
pub const LOG: &str = "log";
/// Folder of the segments of all partitions, relative to the topic's root.
pub const DATA: &str = "table/data";

/// A topic name that cannot be a folder of the bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a topic name: {reason}")]
pub struct BadTopicName {
    /// As given, cut to 64 characters.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Kafka's rule: 1 to 249 letters, digits, `.`, `_` and `-`, but not `.` or `..`.
pub fn check_topic_name(name: &str) -> Result<(), BadTopicName> {
    let bad = |reason| Err(BadTopicName { name: name.chars().take(64).collect(), reason });
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.len() > Limits::TOPIC_NAME_MAX {
        return bad("it is longer than 249 characters");
    }
    if name == "." || name == ".." {
        return bad("'.' and '..' are folders already");
    }
    match name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        true => Ok(()),
        false => bad("only letters, digits, '.', '_' and '-' are allowed"),
    }
}

/// Prefix of a topic's chain.
pub fn topic_chain(topic: &str) -> String {
    format!("{TOPICS}/{topic}/topic")
}

/// Folder of a topic name: its chain and the roots of all its lives.
pub fn topic_folder(topic: &str) -> String {
    format!("{TOPICS}/{topic}")
}

/// A topic's root: everything of one topic id.
pub fn topic_root(topic: &str, id: Uuid) -> String {
    format!("{TOPICS}/{topic}/{id}")
}

/// Folder of a partition's manifest chain, pages and producer objects, relative to the topic's root.
pub fn log_folder(partition: i32) -> String {
    format!("{LOG}/{partition}")
}

/// The partition that an object below [`LOG`] belongs to, by its name relative to the topic's root.
pub fn partition_of_log(name: &str) -> Option<i32> {
    let (number, file) = name.strip_prefix(LOG)?.strip_prefix('/')?.split_once('/')?;
    let partition: i32 = number.parse().ok()?;
    (!file.contains('/') && partition >= 0 && partition.to_string() == number).then_some(partition)
}

/// The path of a `name` that is relative to `root`.
pub fn under(root: &str, name: &str) -> String {
    format!("{root}/{name}")
}

/// Makes names that were never used, for one partition and one epoch.
#[derive(Clone, Debug)]
pub struct Names {
    partition: i32,
    epoch: u32,
    random: Random,
}

impl Names {
    /// For objects of `partition` written under `epoch`.
    pub fn new(partition: i32, epoch: u32, random: Random) -> Self {
        Self { partition, epoch, random }
    }

    /// A segment that begins at `first`, relative to the topic's root.
    pub fn segment(&self, first: i64) -> String {
        format!("{DATA}/{:05}-{first:020}-{}-{}.parquet", self.partition, self.epoch, self.random.hex16())
    }

    /// A page of the manifest's tree.
    pub fn page(&self, first: i64, level: u8) -> String {
        let folder = log_folder(self.partition);
        format!("{folder}/page-{first:020}-{level}-{}-{}.json", self.epoch, self.random.hex16())
    }

    /// A page of old epochs.
    pub fn epochs(&self, first_epoch: i32) -> String {
        let folder = log_folder(self.partition);
        format!("{folder}/epochs-{first_epoch:010}-{}-{}.json", self.epoch, self.random.hex16())
    }

    /// A page of what was removed, the first of it at this time.
    pub fn removed(&self, first_ms: i64) -> String {
        let folder = log_folder(self.partition);
        format!("{folder}/removed-{:020}-{}-{}.json", first_ms.max(0), self.epoch, self.random.hex16())
    }

    /// The producers as of `next`.
    pub fn producers(&self, next: i64) -> String {
        let folder = log_folder(self.partition);
        format!("{folder}/producers-{next:020}-{}-{}.json", self.epoch, self.random.hex16())
    }
}

/// What the last part of the name of an object of a partition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A version of the chain.
    Version(u64),
    /// A segment of this partition that begins at this offset, written under this epoch.
    Segment {
        /// The partition.
        partition: i32,
        /// First offset.
        first: i64,
        /// Epoch of the writer.
        epoch: u32,
    },
    /// A page of the tree, written under this epoch.
    Page {
        /// First offset.
        first: i64,
        /// 0 holds entries.
        level: u8,
        /// Epoch of the writer.
        epoch: u32,
    },
    /// A page of old epochs.
    Epochs {
        /// Epoch of the writer.
        epoch: u32,
    },
    /// A page of what was removed.
    Removed {
        /// Epoch of the writer.
        epoch: u32,
    },
    /// A producers object.
    Producers {
        /// Epoch of the writer.
        epoch: u32,
    },
    /// Nothing that Esker writes there.
    Foreign,
}

impl Named {
    /// Reads a file name (the part after the last `/`).
    pub fn of(path: &str) -> Self {
        Self::parse(path.rsplit('/').next().unwrap_or(path)).unwrap_or(Self::Foreign)
    }

    fn parse(file: &str) -> Option<Self> {
        if let Some(stem) = file.strip_suffix(".parquet") {
            let mut parts = stem.split('-');
            let number = parts.next().filter(|number| number.len() >= 5)?;
            let partition = number.parse().ok().filter(|partition: &i32| format!("{partition:05}") == number)?;
            let first = digits(parts.next()?)?;
            let epoch = parts.next()?.parse().ok()?;
            return random_then_end(parts).then_some(Self::Segment { partition, first, epoch });
        }
        let stem = file.strip_suffix(".json")?;
        if let Some(number) = digits(stem) {
            return Some(Self::Version(u64::try_from(number).ok()?));
        }
        let mut parts = stem.split('-');
        let kind = parts.next()?;
        let lead = parts.next()?;
        let named = match kind {
            "page" => {
                let level = parts.next()?.parse().ok()?;
                Self::Page { first: digits(lead)?, level, epoch: parts.next()?.parse().ok()? }
            }
            "epochs" => Self::Epochs { epoch: parts.next()?.parse().ok()? },
            "removed" => Self::Removed { epoch: parts.next()?.parse().ok()? },
            "producers" => Self::Producers { epoch: parts.next()?.parse().ok()? },
            _ => return None,
        };
        random_then_end(parts).then_some(named)
    }

    /// Epoch of the writer, where the name tells it.
    pub fn epoch(&self) -> Option<u32> {
        match self {
            Self::Segment { epoch, .. }
            | Self::Page { epoch, .. }
            | Self::Epochs { epoch }
            | Self::Removed { epoch }
            | Self::Producers { epoch } => Some(*epoch),
            Self::Version(_) | Self::Foreign => None,
        }
    }
}

fn digits(text: &str) -> Option<i64> {
    (text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn random_then_end<'a>(mut parts: impl Iterator<Item = &'a str>) -> bool {
    parts.next().is_some_and(|p| p.len() == 16) && parts.next().is_none()
}

#[cfg(test)]
mod tests;
