//! Topic settings: one table of names, sorts, defaults and meanings, and the values in force.
//!
//! Names and defaults are Kafka's where Kafka has the setting; Esker's own begin with `esker.`. A value is checked when it
//! is set, never when it is used. A broker's default of a setting has the name that Kafka's brokers give it; flags, variables
//! and files take either.
use std::collections::BTreeMap;

use super::defaults::Defaults;
use super::{SettingInfo, SettingKind, TopicError};
use crate::record::TimestampType;

/// How replayed batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayCompression {
    /// Not at all.
    None,
    /// LZ4 frames.
    Lz4,
    /// zstd.
    Zstd,
}

/// How a topic is compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compaction {
    /// `min.cleanable.dirty.ratio`.
    pub dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`: how long tombstones stay.
    pub delete_retention_ms: i64,
}

/// The settings of one topic in force.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSettings {
    /// `retention.ms`; -1: for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; below 0: no limit.
    pub retention_bytes: i64,
    /// `cleanup.policy` names `delete`: retention applies.
    pub deletes: bool,
    /// `cleanup.policy` names `compact`: every record needs a key, and of each key the newest stays.
    pub compaction: Option<Compaction>,
    /// `max.message.bytes`: largest batch.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `esker.seal.bytes`: payload bytes of a segment.
    pub seal_bytes: u64,
    /// `esker.seal.ms`: age at which what is unsealed is sealed.
    pub seal_ms: u64,
    /// `esker.key.type = binary`: keys always in `key_raw`.
    pub key_binary: bool,
    /// `esker.value.type = binary`: values always in `value_raw`.
    pub value_binary: bool,
    /// `esker.key.bloom`: a Bloom filter on `key` in every block.
    pub key_bloom: bool,
    /// `esker.replay.compression`.
    pub replay_compression: ReplayCompression,
    /// `esker.removed.retention.ms`: how long a replaced or expired segment stays.
    pub removed_retention_ms: u64,
}

struct Row {
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    doc: &'static str,
    check: Check,
}

enum Check {
    /// A whole number in the range.
    Whole(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`, in letters of any size.
    Bool,
    /// `delete`, `compact`, both or none of them.
    Policies,
    /// A fraction between 0 and 1.
    Fraction,
    /// `*`, or a comma-separated list of `partition:broker`.
    Replicas,
}

const fn row(name: &'static str, kind: SettingKind, default: &'static str, check: Check, doc: &'static str) -> Row {
    Row { name, kind, default, doc, check }
}

use Check::{Bool, Fraction, Policies, Replicas, Whole, Word};
use SettingKind::{Boolean, Double, Int, List, Long, Text};

