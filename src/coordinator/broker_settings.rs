//! Settings of the broker: all of them described, and those changed that can be while it runs.
//!
//! Three kinds: defaults of topics, which the log has; what groups and transactions keep to, the table here; and those that
//! only a start changes, which are named to us. What was changed while the broker runs stands above the values of its start,
//! first the cluster's, above it the broker's own. It is an item of state of the log, and in force when it is durable.
use std::sync::Arc;

use super::consumer::Rules;
use super::consumer::assignor::Assignor;
use super::options::{Live, Options};
use crate::log::settings::{self, Values};
use crate::log::{Changed, Log, Scope, SettingKind, TopicError};

mod table;

pub use table::{Row, TABLE};

/// A setting that only a start changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedSetting {
    /// Its name.
    pub name: &'static str,
    /// What sort of value it is.
    pub kind: SettingKind,
    /// The value, if it has one.
    pub value: Option<String>,
    /// What it is when nobody says anything.
    pub default: Option<String>,
    /// What it does.
    pub doc: &'static str,
}

/// A setting of the broker as it is in force, with where it comes from: the first of its layers that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSetting {
    /// Its name.
    pub name: &'static str,
    /// What sort of value it is.
    pub kind: SettingKind,
    /// Whether it can be changed while the broker runs.
    pub dynamic: bool,
    /// This broker's, changed while it runs.
    pub broker: Option<String>,
    /// The cluster's, changed while it runs.
    pub cluster: Option<String>,
    /// Of flags, variables or the file.
    pub file: Option<String>,
    /// What it is when nobody says anything.
    pub default: Option<String>,
    /// What it does, with its unit.
    pub doc: &'static str,
}

impl BrokerSetting {
    /// The value that counts.
    pub fn value(&self) -> Option<&String> {
        [&self.broker, &self.cluster, &self.file, &self.default].into_iter().find_map(Option::as_ref)
    }
}

/// Why a setting of the broker is not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// Only a start changes them.
    #[error("Cannot update these configs dynamically: [{0}]; they are the broker's flags, variables and esker.toml")]
    Fixed(String),
    /// Nobody knows the name.
    #[error("there is no setting '{name}' of a broker{hint}")]
    Unknown {
        /// What was written.
        name: String,
        /// What may have been meant, or nothing.
        hint: String,
    },
    /// The value does not fit.
    #[error("Invalid value {value} for configuration {name}: {why}")]
    Value {
        /// The setting.
        name: String,
        /// What was written.
        value: String,
        /// What would be right.
        why: String,
    },
    /// Settings that do not fit together.
    #[error("{0}")]
    Together(String),
    /// A change that cannot be made to the setting.
    #[error("{0}")]
    Change(String),
    /// Topics do not fit it, or it cannot be stored.
    #[error(transparent)]
    Log(#[from] TopicError),
}

/// The broker's settings; cheap to clone.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    log: Log,
    /// As of the start.
    file: Arc<Options>,
    live: Live,
}

impl BrokerSettings {
    /// The settings of a broker whose log was just opened: those of its start, and above them what was changed since. A stored
    /// one that is not known any more, or does not fit, is named and ignored.
    pub fn of(log: &Log, options: Options) -> Self {
        let changed = log.defaults();
        let changed = changed.changed();
        for (name, value) in changed.cluster.iter().chain(&changed.broker) {
            if let Err(why) = check_one(&options, name, value) {
                tracing::warn!(setting = name, value, %why, "a stored setting of the broker is ignored");
            }
        }
        let now = with(&options, changed);
        let live = Live::from(now.check().map_or_else(
            |why| {
                tracing::warn!(why, "stored settings of groups are ignored");
                options.clone()
            },
            |()| now.clone(),
        ));
        Self { log: log.clone(), file: Arc::new(options), live }
    }

