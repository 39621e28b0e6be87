//! The table of broker settings: name, default, meaning, and how a text becomes a value. It is the only list of them.
use std::path::PathBuf;

use super::{Config, HostPort, Listener, LogFormat, units};
use crate::base::Limits;
use crate::coordinator::consumer::assignor::Assignor;
use crate::store::StoreOptions;
use crate::wal::Durability;

/// One broker setting.
pub struct Key {
    /// Its name in `--set`, in `esker.toml` and, in upper case with `_` and the prefix `ESKER_`, in the environment.
    pub name: &'static str,
    /// What holds when nobody says anything.
    pub default: &'static str,
    /// One line for the help.
    pub help: &'static str,
    /// Reads the text; the error says what would be right.
    pub set: fn(&mut Config, &str) -> Result<(), String>,
}

/// Every broker setting, in the order of the help.
pub const KEYS: &[Key] = &[
    Key {
        name: "data",
        default: "./esker-data",
        help: "directory of the WAL, and of the bucket unless `store` says otherwise",
        set: |config, text| text_of(text).map(|text| config.data = PathBuf::from(text)),
    },
    Key {
        name: "store",
        default: "DATA/bucket",
        help: "the bucket: file:///dir, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        set: |config, text| text_of(text).map(|text| config.store = Some(text)),
    },
    Key {
        name: "listen",
        default: "127.0.0.1:9092",
        help: "where Kafka clients connect: ADDR, or NAME=ADDR,advertised=ADDR; several are separated by blanks",
        set: |config, text| {
            let listeners: Result<Vec<Listener>, _> = text.split_whitespace().map(str::parse).collect();
            listeners.map(|listeners| config.listeners = listeners).map_err(text_from)
        },
    },
    Key {
        name: "advertise",
        default: "the bound address",
        help: "HOST:PORT that clients are told to connect to, when there is one listener",
        set: |config, text| text.parse::<HostPort>().map(|at| config.advertise = Some(at)).map_err(text_from),
    },
    Key {
        name: "http",
        default: "127.0.0.1:8082",
        help: "address of health, metrics and the command line's own requests",
        set: |config, text| text.parse::<HostPort>().map(|at| config.http = at).map_err(text_from),
    },
    Key {
        name: "insecure",
        default: "false",
        help: "listen beyond loopback although there is no authentication yet",
        set: |config, text| flag(text).map(|yes| config.insecure = yes),
    },
    Key {
        name: "broker.id",
        default: "1",
        help: "the number that Kafka clients see this broker under",
        set: |config, text| {
            let number = text.parse::<i32>().ok().filter(|id| *id >= 0);
            config.broker_id = number.ok_or("expected a whole number from 0 on")?;
            Ok(())
        },
    },
    Key {
        name: "memory.bytes",
        default: "1GiB",
        help: "memory that requests, caches, seals and cold reads share; at least 128 MiB",
        set: |config, text| {
            let bytes = units::size(text).map_err(text_from)?;
            if bytes < Limits::MEMORY_BYTES_MIN {
                return Err(format!("the least that works is {}", units::show_size(Limits::MEMORY_BYTES_MIN)));
            }
            config.memory_bytes = bytes;
            Ok(())
        },
    },
    Key {
        name: "wal.bytes",
        default: "a quarter of the free disk, 1GiB to 64GiB",
        help: "budget of the write-ahead log: how far writing goes on while the bucket is away",
        set: |config, text| units::size(text).map(|bytes| config.wal.budget_bytes = Some(bytes)).map_err(text_from),
    },
    Key {
        name: "wal.file.bytes",
        default: "64MiB",
        help: "size of one file of the write-ahead log; twice the largest batch at least",
        set: |config, text| units::size(text).map(|bytes| config.wal.file_bytes = bytes).map_err(text_from),
    },
    Key {
        name: "durability",
        default: "fsync",
        help: "fsync: acknowledged after a sync; os: left to the operating system, a power cut loses the newest records",
        set: |config, text| {
            config.wal.durability = match text {
                "fsync" => Durability::Fsync,
                "os" => Durability::Os,
                _ => return Err("expected fsync or os".to_owned()),
            };
            Ok(())
        },
    },
    Key {
        name: "auto.create.topics.enable",
        default: "true",
        help: "whether a topic that a client asks for by name is made",
        set: |config, text| flag(text).map(|yes| config.auto_create_topics = yes),
    },
    Key {
        name: "num.partitions",
        default: "1",
        help: "partitions of a topic that does not say how many",
        set: |config, text| {
            let most = i32::try_from(Limits::PARTITIONS_MAX).unwrap_or(i32::MAX);
            let number = text.parse::<i32>().ok().filter(|number| (1..=most).contains(number));
            config.num_partitions = number.ok_or(format!("expected a whole number from 1 to {most}"))?;
            Ok(())
        },
    },
    Key {
        name: "group.min.session.timeout.ms",
        default: "6s",
        help: "the shortest session time-out that a member of a classic group may ask for",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.min_session_timeout_ms = ms),
    },
    Key {
        name: "group.max.session.timeout.ms",
        default: "30m",
        help: "the longest session time-out that a member of a classic group may ask for",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.max_session_timeout_ms = ms),
    },
    Key {
        name: "group.initial.rebalance.delay.ms",
        default: "3s",
        help: "how long the first rebalance of an empty classic group waits for more members",
        set: |config, text| between(text, 0, i32::MAX).map(|ms| config.groups.initial_rebalance_delay_ms = ms),
    },
    Key {
        name: "group.max.size",
        default: "2147483647",
        help: "members of one classic group",
        set: |config, text| count(text, i32::MAX as usize).map(|count| config.groups.max_size = count),
    },
    Key {
        name: "group.consumer.heartbeat.interval.ms",
        default: "5s",
        help: "how often members of the consumer protocol say that they are alive",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.consumers.heartbeat_ms = ms),
    },
    Key {
        name: "group.consumer.session.timeout.ms",
        default: "45s",
        help: "a member of the consumer protocol that says nothing for so long is gone",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.consumers.session_ms = i64::from(ms)),
    },
    Key {
        name: "group.consumer.min.session.timeout.ms",
        default: "45s",
        help: "the least that a group may have for its own consumer.session.timeout.ms",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.session_bounds.least = ms),
    },
    Key {
        name: "group.consumer.max.session.timeout.ms",
        default: "60s",
        help: "the most that a group may have for its own consumer.session.timeout.ms",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.session_bounds.most = ms),
    },
    Key {
        name: "group.consumer.min.heartbeat.interval.ms",
        default: "5s",
        help: "the least that a group may have for its own consumer.heartbeat.interval.ms",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.heartbeat_bounds.least = ms),
    },
    Key {
        name: "group.consumer.max.heartbeat.interval.ms",
        default: "15s",
        help: "the most that a group may have for its own consumer.heartbeat.interval.ms",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.heartbeat_bounds.most = ms),
    },
    Key {
        name: "group.consumer.max.size",
        default: "2147483647",
        help: "members of one group of the consumer protocol",
        set: |config, text| count(text, i32::MAX as usize).map(|count| config.groups.consumers.max_size = count),
    },
    Key {
        name: "group.consumer.assignors",
        default: "uniform,range",
        help: "ways of assigning that members of the consumer protocol may choose; the first one is the default",
        set: |config, text| {
            let assignor = |name: &str| Assignor::named(name.trim()).ok_or(format!("there is no assignor '{name}'"));
            config.groups.consumers.assignors = text.split(',').map(assignor).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    Key {
        name: "group.consumer.migration.policy",
        default: "bidirectional",
        help: "whether groups go from one protocol to the other with their members: upgrade, downgrade, bidirectional or disabled",
        set: |config, text| {
            let (over, back) = match text {
                "bidirectional" => (true, true),
                "upgrade" => (true, false),
                "downgrade" => (false, true),
                "disabled" => (false, false),
                _ => return Err("expected upgrade, downgrade, bidirectional or disabled".to_owned()),
            };
            (config.groups.consumers.takes_over, config.groups.takes_back) = (over, back);
            Ok(())
        },
    },
    Key {
        name: "esker.groups.max",
        default: "50000",
        help: "groups of this broker, those that only commit offsets too",
        set: |config, text| count(text, 10_000_000).map(|count| config.groups.max_groups = count),
    },
    Key {
        name: "offset.metadata.max.bytes",
        default: "4096",
        help: "length of what a client may remember with an offset",
        set: |config, text| count(text, 1 << 20).map(|count| config.groups.metadata_max_bytes = count),
    },
    Key {
        name: "offsets.retention.minutes",
        default: "10080",
        help: "for how long offsets are kept that nobody uses: the group has no members, or none that reads the topic",
        set: |config, text| {
            count(text, i32::MAX as usize)
                .map(|minutes| config.groups.retention_minutes = i32::try_from(minutes).unwrap_or(i32::MAX))
        },
    },
    Key {
        name: "offsets.retention.check.interval.ms",
        default: "10m",
        help: "how often it is looked for offsets and groups that nobody uses",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.groups.retention_check_ms = i64::from(ms)),
    },
    Key {
        name: "transaction.max.timeout.ms",
        default: "15m",
        help: "the longest time for which a producer may ask to leave a transaction open",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.transactions.max_timeout_ms = ms),
    },
    Key {
        name: "transactional.id.expiration.ms",
        default: "7d",
        help: "for how long a transactional id is kept that nobody uses",
        set: |config, text| between(text, 1, i32::MAX).map(|ms| config.transactions.expiration_ms = i64::from(ms)),
    },
    Key {
        name: "esker.transactional.ids.max",
        default: "100000",
        help: "transactional ids of this broker",
        set: |config, text| count(text, 10_000_000).map(|count| config.transactions.max_ids = count),
    },
    Key {
        name: "store.connect.timeout.ms",
        default: "5s",
        help: "how long connecting to the bucket may take",
        set: |config, text| time(text, StoreOptions::TIMEOUT_MS_MIN).map(|ms| config.requests.connect_timeout_ms = ms),
    },
    Key {
        name: "store.request.timeout.ms",
        default: "30s",
        help: "how long one attempt of a request to the bucket may take",
        set: |config, text| time(text, StoreOptions::TIMEOUT_MS_MIN).map(|ms| config.requests.request_timeout_ms = ms),
    },
    Key {
        name: "store.retry.ms",
        default: "30s",
        help: "for how long a request to the bucket is repeated before whoever made it is told",
        set: |config, text| time(text, 0).map(|ms| config.requests.retry_ms = ms),
    },
    Key {
        name: "store.requests",
        default: "64",
        help: "requests of one class (small objects, range reads, uploads) that are made at once",
        set: |config, text| {
            let number = text.parse::<usize>().ok().filter(|number| *number > 0);
            config.requests.requests = number.ok_or("expected a whole number from 1 on")?;
            Ok(())
        },
    },
    Key {
        name: "store.bytes",
        default: "64MiB",
        help: "bytes of one class (range reads, uploads) that are on their way at once; at least 8 MiB",
        set: |config, text| {
            let bytes = units::size(text).map_err(text_from)?;
            if bytes < StoreOptions::BYTES_MIN {
                return Err(format!("the least that works is {}", units::show_size(StoreOptions::BYTES_MIN)));
            }
            config.requests.bytes = bytes;
            Ok(())
        },
    },
    Key {
        name: "log.level",
        default: "info",
        help: "error, warn, info, debug or trace; or a filter such as info,esker::wal=debug",
        set: |config, text| {
            if tracing_subscriber::EnvFilter::try_new(text).is_err() {
                return Err("expected error, warn, info, debug, trace or a filter such as info,esker::wal=debug".into());
            }
            config.log_level = text.to_owned();
            Ok(())
        },
    },
    Key {
        name: "log.format",
        default: "text",
        help: "text for people, json for machines; both go to stderr",
        set: |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("expected text or json".to_owned()),
            };
            Ok(())
        },
    },
];

