//! Row 7: every setting of the process, gathered from `esker.toml`, `ESKER_*` variables and flags, in this order: the
//! later wins. A name that nobody knows is refused, with the place where it stands and the nearest known one.
//!
//! Settings that only a start reads stand in [`keys::KEYS`]. Those of groups and transactions, and defaults of topics, can also
//! be changed while the broker runs; what was changed so stands above what is given here. A topic setting (`retention.ms`,
//! `esker.seal.bytes`, ...) given here, or by the name that Kafka's brokers have for it (`log.retention.ms`), is the default of
//! every topic that does not set it itself.
pub mod keys;
pub mod listen;
pub mod nearest;
pub mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use listen::{HostPort, ListenError, Listener};

use crate::base::Limits;
use crate::coordinator::broker_settings::TABLE;
use crate::coordinator::{self, FixedSetting};
use crate::log::settings;
use crate::store::StoreOptions;
use crate::wal::WalOptions;
use keys::{KEYS, variable};

/// The name of the file that is read from the working directory when no other is named.
pub const FILE: &str = "esker.toml";

/// Variables that other commands read; `serve` lets them stand.
const OTHERS: [&str; 2] = ["ESKER_BROKER", "ESKER_CONFIG"];

/// All settings, checked one by one.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the WAL.
    pub data: PathBuf,
    /// URL of the bucket; a folder of `data` if none.
    pub store: Option<String>,
    /// Where Kafka clients connect.
    pub listeners: Vec<Listener>,
    /// What clients of the only listener are told.
    pub advertise: Option<HostPort>,
    /// Where HTTP is served.
    pub http: HostPort,
    /// Whether addresses beyond loopback are accepted.
    pub insecure: bool,
    /// Kafka's node id.
    pub broker_id: i32,
    /// What [`Limits`] divides.
    pub memory_bytes: u64,
    /// Options of the WAL.
    pub wal: WalOptions,
    /// Options of requests to the bucket.
    pub requests: StoreOptions,
    /// Whether Metadata and Produce make topics.
    pub auto_create_topics: bool,
    /// Partitions of a topic that does not say.
    pub num_partitions: i32,
    /// Settings of groups and transactions.
    pub coordinators: coordinator::Options,
    /// Filter of the log.
    pub log_level: String,
    /// Variables that begin with `ESKER_` and stand for nothing: named in a warning.
    pub strange_variables: Vec<String>,
    /// Shape of the log.
    pub log_format: LogFormat,
    /// Defaults of topic settings, by name.
    pub topic_defaults: BTreeMap<String, String>,
}

/// Shape of the lines on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Where a value was given; messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A settings file.
    File(PathBuf),
    /// An environment variable, by name.
    Variable(String),
    /// `--set`.
    Set,
    /// A flag, by name.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Set => f.write_str("--set"),
            Self::Flag(name) => write!(f, "{name}"),
        }
    }
}

/// Why settings are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nobody knows the name.
    #[error("{place}: there is no setting '{name}'{hint} (`esker serve --help` lists them)")]
    Unknown {
        /// Where it stands.
        place: Place,
        /// What was written.
        name: String,
        /// `; did you mean ...?`, or empty.
        hint: String,
    },
    /// The name is known, the value does not fit.
    #[error("{place}: '{value}' does not fit {name}: {reason}")]
    Value {
        /// Where it stands.
        place: Place,
        /// The setting.
        name: String,
        /// What was written.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// `--set` without `=`.
    #[error("--set {0}: expected key=value, as in --set memory.bytes=512MiB")]
    NotAPair(String),
    /// The file cannot be read or is not TOML.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong, with line and column where there are.
        reason: String,
    },
    /// A batch that could not be read back within the memory.
    #[error(
        "max.message.bytes={bytes}: with memory.bytes={memory} it can be {most} at most; raise memory.bytes, or lower it"
    )]
    BatchSize {
        /// What was asked for.
        bytes: String,
        /// Bytes of memory.
        memory: u64,
        /// What is possible.
        most: u64,
    },
    /// Settings of groups that do not fit together.
    #[error("{0}")]
    Together(String),
    /// The listeners do not fit together, or are open.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// What the settings are gathered from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A settings file: its path and text.
    pub file: Option<(PathBuf, String)>,
    /// The environment; names that do not begin with `ESKER_` are passed over.
    pub variables: Vec<(String, String)>,
    /// Flags with a setting's name.
    pub flags: Vec<(&'static str, String)>,
    /// Texts of `--set`.
    pub sets: Vec<String>,
}

