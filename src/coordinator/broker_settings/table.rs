//! What groups and transactions keep to: names, sorts, bounds and meanings. All of it can change while the broker runs.
use std::sync::Arc;

use super::{Assignor, Options, Rules};
use crate::log::SettingKind::{self, Int, List, Long, Text};

/// One setting.
pub struct Row {
    /// Its name, Kafka's where Kafka has it.
    pub name: &'static str,
    /// What sort of value it is.
    pub kind: SettingKind,
    /// What it does, with its unit.
    pub doc: &'static str,
    /// Reads a text; the error says what would be right.
    pub set: fn(&mut Options, &str) -> Result<(), String>,
    /// The text of its value.
    pub show: fn(&Options) -> String,
}

impl Row {
    /// What holds when nobody says anything.
    pub fn default(&self) -> String {
        (self.show)(&Options::default())
    }
}

/// A whole number within bounds; `$field` finds where it is kept.
macro_rules! number {
    ($name:literal, $kind:ident, $least:literal..=$most:expr, |$options:ident| $field:expr, |$shown:ident| $value:expr, $doc:literal) => {
        Row {
            name: $name,
            kind: $kind,
            doc: $doc,
            set: |$options, text| whole(text, $least, i64::from($most)).and_then(|number| put($field, number)),
            show: |$shown| $value.to_string(),
        }
    };
    ($name:literal, $kind:ident, $least:literal..=$most:expr, $first:ident.$second:ident, $doc:literal) => {
        number!($name, $kind, $least..=$most, |o| &mut o.$first.$second, |o| o.$first.$second, $doc)
    };
    ($name:literal, $kind:ident, $least:literal..=$most:expr, $first:ident.$second:ident.$third:ident, $doc:literal) => {
        number!($name, $kind, $least..=$most, |o| &mut o.$first.$second.$third, |o| o.$first.$second.$third, $doc)
    };
    ($name:literal, $kind:ident, $least:literal..=$most:expr, consumers($third:ident), $doc:literal) => {
        number!($name, $kind, $least..=$most, |o| &mut consumers(o).$third, |o| o.groups.consumers.$third, $doc)
    };
}

const MAX: i32 = i32::MAX;

