//! The running WAL: what its machines share, and what others hold.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::buffer::Pool;
use super::condense::Condensing;
use super::drive::Running;
use super::files::Files;
use super::metrics::WalMetrics;
use super::pieces::Pieces;
use super::queue::Queue;
use super::reader::Reader;
use super::tail::Tail;
use super::{Append, Condensed, FrameMeta, Position, Space, WalError, WalOptions};
use crate::base::Clock;
use crate::base::tasks::Tasks;

/// The lock of the directory, for as long as somebody works there.
pub(crate) type DirectoryLock = Arc<dyn Send + Sync>;

/// What the machines share.
pub(crate) struct Shared {
    pub options: WalOptions,
    pub files: Arc<Files>,
    pub queue: Queue,
    pub tail: Tail,
    pub durable: AtomicU64,
    pub metrics: WalMetrics,
    pub clock: Clock,
    /// The time by which the machines wait.
    pub timer: Clock,
    pub reader: Reader,
    pub pool: Arc<Pool>,
    pub on_fatal: Arc<dyn Fn(WalError) + Send + Sync>,
    /// The directory is ours until [`Wal::close`] and the end of what still works there.
    pub lock: Mutex<Option<DirectoryLock>>,
}

impl Shared {
    /// Tells the queue and the metrics what the files have room for.
    pub fn tell_room(&self) {
        self.files.tell_room(&self.queue);
        self.show_space();
    }

    /// Shows how the budget is used, and closes what went.
    pub fn show_space(&self) {
        self.metrics.space(&self.files.space());
        self.reader.purge();
    }

    /// The first failure ends everything; nobody is told that anything is durable from here on.
    pub fn fail(&self, error: &WalError) {
        {
            let mut table = self.files.lock();
            table.failed.get_or_insert_with(|| error.clone());
            table.closing = true;
            self.files.tell(table);
        }
        // A stop for which there is no room left loses nothing that was acknowledged: whoever closes is told.
        if self.queue.fail(error) && !error.is_retriable() {
            (self.on_fatal)(error.clone());
        }
    }
}

/// The running WAL; cheap to clone. It ends with [`Wal::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Wal(pub(super) Arc<Handle>);

pub(super) struct Handle {
    pub shared: Arc<Shared>,
    /// Until it is closed.
    pub running: Mutex<Option<Running>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.files.close();
    }
}

impl Wal {
    /// Queues a frame and returns at once. Frames of one (topic id, partition) are written in the order of calls; within a
    /// group, frames are sorted by topic id and partition, so that a partition's bytes lie side by side.
    ///
    /// # Errors
    /// None of them leaves a trace of the frame; see [`WalError::is_retriable`].
    pub fn append(&self, append: Append) -> Result<(), WalError> {
        self.0.shared.queue.push(append)
    }

    /// Queues frames that become durable together or not at all, as they go into one group: a recovery finds all or none.
    /// Otherwise like [`Wal::append`].
    ///
    /// # Errors
    /// None of them leaves a trace of any frame; [`WalError::TooLarge`] also for more frames than a group holds.
    pub fn append_together(&self, appends: Vec<Append>) -> Result<(), WalError> {
        self.0.shared.queue.push_together(appends)
    }

    /// The frames at `positions`, in that order, if all of them are in memory. With `join`, frames that lie side by side come
    /// as one piece.
    pub fn read_memory(&self, positions: &[Position], join: bool) -> Option<Vec<Bytes>> {
        let mut pieces = self.0.shared.pieces(join);
        let mut all = true;
        self.0.shared.tail.look(positions, |_, found| {
            all = found.is_some();
            if let Some((base, range)) = found {
                pieces.push(base, range);
            }
            all
        });
        all.then(|| pieces.finish())
    }

    /// The frames at `positions`, in that order, from memory or disk; neighbours with one read. Blocks. With `join`, frames
    /// that lie side by side come as one piece.
    ///
    /// # Errors
    /// [`WalError::Recycled`] if one of them is in the bucket only; [`WalError::Damaged`] on a wrong checksum.
    pub fn read(&self, positions: &[Position], join: bool) -> Result<Vec<Bytes>, WalError> {
        let shared = &self.0.shared;
        let mut pieces = shared.pieces(join);
        let mut rest = positions;
        while !rest.is_empty() {
            let mut hot = 0;
            let mut cold = 0;
            shared.tail.look(rest, |_, found| match found {
                Some((base, range)) if cold == 0 => {
                    pieces.push(base, range);
                    hot += 1;
                    true
                }
                None if hot == 0 => {
                    cold += 1;
                    true
                }
                _ => false,
            });
            let mut on_disk = &rest[hot..hot + cold];
            while !on_disk.is_empty() {
                let (run, more) = on_disk.split_at(Reader::run(on_disk));
                shared.reader.read(run, &mut pieces)?;
                on_disk = more;
            }
            rest = &rest[hot + cold..];
        }
        Ok(pieces.finish())
    }