const MAX: i64 = i64::MAX;
const MIN: i64 = i64::MIN;

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("cleanup.policy", List, "delete", Policies, "What happens to old records. `delete`: they go by retention.ms and retention.bytes. `compact`: of each key the newest stays. Nothing: all stay."),
    row("compression.gzip.level", Int, "-1", Whole(-1, 9), "Accepted for Kafka's tools; see compression.type."),
    row("compression.lz4.level", Int, "9", Whole(1, 17), "Accepted for Kafka's tools; see compression.type."),
    row("compression.type", Text, "producer", Word(&["producer"]), "Batches are kept in the WAL as the producer compressed them; segments are always zstd-compressed Parquet."),
    row("compression.zstd.level", Int, "3", Whole(-131_072, 22), "Accepted for Kafka's tools; see compression.type."),
    row("delete.retention.ms", Long, "86400000", Whole(0, MAX), "How long tombstones of a compacted topic stay, in milliseconds."),
    row("esker.key.bloom", Boolean, "false", Bool, "Write a Bloom filter on the key into every block of a segment."),
    row("esker.key.type", Text, "string", Word(&["string", "binary"]), "`string`: keys that are UTF-8 go to the column `key`, others to `key_raw`. `binary`: all go to `key_raw`."),
    row("esker.removed.retention.ms", Long, "86400000", Whole(0, MAX), "How long an object that was replaced or has expired stays in the bucket, in milliseconds."),
    row("esker.replay.compression", Text, "none", Word(&["none", "lz4", "zstd"]), "How batches that come from segments are compressed for consumers."),
    row("esker.seal.bytes", Long, "536870912", Whole(1 << 10, 1 << 34), "Seal when about this many bytes of keys, values and headers, unpacked, are unsealed in a partition."),
    row("esker.seal.ms", Long, "600000", Whole(100, MAX), "Seal when the oldest unsealed record of a partition is this old, in milliseconds."),
    row("esker.value.type", Text, "string", Word(&["string", "binary"]), "`string`: values that are UTF-8 go to the column `value`, others to `value_raw`. `binary`: all go to `value_raw`."),
    row("file.delete.delay.ms", Long, "60000", Whole(0, MAX), "Accepted for Kafka's tools; see esker.removed.retention.ms."),
    row("flush.messages", Long, "9223372036854775807", Whole(1, MAX), "Accepted for Kafka's tools; every acknowledged record is synced already."),
    row("flush.ms", Long, "9223372036854775807", Whole(0, MAX), "Accepted for Kafka's tools; every acknowledged record is synced already."),
    row("follower.replication.throttled.replicas", List, "", Replicas, "Accepted for Kafka's tools; there are no followers."),
    row("index.interval.bytes", Int, "4096", Whole(0, i32::MAX as i64), "Accepted for Kafka's tools; segments carry Parquet's indexes."),
    row("leader.replication.throttled.replicas", List, "", Replicas, "Accepted for Kafka's tools; there are no followers."),
    row("local.retention.bytes", Long, "-2", Whole(-2, MAX), "Accepted for Kafka's tools; sealed records stay in the WAL while wal.bytes has room."),
    row("local.retention.ms", Long, "-2", Whole(-2, MAX), "Accepted for Kafka's tools; sealed records stay in the WAL while wal.bytes has room."),
    row("max.compaction.lag.ms", Long, "9223372036854775807", Whole(1, MAX), "The longest that a record of a compacted topic may stay uncompacted, in milliseconds."),
    row("max.message.bytes", Int, "1048588", Whole(0, i32::MAX as i64), "The largest batch that is accepted, in bytes as sent."),
    row("message.timestamp.after.max.ms", Long, "3600000", Whole(0, MAX), "How far a record's timestamp may lie ahead of the broker's clock, in milliseconds."),
    row("message.timestamp.before.max.ms", Long, "9223372036854775807", Whole(0, MAX), "How far a record's timestamp may lie behind the broker's clock, in milliseconds."),
    row("message.timestamp.type", Text, "CreateTime", Word(&["CreateTime", "LogAppendTime"]), "Whether a record keeps the producer's timestamp or gets the broker's."),
    row("min.cleanable.dirty.ratio", Double, "0.5", Fraction, "The share of uncompacted bytes at which a compacted topic is compacted."),
    row("min.compaction.lag.ms", Long, "0", Whole(0, MAX), "The shortest time that a record of a compacted topic stays uncompacted, in milliseconds."),
    row("min.insync.replicas", Int, "1", Whole(1, i32::MAX as i64), "Accepted for Kafka's tools; a record is acknowledged when it is synced, whatever acks says."),
    row("preallocate", Boolean, "false", Bool, "Accepted for Kafka's tools; WAL files are always written ahead."),
    row("remote.log.copy.disable", Boolean, "false", Word(&["false"]), "Every topic is sealed to the bucket."),
    row("remote.log.delete.on.disable", Boolean, "false", Bool, "Accepted for Kafka's tools; every topic is sealed to the bucket."),
    row("remote.storage.enable", Boolean, "true", Word(&["true"]), "Every topic is sealed to the bucket."),
    row("retention.bytes", Long, "-1", Whole(MIN, MAX), "Bytes of a partition, as stored, above which its oldest segments go; below 0: no limit."),
    row("retention.ms", Long, "-1", Whole(-1, MAX), "Age in milliseconds after which segments go; -1, the default: never."),
    row("segment.bytes", Int, "1073741824", Whole(1 << 20, i32::MAX as i64), "Accepted for Kafka's tools; see esker.seal.bytes."),
    row("segment.index.bytes", Int, "10485760", Whole(4, i32::MAX as i64), "Accepted for Kafka's tools; segments carry Parquet's indexes."),
    row("segment.jitter.ms", Long, "0", Whole(0, MAX), "Accepted for Kafka's tools; see esker.seal.ms."),
    row("segment.ms", Long, "604800000", Whole(1, MAX), "Accepted for Kafka's tools; see esker.seal.ms."),
    row("unclean.leader.election.enable", Boolean, "false", Bool, "Accepted for Kafka's tools; there is one broker."),
];

