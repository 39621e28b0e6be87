//! The running WAL: its start, its threads, and what others hold.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use super::buffer::{BLOCK, Pool};
use super::condense::condense;
use super::files::{Files, LiveFile, Spare, Table};
use super::fs::{FileSystem, Open, read_full, write_full};
use super::kept::Directory;
use super::metrics::WalMetrics;
use super::patience::Patience;
use super::pieces::Pieces;
use super::queue::{Queue, QueueLimits};
use super::reader::Reader;
use super::recovery::Rest;
use super::scan::{Place, ScannedFile};
use super::tail::Tail;
use super::writer::{Active, Writer};
use super::{Append, Condensed, FrameMeta, Identity, Position, Recovered, Space, WalError, WalOptions, names};
use crate::base::{Clock, Metrics, Random};

/// The very first file is small, so that an empty directory is ready at once; later ones are made ahead of need.
const FIRST_FILE_BYTES: u64 = 8 << 20;

/// What the threads share.
pub(crate) struct Shared {
    pub options: WalOptions,
    pub files: Arc<Files>,
    pub queue: Queue,
    pub tail: Tail,
    pub durable: AtomicU64,
    pub metrics: WalMetrics,
    pub clock: Clock,
    reader: Reader,
    pool: Arc<Pool>,
    on_fatal: Arc<dyn Fn(WalError) + Send + Sync>,
    condensing: Mutex<()>,
    /// The directory is ours until [`Wal::close`].
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl Shared {
    /// Tells the queue and the metrics what the files have room for.
    pub fn tell_room(&self) {
        self.queue.set_room(self.files.room());
        self.metrics.space(&self.files.space());
        self.reader.purge();
    }

    /// The first failure ends everything; nobody is told that anything is durable from here on.
    pub fn fail(&self, error: &WalError) {
        {
            let mut table = self.files.lock();
            table.failed.get_or_insert_with(|| error.clone());
            table.closing = true;
            self.files.changed.notify_all();
        }
        // A stop for which there is no room left loses nothing that was acknowledged: whoever closes is told.
        if self.queue.fail(error) && !error.is_retriable() {
            (self.on_fatal)(error.clone());
        }
    }
}

/// The running WAL; cheap to clone. It ends with [`Wal::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Wal(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.files.close();
    }
}

/// What a WAL needs of its process.
#[derive(Clone)]
pub struct Surroundings {
    /// The file system that recovery used.
    pub fs: Arc<dyn FileSystem>,
    /// To measure syncs.
    pub clock: Clock,
    /// For the salts of files.
    pub random: Random,
    /// Where its metrics go.
    pub metrics: Metrics,
    /// Called once, by a thread of the WAL, after the first error of a write or sync: the process must end, for nothing is
    /// known any more of what is on the disk.
    pub on_fatal: Arc<dyn Fn(WalError) + Send + Sync>,
}