    /// The last group that is durable. Whatever is appended from now on is in a higher one.
    pub fn durable_group(&self) -> u64 {
        self.0.shared.durable.load(Ordering::SeqCst)
    }

    /// Number and CRC of the last group that a sync covered: with `durability = fsync` that of every group in its turn, with
    /// `os` only now and then.
    pub fn last_synced(&self) -> (u64, u32) {
        self.0.shared.tail.synced()
    }

    /// Groups below this one are only in condensed files, if at all.
    pub fn oldest_group(&self) -> u64 {
        self.0.shared.files.lock().files.values().find(|f| f.kept.is_none()).map_or(0, |f| f.first_group)
    }

    /// How the budget is used.
    pub fn space(&self) -> Space {
        self.0.shared.files.space()
    }

    /// Says that nothing in groups below `group` is needed: files wholly below may be recycled. They stay readable until
    /// the budget needs them. A lower number than before changes nothing.
    pub fn release_below(&self, group: u64) {
        self.0.shared.files.release_below(group);
        self.0.shared.tell_room();
    }

    /// Replaces a file by one that holds only the frames for which `needed(meta, group)` says so, if they are at most half
    /// of it: any file but the one that is written to. Positions stay valid. Blocks; one at a time.
    ///
    /// # Errors
    /// [`WalError::NotCondensable`] for a file that is written to or cannot be read, [`WalError::DiskFull`] and
    /// [`WalError::Damaged`]: then the next file may be tried. Any other error of the disk is the end of the WAL.
    pub fn condense(&self, file: u64, needed: &dyn Fn(&FrameMeta, u64) -> bool) -> Result<Condensed, WalError> {
        let mut condensing = self.condensing(file)?;
        loop {
            if let Some(done) = condensing.step(needed)? {
                return Ok(done);
            }
        }
    }

    /// Begins what [`Wal::condense`] does, to be done step by step.
    ///
    /// # Errors
    /// [`WalError::NotCondensable`], [`WalError::Closed`].
    pub fn condensing(&self, file: u64) -> Result<Condensing, WalError> {
        let shared = &self.0.shared;
        let lock = shared.lock.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(WalError::Closed)?;
        Condensing::begin(shared, lock, file)
    }

    /// [`Wal::condense`] beside the tasks of the cold runtime, which have their turns in between.
    ///
    /// # Errors
    /// As there.
    pub async fn condense_beside(
        &self,
        tasks: &Tasks,
        file: u64,
        needed: impl Fn(&FrameMeta, u64) -> bool + Send + 'static,
    ) -> Result<Condensed, WalError> {
        let mut condensing = self.condensing(file)?;
        let mut needed = Some(needed);
        loop {
            let needed = needed.take();
            let stepped = tasks.blocking_cold(move || {
                let done = match needed {
                    Some(needed) => condensing.step(&needed),
                    None => condensing.step(&|_, _| true), // it has chosen
                };
                (condensing, done)
            });
            let (rest, done) = stepped.await.map_err(|e| WalError::Failed(e.to_string()))?;
            if let Some(done) = done? {
                return Ok(done);
            }
            condensing = rest;
        }
    }

    /// Writes what is queued, makes it durable, and ends; later appends get [`WalError::Closed`]. Must not be
    /// called by a [`super::Durable`].
    ///
    /// # Errors
    /// That with which the WAL failed, now or earlier.
    pub fn close(&self) -> Result<(), WalError> {
        self.0.shared.queue.close();
        self.0.shared.files.close();
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        running.map_or(Ok(()), Running::join)?;
        self.0.shared.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.shared.files.lock().failed.clone().map_or(Ok(()), Err)
    }
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal").field("dir", &self.0.shared.options.dir).finish_non_exhaustive()
    }
}

impl Shared {
    /// Slices keep whole groups alive; when slow readers hold more than the tail itself may, they get copies.
    fn pieces(&self, join: bool) -> Pieces {
        let held_max = 2 * self.options.tail_bytes + 4 * self.options.group_max_bytes;
        Pieces::new(join, self.pool.out_bytes() > held_max)
    }
}
