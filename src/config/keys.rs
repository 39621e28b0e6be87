//! The table of the settings that only a start reads: name, sort, default, meaning, and how a text becomes a value. What can change
//! while the broker runs stands in the tables of those who use it: [`TABLE`](crate::coordinator::broker_settings::TABLE) and
//! [`settings`](crate::log::settings).
use std::path::PathBuf;

use super::{Config, HostPort, Listener, LogFormat, units};
use crate::base::Limits;
use crate::log::SettingKind::{self, Boolean, Int, Long, Text};
use crate::store::StoreOptions;
use crate::wal::Durability;

/// One broker setting.
pub struct Key {
    /// Its name in `--set`, in `esker.toml` and, in upper case with `_` and the prefix `ESKER_`, in the environment.
    pub name: &'static str,
    /// What sort of value it is.
    pub kind: SettingKind,
    /// What holds when nobody says anything.
    pub default: &'static str,
    /// One line for the help.
    pub help: &'static str,
    /// Reads the text; the error says what would be right.
    pub set: fn(&mut Config, &str) -> Result<(), String>,
    /// The text of its value, if it has one.
    pub show: fn(&Config) -> Option<String>,
}

/// Every one of them, in the order of the help.
pub const KEYS: &[Key] = &[
    Key {
        name: "data",
        kind: Text,
        default: "./esker-data",
        help: "directory of the WAL, and of the bucket unless `store` says otherwise",
        set: |config, text| text_of(text).map(|text| config.data = PathBuf::from(text)),
        show: |config| Some(config.data.display().to_string()),
    },
    Key {
        name: "store",
        kind: Text,
        default: "DATA/bucket",
        help: "the bucket: file:///dir, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        set: |config, text| text_of(text).map(|text| config.store = Some(text)),
        show: |config| Some(config.store_url()),
    },
    Key {
        name: "listen",
        kind: Text,
        default: "127.0.0.1:9092",
        help: "where Kafka clients connect: ADDR, or NAME=ADDR,advertised=ADDR; several are separated by blanks",
        set: |config, text| {
            let listeners: Result<Vec<Listener>, _> = text.split_whitespace().map(str::parse).collect();
            listeners.map(|listeners| config.listeners = listeners).map_err(text_from)
        },
        show: |config| Some(config.listeners.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    },
    Key {
        name: "advertise",
        kind: Text,
        default: "the bound address",
        help: "HOST:PORT that clients are told to connect to, when there is one listener",
        set: |config, text| text.parse::<HostPort>().map(|at| config.advertise = Some(at)).map_err(text_from),
        show: |config| config.advertise.as_ref().map(ToString::to_string),
    },
    Key {
        name: "http",
        kind: Text,
        default: "127.0.0.1:8082",
        help: "address of health, metrics and the command line's own requests",
        set: |config, text| text.parse::<HostPort>().map(|at| config.http = at).map_err(text_from),
        show: |config| Some(config.http.to_string()),
    },
    Key {
        name: "insecure",
        kind: Boolean,
        default: "false",
        help: "listen beyond loopback although there is no authentication yet",
        set: |config, text| flag(text).map(|yes| config.insecure = yes),
        show: |config| Some(config.insecure.to_string()),
    },
    Key {
        name: "broker.id",
        kind: Int,
        default: "1",
        help: "the number that Kafka clients see this broker under",
        set: |config, text| {
            let number = text.parse::<i32>().ok().filter(|id| *id >= 0);
            config.broker_id = number.ok_or("expected a whole number from 0 on")?;
            Ok(())
        },
        show: |config| Some(config.broker_id.to_string()),
    },
    Key {
        name: "memory.bytes",
        kind: Long,
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
        show: |config| Some(config.memory_bytes.to_string()),
    },
    Key {
        name: "wal.bytes",
        kind: Long,
        default: "a quarter of the free disk, 1GiB to 64GiB",
        help: "budget of the write-ahead log: how far writing goes on while the bucket is away",
        set: |config, text| units::size(text).map(|bytes| config.wal.budget_bytes = Some(bytes)).map_err(text_from),
        show: |config| config.wal.budget_bytes.map(|bytes| bytes.to_string()),
    },
    Key {
        name: "wal.file.bytes",
        kind: Long,
        default: "64MiB",
        help: "size of one file of the write-ahead log; twice the largest batch at least",
        set: |config, text| units::size(text).map(|bytes| config.wal.file_bytes = bytes).map_err(text_from),
        show: |config| Some(config.wal.file_bytes.to_string()),
    },
    Key {
        name: "durability",
        kind: Text,
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
        show: |config| Some(if config.wal.durability == Durability::Os { "os" } else { "fsync" }.to_owned()),
    },
    Key {
        name: "auto.create.topics.enable",
        kind: Boolean,
        default: "true",
        help: "whether a topic that a client asks for by name is made",
        set: |config, text| flag(text).map(|yes| config.auto_create_topics = yes),
        show: |config| Some(config.auto_create_topics.to_string()),
    },
    Key {
        name: "num.partitions",
        kind: Int,
        default: "1",
        help: "partitions of a topic that does not say how many",
        set: |config, text| {
            let most = i32::try_from(Limits::PARTITIONS_MAX).unwrap_or(i32::MAX);
            let number = text.parse::<i32>().ok().filter(|number| (1..=most).contains(number));
            config.num_partitions = number.ok_or(format!("expected a whole number from 1 to {most}"))?;
            Ok(())
        },
        show: |config| Some(config.num_partitions.to_string()),
    },
    Key {
        name: "store.connect.timeout.ms",
        kind: Long,
        default: "5s",
        help: "how long connecting to the bucket may take",
        set: |config, text| time(text, StoreOptions::TIMEOUT_MS_MIN).map(|ms| config.requests.connect_timeout_ms = ms),
        show: |config| Some(config.requests.connect_timeout_ms.to_string()),
    },
    Key {
        name: "store.request.timeout.ms",
        kind: Long,
        default: "30s",
        help: "how long one attempt of a request to the bucket may take",
        set: |config, text| time(text, StoreOptions::TIMEOUT_MS_MIN).map(|ms| config.requests.request_timeout_ms = ms),
        show: |config| Some(config.requests.request_timeout_ms.to_string()),
    },
    Key {
        name: "store.retry.ms",
        kind: Long,
        default: "30s",
        help: "for how long a request to the bucket is repeated before whoever made it is told",
        set: |config, text| time(text, 0).map(|ms| config.requests.retry_ms = ms),
        show: |config| Some(config.requests.retry_ms.to_string()),
    },
    Key {
        name: "store.requests",
        kind: Long,
        default: "64",
        help: "requests of one class (small objects, range reads, uploads) that are made at once",
        set: |config, text| {
            let number = text.parse::<usize>().ok().filter(|number| *number > 0);
            config.requests.requests = number.ok_or("expected a whole number from 1 on")?;
            Ok(())
        },
        show: |config| Some(config.requests.requests.to_string()),
    },
    Key {
        name: "store.bytes",
        kind: Long,
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
        show: |config| Some(config.requests.bytes.to_string()),
    },
    Key {
        name: "log.level",
        kind: Text,
        default: "info",
        help: "error, warn, info, debug or trace; or a filter such as info,esker::wal=debug",
        set: |config, text| {
            if tracing_subscriber::EnvFilter::try_new(text).is_err() {
                return Err("expected error, warn, info, debug, trace or a filter such as info,esker::wal=debug".into());
            }
            config.log_level = text.to_owned();
            Ok(())
        },
        show: |config| Some(config.log_level.clone()),
    },
    Key {
        name: "log.format",
        kind: Text,
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
        show: |config| Some(if config.log_format == LogFormat::Json { "json" } else { "text" }.to_owned()),
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

fn text_of(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a text that is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "expected true or false".to_owned())
}

fn text_from(error: impl std::fmt::Display) -> String {
    error.to_string()
}
