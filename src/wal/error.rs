//! What can go wrong in the WAL, each message with the thing, the place and the way out.
use std::io;
use std::path::PathBuf;

use super::{Damage, Position};

/// Errors of the WAL. [`WalError::is_retriable`] tells those that pass by themselves.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// The operating system refused; `doing` names the step.
    #[error("WAL: {doing} {path}: {message}", path = path.display())]
    Io {
        /// What was tried, for example "write".
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Kind of the error as the operating system gave it.
        kind: io::ErrorKind,
        /// Text of the error as the operating system gave it.
        message: String,
    },
    /// Another process holds the directory.
    #[error("the data directory {} is in use by another process: stop it first, or choose another with --data", .0.display())]
    Locked(PathBuf),
    /// The budget is used up to the reserve by data that is not in the bucket yet.
    #[error(
        "the WAL is full: {pinned} of {budget} bytes wait to be sealed (wal.bytes); it goes on when the bucket has taken them"
    )]
    NoSpace {
        /// Bytes of files that cannot be recycled yet.
        pinned: u64,
        /// The budget in bytes.
        budget: u64,
    },
    /// The disk has no room for the next file.
    #[error("the disk of the WAL ({}) is full: free some space there; writing goes on by itself", .0.display())]
    DiskFull(PathBuf),
    /// A frame that no file can hold.
    #[error(
        "a frame of {bytes} bytes does not fit in a WAL file, which holds {max}: send smaller batches or raise wal.file.bytes"
    )]
    TooLarge {
        /// Size of the payload.
        bytes: u64,
        /// Largest payload.
        max: u64,
    },
    /// The WAL was closed.
    #[error("the WAL is closed")]
    Closed,
    /// A write or sync failed earlier; nothing is acknowledged any more.
    #[error("the WAL stopped after an error, and the process must end: {0}")]
    Failed(String),
    /// A position whose file was recycled: the data is in the bucket.
    #[error("WAL file {} was recycled: its records are in the bucket", .0.file)]
    Recycled(Position),
    /// Bytes that do not match their checksum or are missing where they must be.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// A file that belongs to another WAL, or is none.
    #[error("{}: {what}; move it away, or give the right directory with --data", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is odd about it.
        what: String,
    },
    /// A file of a newer format or with features that this version does not know.
    #[error("{}: {what}: use a newer version of Esker", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The format or the feature.
        what: String,
    },
    /// Settings that cannot work.
    #[error("{0}")]
    Options(String),
    /// A file that cannot be condensed: it is written to, or unknown.
    #[error("WAL file {file} cannot be condensed: {why}")]
    NotCondensable {
        /// Its number.
        file: u64,
        /// Why.
        why: &'static str,
    },
}

impl WalError {
    /// Whether the same call can succeed later without anybody doing anything to the process: a produce that gets this
    /// is answered with KAFKA_STORAGE_ERROR.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::DiskFull(_))
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self::Io { doing, path: path.into(), kind: error.kind(), message: error.to_string() }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, last) = (self.groups.start(), self.groups.end());
        write!(
            f,
            "{}: {} at byte {} ({} bytes, groups {first} to {last})",
            self.path.display(),
            self.kind.text(),
            self.at,
            self.len
        )?;
        if let Some(m) = &self.frame {
            write!(
                f,
                ", topic {} partition {} offsets {} to {}",
                m.topic_id, m.partition, m.base_offset, m.last_offset
            )?;
        }
        match self.accepted {
            true => write!(f, ": accepted as lost with `esker wal accept-loss`"),
            false => write!(f, ": restore the file, or give the loss up with `esker wal accept-loss`"),
        }
    }
}
