//! The broker's defaults of topic settings, in layers: what its flags, variables and file say, and above that what was changed
//! while it runs, for the whole cluster and, above that, for this broker.
//!
//! What was changed is kept by Kafka's names of a broker's settings, also those that are not about topics: they are the
//! coordinators'. Each layer is one item of state, of which the last value wins:
//!
//! | key | value |
//! |---|---|
//! | `broker-settings/` | texts by name, for the cluster |
//! | `broker-settings/<broker id>` | the same, for one broker |
use std::collections::BTreeMap;
use std::sync::Arc;

use super::settings::{self, Values};
use super::state::Changes;
use crate::base::Json;

/// For whom a setting of the broker is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All brokers.
    Cluster,
    /// This one; it wins.
    Broker,
}

/// Settings of the broker that were changed while it runs, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The cluster's.
    pub cluster: Values,
    /// This broker's.
    pub broker: Values,
}

impl Changed {
    /// As they were stored; the error names an item that cannot be read.
    pub(super) fn recover(items: &BTreeMap<String, Json>, broker_id: i32) -> Result<Self, String> {
        let layer = |scope| {
            let key = key(scope, broker_id);
            let values = items.get(&key).map(|value| value.read().map_err(|e| format!("the state item '{key}': {e}")));
            values.unwrap_or_else(|| Ok(Values::new()))
        };
        Ok(Self { cluster: layer(Scope::Cluster)?, broker: layer(Scope::Broker)? })
    }

    /// How one layer is stored.
    pub(super) fn stored(&self, scope: Scope, broker_id: i32) -> Changes {
        let values = self.of(scope);
        vec![(key(scope, broker_id), (!values.is_empty()).then(|| Json::of(values)))]
    }

    /// One layer.
    pub fn of(&self, scope: Scope) -> &Values {
        match scope {
            Scope::Cluster => &self.cluster,
            Scope::Broker => &self.broker,
        }
    }

    /// One layer, to change it.
    pub fn of_mut(&mut self, scope: Scope) -> &mut Values {
        match scope {
            Scope::Cluster => &mut self.cluster,
            Scope::Broker => &mut self.broker,
        }
    }

    /// What was set, if anything was.
    pub fn get(&self, name: &str) -> Option<&String> {
        self.broker.get(name).or_else(|| self.cluster.get(name))
    }
}

fn key(scope: Scope, broker_id: i32) -> String {
    match scope {
        Scope::Cluster => "broker-settings/".to_owned(),
        Scope::Broker => format!("broker-settings/{broker_id}"),
    }
}

/// The broker's defaults of topic settings.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    file: Arc<Values>,
    changed: Changed,
    in_force: Values,
}

impl Defaults {
    /// What holds when `changed` stands above the file's values, which have the names that topics give them.
    pub fn new(file: Values, changed: Changed) -> Self {
        Self { file: Arc::new(file), ..Self::default() }.with(changed)
    }

    /// The same file's values, with other changes. A value that does not fit counts as if it were not there: it was stored by
    /// a version that took it.
    pub fn with(&self, changed: Changed) -> Self {
        let mut in_force = Values::clone(&self.file);
        for (topics, value) in
            settings::names().filter_map(|name| Some((name, changed.get(settings::broker_name(name)?)?)))
        {
            match settings::check_one(topics, value) {
                Ok(()) => drop(in_force.insert(topics.to_owned(), value.clone())),
                Err(why) => tracing::warn!(setting = topics, value, why, "a stored setting of the broker is ignored"),
            }
        }
        Self { file: self.file.clone(), changed, in_force }
    }

    /// The value of a topic setting, by the name that topics give it.
    pub fn get(&self, name: &str) -> Option<&String> {
        self.in_force.get(name)
    }

    /// All that are set.
    pub fn in_force(&self) -> &Values {
        &self.in_force
    }

    /// What the file says, by the names that topics give them.
    pub fn file(&self) -> &Values {
        &self.file
    }

    /// What was changed since.
    pub fn changed(&self) -> &Changed {
        &self.changed
    }
}

#[cfg(test)]
mod tests;
