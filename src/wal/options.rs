//! Settings of the WAL.
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What an acknowledgement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// A sync that covered the group: survives a power cut.
    #[default]
    Fsync,
    /// The write: survives the end of the process, not of the machine.
    Os,
}

/// Settings of the WAL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalOptions {
    /// The directory of the WAL files. It is made if it is missing.
    pub dir: PathBuf,
    /// Bytes of disk that the WAL may use. Default: a quarter of the free disk at the first start, at least 1 GiB, at
    /// most 64 GiB; then what the WAL began with. Minimum: four files.
    pub budget_bytes: Option<u64>,
    /// Bytes of one WAL file, a multiple of 4 KiB. Default: 64 MiB. Minimum: 64 KiB.
    pub file_bytes: u64,
    /// Bytes at which a group is closed, also when more appends wait. One larger frame still goes whole.
    /// Default: 4 MiB. Minimum: 4 KiB. Maximum: half of `file_bytes`.
    pub group_max_bytes: u64,
    /// What an acknowledgement waits for. Default: `fsync`.
    pub durability: Durability,
    /// Bytes of the newest groups that are kept in memory for tail readers. Default: 64 MiB. Minimum: 0.
    pub tail_bytes: u64,
    /// Milliseconds after which a group that nothing follows gets an empty successor. Default: 1000. Minimum: 1.
    pub successor_ms: u64,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("esker-data/wal"),
            budget_bytes: None,
            file_bytes: 64 << 20,
            group_max_bytes: 4 << 20,
            durability: Durability::Fsync,
            tail_bytes: 64 << 20,
            successor_ms: 1000,
        }
    }
}