impl Wal {
    /// Cuts the torn tail, writes the last valid group again, syncs, and starts the threads.
    ///
    /// # Errors
    /// Settings that cannot work, a disk too small for the budget, damage that was not accepted, and any error of the disk.
    pub fn start(
        recovered: Recovered,
        identity: Identity,
        options: &WalOptions,
        around: &Surroundings,
    ) -> Result<Self, WalError> {
        options.check()?;
        if let Some(damage) = recovered.damage.iter().find(|d| !d.accepted && d.kind.is_unknown()) {
            return Err(WalError::Damaged(Box::new(damage.clone())));
        }
        if let Some(old) = recovered.identity
            && (old.wal_id, old.cluster_id, old.broker_id) != (identity.wal_id, identity.cluster_id, identity.broker_id)
        {
            let what = format!("it belongs to WAL {} of broker {}", old.wal_id, old.broker_id);
            return Err(WalError::Foreign { path: options.dir.clone(), what });
        }
        let Recovered { identity: old, last_group, rest, .. } = recovered;
        let fs = &*around.fs;
        make_safe(fs, &rest)?;
        let blanks = tidy(fs, options, &rest)?;
        let io = |e| WalError::io("ask for the free space of", &options.dir, &e);
        let space = fs.space(&options.dir).map_err(io)?;
        let budget = options.budget(rest.budget.filter(|_| old.is_some()), space)?;
        let files = Arc::new(Files {
            fs: around.fs.clone(),
            dir: options.dir.clone(),
            identity,
            file_bytes: options.file_bytes,
            budget,
            table: Mutex::new(table(&rest, blanks)),
            changed: Condvar::new(),
        });
        let next = last_group + 1;
        let active = open_active(&files, &rest, next, &around.random)?;
        let shared = Arc::new(Shared::new(files, options, around, rest.lock, last_group));
        let writer = Writer {
            active,
            next,
            previous_crc: rest.last_crc,
            boot: fs.boot(),
            random: around.random.clone(),
            pool: shared.pool.clone(),
            frames: Vec::new(),
            done: Vec::new(),
            crowd: 0,
            last_sync: Duration::ZERO,
            patience: Patience::default(),
            alone: false,
            shared: shared.clone(),
        };
        let threads = Mutex::new(spawn(&shared, writer)?);
        Ok(Self(Arc::new(Handle { shared, threads })))
    }

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
    /// of it. Positions stay valid. Blocks; one at a time.
    ///
    /// # Errors
    /// [`WalError::NotCondensable`] for the file that is written to, [`WalError::DiskFull`], [`WalError::Damaged`].
    pub fn condense(&self, file: u64, needed: &dyn Fn(&FrameMeta, u64) -> bool) -> Result<Condensed, WalError> {
        let shared = &self.0.shared;
        let _one = shared.condensing.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.lock.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(WalError::Closed);
        }
        let done = condense(&shared.files, file, needed);
        shared.tell_room();
        done
    }

    /// Writes what is queued, makes it durable, and ends the threads; later appends get [`WalError::Closed`]. Must not be
    /// called by a [`super::Durable`].
    ///
    /// # Errors
    /// That with which the WAL failed, now or earlier.
    pub fn close(&self) -> Result<(), WalError> {
        self.0.shared.queue.close();
        self.0.shared.files.close();
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                return Err(WalError::Failed("a thread of the WAL panicked".into()));
            }
        }
        let _one = self.0.shared.condensing.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn new(
        files: Arc<Files>,
        options: &WalOptions,
        around: &Surroundings,
        lock: Box<dyn Send + Sync>,
        last_group: u64,
    ) -> Self {
        let limits = QueueLimits {
            file_bytes: options.file_bytes,
            group_max_bytes: options.group_max_bytes,
            reserve: files.reserve(),
            budget: files.budget,
            dir: options.dir.clone(),
        };
        let group_max = usize::try_from(options.group_max_bytes).unwrap_or(usize::MAX / 4);
        let shared = Self {
            options: options.clone(),
            queue: Queue::new(limits),
            tail: Tail::new(options.tail_bytes),
            durable: AtomicU64::new(last_group),
            metrics: WalMetrics::new(&around.metrics),
            clock: around.clock.clone(),
            reader: Reader::new(files.clone()),
            pool: Pool::new(4, group_max),
            on_fatal: around.on_fatal.clone(),
            condensing: Mutex::default(),
            files,
            lock: Mutex::new(Some(lock)),
        };
        shared.tell_room();
        shared
    }

    /// Slices keep whole groups alive; when slow readers hold more than the tail itself may, they get copies.
    fn pieces(&self, join: bool) -> Pieces {
        let held_max = 2 * self.options.tail_bytes + 4 * self.options.group_max_bytes;
        Pieces::new(join, self.pool.out_bytes() > held_max)
    }
}

fn spawn(shared: &Arc<Shared>, writer: Writer) -> Result<Vec<JoinHandle<()>>, WalError> {
    let io = |e| WalError::io("start a thread for", &shared.options.dir, &e);
    let maker = shared.clone();
    let make = move || {
        if let Err(error) = maker.files.run(&|| maker.tell_room()) {
            maker.fail(&error);
        }
    };
    let write = move || {
        raise_priority();
        writer.run();
    };
    let builder = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let maker = builder("wal-files").spawn(make).map_err(io)?;
    Ok(vec![builder("wal").spawn(write).map_err(io)?, maker])
}

/// On a busy machine a thread of ordinary priority waits milliseconds for its turn after each sync. Where it is not allowed
/// to ask for more, it goes on without.
fn raise_priority() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(-5);
}