/// What Kafka's brokers call a setting of topics, where it is another name.
const BROKER_NAMES: [(&str, &str); 22] = [
    ("cleanup.policy", "log.cleanup.policy"),
    ("delete.retention.ms", "log.cleaner.delete.retention.ms"),
    ("file.delete.delay.ms", "log.segment.delete.delay.ms"),
    ("flush.messages", "log.flush.interval.messages"),
    ("flush.ms", "log.flush.interval.ms"),
    ("index.interval.bytes", "log.index.interval.bytes"),
    ("local.retention.bytes", "log.local.retention.bytes"),
    ("local.retention.ms", "log.local.retention.ms"),
    ("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
    ("max.message.bytes", "message.max.bytes"),
    ("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"),
    ("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"),
    ("message.timestamp.type", "log.message.timestamp.type"),
    ("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"),
    ("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"),
    ("preallocate", "log.preallocate"),
    ("retention.bytes", "log.retention.bytes"),
    ("retention.ms", "log.retention.ms"),
    ("segment.bytes", "log.segment.bytes"),
    ("segment.index.bytes", "log.index.size.max.bytes"),
    ("segment.jitter.ms", "log.roll.jitter.ms"),
    ("segment.ms", "log.roll.ms"),
];

/// Settings of which brokers have no default.
const TOPICS_ONLY: [&str; 5] = [
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
];

/// Settings by name.
pub type Values = BTreeMap<String, String>;

/// Checks names and values, each by itself; the error names the setting and what it may be.
pub fn check(values: &Values) -> Result<(), TopicError> {
    for (name, value) in values {
        let row = find(name).ok_or_else(|| TopicError::BadSetting(unknown(name)))?;
        row.check(value).map_err(|why| TopicError::BadSetting(format!("{name}={value}: {why}")))?;
    }
    Ok(())
}

/// Every name there is.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|r| r.name)
}

/// What a broker calls a setting of topics; none where it has no default of it.
pub fn broker_name(name: &str) -> Option<&'static str> {
    let row = find(name).filter(|row| !TOPICS_ONLY.contains(&row.name))?;
    Some(BROKER_NAMES.iter().find(|(topics, _)| *topics == name).map_or(row.name, |(_, brokers)| brokers))
}

/// The setting of topics of which a broker has a default by this name.
pub fn of_broker_name(name: &str) -> Option<&'static str> {
    names().find(|topics| broker_name(topics) == Some(name))
}

/// Settings as they are in force, for describing them.
pub fn describe(defaults: &Defaults, topic: &Values) -> Vec<SettingInfo> {
    let one = |r: &Row| {
        let broker_name = broker_name(r.name);
        let changed = |values: &Values| {
            broker_name.and_then(|name| values.get(name)).filter(|value| r.check(value).is_ok()).cloned()
        };
        SettingInfo {
            name: r.name,
            value: topic.get(r.name).or_else(|| defaults.get(r.name)).map_or(r.default, String::as_str).to_owned(),
            default: r.default.to_owned(),
            broker_name,
            topic: topic.get(r.name).cloned(),
            broker: changed(&defaults.changed().broker),
            cluster: changed(&defaults.changed().cluster),
            file: defaults.file().get(r.name).cloned(),
            kind: r.kind,
            doc: r.doc,
        }
    };
    TABLE.iter().map(one).collect()
}

/// Checks a value of one setting.
///
/// # Errors
/// What it may be.
pub fn check_one(name: &str, value: &str) -> Result<(), String> {
    find(name).ok_or_else(|| unknown(name))?.check(value)
}

