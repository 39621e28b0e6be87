//! The files of a running WAL: which there are, which may go, and where the next one comes from. What makes the next one is
//! in `maker`.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buffer::{BLOCK, Pool};
use super::drive::Signal;
use super::fs::{File, FileSystem, Open, write_full};
use super::header::{Header, KeptPart, Kind};
use super::queue::Queue;
use super::{FileStat, Identity, Space, WalError, names};

/// A file that holds groups or kept frames.
pub(crate) struct LiveFile {
    pub number: u64,
    pub path: PathBuf,
    pub bytes: u64,
    pub first_group: u64,
    pub last_group: AtomicU64,
    /// For a condensed file: byte in the original and byte here, of every frame, ascending.
    pub kept: Option<Vec<(u64, u64)>>,
    /// Set before anything happens to the file's name or bytes; readers look after they read.
    pub retired: AtomicBool,
}

impl LiveFile {
    fn stat(&self, released_below: u64) -> FileStat {
        let last_group = self.last_group.load(Ordering::SeqCst);
        FileStat {
            file: self.number,
            first_group: self.first_group,
            last_group,
            bytes: self.bytes,
            kept: self.kept.is_some(),
            released: last_group < released_below,
        }
    }
}

/// A file that can be begun.
pub(crate) struct Spare {
    pub number: u64,
    pub path: PathBuf,
    pub bytes: u64,
}

/// What there is for a writer whose file is full.
pub(crate) enum Next {
    Spare(Spare),
    /// Not yet.
    Later,
    /// There will be none, and the WAL closes.
    Hopeless,
}

/// Everything that changes; behind one lock that is never held during I/O.
pub(crate) struct Table {
    pub files: BTreeMap<u64, Arc<LiveFile>>,
    pub spare: Option<Spare>,
    /// Files without content of the right size.
    pub blanks: Vec<PathBuf>,
    pub released_below: u64,
    /// The number of the next file.
    pub next: u64,
    pub disk_full: bool,
    /// Whether the writer waits for the spare.
    pub wanted: bool,
    /// Bytes of the spare that the writer took and did not begin yet.
    pub taken: u64,
    /// A file that must not go now: it is being condensed.
    pub busy: Option<u64>,
    /// Whether the maker is at work on a spare.
    pub making: bool,
    /// Whether the WAL closes: nobody waits for room any more.
    pub closing: bool,
    /// Whether nobody will ask for a spare again.
    pub ended: bool,
    pub failed: Option<WalError>,
}

/// Where the next spare comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Supply {
    Blank,
    DiscardBlank,
    Recycle(u64),
    Discard(u64),
    Create,
    Nothing,
}

/// What of the budget is left for frames that are not yet queued.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Room {
    /// Files that can be begun.
    pub files: u64,
    pub pinned: u64,
    pub disk_full: bool,
}

/// The files, and who is told when they change.
pub(crate) struct Files {
    pub fs: Arc<dyn FileSystem>,
    pub dir: PathBuf,
    pub identity: Identity,
    pub file_bytes: u64,
    pub budget: u64,
    pub table: Mutex<Table>,
    pub maker: Signal,
    pub writer: Arc<Signal>,
}

impl Table {
    /// The files that may go, the oldest first: none behind one that must stay, for a hole would be damage.
    fn released(&self) -> impl Iterator<Item = &Arc<LiveFile>> {
        let active = self.files.keys().next_back().copied();
        self.files
            .values()
            .take_while(move |f| f.last_group.load(Ordering::SeqCst) < self.released_below)
            .take_while(move |f| Some(f.number) != active && Some(f.number) != self.busy)
    }

    fn used(&self, file_bytes: u64) -> u64 {
        let spare = self.spare.as_ref().map_or(0, |s| s.bytes);
        let blank = self.blanks.len() as u64 * file_bytes;
        self.files.values().map(|f| f.bytes).sum::<u64>() + spare + self.taken + blank
    }

    /// Takes a blank file: the one that has the next name already, for no other may be renamed over it; or any.
    pub fn take_blank(&mut self, next: &Path) -> Option<PathBuf> {
        let at = self.blanks.iter().position(|path| path == next).unwrap_or(0);
        (at < self.blanks.len()).then(|| self.blanks.swap_remove(at))
    }

    /// Decides, while there is no spare: what is blank first, if the budget has room for it, then a new file while the budget has room, so that sealed data stays readable here;
    /// then the oldest that is released.
    pub fn supply(&self, file_bytes: u64, budget: u64) -> Supply {
        let used = self.used(file_bytes);
        let budget = for_files(file_bytes, budget);
        if !self.blanks.is_empty() && used > budget && !self.disk_full {
            return Supply::DiscardBlank;
        }
        if self.spare.is_some() {
            return Supply::Nothing;
        }
        if !self.blanks.is_empty() {
            return Supply::Blank;
        }
        if used + file_bytes <= budget && !self.disk_full {
            return Supply::Create;
        }
        let Some(oldest) = self.released().next() else { return Supply::Nothing };
        if oldest.kept.is_some() || oldest.bytes != file_bytes || used > budget {
            return Supply::Discard(oldest.number);
        }
        Supply::Recycle(oldest.number)
    }

    fn room(&self, file_bytes: u64, budget: u64) -> Room {
        let used = self.used(file_bytes);
        let released: u64 = self.released().map(|f| f.bytes).sum();
        let whole = self.released().filter(|f| f.bytes == file_bytes && f.kept.is_none()).count() as u64;
        let ready = u64::from(self.spare.is_some());
        let blanks = self.blanks.len() as u64;
        let more = match self.disk_full {
            true => whole + blanks,
            false => (for_files(file_bytes, budget) + released + blanks * file_bytes).saturating_sub(used) / file_bytes,
        };
        let pinned = self.files.values().map(|f| f.bytes).sum::<u64>() - released;
        Room { files: ready + more, pinned, disk_full: self.disk_full }
    }
}

