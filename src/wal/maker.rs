//! The machine that keeps one *spare* ready: a file that is full of zeros or of what a recycled one held, under the next
//! number, with a header that says so. The writer only has to write the new header. So neither zero-filling nor renaming is
//! ever in the way of an append, unless the disk is slower than the producers.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::buffer::{BLOCK, Buffer, Pool};
use super::drive::{Machine, Step};
use super::engine::Shared;
use super::files::{Files, Spare, Supply, Table, is_no_space};
use super::fs::{File, Open, write_full};
use super::header::NEVER_BEGUN;
use super::{WalError, names};

/// Zeros are written in pieces of this size, with a pause after each while nobody waits for the file.
const FILL: usize = 1 << 20;
const FILL_PAUSE: Duration = Duration::from_millis(1);
/// How often a full disk is looked at again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// The machine's own state.
pub(crate) struct Maker {
    shared: Arc<Shared>,
    /// The file that is being filled, and when it goes on unless somebody waits for it.
    filling: Option<(Filling, Duration)>,
}

impl Maker {
    pub fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), filling: None }
    }

    fn files(&self) -> &Files {
        &self.shared.files
    }

    /// Decides what is next, and takes what is used for it out of the table, so that nobody else sees it.
    fn choose(&self) -> Choice {
        let files = self.files();
        let mut table = files.lock();
        if table.ended || table.failed.is_some() {
            return Choice::End;
        }
        let supply = table.supply(files.file_bytes, files.budget);
        if supply == Supply::Nothing {
            return if table.disk_full { Choice::Look } else { Choice::Nothing };
        }
        table.making = true;
        let number = table.next;
        let old = match &supply {
            Supply::Blank => table.take_blank(&names::wal(&files.dir, number)),
            Supply::DiscardBlank => table.blanks.pop(),
            Supply::Recycle(file) | Supply::Discard(file) => table.files.remove(file).map(|live| {
                live.retired.store(true, Ordering::SeqCst);
                live.path.clone()
            }),
            Supply::Create | Supply::Nothing => None,
        };
        match (supply, old) {
            (Supply::Discard(_) | Supply::DiscardBlank, Some(old)) => Choice::Discard(old),
            (Supply::Blank | Supply::Recycle(_), Some(old)) => Choice::Reuse(old, number),
            _ => Choice::Create(number),
        }
    }

    /// What was begun is done.
    fn made(&self, change: impl FnOnce(&mut Table)) {
        let files = self.files();
        let mut table = files.lock();
        table.making = false;
        change(&mut table);
        files.tell(table);
        self.shared.tell_room();
    }

    fn ready(&self, spare: Spare) {
        self.made(|table| {
            table.next = spare.number + 1;
            table.spare = Some(spare);
        });
    }

    /// Goes on with the file that is being filled.
    fn fill(&mut self, mut filling: Filling, not_before: Duration) -> Result<Step, WalError> {
        let (hurry, failed) = {
            let table = self.files().lock();
            (table.wanted || table.closing, table.failed.is_some())
        };
        if failed {
            filling.discard(self.files());
            return Ok(Step::Done);
        }
        if !hurry && self.shared.timer.elapsed() < not_before {
            self.filling = Some((filling, not_before));
            return Ok(Step::Wait(Some(not_before)));
        }
        match filling.go_on(self.files()) {
            Ok(None) => {
                self.filling = Some((filling, self.shared.timer.elapsed() + FILL_PAUSE));
                Ok(Step::Again)
            }
            Ok(Some(spare)) => {
                self.ready(spare);
                Ok(Step::Again)
            }
            Err(error) => self.not_created(error),
        }
    }

    /// A full disk is no failure.
    fn not_created(&self, error: WalError) -> Result<Step, WalError> {
        if !is_no_space(&error) {
            return Err(error);
        }
        self.made(|table| table.disk_full = true);
        Ok(Step::Again)
    }

    /// Looks whether the full disk has room again, or waits a while.
    fn look_at_disk(&self) -> Result<Step, WalError> {
        let files = self.files();
        let io = |e| WalError::io("ask for the free space of", &files.dir, &e);
        let space = files.fs.space(&files.dir).map_err(io)?;
        if space.free < files.file_bytes + files.file_bytes / 8 {
            return Ok(Step::Wait(Some(self.shared.timer.elapsed() + FULL_PAUSE)));
        }
        self.made(|table| table.disk_full = false);
        Ok(Step::Again)
    }
}