impl TopicSettings {
    /// The built-in defaults.
    pub fn built_in() -> Self {
        Self::resolve(&Values::new(), &Values::new()).expect("the table's defaults pass its own checks")
    }

    /// The values in force: the topic's own, else the broker's, else the built-in defaults.
    pub fn resolve(broker: &Values, topic: &Values) -> Result<Self, TopicError> {
        check(broker)?;
        check(topic)?;
        let text = |name: &str| -> &str {
            let default = find(name).map_or("", |r| r.default);
            topic.get(name).or_else(|| broker.get(name)).map_or(default, String::as_str).trim()
        };
        let number = |name: &str| text(name).parse::<i64>().expect("checked against the table");
        let positive = |name: &str| u64::try_from(number(name)).expect("the table's range begins at 0 or above");
        if number("min.compaction.lag.ms") > number("max.compaction.lag.ms") {
            let why = "min.compaction.lag.ms is above max.compaction.lag.ms: no record could be compacted in time";
            return Err(TopicError::BadSetting(why.to_owned()));
        }
        Ok(Self {
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            deletes: text("cleanup.policy").contains("delete"),
            compaction: text("cleanup.policy").contains("compact").then(|| Compaction {
                dirty_ratio: text("min.cleanable.dirty.ratio").parse().expect("checked against the table"),
                min_lag_ms: number("min.compaction.lag.ms"),
                max_lag_ms: number("max.compaction.lag.ms"),
                delete_retention_ms: number("delete.retention.ms"),
            }),
            max_message_bytes: u32::try_from(number("max.message.bytes")).expect("the table's range fits"),
            timestamp_type: match text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::Append,
                _ => TimestampType::Create,
            },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            seal_bytes: positive("esker.seal.bytes"),
            seal_ms: positive("esker.seal.ms"),
            key_binary: text("esker.key.type") == "binary",
            value_binary: text("esker.value.type") == "binary",
            key_bloom: text("esker.key.bloom").eq_ignore_ascii_case("true"),
            replay_compression: match text("esker.replay.compression") {
                "lz4" => ReplayCompression::Lz4,
                "zstd" => ReplayCompression::Zstd,
                _ => ReplayCompression::None,
            },
            removed_retention_ms: positive("esker.removed.retention.ms"),
        })
    }
}

impl Row {
    fn check(&self, value: &str) -> Result<(), String> {
        let value = value.trim();
        match &self.check {
            Whole(min, max) => match value.parse::<i64>() {
                Ok(n) if (*min..=*max).contains(&n) => Ok(()),
                _ => Err(format!("expected a whole number from {min} to {max}")),
            },
            Word(words) if words.contains(&value) => Ok(()),
            Bool if ["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value)) => Ok(()),
            Bool => Err("expected true or false".to_owned()),
            Policies if words_of(value).all(|word| ["delete", "compact"].contains(&word)) => Ok(()),
            Policies => Err(format!("expected delete or compact, or both. {}", self.doc)),
            Word(words) => Err(format!("expected {}. {}", words.join(" or "), self.doc)),
            Fraction => match value.parse::<f64>() {
                Ok(x) if (0.0..=1.0).contains(&x) => Ok(()),
                _ => Err("expected a fraction from 0 to 1".to_owned()),
            },
            Replicas if value == "*" || words_of(value).all(is_replica) => Ok(()),
            Replicas => Err("expected * or a comma-separated list of partition:broker".to_owned()),
        }
    }
}

/// The words of a comma-separated list.
fn words_of(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn is_replica(word: &str) -> bool {
    word.split_once(':').is_some_and(|(partition, broker)| [partition, broker].iter().all(|n| n.parse::<u32>().is_ok()))
}

fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|r| r.name == name)
}

fn unknown(name: &str) -> String {
    let known = names().min_by_key(|known| distance(known, name)).unwrap_or_default();
    format!("there is no topic setting '{name}'; the nearest is '{known}'")
}

/// Levenshtein distance, for naming the nearest setting.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