impl Files {
    pub fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the queue how many bytes new files can still give: under the lock, so that of two who tell the later one knows
    /// better.
    pub fn tell_room(&self, queue: &Queue) {
        let table = self.lock();
        queue.set_room(table.room(self.file_bytes, self.budget));
    }

    /// Likewise, after a file was begun.
    pub fn tell_begun(&self, queue: &Queue) {
        let table = self.lock();
        queue.begun(table.room(self.file_bytes, self.budget));
    }

    /// The part of the budget that only urgent frames may use.
    pub fn reserve(&self) -> u64 {
        (self.budget / 16).max(self.file_bytes)
    }

    /// How the budget is used.
    pub fn space(&self) -> Space {
        let table = self.lock();
        let room = table.room(self.file_bytes, self.budget);
        Space {
            budget: self.budget,
            used: table.used(self.file_bytes),
            pinned: room.pinned,
            reserve: self.reserve(),
            disk_full: table.disk_full,
            files: table.files.values().map(|f| f.stat(table.released_below)).collect(),
        }
    }

    /// The spare, if it is there, to be begun; else whoever writes is woken when it may be.
    ///
    /// # Errors
    /// That with which the WAL failed.
    pub fn take_spare(&self) -> Result<Next, WalError> {
        let mut table = self.lock();
        if let Some(error) = &table.failed {
            return Err(error.clone());
        }
        if let Some(spare) = table.spare.take() {
            table.wanted = false;
            table.taken = spare.bytes;
            self.tell(table);
            return Ok(Next::Spare(spare));
        }
        let hopeless = table.supply(self.file_bytes, self.budget) == Supply::Nothing && !table.making;
        if table.closing && hopeless {
            return Ok(Next::Hopeless);
        }
        if !std::mem::replace(&mut table.wanted, true) {
            self.maker.wake();
        }
        Ok(Next::Later)
    }

    /// Tells everybody whom it may concern that the table has changed.
    pub fn tell(&self, table: MutexGuard<'_, Table>) {
        let wanted = table.wanted;
        drop(table);
        self.maker.wake();
        if wanted {
            self.writer.wake();
        }
    }

    /// Nobody waits for room any more.
    pub fn close(&self) {
        let mut table = self.lock();
        table.closing = true;
        self.tell(table);
    }

    /// Nothing in groups below `group` is needed.
    pub fn release_below(&self, group: u64) {
        let mut table = self.lock();
        table.released_below = table.released_below.max(group);
        self.tell(table);
    }

    /// Writes the header of a spare, durably: groups may follow.
    pub fn begin(
        &self,
        spare: &Spare,
        salt: u64,
        first_group: u64,
        previous_crc: u32,
    ) -> Result<(Arc<dyn File>, Arc<LiveFile>), WalError> {
        let path = &spare.path;
        let file = self.fs.open(path, Open::Write).map_err(|e| WalError::io("open", path, &e))?;
        let header = self.header(spare.number, salt, first_group, previous_crc);
        let mut block = Pool::new(0, BLOCK).take(BLOCK);
        block.bytes_mut()[..BLOCK].copy_from_slice(&header.encode());
        write_full(&*file, &block.bytes()[..BLOCK], 0).map_err(|e| WalError::io("write", path, &e))?;
        file.sync().map_err(|e| WalError::io("sync", path, &e))?;
        let live = Arc::new(LiveFile {
            number: spare.number,
            path: path.clone(),
            bytes: spare.bytes,
            first_group,
            last_group: AtomicU64::new(first_group - 1),
            kept: None,
            retired: AtomicBool::new(false),
        });
        let mut table = self.lock();
        table.taken = 0;
        table.files.insert(spare.number, live.clone());
        drop(table);
        Ok((file, live))
    }

    pub fn header(&self, file: u64, salt: u64, first_group: u64, previous_crc: u32) -> Header {
        let (identity, budget) = (self.identity, self.budget);
        Header { kind: Kind::Wal, identity, file, salt, budget, first_group, previous_crc, kept: KeptPart::default() }
    }

    pub fn rename(&self, from: &PathBuf, to: &PathBuf) -> Result<(), WalError> {
        if from != to {
            self.fs.rename(from, to).map_err(|e| WalError::io("rename", from, &e))?;
        }
        self.fs.sync_dir(&self.dir).map_err(|e| WalError::io("sync", &self.dir, &e))
    }

    /// Removes a file that is in the table no longer.
    pub fn remove(&self, path: &PathBuf) -> Result<(), WalError> {
        self.fs.remove(path).map_err(|e| WalError::io("remove", path, &e))?;
        self.fs.sync_dir(&self.dir).map_err(|e| WalError::io("sync", &self.dir, &e))
    }

    /// Gives a file without content, of the size of all, the next number.
    pub fn reuse(&self, old: &PathBuf, number: u64) -> Result<Spare, WalError> {
        let path = names::wal(&self.dir, number);
        self.rename(old, &path)?;
        Ok(Spare { number, path, bytes: self.file_bytes })
    }
}

/// What of the budget files may take: room for one condensed file is held back, for it is written while its original is
/// still there.
fn for_files(file_bytes: u64, budget: u64) -> u64 {
    budget - file_bytes / 2
}

/// Whether the disk, or the user's share of it, is full.
pub(crate) fn is_no_space(error: &WalError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, WalError::Io { kind: StorageFull | QuotaExceeded, .. })
}
