//! A file system in memory that loses, reorders and fails as real ones do after power cuts and errors.
//!
//! Every write is first *pending*; [`File::sync`] makes the pending writes of that file durable, [`FileSystem::sync_dir`]
//! the pending creations, renames and removals of names. [`FaultyFs::crash`] makes the image that a power cut leaves: what
//! was durable, plus any part of what was pending, in any order, torn at sectors of 512 bytes; names as of any moment since
//! the last directory sync. A sync that is made to fail forgets its pending writes as Linux does: they stay readable, and
//! no later sync brings them to the disk.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{DirEntry, DiskSpace, File, FileSystem, Open};
use crate::base::Random;

const SECTOR: usize = 512;

/// An operation that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A file is created.
    Create,
    /// A file is opened that exists.
    Open,
    /// A read.
    Read,
    /// A write.
    Write,
    /// A sync of a file.
    Sync,
    /// A rename.
    Rename,
    /// A removal.
    Remove,
    /// A sync of a directory.
    SyncDir,
}

/// What happens instead of the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error; nothing was done (a failed sync loses what was pending).
    Eio,
    /// No space left on the device.
    Enospc,
    /// A write stops after its first block, or its first half; other operations go well.
    Short,
    /// The power goes: this and every later operation fails, a write may have been done in part.
    PowerCut,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    /// What readers see.
    live: Vec<u8>,
    /// What a power cut leaves for certain.
    durable: Vec<u8>,
    /// Written since the last sync, oldest first.
    pending: Vec<(usize, Vec<u8>)>,
    /// Sectors that cannot be read until they are written again.
    unreadable: BTreeSet<usize>,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: Names,
    /// Names after each change since the last directory sync; the first is durable.
    history: Vec<Names>,
    locked: BTreeMap<PathBuf, Arc<AtomicBool>>,
    faults: BTreeMap<(Op, u64), Fault>,
    counts: BTreeMap<Op, u64>,
    ops: u64,
    cut_at: Option<u64>,
    power_off: bool,
    capacity: Option<u64>,
    /// What others leave of it.
    left: Option<u64>,
    delay: Duration,
    boot: u64,
    device: u64,
}

/// The faulting file system; clones share one disk.
#[derive(Debug, Clone, Default)]
pub struct FaultyFs(Arc<Mutex<Disk>>);

impl FaultyFs {
    /// An empty disk without limits or faults.
    pub fn new() -> Self {
        let fs = Self::default();
        fs.disk().history.push(Names::new());
        fs
    }

    /// Every sync of a file takes `delay`.
    pub fn set_sync_delay(&self, delay: Duration) {
        self.disk().delay = delay;
    }

    /// The disk holds `bytes` and no more (`None`: no limit).
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// Files of others leave no more than `bytes` of the disk (`None`: there are none).
    pub fn set_left_by_others(&self, bytes: Option<u64>) {
        self.disk().left = bytes;
    }

    /// The `nth` operation of this kind from now on (0: the next) meets `fault`.
    pub fn fail(&self, op: Op, nth: u64, fault: Fault) {
        let mut disk = self.disk();
        let at = disk.counts.get(&op).copied().unwrap_or(0) + nth;
        disk.faults.insert((op, at), fault);
    }

    /// The power goes at the `nth` changing operation of any kind from now on (0: the next).
    pub fn cut_power_at(&self, nth: u64) {
        let mut disk = self.disk();
        disk.cut_at = Some(disk.ops + nth);
    }

    /// Changing operations so far.
    pub fn changes(&self) -> u64 {
        self.disk().ops
    }

    /// Whether the power has gone.
    pub fn is_off(&self) -> bool {
        self.disk().power_off
    }

    /// What a power cut now would leave, as a disk of its own after a reboot: a random part of what was not synced.
    pub fn crash(&self, random: &Random) -> Self {
        let disk = self.disk();
        let names = disk.history[usize::try_from(random.below(disk.history.len() as u64)).unwrap_or(0)].clone();
        let inodes = disk.inodes.iter().map(|inode| inode.after_power_cut(random)).collect();
        let after = Self::with(inodes, names, disk.boot + 1);
        after.disk().device = disk.device;
        after
    }