/// Zeroes what is beyond the end, and writes the last group again: it may have been valid in the page cache only.
fn make_safe(fs: &dyn FileSystem, rest: &Rest) -> Result<(), WalError> {
    let mut cuts = BTreeMap::<&PathBuf, Vec<u64>>::new();
    for (path, at) in &rest.cuts {
        cuts.entry(path).or_default().push(*at);
    }
    let pool = Pool::new(0, BLOCK);
    let mut zeros = pool.take(BLOCK);
    zeros.bytes_mut().fill(0);
    for (path, blocks) in cuts {
        let file = fs.open(path, Open::Write).map_err(|e| WalError::io("open", path, &e))?;
        for at in blocks {
            write_full(&*file, &zeros.bytes()[..BLOCK], at).map_err(|e| WalError::io("write", path, &e))?;
        }
        file.sync().map_err(|e| WalError::io("sync", path, &e))?;
    }
    if let Some(Place { path, at, len }) = &rest.last {
        let file = fs.open(path, Open::Write).map_err(|e| WalError::io("open", path, &e))?;
        let mut group = pool.take(*len as usize);
        let bytes = &mut group.bytes_mut()[..*len as usize];
        let reader = fs.open(path, Open::Read).map_err(|e| WalError::io("open", path, &e))?;
        read_full(&*reader, bytes, *at).map_err(|e| WalError::io("read", path, &e))?;
        write_full(&*file, bytes, *at).map_err(|e| WalError::io("write", path, &e))?;
        file.sync().map_err(|e| WalError::io("sync", path, &e))?;
    }
    Ok(())
}

/// Removes what is half-made or of the wrong size; returns the blank files that can be used.
fn tidy(fs: &dyn FileSystem, options: &WalOptions, rest: &Rest) -> Result<Vec<PathBuf>, WalError> {
    let (blanks, odd): (Vec<_>, Vec<_>) = rest.blanks.iter().partition(|(_, len)| *len == options.file_bytes);
    for path in rest.temporaries.iter().chain(odd.iter().map(|(path, _)| path)) {
        fs.remove(path).map_err(|e| WalError::io("remove", path, &e))?;
    }
    fs.sync_dir(&options.dir).map_err(|e| WalError::io("sync", &options.dir, &e))?;
    Ok(blanks.into_iter().map(|(path, _)| path.clone()).collect())
}

fn table(rest: &Rest, blanks: Vec<PathBuf>) -> Table {
    let live = |file: &ScannedFile| {
        let kept =
            rest.kept.iter().find(|(number, _)| *number == file.stat.file).map(|(_, directory)| index(directory));
        let live = LiveFile {
            number: file.stat.file,
            path: file.path.clone(),
            bytes: file.stat.bytes,
            first_group: file.stat.first_group,
            last_group: AtomicU64::new(file.stat.last_group),
            kept,
            retired: AtomicBool::new(false),
        };
        (file.stat.file, Arc::new(live))
    };
    let highest = rest.scanned.iter().map(|f| f.stat.file).max().unwrap_or(0);
    Table {
        files: rest.scanned.iter().map(live).collect(),
        spare: None,
        blanks,
        released_below: 0,
        next: highest + 1,
        disk_full: false,
        wanted: false,
        taken: 0,
        making: false,
        busy: None,
        closing: false,
        ended: false,
        failed: None,
    }
}

/// Where each frame of a condensed file lies.
pub(crate) fn index(directory: &Directory) -> Vec<(u64, u64)> {
    let mut byte = directory.payload_at();
    let place = |frame: &super::kept::KeptFrame| {
        let here = byte;
        byte += u64::from(frame.entry.len);
        (frame.at, here)
    };
    directory.frames.iter().map(place).collect()
}

/// The file to go on with: the newest one, or a first one.
fn open_active(files: &Files, rest: &Rest, next: u64, random: &Random) -> Result<Active, WalError> {
    let begin = |spare: &Spare| {
        let salt = random.u64();
        let (file, live) = files.begin(spare, salt, next, rest.last_crc)?;
        Ok(Active { file, live, salt, at: BLOCK as u64 })
    };
    match rest.scanned.last().filter(|last| !last.stat.kept) {
        // Its header may have been valid in the page cache only: it is begun again.
        Some(last) if last.stat.last_group < last.stat.first_group => {
            begin(&Spare { number: last.stat.file, path: last.path.clone(), bytes: last.stat.bytes })
        }
        Some(last) => {
            let path = &last.path;
            let file = files.fs.open(path, Open::Write).map_err(|e| WalError::io("open", path, &e))?;
            file.sync().map_err(|e| WalError::io("sync", path, &e))?;
            let live = files.lock().files.get(&last.stat.file).cloned();
            let live = live.expect("the table was made of the scanned files");
            Ok(Active { file, live, salt: last.salt, at: last.end })
        }
        None => {
            let mut table = files.lock();
            let number = table.next;
            table.next += 1;
            let blank = table.take_blank(&names::wal(&files.dir, number));
            drop(table);
            match blank {
                Some(blank) => begin(&files.reuse(&blank, number)?),
                None => begin(&files.create(number, FIRST_FILE_BYTES.min(files.file_bytes), false)?),
            }
        }
    }
}
