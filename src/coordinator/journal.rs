//! What the coordinator needs of the log: a place for its changes, which count once they are durable; names of topics.
use std::sync::Arc;

use tokio::sync::oneshot;

use super::consumer::catalog::{Catalog, TopicShape};
use super::items::Changes;
use crate::base::Uuid;
use crate::log::{AppendError, Log, TopicInfo};

/// Why changes were not taken. Nothing of them was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Try again: the WAL is full, for example.
    #[error("{0}")]
    Busy(String),
    /// No more changes are taken: the log has ended.
    #[error("{0}")]
    Closed(String),
}

/// A log of changes.
pub trait Journal: Send + Sync + 'static {
    /// Hands over changes; the order of calls is the order of the log. The receiver resolves when a sync covered them, and
    /// fails if the log ends before. Never waits.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing was written.
    fn put(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError>;

    /// The same, for changes that may wait for a millisecond or two when many come, so that they share syncs.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn put_patiently(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError> {
        self.put(changes)
    }
}

impl From<AppendError> for JournalError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Storage(why) => Self::Busy(why),
            other => Self::Closed(other.to_string()),
        }
    }
}

impl Journal for Log {
    fn put(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError> {
        self.append_state(changes).map(Into::into).map_err(Into::into)
    }

    fn put_patiently(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError> {
        self.append_state_patiently(changes).map(Into::into).map_err(Into::into)
    }
}

/// The topics that there are.
pub trait Topics: Catalog + Send + Sync + 'static {
    /// A topic by id; `None` once it is deleted.
    fn topic(&self, id: Uuid) -> Option<Arc<TopicInfo>>;

    /// About how many records readers of a partition have before them at `offset`.
    fn records_from(&self, topic: &str, partition: i32, offset: i64) -> Option<i64>;
}

impl Topics for Log {
    fn topic(&self, id: Uuid) -> Option<Arc<TopicInfo>> {
        self.topic_by_id(id)
    }

    fn records_from(&self, topic: &str, partition: i32, offset: i64) -> Option<i64> {
        Some(self.partition(topic, partition)?.records_from(offset))
    }
}

impl Catalog for Log {
    fn version(&self) -> u64 {
        self.topics_version()
    }

    fn shape(&self, name: &str) -> Option<TopicShape> {
        Log::topic(self, name).map(|topic| shape(&topic))
    }

    fn name_of(&self, id: Uuid) -> Option<String> {
        self.topic_by_id(id).map(|topic| topic.name.clone())
    }

    fn shapes(&self) -> Vec<TopicShape> {
        self.topics().iter().map(|topic| shape(topic)).collect()
    }
}

fn shape(topic: &TopicInfo) -> TopicShape {
    TopicShape { name: topic.name.clone(), id: topic.id, partitions: topic.partitions }
}
