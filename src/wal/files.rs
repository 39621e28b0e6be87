//! The files of a running WAL: which there are, which may go, and where the next one comes from.
//!
//! A thread of its own keeps one *spare* ready: a file that is full of zeros or of what a recycled one held, under the next
//! number, with a header that says so. The writer only has to write the new header. So neither zero-filling nor renaming is
//! ever in the way of an append, unless the disk is slower than the producers.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::buffer::{BLOCK, Pool};
use super::fs::{File, FileSystem, Open, write_full};
use super::header::{Header, KeptPart, Kind, NEVER_BEGUN};
use super::{FileStat, Identity, Space, WalError, names};

/// Zeros are written in pieces of this size, with a pause after each while nobody waits for the file.
const FILL: usize = 1 << 20;
const FILL_PAUSE: Duration = Duration::from_millis(1);
/// How often a full disk is looked at again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

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
enum Supply {
    Blank,
    Recycle(u64),
    Discard(u64),
    Create,
    Nothing,
}

/// What of the budget is left for frames that are not yet queued.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Room {
    /// Bytes in files that are not begun.
    pub bytes: u64,
    pub pinned: u64,
    pub disk_full: bool,
}

/// The files and the thread that makes them.
pub(crate) struct Files {
    pub fs: Arc<dyn FileSystem>,
    pub dir: PathBuf,
    pub identity: Identity,
    pub file_bytes: u64,
    pub budget: u64,
    pub table: Mutex<Table>,
    pub changed: Condvar,
}

