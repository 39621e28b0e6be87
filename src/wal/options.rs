//! Settings of the WAL.
use std::path::PathBuf;

use super::WalError;
use super::buffer::BLOCK;
use super::fs::DiskSpace;

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

const GIB: u64 = 1 << 30;
const FILE_BYTES_MIN: u64 = 64 << 10;
/// A group's length is 32 bits wide.
const FILE_BYTES_MAX: u64 = 2 * GIB;
/// One being written, one spare, one being sealed, one in reserve.
const FILES_MIN: u64 = 4;

impl WalOptions {
    /// Refuses settings that cannot work.
    pub(crate) fn check(&self) -> Result<(), WalError> {
        let block = BLOCK as u64;
        let refuse = |text: String| Err(WalError::Options(text));
        if !(FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&self.file_bytes) || !self.file_bytes.is_multiple_of(block) {
            let range = format!("{FILE_BYTES_MIN} to {FILE_BYTES_MAX}");
            return refuse(format!("wal.file.bytes is {}: it must be a multiple of 4096, {range}", self.file_bytes));
        }
        if !(block..=self.file_bytes / 2).contains(&self.group_max_bytes) {
            let max = self.file_bytes / 2;
            return refuse(format!("wal.group.max.bytes is {}: it must be 4096 to {max}", self.group_max_bytes));
        }
        if self.successor_ms == 0 {
            return refuse("wal.successor.ms is 0: it must be at least 1".into());
        }
        Ok(())
    }

    /// The budget in bytes: as set, or as this WAL remembers it, or (where it begins) by the free disk.
    pub(crate) fn budget(&self, remembered: Option<u64>, disk: DiskSpace) -> Result<u64, WalError> {
        let min = FILES_MIN * self.file_bytes;
        // A WAL that exists counts in what is not free: then only what no disk of this size can hold is refused.
        let room = if remembered.is_some() { disk.total } else { disk.free };
        let budget = match (self.budget_bytes, remembered) {
            (Some(set), _) => set,
            (None, Some(remembered)) => remembered.max(min),
            (None, None) => (disk.free / 4).clamp(GIB, 64 * GIB).max(min),
        };
        if budget < min {
            let file = self.file_bytes;
            return Err(WalError::Options(format!(
                "wal.bytes is {budget}: it must be at least {min}, four files of {file} bytes"
            )));
        }
        if budget > room {
            let dir = self.dir.display();
            return Err(WalError::Options(format!(
                "the WAL needs {budget} bytes in {dir}, and its disk has {} free of {}: free some, set wal.bytes lower \
                 (at least {min}), or choose another disk with --data",
                disk.free, disk.total
            )));
        }
        Ok(budget)
    }
}