    /// What is there when only the process ended: everything, written and not synced alike, on a disk without faults.
    pub fn after_kill(&self) -> Self {
        let disk = self.disk();
        let after = Self::with(disk.inodes.clone(), disk.names.clone(), disk.boot);
        after.disk().history.clone_from(&disk.history);
        after.disk().device = disk.device;
        after
    }

    /// A copy of all files on another disk, as a backup tool makes it.
    pub fn copied(&self) -> Self {
        let after = self.after_kill();
        let device = self.disk().device + 1;
        after.disk().device = device;
        after
    }

    /// The bytes of a file as a reader sees them.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.disk();
        Some(disk.inodes[*disk.names.get(path)?].live.clone())
    }

    /// Changes the bytes of a file durably behind everybody's back; `None` removes it.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk();
        if let Some(&at) = disk.names.get(path) {
            let inode = &mut disk.inodes[at];
            change(&mut inode.live);
            inode.durable = inode.live.clone();
            inode.pending.clear();
        }
    }

    /// The sector with this byte of a file cannot be read any more, until it is written again.
    pub fn spoil(&self, path: &Path, at: u64) {
        let mut disk = self.disk();
        if let Some(&inode) = disk.names.get(path) {
            disk.inodes[inode].unreadable.insert(usize::try_from(at).unwrap_or(usize::MAX) / SECTOR);
        }
    }

    /// The sector with this byte of a file can be read again, as from a copy.
    pub fn replace_sector(&self, path: &Path, at: u64) {
        let mut disk = self.disk();
        if let Some(&inode) = disk.names.get(path) {
            disk.inodes[inode].unreadable.remove(&(usize::try_from(at).unwrap_or(usize::MAX) / SECTOR));
        }
    }

    /// Paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.disk().names.keys().cloned().collect()
    }

    fn with(inodes: Vec<Inode>, names: Names, boot: u64) -> Self {
        let history = vec![names.clone()];
        Self(Arc::new(Mutex::new(Disk { inodes, names, history, boot, ..Disk::default() })))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inode {
    fn apply(target: &mut Vec<u8>, at: usize, bytes: &[u8]) {
        if target.len() < at + bytes.len() {
            target.resize(at + bytes.len(), 0);
        }
        target[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn after_power_cut(&self, random: &Random) -> Self {
        let mut left = self.durable.clone();
        // All, none, or each sector by its own coin: whole outcomes are as likely as mixtures.
        let mode = random.below(4);
        for (at, bytes) in &self.pending {
            for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                if mode == 1 || mode > 1 && random.below(mode) == 0 {
                    Self::apply(&mut left, at + n * SECTOR, sector);
                }
            }
        }
        Self { live: left.clone(), durable: left, pending: Vec::new(), unreadable: self.unreadable.clone() }
    }
}

impl Disk {
    /// Counts the operation and says what happens to it.
    fn meet(&mut self, op: Op) -> io::Result<Option<Fault>> {
        if self.power_off {
            return Err(io::Error::other("the power is off"));
        }
        let count = self.counts.entry(op).or_insert(0);
        let mut fault = self.faults.remove(&(op, *count));
        *count += 1;
        if !matches!(op, Op::Open | Op::Read) {
            if self.cut_at == Some(self.ops) {
                fault = Some(Fault::PowerCut);
            }
            self.ops += 1;
        }
        match fault {
            Some(Fault::Eio) if op != Op::Sync => Err(io::Error::from_raw_os_error(5)),
            Some(Fault::Enospc) => Err(io::Error::from_raw_os_error(28)),
            Some(Fault::PowerCut) => {
                self.power_off = true;
                if op == Op::Write { Ok(fault) } else { Err(io::Error::other("the power went")) }
            }
            other => Ok(other),
        }
    }

    fn renamed(&mut self) {
        let names = self.names.clone();
        self.history.push(names);
    }

    fn total(&self) -> u64 {
        self.capacity.unwrap_or(1 << 50)
    }

    fn free(&self) -> u64 {
        self.left.unwrap_or(u64::MAX).min(self.total()).saturating_sub(self.used())
    }

    fn used(&self) -> u64 {
        self.names.values().map(|&at| self.inodes[at].live.len() as u64).sum()
    }
}

struct FaultyFile {
    fs: FaultyFs,
    inode: usize,
}

impl File for FaultyFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let mut disk = self.fs.disk();
        disk.meet(Op::Read)?;
        let live = &disk.inodes[self.inode].live;
        let from = usize::try_from(at).map_or(live.len(), |at| at.min(live.len()));
        let n = buf.len().min(live.len() - from);
        let sectors = from / SECTOR..(from + n).div_ceil(SECTOR);
        if disk.inodes[self.inode].unreadable.range(sectors).next().is_some() {
            return Err(io::Error::from_raw_os_error(5));
        }
        buf[..n].copy_from_slice(&live[from..from + n]);
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], at: u64) -> io::Result<usize> {
        let mut disk = self.fs.disk();
        let fault = disk.meet(Op::Write)?;
        let at = usize::try_from(at).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let grows = (at + buf.len()).saturating_sub(disk.inodes[self.inode].live.len()) as u64;
        if grows > disk.free() {
            return Err(io::Error::from_raw_os_error(28));
        }
        let n = match fault {
            Some(Fault::Short | Fault::PowerCut) => (buf.len() / 2).next_multiple_of(4096).min(buf.len()),
            _ => buf.len(),
        };
        let inode = &mut disk.inodes[self.inode];
        inode.unreadable.retain(|sector| !(at..at + n).contains(&(sector * SECTOR)));
        Inode::apply(&mut inode.live, at, &buf[..n]);
        inode.pending.push((at, buf[..n].to_vec()));
        if fault == Some(Fault::PowerCut) { Err(io::Error::other("the power went")) } else { Ok(n) }
    }

    fn sync(&self) -> io::Result<()> {
        let delay = self.fs.disk().delay;
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let mut disk = self.fs.disk();
        let fault = disk.meet(Op::Sync)?;
        let inode = &mut disk.inodes[self.inode];
        let pending = std::mem::take(&mut inode.pending);
        if fault == Some(Fault::Eio) {
            return Err(io::Error::from_raw_os_error(5));
        }
        for (at, bytes) in &pending {
            Inode::apply(&mut inode.durable, *at, bytes);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.disk().inodes[self.inode].live.len() as u64)
    }
}