    /// What is in force of those that groups and transactions keep to.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Every setting, by name.
    pub fn describe(&self) -> Vec<BrokerSetting> {
        let defaults = self.log.defaults();
        let changed = defaults.changed();
        let at_start = |name, value: Option<String>, default: &Option<String>| {
            value.filter(|value| self.file.given.contains(name) || Some(value) != default.as_ref())
        };
        let fixed = self.file.fixed.iter().map(|one| BrokerSetting {
            name: one.name,
            kind: one.kind,
            dynamic: false,
            broker: None,
            cluster: None,
            file: at_start(one.name, one.value.clone(), &one.default),
            default: one.default.clone(),
            doc: one.doc,
        });
        let of_topics = self.log.default_settings().into_iter().filter_map(|one| {
            let (kind, doc, default) = (one.kind, one.doc, Some(one.default));
            let (broker, cluster, file) = (one.broker, one.cluster, one.file);
            Some(BrokerSetting { name: one.broker_name?, kind, dynamic: true, broker, cluster, file, default, doc })
        });
        let together = with(&self.file, changed).check().is_ok();
        let own = TABLE.iter().map(|row| {
            let fits = |value: &&String| together && (row.set)(&mut Options::default(), value).is_ok();
            let default = Some(row.default());
            BrokerSetting {
                name: row.name,
                kind: row.kind,
                dynamic: true,
                broker: changed.broker.get(row.name).filter(fits).cloned(),
                cluster: changed.cluster.get(row.name).filter(fits).cloned(),
                file: at_start(row.name, Some((row.show)(&self.file)), &default),
                default,
                doc: row.doc,
            }
        });
        let mut all: Vec<BrokerSetting> = fixed.chain(of_topics).chain(own).collect();
        all.sort_by_key(|one| one.name);
        all
    }

    /// One of them.
    pub fn one(&self, name: &str) -> Option<BrokerSetting> {
        self.describe().into_iter().find(|one| one.name == name)
    }

    /// Changes settings, or only says whether they could be; answered when they are durable and in force.
    ///
    /// # Errors
    /// [`SettingError`], and what `change` returns; then nothing has changed.
    pub async fn alter(
        &self,
        scope: Scope,
        validate_only: bool,
        change: impl FnOnce(&mut Values) -> Result<(), SettingError>,
    ) -> Result<(), SettingError> {
        let decide = |changed: &mut Changed| {
            let before = changed.of(scope).clone();
            change(changed.of_mut(scope))?;
            let new: Vec<_> =
                changed.of(scope).iter().filter(|(name, value)| before.get(*name) != Some(*value)).collect();
            check(&self.file, &new)?;
            let options = with(&self.file, changed);
            options.check().map_err(SettingError::Together)?;
            let live = self.live.clone();
            Ok(move || live.set(options))
        };
        self.log.change_settings(scope, validate_only, decide).await
    }
}

/// What changes make of the options of the start. What does not fit counts as if it were not there.
fn with(file: &Options, changed: &Changed) -> Options {
    let mut options = file.clone();
    for row in TABLE {
        for value in [&changed.cluster, &changed.broker].into_iter().filter_map(|layer| layer.get(row.name)) {
            let _ = (row.set)(&mut options, value);
        }
    }
    options
}

fn check(file: &Options, new: &[(&String, &String)]) -> Result<(), SettingError> {
    let is_fixed = |name: &str| file.fixed.iter().any(|one| one.name == name);
    let fixed: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).filter(|name| is_fixed(name)).collect();
    if !fixed.is_empty() {
        return Err(SettingError::Fixed(fixed.join(", ")));
    }
    new.iter().try_for_each(|(name, value)| check_one(file, name, value))
}

/// Whether a setting can have a value while the broker runs.
fn check_one(file: &Options, name: &str, value: &str) -> Result<(), SettingError> {
    let fits = match TABLE.iter().find(|row| row.name == name) {
        Some(row) => (row.set)(&mut file.clone(), value),
        None => match settings::of_broker_name(name) {
            Some(of_topics) => settings::check_one(of_topics, value),
            None if file.fixed.iter().any(|one| one.name == name) => return Err(SettingError::Fixed(name.to_owned())),
            None => return Err(unknown(name)),
        },
    };
    fits.map_err(|why| SettingError::Value { name: name.to_owned(), value: value.to_owned(), why })
}

fn unknown(name: &str) -> SettingError {
    let hint = match settings::broker_name(name) {
        Some(brokers) => format!("; its default of the topic setting {name} is {brokers}"),
        None if settings::names().any(|known| known == name) => "; only topics have it".to_owned(),
        None => String::new(),
    };
    SettingError::Unknown { name: name.to_owned(), hint }
}

#[cfg(test)]
mod tests;