/// The name of a setting's environment variable: `esker.seal.ms` and `memory.bytes` are `ESKER_SEAL_MS` and
/// `ESKER_MEMORY_BYTES`.
pub fn variable(name: &str) -> String {
    let name = name.strip_prefix("esker.").unwrap_or(name);
    format!("ESKER_{}", name.replace('.', "_").to_ascii_uppercase())
}

fn time(text: &str, least_ms: u64) -> Result<u64, String> {
    let ms = units::time_ms(text).map_err(text_from)?;
    if ms < least_ms { Err(format!("the least that works is {least_ms} ms")) } else { Ok(ms) }
}

/// A time in ms between two bounds.
fn between(text: &str, least_ms: i32, most_ms: i32) -> Result<i32, String> {
    let ms = units::time_ms(text).map_err(text_from)?;
    let ms = i32::try_from(ms).ok().filter(|ms| (least_ms..=most_ms).contains(ms));
    ms.ok_or(format!("from {least_ms} to {most_ms} ms are possible"))
}

/// A whole number from 1 to `most`.
fn count(text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| (1..=most).contains(number));
    number.ok_or(format!("expected a whole number from 1 to {most}"))
}

fn text_of(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a text that is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "expected true or false".to_owned())
}

fn text_from(error: impl std::fmt::Display) -> String {
    error.to_string()
}