/// Frees the lock.
struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl FileSystem for FaultyFs {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let held = self.disk().locked.entry(path.to_owned()).or_default().clone();
        if held.swap(true, Ordering::SeqCst) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Unlock(held)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let disk = self.disk();
        let mut inside: Vec<_> = disk.names.iter().filter(|(path, _)| path.parent() == Some(dir)).collect();
        // As others do: in no order that means anything.
        inside.sort_by_key(|(path, _)| crc32c::crc32c(path.as_os_str().as_encoded_bytes()));
        Ok(inside
            .into_iter()
            .map(|(path, &at)| DirEntry {
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                len: disk.inodes[at].live.len() as u64,
            })
            .collect())
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk();
        let inode = if how == Open::Create {
            disk.meet(Op::Create)?;
            if disk.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.inodes.push(Inode::default());
            let at = disk.inodes.len() - 1;
            disk.names.insert(path.to_owned(), at);
            disk.renamed();
            at
        } else {
            disk.meet(Op::Open)?;
            *disk.names.get(path).ok_or(io::ErrorKind::NotFound)?
        };
        Ok(Arc::new(FaultyFile { fs: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.meet(Op::Rename)?;
        let at = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), at);
        disk.renamed();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.meet(Op::Remove)?;
        disk.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        disk.renamed();
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.meet(Op::SyncDir)?;
        let names = disk.names.clone();
        disk.history = vec![names];
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<DiskSpace> {
        let disk = self.disk();
        Ok(DiskSpace { free: disk.free(), total: disk.total() })
    }

    fn id(&self, path: &Path) -> io::Result<(u64, u64)> {
        let disk = self.disk();
        let inode = match disk.locked.contains_key(path) {
            true => u64::MAX, // a lock has no bytes here
            false => *disk.names.get(path).ok_or(io::ErrorKind::NotFound)? as u64,
        };
        Ok((disk.device, inode))
    }

    fn boot(&self) -> u64 {
        self.disk().boot
    }
}
