//! State: R, the position of the WAL below which every record of every partition is sealed and committed, and what the
//! coordinator knows as of R.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::CommitError;
use crate::base::Uuid;

/// A position of a WAL: every group below `group` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WalPosition {
    /// Which WAL.
    pub wal_id: Uuid,
    /// Number of the first group that is not covered.
    pub group: u64,
}

/// A partition as of R.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PartitionEnd {
    /// Log end at R.
    pub log_end: i64,
    /// Number of the manifest version that was the head.
    pub manifest: u64,
}

/// Opaque bodies by key, for example `group/<id>`: the coordinator's.
pub type Items = BTreeMap<String, serde_json::Value>;

/// What a version says.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// R.
    pub r: WalPosition,
    /// When the version was made, ms since 1970.
    pub written_ms: i64,
    /// Every partition as of R.
    pub partitions: BTreeMap<(Uuid, i32), PartitionEnd>,
    /// The coordinator's items as of R.
    pub items: Items,
}

/// The state chain of an owned bucket; cheap to clone.
#[derive(Clone, Debug)]
pub struct StateChain {}

impl StateChain {
    /// The newest version; none before the first start ended.
    pub fn head(&self) -> Arc<State> {
        unimplemented!()
    }

    /// Moves R forward: `fold` applies the state frames between the old R and the new one to the items.
    pub async fn commit(
        &self,
        r: WalPosition,
        partitions: BTreeMap<(Uuid, i32), PartitionEnd>,
        fold: impl Fn(&mut Items),
    ) -> Result<Arc<State>, CommitError> {
        let _ = (r, partitions, fold);
        unimplemented!()
    }
}
