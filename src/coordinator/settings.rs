//! Settings of single groups (`ConfigResource` of type GROUP): what a group of the consumer protocol does another way than
//! the broker says. A group need not be there to have some, and they stay when it goes.
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::consumer::Rules;
use super::error::GroupError;
use super::options::{GroupOptions, Live};

/// Settings of one group, by name.
pub type Values = BTreeMap<String, String>;

/// Between which values a group's setting may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub least: i32,
    /// The most.
    pub most: i32,
}

/// A setting of a group: its own value if it has one, and by which name the broker has one for those that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSetting {
    /// Its name.
    pub name: &'static str,
    /// What the broker calls it.
    pub broker_name: &'static str,
    /// What it does, with its unit.
    pub doc: &'static str,
    /// What the broker says, in force now.
    pub broker: i32,
    /// The group's own, if it has one.
    pub own: Option<i32>,
}

impl GroupSetting {
    /// The value that counts.
    pub fn value(&self) -> i32 {
        self.own.unwrap_or(self.broker)
    }
}

struct Row {
    name: &'static str,
    broker_name: &'static str,
    doc: &'static str,
}

const SESSION: &str = "consumer.session.timeout.ms";
const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
const ASSIGNMENT: &str = "consumer.assignment.interval.ms";

const TABLE: [Row; 3] = [
    Row {
        name: ASSIGNMENT,
        broker_name: "group.consumer.assignment.interval.ms",
        doc: "Accepted for Kafka's tools; partitions are assigned anew with the next heartbeat after a change.",
    },
    Row {
        name: HEARTBEAT,
        broker_name: "group.consumer.heartbeat.interval.ms",
        doc: "How often members say that they are alive, in milliseconds.",
    },
    Row {
        name: SESSION,
        broker_name: "group.consumer.session.timeout.ms",
        doc: "A member that says nothing for so long is gone, in milliseconds.",
    },
];

/// What Kafka lets `consumer.assignment.interval.ms` be.
const ASSIGNMENT_BOUNDS: Bounds = Bounds { least: 0, most: 15_000 };

/// The settings of all groups.
pub struct GroupSettings {
    /// What the broker says: the rules of groups that say nothing, the bounds of those that do, how many may.
    live: Live,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// As of the last change, which may not be durable yet.
    latest: BTreeMap<String, Values>,
    /// As of what is durable.
    in_force: HashMap<String, Values>,
}

impl GroupSettings {
    /// No group has any.
    pub fn new(live: Live) -> Self {
        Self { live, state: RwLock::default() }
    }

    /// The settings of a group as they were recovered.
    pub fn restore(&self, group: &str, values: Values) {
        self.write().latest.insert(group.to_owned(), values.clone());
        self.put_in_force(group, values);
    }

    /// They are durable.
    pub fn put_in_force(&self, group: &str, values: Values) {
        let mut state = self.write();
        match values.is_empty() {
            true => drop(state.in_force.remove(group)),
            false => drop(state.in_force.insert(group.to_owned(), values)),
        }
    }

    /// What counts for a group.
    pub fn rules_of(&self, group: &str) -> Arc<Rules> {
        let options = &self.live.get().groups;
        match self.read().in_force.get(group) {
            None => options.consumers.clone(),
            Some(values) => Arc::new(rules_with(options, values)),
        }
    }

    /// The groups that have some.
    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self.read().in_force.keys().cloned().collect();
        groups.sort();
        groups
    }

    /// All settings of a group.
    pub fn describe(&self, group: &str) -> Vec<GroupSetting> {
        let state = self.read();
        let own = state.in_force.get(group);
        let options = &self.live.get().groups;
        let describe = |row: &Row| GroupSetting {
            name: row.name,
            broker_name: row.broker_name,
            doc: row.doc,
            broker: broker_value(options, row),
            own: own.and_then(|values| values.get(row.name)?.parse().ok()),
        };
        TABLE.iter().map(describe).collect()
    }

    /// Changes the settings of a group. `put` makes them durable; nothing has changed if it refuses, or only looks at them.
    ///
    /// # Errors
    /// [`GroupError::InvalidSetting`], [`GroupError::TooManyGroups`], and what `change` and `put` return.
    pub fn alter<T>(
        &self,
        group: &str,
        change: impl FnOnce(&mut Values) -> Result<(), GroupError>,
        put: impl FnOnce(&Values) -> Result<Option<T>, GroupError>,
    ) -> Result<Option<T>, GroupError> {
        let mut state = self.write();
        let mut values = state.latest.get(group).cloned().unwrap_or_default();
        change(&mut values)?;
        self.check(&values)?;
        let most = self.live.get().groups.max_groups;
        if !state.latest.contains_key(group) && state.latest.len() >= most {
            return Err(GroupError::TooManyGroups(most));
        }
        let done = put(&values)?;
        match values.is_empty() {
            _ if done.is_none() => {}
            true => drop(state.latest.remove(group)),
            false => drop(state.latest.insert(group.to_owned(), values)),
        }
        Ok(done)
    }

    /// Checks names and values; the error says which, and what would be right.
    ///
    /// # Errors
    /// [`GroupError::InvalidSetting`].
    pub fn check(&self, values: &Values) -> Result<(), GroupError> {
        let refuse = |why: String| Err(GroupError::InvalidSetting(why));
        let options = &self.live.get().groups;
        for (name, text) in values {
            let Some(row) = TABLE.iter().find(|row| row.name == name) else { return refuse(unknown(name)) };
            let Bounds { least, most } = bounds(options, row);
            if !text.trim().parse::<i32>().is_ok_and(|value| (least..=most).contains(&value)) {
                return refuse(format!("{name}={text}: expected a whole number from {least} to {most}"));
            }
        }
        let rules = rules_with(options, values);
        if !values.is_empty() && rules.session_ms <= i64::from(rules.heartbeat_ms) {
            return refuse(format!("{SESSION} must be greater than {HEARTBEAT}"));
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounds(options: &GroupOptions, row: &Row) -> Bounds {
    match row.name {
        SESSION => options.session_bounds,
        HEARTBEAT => options.heartbeat_bounds,
        _ => ASSIGNMENT_BOUNDS,
    }
}

fn broker_value(options: &GroupOptions, row: &Row) -> i32 {
    match row.name {
        SESSION => i32::try_from(options.consumers.session_ms).unwrap_or(i32::MAX),
        HEARTBEAT => options.consumers.heartbeat_ms,
        _ => options.assignment_interval_ms,
    }
}

/// The rules with a group's own values, of which the broker may have narrowed the bounds since.
fn rules_with(options: &GroupOptions, values: &Values) -> Rules {
    let mut rules = Rules::clone(&options.consumers);
    let own = |name: &str, Bounds { least, most }: Bounds| {
        Some(values.get(name)?.trim().parse::<i32>().ok()?.max(least).min(most))
    };
    if let Some(ms) = own(SESSION, options.session_bounds) {
        rules.session_ms = i64::from(ms);
    }
    if let Some(ms) = own(HEARTBEAT, options.heartbeat_bounds) {
        rules.heartbeat_ms = ms;
    }
    rules
}

fn unknown(name: &str) -> String {
    for kind in ["share", "streams"] {
        if name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.')) {
            return format!("'{name}' is a setting of {kind} groups, which are not here");
        }
    }
    let known: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
    format!("there is no group setting '{name}'; there are {}", known.join(", "))
}

#[cfg(test)]
mod tests;
