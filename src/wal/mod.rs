//! Row 3, the WAL: one write-ahead log per broker, all partitions interleaved, cut into files. It knows frames, not topics.
//!
//! The life of a WAL: [`recover`] reads a directory and hands out every frame; [`Wal::start`] makes the end safe and begins
//! to write; [`Wal::append`] queues a frame, and a thread of its own gathers what waits into a *group*, writes it, syncs it,
//! and tells each frame's [`Durable`].
mod error;
mod frame;
pub mod fs;
mod options;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use error::WalError;
pub use frame::{FrameKind, FrameMeta, Position};
pub use options::{Durability, WalOptions};

use crate::base::{BytePermit, Clock, Metrics, Random, Uuid};

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
    /// Called by the WAL's thread after the sync, with the frames of one group that were appended with this very `Arc`, in
    /// the order of their appends. It must be quick and must not call back into the WAL's appends of other sinks' locks.
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
    /// Kept until the frame is durable.
    pub permit: Option<BytePermit>,
    /// Who is told.
    pub sink: Arc<dyn Durable>,
    /// What it is told.
    pub token: u64,
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
    pub what: &'static str,
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

/// What recovery found; owns the lock of the directory.
pub struct Recovered {
    /// Whose WAL it is; `None` for an empty directory.
    pub identity: Option<Identity>,
    /// The first group that is still there, 0 if none.
    pub first_group: u64,
    /// The last valid group, 0 if none.
    pub last_group: u64,
    /// A last group that was never acknowledged, to be cut.
    pub torn: Option<Torn>,
    /// Damage that was accepted, or that leaves the directory of its group intact.
    pub damage: Vec<Damage>,
    /// Whether the machine was booted since `durability = os` wrote the last group: acknowledged groups may be missing.
    pub os_tail_uncertain: bool,
    /// Bytes of valid groups.
    pub bytes: u64,
    /// Files, oldest first.
    pub files: Vec<FileStat>,
}

/// Reads a WAL directory, locks it, and hands every frame to `visit`, in the order of groups. It changes no byte of a group:
/// cutting the torn tail is [`Wal::start`]'s.
///
/// # Errors
/// A damaged directory of a group stops with [`WalError::Damaged`]; see [`accept_loss`].
pub fn recover(
    fs: Arc<dyn fs::FileSystem>,
    options: &WalOptions,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<Recovered, WalError> {
    let _ = (fs, options, visit);
    unimplemented!()
}

/// Reads like [`recover`] but goes on after damage of any kind and reports it: for `esker wal export` and to show what
/// [`accept_loss`] would accept.
pub fn survey(
    fs: Arc<dyn fs::FileSystem>,
    options: &WalOptions,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<Recovered, WalError> {
    let _ = (fs, options, visit);
    unimplemented!()
}

/// Accepts all damage that [`survey`] reports: each damaged file is replaced by a condensed one with every valid frame and a
/// note of what was lost, which later recoveries report as accepted damage. The damaged file stays as `<name>.damaged`.
pub fn accept_loss(fs: Arc<dyn fs::FileSystem>, options: &WalOptions) -> Result<Vec<Damage>, WalError> {
    let _ = (fs, options);
    unimplemented!()
}

/// The running WAL; cheap to clone.
#[derive(Clone)]
pub struct Wal(Arc<()>);

impl Wal {
    /// Cuts the torn tail, writes the last valid group again, syncs, and starts the threads.
    #[allow(clippy::too_many_arguments)]
    pub fn start(
        recovered: Recovered,
        identity: Identity,
        fs: Arc<dyn fs::FileSystem>,
        options: &WalOptions,
        clock: &Clock,
        random: &Random,
        metrics: &Metrics,
        on_fatal: Arc<dyn Fn(WalError) + Send + Sync>,
    ) -> Result<Self, WalError> {
        let _ = (recovered, identity, fs, options, clock, random, metrics, on_fatal);
        unimplemented!()
    }

    /// Queues a frame and returns at once. Frames of one (topic id, partition) are written in the order of calls; within a
    /// group, frames are sorted by topic id and partition, so that a partition's bytes lie side by side.
    ///
    /// # Errors
    /// [`WalError::is_retriable`] ones leave no trace of the frame.
    pub fn append(&self, append: Append) -> Result<(), WalError> {
        let _ = append;
        unimplemented!()
    }

    /// The frames at `positions`, in that order, if all of them are in memory. With `join`, frames that lie side by side come as one
    /// piece.
    pub fn read_memory(&self, positions: &[Position], join: bool) -> Option<Vec<Bytes>> {
        let _ = (positions, join);
        unimplemented!()
    }

    /// The frames at `positions`, in that order, from memory or disk; neighbours with one read. Blocks. With `join`, frames
    /// that lie side by side come as one piece.
    ///
    /// # Errors
    /// [`WalError::Recycled`] if one of them is in the bucket only; [`WalError::Damaged`] on a wrong checksum.
    pub fn read(&self, positions: &[Position], join: bool) -> Result<Vec<Bytes>, WalError> {
        let _ = (positions, join);
        unimplemented!()
    }

    /// The last group that is durable.
    pub fn durable_group(&self) -> u64 {
        unimplemented!()
    }

    /// The group that the next written frame will be in, or a later one.
    pub fn next_group(&self) -> u64 {
        unimplemented!()
    }

    /// Groups below this one are only in condensed files, if at all.
    pub fn oldest_group(&self) -> u64 {
        unimplemented!()
    }

    /// How the budget is used.
    pub fn space(&self) -> Space {
        unimplemented!()
    }

    /// Says that nothing in groups below `group` is needed: files wholly below may be recycled. They stay readable until
    /// the budget needs them.
    pub fn release_below(&self, group: u64) {
        let _ = group;
        unimplemented!()
    }

    /// Replaces a file by one that holds only the frames for which `needed` says so, if they are at most half of it. Blocks.
    pub fn condense(&self, file: u64, needed: &dyn Fn(&FrameMeta, u64) -> bool) -> Result<Condensed, WalError> {
        let _ = (file, needed);
        unimplemented!()
    }

    /// Writes what is queued, makes it durable, and ends the threads. Later appends get [`WalError::Closed`].
    pub fn close(&self) -> Result<(), WalError> {
        unimplemented!()
    }
}
