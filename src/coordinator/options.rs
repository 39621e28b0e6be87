//! What the operator may choose about groups and transactions, with Kafka's names and defaults, also while the broker runs.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::broker_settings::FixedSetting;
use super::classic::Rules;
use super::consumer;
use super::consumer::assignor::Assignor;
use super::settings::Bounds;
use super::transactions::TransactionOptions;
use crate::base::Current;

/// Settings of both coordinators.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Of groups and their offsets.
    pub groups: GroupOptions,
    /// Of transactions.
    pub transactions: TransactionOptions,
    /// The broker's settings that only a start changes, for describing them.
    pub fixed: Arc<[FixedSetting]>,
    /// Names of settings that the start was given, also those of which the value is the default.
    pub given: Arc<BTreeSet<&'static str>>,
}

impl Options {
    /// Whether they fit together; the error names those that do not.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let GroupOptions { session_bounds, heartbeat_bounds, .. } = self.groups;
        let classic = Bounds { least: self.groups.min_session_timeout_ms, most: self.groups.max_session_timeout_ms };
        let pairs = [
            ("group", "session.timeout.ms", classic),
            ("group.consumer", "session.timeout.ms", session_bounds),
            ("group.consumer", "heartbeat.interval.ms", heartbeat_bounds),
        ];
        match pairs.into_iter().find(|(.., Bounds { least, most })| least > most) {
            Some((of, name, Bounds { least, most })) => {
                Err(format!("{of}.min.{name}={least} is more than {of}.max.{name}={most}"))
            }
            None => Ok(()),
        }
    }
}

/// The settings in force: whoever uses one looks here each time, so that a change counts from its next use.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Current<Options>>);

impl Live {
    /// All of them as they are now.
    pub fn get(&self) -> Arc<Options> {
        self.0.get()
    }

    /// Puts others in force.
    pub(super) fn set(&self, options: Options) {
        self.0.set(options);
    }
}

impl From<Options> for Live {
    fn from(options: Options) -> Self {
        Self(Arc::new(Current::new(options)))
    }
}

impl From<GroupOptions> for Live {
    fn from(groups: GroupOptions) -> Self {
        Options { groups, ..Options::default() }.into()
    }
}

impl From<TransactionOptions> for Live {
    fn from(transactions: TransactionOptions) -> Self {
        Options { transactions, ..Options::default() }.into()
    }
}

/// Settings of the coordinator of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOptions {
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of one group.
    pub max_size: usize,
    /// `offset.metadata.max.bytes`.
    pub metadata_max_bytes: usize,
    /// `offsets.retention.minutes`.
    pub retention_minutes: i32,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_ms: i64,
    /// Groups of one broker.
    pub max_groups: usize,
    /// Bytes of what the members of one group say of themselves, with their assignments.
    pub max_group_bytes: usize,
    /// `group.consumer.migration.policy`, one half: groups of the consumer protocol without such members become classic.
    /// The other half is with the `consumers`.
    pub takes_back: bool,
    /// `group.consumer.min.session.timeout.ms` and the most: what a group's own setting may be.
    pub session_bounds: Bounds,
    /// `group.consumer.min.heartbeat.interval.ms` and the most.
    pub heartbeat_bounds: Bounds,
    /// `group.consumer.assignment.interval.ms`.
    pub assignment_interval_ms: i32,
    /// `group.consumer.*`: groups of the consumer protocol.
    pub consumers: Arc<consumer::Rules>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 30 * 60 * 1000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            metadata_max_bytes: 4096,
            retention_minutes: 7 * 24 * 60,
            retention_check_ms: 10 * 60 * 1000,
            max_groups: 50_000,
            max_group_bytes: 4 << 20,
            takes_back: true,
            session_bounds: Bounds { least: 45_000, most: 60_000 },
            heartbeat_bounds: Bounds { least: 5_000, most: 15_000 },
            assignment_interval_ms: 1_000,
            consumers: Arc::new(consumer::Rules {
                heartbeat_ms: 5_000,
                session_ms: 45_000,
                max_size: i32::MAX as usize,
                assignors: Assignor::ALL.to_vec(),
                max_bytes: 4 << 20,
                takes_over: true,
            }),
        }
    }
}

impl GroupOptions {
    /// What the state machines need of it.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            initial_delay_ms: i64::from(self.initial_rebalance_delay_ms),
            max_size: self.max_size,
            max_bytes: self.max_group_bytes,
            takes_back: self.takes_back,
        }
    }

    /// How often it is looked for what has expired.
    pub(super) fn clean_every(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.retention_check_ms).unwrap_or(u64::MAX))
    }

    /// How long unused offsets are kept.
    pub(super) fn retention_ms(&self) -> i64 {
        i64::from(self.retention_minutes) * 60_000
    }
}