impl Table {
    /// The oldest file, if nothing in it is needed and it is not the one being written.
    fn released(&self) -> impl Iterator<Item = &Arc<LiveFile>> {
        let active = self.files.keys().next_back().copied();
        self.files
            .values()
            .take_while(move |f| f.last_group.load(Ordering::SeqCst) < self.released_below)
            .filter(move |f| Some(f.number) != active && Some(f.number) != self.busy)
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

    /// Decides: what is blank first, then a new file while the budget has room, so that sealed data stays readable here;
    /// then the oldest that is released.
    fn supply(&self, file_bytes: u64, budget: u64) -> Supply {
        let used = self.used(file_bytes);
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
        let ready = u64::from(self.spare.is_some()) + self.blanks.len() as u64;
        let more = if self.disk_full { whole } else { (budget + released).saturating_sub(used) / file_bytes };
        let bytes = (ready + more) * (file_bytes - BLOCK as u64);
        let pinned = self.files.values().map(|f| f.bytes).sum::<u64>() - released;
        Room { bytes, pinned, disk_full: self.disk_full }
    }
}

impl Files {
    pub fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that new files can still give.
    pub fn room(&self) -> Room {
        self.lock().room(self.file_bytes, self.budget)
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

    /// Waits for the spare and takes it; `None` when the WAL closes meanwhile.
    pub fn take_spare(&self) -> Result<Option<Spare>, WalError> {
        let mut table = self.lock();
        loop {
            if let Some(spare) = table.spare.take() {
                table.wanted = false;
                table.taken = spare.bytes;
                self.changed.notify_all();
                return Ok(Some(spare));
            }
            if let Some(error) = &table.failed {
                return Err(error.clone());
            }
            let hopeless = table.supply(self.file_bytes, self.budget) == Supply::Nothing && !table.making;
            if table.closing && hopeless {
                return Ok(None);
            }
            table.wanted = true;
            self.changed.notify_all();
            table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody waits for room any more.
    pub fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Nothing in groups below `group` is needed.
    pub fn release_below(&self, group: u64) {
        let mut table = self.lock();
        table.released_below = table.released_below.max(group);
        self.changed.notify_all();
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

    fn header(&self, file: u64, salt: u64, first_group: u64, previous_crc: u32) -> Header {
        let (identity, budget) = (self.identity, self.budget);
        Header { kind: Kind::Wal, identity, file, salt, budget, first_group, previous_crc, kept: KeptPart::default() }
    }

    /// Makes a file of zeros under the next number, durably. Without `pace` as fast as it goes.
    pub fn create(&self, number: u64, bytes: u64, pace: bool) -> Result<Spare, WalError> {
        let temporary = names::wal_temporary(&self.dir, number);
        let made = self.fill(&temporary, bytes, pace);
        if let Err(error) = made {
            // A half-made file would keep the room that is missing; if it cannot go now, it goes at the next start.
            let _ = self.fs.remove(&temporary);
            return Err(error);
        }
        let path = names::wal(&self.dir, number);
        self.rename(&temporary, &path)?;
        Ok(Spare { number, path, bytes })
    }

    fn fill(&self, path: &PathBuf, bytes: u64, pace: bool) -> Result<(), WalError> {
        let write = |e| WalError::io("write", path, &e);
        let file = self.fs.open(path, Open::Create).map_err(|e| WalError::io("create", path, &e))?;
        let mut zeros = Pool::new(0, FILL).take(FILL);
        zeros.bytes_mut().fill(0);
        for at in (0..bytes).step_by(FILL) {
            let n = FILL.min(usize::try_from(bytes - at).unwrap_or(FILL));
            write_full(&*file, &zeros.bytes()[..n], at).map_err(write)?;
            if pace && !self.lock().wanted {
                std::thread::sleep(FILL_PAUSE);
            }
        }
        zeros.bytes_mut()[..BLOCK].copy_from_slice(&self.header(NEVER_BEGUN, 0, 0, 0).encode());
        write_full(&*file, &zeros.bytes()[..BLOCK], 0).map_err(write)?;
        file.sync().map_err(|e| WalError::io("sync", path, &e))
    }

    fn rename(&self, from: &PathBuf, to: &PathBuf) -> Result<(), WalError> {
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

    /// The thread: keeps a spare ready until the WAL closes. `tell` is called after every change of the room.
    pub fn run(&self, tell: &dyn Fn()) -> Result<(), WalError> {
        loop {
            let (number, supply, old) = {
                let mut table = self.lock();
                loop {
                    if table.ended || table.failed.is_some() {
                        return Ok(());
                    }
                    let useful = table.spare.is_none() && table.supply(self.file_bytes, self.budget) != Supply::Nothing;
                    if useful || table.disk_full {
                        break;
                    }
                    table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
                }
                let supply =
                    if table.spare.is_some() { Supply::Nothing } else { table.supply(self.file_bytes, self.budget) };
                table.making = supply != Supply::Nothing;
                let old = self.take(&mut table, &supply);
                (table.next, supply, old)
            };
            self.supply(number, &supply, old)?;
            self.lock().making = false;
            self.changed.notify_all();
            tell();
        }
    }

    /// Takes what is to be used out of the table, so that nobody else sees it.
    fn take(&self, table: &mut Table, supply: &Supply) -> Option<PathBuf> {
        match supply {
            Supply::Blank => table.take_blank(&names::wal(&self.dir, table.next)),
            Supply::Recycle(file) | Supply::Discard(file) => table.files.remove(file).map(|live| {
                live.retired.store(true, Ordering::SeqCst);
                live.path.clone()
            }),
            Supply::Create | Supply::Nothing => None,
        }
    }

    fn supply(&self, number: u64, supply: &Supply, old: Option<PathBuf>) -> Result<(), WalError> {
        match (supply, old) {
            (Supply::Discard(_), Some(old)) => self.remove(&old),
            (Supply::Blank | Supply::Recycle(_), Some(old)) => {
                self.ready(self.reuse(&old, number)?);
                Ok(())
            }
            (Supply::Create, _) => match self.create(number, self.file_bytes, true) {
                Ok(spare) => {
                    self.ready(spare);
                    Ok(())
                }
                Err(error) if is_no_space(&error) => {
                    self.lock().disk_full = true;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            _ => self.wait_for_disk(),
        }
    }

    /// Gives a file without content, of the size of all, the next number.
    pub fn reuse(&self, old: &PathBuf, number: u64) -> Result<Spare, WalError> {
        let path = names::wal(&self.dir, number);
        self.rename(old, &path)?;
        Ok(Spare { number, path, bytes: self.file_bytes })
    }

    fn ready(&self, spare: Spare) {
        let mut table = self.lock();
        table.next = spare.number + 1;
        table.spare = Some(spare);
        self.changed.notify_all();
    }

    /// Looks whether the full disk has room again, or waits a while.
    fn wait_for_disk(&self) -> Result<(), WalError> {
        let space = self.fs.space(&self.dir).map_err(|e| WalError::io("ask for the free space of", &self.dir, &e))?;
        let mut table = self.lock();
        if space.free >= self.file_bytes + self.file_bytes / 8 {
            table.disk_full = false;
        } else {
            drop(self.changed.wait_timeout(table, FULL_PAUSE));
        }
        Ok(())
    }
}

/// Whether the disk, or the user's share of it, is full.
pub(crate) fn is_no_space(error: &WalError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, WalError::Io { kind: StorageFull | QuotaExceeded, .. })
}
