//! Row 3, the WAL: one write-ahead log per broker, all partitions interleaved, cut into files. It knows frames, not topics.
//!
//! The life of a WAL: [`recover`] reads a directory and hands out every frame; [`Wal::start`] makes the end safe and begins
//! to write; [`Wal::append`] queues a frame; a machine of its own (`drive`) gathers what waits into a *group*, writes it,
//! syncs it, and tells each frame's [`Durable`].
//! ```text
//! append -> queue -> writer: group -> write, sync -> tail (memory) -> Durable::durable
//!                      |  next file                       |
//!                    maker: spare, recycle, budget     reader <- Wal::read
//! ```
//! # On disk
//! `header` and `group` draw the layouts, `names` the directory. A file is a header block and groups; a group is a head, a
//! directory with one entry per frame, and the payloads. All begin at blocks of 4 KiB. Group numbers rise by one over all
//! files and lives, and each group carries the checksum of the one before.
//!
//! # Rules
//! - No byte of a group is written before the sync of the one before it returned. So whatever is found beyond a broken group
//!   proves that it was whole once: damage. With nothing beyond, it was never acknowledged: a torn tail (`scan`).
//! - An acknowledged group gets a successor within a second, so that this holds for the last one too.
//! - The first error of a write or sync of a group is the end of the process. A disk without room for the *next file* is
//!   not: appends are refused until there is some.
//! - A synced block is never rewritten, but for the last group at every start: it may have been in the page cache only.
//! - Files are filled with zeros once, then recycled: `fdatasync` then has no metadata to write.
//! - Nothing that can be read is moved or overwritten while somebody reads it: files are marked first (`reader`).
//!
//! # Memory
//! Each payload is copied once, into its group's buffer, which is written past the page cache and then serves the readers of
//! the tail. `WalOptions::tail_bytes` bounds the buffers; when slow readers hold twice that, they get copies.
mod accept;
mod buffer;
mod condense;
mod drive;
mod engine;
mod error;
mod files;
mod frame;
pub mod fs;
mod group;
mod header;
mod inventory;
mod kept;
mod maker;
mod metrics;
mod names;
mod options;
mod patience;
mod pieces;
mod queue;
mod reader;
mod recovery;
mod scan;
mod start;
mod tail;
mod window;
mod writer;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use accept::accept_loss;
pub use condense::Condensing;
pub use drive::Drive;
pub use engine::Wal;
pub use error::WalError;
pub use frame::{FrameKind, FrameMeta, Position};
pub use names::lock as lock_path;
pub use options::{Durability, WalOptions};
pub use recovery::{Recovered, recover, survey, visit_from};
pub use start::Surroundings;

use crate::base::{BytePermit, Uuid};

/// Whose WAL this is; stands in every file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The bucket that it belongs to.
    pub cluster_id: Uuid,
    /// The broker.
    pub broker_id: i32,
    /// Random, made when a WAL begins on an empty disk.
    pub wal_id: Uuid,
    /// The epoch that began it.
    pub born: u32,
    /// The epoch that writes now (after recovery: that wrote last).
    pub epoch: u32,
}

/// Who wants to know that frames are durable; usually a partition.
pub trait Durable: Send + Sync {
    /// Called by the WAL's thread after the sync, with frames of one group that were appended with this very `Arc`, in the
    /// order of their appends (all at once if they are of one partition). The next group waits meanwhile, so it must be
    /// quick; it may append and read, but not close.
    fn durable(&self, done: &[Done]);
}

/// One frame that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// What the append gave.
    pub token: u64,
    /// What the append gave.
    pub meta: FrameMeta,
    /// Where it lies.
    pub position: Position,
}