/// Every one of them, in the order of the help.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    number!("group.min.session.timeout.ms", Int, 1..=MAX, groups.min_session_timeout_ms, "the shortest session time-out that a member of a classic group may ask for, in milliseconds"),
    number!("group.max.session.timeout.ms", Int, 1..=MAX, groups.max_session_timeout_ms, "the longest session time-out that a member of a classic group may ask for, in milliseconds"),
    number!("group.initial.rebalance.delay.ms", Int, 0..=MAX, groups.initial_rebalance_delay_ms, "how long the first rebalance of an empty classic group waits for more members, in milliseconds"),
    number!("group.max.size", Int, 1..=MAX, groups.max_size, "members of one classic group"),
    number!("group.consumer.assignment.interval.ms", Int, 0..=15_000, groups.assignment_interval_ms, "accepted for Kafka's tools; partitions are assigned anew with the next heartbeat after a change"),
    number!("group.consumer.heartbeat.interval.ms", Int, 1..=MAX, consumers(heartbeat_ms), "how often members of the consumer protocol say that they are alive, in milliseconds"),
    number!("group.consumer.session.timeout.ms", Int, 1..=MAX, consumers(session_ms), "a member of the consumer protocol that says nothing for so long, in milliseconds, is gone"),
    number!("group.consumer.min.session.timeout.ms", Int, 1..=MAX, groups.session_bounds.least, "the least that a group may have for its own consumer.session.timeout.ms"),
    number!("group.consumer.max.session.timeout.ms", Int, 1..=MAX, groups.session_bounds.most, "the most that a group may have for its own consumer.session.timeout.ms"),
    number!("group.consumer.min.heartbeat.interval.ms", Int, 1..=MAX, groups.heartbeat_bounds.least, "the least that a group may have for its own consumer.heartbeat.interval.ms"),
    number!("group.consumer.max.heartbeat.interval.ms", Int, 1..=MAX, groups.heartbeat_bounds.most, "the most that a group may have for its own consumer.heartbeat.interval.ms"),
    number!("group.consumer.max.size", Int, 1..=MAX, consumers(max_size), "members of one group of the consumer protocol"),
    Row { name: "group.consumer.assignors", kind: List, doc: "ways of assigning that members of the consumer protocol may choose; the first one is the default", set: set_assignors, show: show_assignors },
    Row { name: "group.consumer.migration.policy", kind: Text, doc: "whether groups go from one protocol to the other with their members: upgrade, downgrade, bidirectional or disabled", set: set_migration, show: show_migration },
    number!("esker.groups.max", Int, 1..=10_000_000, groups.max_groups, "groups of this broker, those that only commit offsets too"),
    number!("offset.metadata.max.bytes", Int, 1..=1_048_576, groups.metadata_max_bytes, "length of what a client may remember with an offset"),
    number!("offsets.retention.minutes", Int, 1..=MAX, groups.retention_minutes, "for how long offsets are kept that nobody uses: the group has no members, or none that reads the topic"),
    number!("offsets.retention.check.interval.ms", Long, 1..=MAX, groups.retention_check_ms, "how often it is looked for offsets and groups that nobody uses, in milliseconds"),
    number!("transaction.max.timeout.ms", Int, 1..=MAX, transactions.max_timeout_ms, "the longest time, in milliseconds, for which a producer may ask to leave a transaction open"),
    number!("transactional.id.expiration.ms", Int, 1..=MAX, transactions.expiration_ms, "for how long a transactional id is kept that nobody uses, in milliseconds"),
    number!("esker.transactional.ids.max", Int, 1..=10_000_000, transactions.max_ids, "transactional ids of this broker"),
];

fn whole(text: &str, least: i64, most: i64) -> Result<i64, String> {
    let number = text.trim().parse::<i64>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

fn put<T: TryFrom<i64>>(field: &mut T, number: i64) -> Result<(), String> {
    *field = T::try_from(number).map_err(|_| format!("{number} is too large"))?;
    Ok(())
}

fn consumers(options: &mut Options) -> &mut Rules {
    Arc::make_mut(&mut options.groups.consumers)
}

fn set_assignors(options: &mut Options, text: &str) -> Result<(), String> {
    let assignor = |name: &str| Assignor::named(name.trim()).ok_or_else(|| format!("there is no assignor '{name}'"));
    consumers(options).assignors = text.split(',').map(assignor).collect::<Result<_, _>>()?;
    Ok(())
}

fn show_assignors(options: &Options) -> String {
    let names: Vec<&str> = options.groups.consumers.assignors.iter().map(|assignor| assignor.name()).collect();
    names.join(",")
}

/// Names of the policies, with whether groups are taken over by the consumer protocol, and back.
const MIGRATIONS: [(&str, (bool, bool)); 4] = [
    ("bidirectional", (true, true)),
    ("upgrade", (true, false)),
    ("downgrade", (false, true)),
    ("disabled", (false, false)),
];

fn set_migration(options: &mut Options, text: &str) -> Result<(), String> {
    let found = MIGRATIONS.iter().find(|(name, _)| *name == text);
    let (_, (over, back)) = found.ok_or("expected upgrade, downgrade, bidirectional or disabled")?;
    consumers(options).takes_over = *over;
    options.groups.takes_back = *back;
    Ok(())
}

fn show_migration(options: &Options) -> String {
    let both = (options.groups.consumers.takes_over, options.groups.takes_back);
    MIGRATIONS.iter().find(|(_, policy)| *policy == both).map_or_else(String::new, |(name, _)| (*name).to_owned())
}