impl Sources {
    /// The named settings file, else [`FILE`] of the working directory if it is there, and the process's environment.
    pub fn of_process(file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(FILE));
        let file = match std::fs::read_to_string(path) {
            Ok(text) => Some((path.to_owned(), text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && file.is_none() => None,
            Err(e) => return Err(ConfigError::File { path: path.display().to_string(), reason: e.to_string() }),
        };
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Ok(Self { file, variables, ..Self::default() })
    }
}

impl Default for Config {
    fn default() -> Self {
        let main = HostPort { host: "127.0.0.1".to_owned(), port: 9092 };
        Self {
            data: PathBuf::from("./esker-data"),
            store: None,
            listeners: vec![Listener { name: "main".to_owned(), bind: main, advertised: None }],
            advertise: None,
            http: HostPort { host: "127.0.0.1".to_owned(), port: 8082 },
            insecure: false,
            broker_id: 1,
            memory_bytes: Limits::MEMORY_BYTES_DEFAULT,
            wal: WalOptions::default(),
            requests: StoreOptions::default(),
            auto_create_topics: true,
            num_partitions: 1,
            coordinators: coordinator::Options::default(),
            log_level: "info".to_owned(),
            strange_variables: Vec::new(),
            log_format: LogFormat::Text,
            topic_defaults: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Gathers the settings: file, then variables, then flags, then `--set`; then checks what only fits together.
    pub fn gather(sources: &Sources) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some((path, text)) = &sources.file {
            for (name, value) in file_pairs(path, text)? {
                config.set(Place::File(path.clone()), &name, &value)?;
            }
        }
        for (name, value) in &sources.variables {
            match key_of_variable(name)? {
                Ours::Setting(key) => config.set(Place::Variable(name.clone()), &key, value)?,
                Ours::Perhaps => config.strange_variables.push(name.clone()),
                Ours::No => {}
            }
        }
        for (name, value) in &sources.flags {
            config.set(Place::Flag(name), name.trim_start_matches("--"), value)?;
        }
        for pair in &sources.sets {
            let (name, value) = pair.split_once('=').ok_or_else(|| ConfigError::NotAPair(pair.clone()))?;
            config.set(Place::Set, name.trim(), value.trim())?;
        }
        config.listeners = listen::settle(std::mem::take(&mut config.listeners), config.advertise.take())?;
        if !config.insecure {
            listen::require_loopback(&config.listeners, &config.http)?;
        }
        config.check_batch_size()?;
        config.coordinators.check().map_err(ConfigError::Together)?;
        config.coordinators.fixed = config.fixed().into();
        Ok(config)
    }

    /// The largest batch has to fit the memory from which it is read back.
    fn check_batch_size(&self) -> Result<(), ConfigError> {
        const NAME: &str = "max.message.bytes";
        let most = Limits::new(self.memory_bytes).message_max_bytes_ceiling();
        match self.topic_defaults.get(NAME) {
            Some(value) if value.parse::<u64>().is_ok_and(|bytes| bytes > most) => {
                Err(ConfigError::BatchSize { bytes: value.clone(), memory: self.memory_bytes, most })
            }
            _ => Ok(()),
        }
    }

    /// The bucket's URL: `store`, or the folder `bucket` of the data directory.
    pub fn store_url(&self) -> String {
        self.store.clone().unwrap_or_else(|| self.data.join("bucket").display().to_string())
    }

    /// What only a start reads, for describing it.
    fn fixed(&self) -> Vec<FixedSetting> {
        let default = Self::default();
        let one = |key: &keys::Key| {
            let keys::Key { name, kind, help, .. } = *key;
            FixedSetting { name, kind, doc: help, value: (key.show)(self), default: (key.show)(&default) }
        };
        KEYS.iter().map(one).collect()
    }

    fn set(&mut self, place: Place, name: &str, value: &str) -> Result<(), ConfigError> {
        let bad = |place, reason| ConfigError::Value { place, name: name.to_owned(), value: value.to_owned(), reason };
        if let Some(key) = KEYS.iter().find(|key| key.name == name) {
            Arc::make_mut(&mut self.coordinators.given).insert(key.name);
            return (key.set)(self, value).map_err(|reason| bad(place, reason));
        }
        if let Some(row) = TABLE.iter().find(|row| row.name == name) {
            let value = topic_value(name, value).map_err(|e| bad(place.clone(), e.to_string()))?;
            Arc::make_mut(&mut self.coordinators.given).insert(row.name);
            return (row.set)(&mut self.coordinators, &value).map_err(|reason| bad(place, reason));
        }
        let topics_name = settings::of_broker_name(name).unwrap_or(name);
        if !settings::names().any(|known| known == topics_name) {
            let hint = nearest::hint(name, names());
            return Err(ConfigError::Unknown { place, name: name.to_owned(), hint });
        }
        let value = topic_value(name, value).map_err(|e| bad(place.clone(), e.to_string()))?;
        let one = BTreeMap::from([(topics_name.to_owned(), value.clone())]);
        settings::check(&one).map_err(|e| bad(place, e.to_string()))?;
        self.topic_defaults.insert(topics_name.to_owned(), value);
        Ok(())
    }
}

/// The value of a topic setting as brokers write it: sizes and times with units (`64MiB`, `7d`) become whole numbers,
/// anything else stays.
pub fn topic_value(name: &str, text: &str) -> Result<String, units::BadUnit> {
    let text = text.trim();
    let with_unit = text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<i64>().is_err();
    match with_unit {
        true if name.ends_with(".ms") => units::time_ms(text).map(|ms| ms.to_string()),
        true if name.ends_with(".bytes") => units::size(text).map(|bytes| bytes.to_string()),
        _ => Ok(text.to_owned()),
    }
}

/// Every name that can be set.
fn names() -> impl Iterator<Item = &'static str> {
    let of_topics = settings::names();
    let by_brokers_name =
        settings::names().filter_map(|name| settings::broker_name(name).filter(|other| *other != name));
    let own = KEYS.iter().map(|key| key.name).chain(TABLE.iter().map(|row| row.name));
    own.chain(of_topics).chain(by_brokers_name)
}

/// Whose a variable is.
enum Ours {
    /// It stands for this setting.
    Setting(String),
    /// It begins like ours, and nothing of ours is spelled like it: an image's `ESKER_VERSION`, a script's `ESKER_BIN`.
    Perhaps,
    /// Somebody else's.
    No,
}

/// What a variable stands for. One that is a likely slip of the fingers is refused. Kubernetes puts `ESKER_SERVICE_HOST`,
/// `ESKER_PORT` and their like into every container beside a service that is named `esker`: those are not ours.
fn key_of_variable(name: &str) -> Result<Ours, ConfigError> {
    let kubernetes = ["ESKER_SERVICE_", "ESKER_PORT_"].iter().any(|prefix| name.starts_with(prefix));
    if !name.starts_with("ESKER_") || kubernetes || name == "ESKER_PORT" || OTHERS.contains(&name) {
        return Ok(Ours::No);
    }
    if let Some(key) = names().find(|key| variable(key) == name) {
        return Ok(Ours::Setting(key.to_owned()));
    }
    let known: Vec<String> = names().map(variable).collect();
    let hint = nearest::hint(name, known.iter().map(String::as_str));
    if hint.is_empty() {
        return Ok(Ours::Perhaps);
    }
    Err(ConfigError::Unknown { place: Place::Variable(name.to_owned()), name: name.to_owned(), hint })
}

/// The pairs of a settings file, tables joined with dots: `[wal] bytes = "4GiB"` and `wal.bytes = "4GiB"` are the same.
fn file_pairs(path: &Path, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let bad = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    let table: toml::Table = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
    let mut pairs = Vec::new();
    let mut open: Vec<(String, toml::Value)> = table.into_iter().collect();
    while let Some((name, value)) = open.pop() {
        match value {
            toml::Value::Table(inner) => open.extend(inner.into_iter().map(|(key, v)| (format!("{name}.{key}"), v))),
            toml::Value::Array(values) => {
                let texts: Option<Vec<String>> = values.into_iter().map(scalar).collect();
                let texts = texts.ok_or_else(|| bad(format!("{name}: expected a list of texts")))?;
                pairs.push((name, texts.join(" ")));
            }
            other => {
                let text =
                    scalar(other).ok_or_else(|| bad(format!("{name}: expected a text, a number or a boolean")))?;
                pairs.push((name, text));
            }
        }
    }
    pairs.sort();
    Ok(pairs)
}

fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