/// A frame to be written.
pub struct Append {
    /// Its entry in the directory.
    pub meta: FrameMeta,
    /// First bytes of the payload, for a batch whose head was stamped anew.
    pub head: Option<[u8; 61]>,
    /// The payload, or what follows `head`.
    pub body: Bytes,
    /// Whether it may use the reserve: state changes and transaction markers.
    pub urgent: bool,
    /// Whether it may wait a little for others to share its sync, when such frames come often.
    pub patient: bool,
    /// Kept until the frame is durable.
    pub permit: Option<BytePermit>,
    /// Who is told.
    pub sink: Arc<dyn Durable>,
    /// What it is told.
    pub token: u64,
}

impl Append {
    /// A frame that may use the reserve, and is written as soon as it can be.
    pub fn urgent(meta: FrameMeta, body: Bytes, sink: Arc<dyn Durable>, token: u64) -> Self {
        Self { meta, head: None, body, urgent: true, patient: false, permit: None, sink, token }
    }
}

/// A place that does not hold what was written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Its number.
    pub file: u64,
    /// First damaged byte.
    pub at: u64,
    /// How many bytes cannot be used.
    pub len: u64,
    /// The groups that it touches.
    pub groups: RangeInclusive<u64>,
    /// The one damaged frame, when the directory of its group is intact; otherwise what was there is unknown.
    pub frame: Option<FrameMeta>,
    /// Whether [`accept_loss`] was given for it.
    pub accepted: bool,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// The first block of a file.
    Header,
    /// Heads or directories of groups: which frames they held is unknown.
    Directory,
    /// The payload of one frame whose entry in the directory is intact.
    Payload,
    /// A whole file is not there.
    Missing,
    /// The directory of a condensed file.
    Kept,
}

impl DamageKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Directory => 2,
            Self::Payload => 3,
            Self::Missing => 4,
            Self::Kept => 5,
        }
    }

    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Header,
            3 => Self::Payload,
            4 => Self::Missing,
            5 => Self::Kept,
            _ => Self::Directory,
        }
    }

    /// Whether it is unknown which frames are lost.
    pub fn is_unknown(self) -> bool {
        self != Self::Payload
    }

    fn text(self) -> &'static str {
        match self {
            Self::Header => "damaged file header",
            Self::Directory => "damaged group",
            Self::Payload => "damaged payload of a frame",
            Self::Missing => "missing file",
            Self::Kept => "damaged directory of a condensed file",
        }
    }
}

/// The unacknowledged last group that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where the group begins.
    pub at: u64,
    /// Its number.
    pub group: u64,
    /// How many of its bytes were found.
    pub bytes: u64,
}

/// A frame that recovery found.
#[derive(Debug)]
pub struct Visit<'a> {
    /// Its entry in the directory.
    pub meta: &'a FrameMeta,
    /// Where it lies.
    pub position: Position,
    /// Its payload.
    pub payload: Result<&'a [u8], &'a Damage>,
}

/// One file of the WAL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Its number.
    pub file: u64,
    /// Its first group.
    pub first_group: u64,
    /// Its last group; below `first_group` if it is empty.
    pub last_group: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Whether it is a condensed one.
    pub kept: bool,
    /// Whether nothing in it is needed, so that it may be recycled at any time.
    pub released: bool,
}

/// How the budget is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// `wal.bytes`.
    pub budget: u64,
    /// Bytes of all files.
    pub used: u64,
    /// Bytes of files that cannot be recycled yet, the one being written included.
    pub pinned: u64,
    /// The part of the budget that only urgent frames may use.
    pub reserve: u64,
    /// Whether the disk refused the last new file.
    pub disk_full: bool,
    /// All files, oldest first.
    pub files: Vec<FileStat>,
}

impl Space {
    /// What the files may take: the budget, or what they take already on a disk that has no more.
    pub fn capacity(&self) -> u64 {
        if self.disk_full { self.used } else { self.budget }
    }
}

/// What [`Wal::condense`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condensed {
    /// The file was replaced by one of `kept` bytes.
    Done {
        /// Bytes of the new file.
        kept: u64,
    },
    /// More than half is needed: left alone.
    TooMuch {
        /// Bytes that are needed.
        needed: u64,
    },
}