/// What the maker does next.
enum Choice {
    Discard(PathBuf),
    Reuse(PathBuf, u64),
    Create(u64),
    /// Look at the disk, which is full.
    Look,
    Nothing,
    End,
}

impl Machine for Maker {
    fn step(&mut self) -> Result<Step, WalError> {
        if let Some((filling, not_before)) = self.filling.take() {
            return self.fill(filling, not_before);
        }
        match self.choose() {
            Choice::Discard(old) => {
                self.files().remove(&old)?;
                self.made(|_| {});
            }
            Choice::Reuse(old, number) => self.ready(self.files().reuse(&old, number)?),
            Choice::Create(number) => match Filling::begin(self.files(), number, self.files().file_bytes) {
                Ok(filling) => self.filling = Some((filling, Duration::ZERO)),
                Err(error) => return self.not_created(error),
            },
            Choice::Look => return self.look_at_disk(),
            Choice::Nothing => return Ok(Step::Wait(None)),
            Choice::End => return Ok(Step::Done),
        }
        Ok(Step::Again)
    }

    fn ended(&mut self) {}
}

/// A file that is being filled with zeros.
pub(crate) struct Filling {
    number: u64,
    /// Its name until it is whole.
    path: PathBuf,
    file: Arc<dyn File>,
    zeros: Buffer,
    at: u64,
    bytes: u64,
}

impl Filling {
    pub fn begin(files: &Files, number: u64, bytes: u64) -> Result<Self, WalError> {
        let path = names::wal_temporary(&files.dir, number);
        let file = files.fs.open(&path, Open::Create).map_err(|e| WalError::io("create", &path, &e))?;
        let mut zeros = Pool::new(0, FILL).take(FILL);
        zeros.bytes_mut().fill(0);
        Ok(Self { number, path, file, zeros, at: 0, bytes })
    }

    /// Makes a file at once, as fast as it goes.
    pub fn all(files: &Files, number: u64, bytes: u64) -> Result<Spare, WalError> {
        let mut filling = Self::begin(files, number, bytes)?;
        loop {
            if let Some(spare) = filling.go_on(files)? {
                return Ok(spare);
            }
        }
    }

    /// Writes the next piece; behind the last one the file is made durable and gets its name.
    pub fn go_on(&mut self, files: &Files) -> Result<Option<Spare>, WalError> {
        let made = self.piece(files);
        if made.is_err() {
            self.discard(files);
        }
        made
    }

    /// A half-made file would keep the room that is missing; if it cannot go now, it goes at the next start.
    fn discard(&self, files: &Files) {
        let _ = files.fs.remove(&self.path);
    }

    fn piece(&mut self, files: &Files) -> Result<Option<Spare>, WalError> {
        let write = |e| WalError::io("write", &self.path, &e);
        if self.at < self.bytes {
            let n = FILL.min(usize::try_from(self.bytes - self.at).unwrap_or(FILL));
            write_full(&*self.file, &self.zeros.bytes()[..n], self.at).map_err(write)?;
            self.at += n as u64;
            return Ok(None);
        }
        self.zeros.bytes_mut()[..BLOCK].copy_from_slice(&files.header(NEVER_BEGUN, 0, 0, 0).encode());
        write_full(&*self.file, &self.zeros.bytes()[..BLOCK], 0).map_err(write)?;
        self.file.sync().map_err(|e| WalError::io("sync", &self.path, &e))?;
        let path = names::wal(&files.dir, self.number);
        files.rename(&self.path, &path)?;
        Ok(Some(Spare { number: self.number, path, bytes: self.bytes }))
    }
}
