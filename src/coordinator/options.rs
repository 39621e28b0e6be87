//! What the operator may choose about groups, with Kafka's names and defaults.
use super::classic::Rules;
use super::consumer;
use super::consumer::assignor::Assignor;
use super::settings::{Bounds, GroupSettings};

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
    /// `group.consumer.*`: groups of the consumer protocol.
    pub consumers: consumer::Rules,
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
            consumers: consumer::Rules {
                heartbeat_ms: 5_000,
                session_ms: 45_000,
                max_size: i32::MAX as usize,
                assignors: Assignor::ALL.to_vec(),
                max_bytes: 4 << 20,
                takes_over: true,
            },
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

    /// The settings of single groups, of which there are none yet.
    pub(super) fn settings(&self) -> GroupSettings {
        GroupSettings::new(self.consumers.clone(), self.session_bounds, self.heartbeat_bounds, self.max_groups)
    }

    /// How long unused offsets are kept.
    pub(super) fn retention_ms(&self) -> i64 {
        i64::from(self.retention_minutes) * 60_000
    }
}
