//! Condensing: a file of which little is needed gives way to one with just that, so that one slow transaction or idle
//! partition does not hold 64 MiB.
//!
//! It goes on in steps, so that in one thread too others have their turn in between. Until the last one nothing has changed.
//! What it reads may be damaged, and a full disk refuses what it writes; any other error of a write, or one that leaves
//! unknown which name a file has, is the end of the WAL like an error of a group.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::buffer::BLOCK;
use super::engine::{DirectoryLock, Shared};
use super::files::{Files, LiveFile, is_no_space};
use super::frame::ENTRY_LEN;
use super::group::GroupHead;
use super::header::{Header, KeptPart, Kind};
use super::inventory::tag;
use super::kept::{Directory, KeptFrame, Writing, index};
use super::window::Window;
use super::{Condensed, Damage, DamageKind, FrameMeta, WalError, names};

type Needed<'a> = &'a dyn Fn(&FrameMeta, u64) -> bool;

/// Payload that one step copies.
const STEP_BYTES: u64 = 4 << 20;

/// A file that is being condensed; see [`super::Wal::condensing`]. It does not go while this lives.
pub struct Condensing {
    shared: Arc<Shared>,
    live: Arc<LiveFile>,
    copying: Option<Copying>,
    /// Whether a half-made file may be there.
    half_made: bool,
    /// The directory stays ours for as long.
    _lock: DirectoryLock,
}

/// The new file, while frames are copied to it.
struct Copying {
    window: Window,
    directory: Directory,
    /// Where each frame lies in the old file.
    places: Vec<u64>,
    writing: Writing,
    next: usize,
}

impl Condensing {
    pub(crate) fn begin(shared: &Arc<Shared>, lock: DirectoryLock, number: u64) -> Result<Self, WalError> {
        let refuse = |why| WalError::NotCondensable { file: number, why };
        let mut table = shared.files.lock();
        if table.busy.is_some() {
            return Err(refuse("another one is being condensed"));
        }
        if table.files.keys().next_back() == Some(&number) {
            return Err(refuse("it is being written"));
        }
        let live = table.files.get(&number).cloned().ok_or_else(|| refuse("there is no such file"))?;
        table.busy = Some(number);
        drop(table);
        Ok(Self { shared: shared.clone(), live, copying: None, half_made: false, _lock: lock })
    }

    /// Goes on: `None` until it is done. `needed` is asked in the first step only. Blocks.
    ///
    /// # Errors
    /// As [`super::Wal::condense`]; after one it must not be called again.
    pub fn step(&mut self, needed: Needed<'_>) -> Result<Option<Condensed>, WalError> {
        let (closing, failed) = {
            let table = self.shared.files.lock();
            (table.closing, table.failed.clone())
        };
        if let Some(error) = failed.or(closing.then_some(WalError::Closed)) {
            return Err(error);
        }
        match self.copying.take() {
            None => self.choose(needed),
            Some(copying) => self.copy(copying),
        }
    }

    fn choose(&mut self, needed: Needed<'_>) -> Result<Option<Condensed>, WalError> {
        let (files, live) = (self.shared.files.clone(), self.live.clone());
        let mut window = Window::open(&*files.fs, &live.path)?;
        let (mut directory, places) = match live.kept {
            Some(_) => of_kept(&mut window, &live, needed)?,
            None => of_wal(&files, &mut window, &live, needed)?,
        };
        let payload: u64 = directory.frames.iter().map(|f| u64::from(f.entry.len)).sum();
        let bytes = directory.payload_at() + payload.next_multiple_of(BLOCK as u64);
        // Of a condensed file anything that frees a block is worth it.
        let max = if live.kept.is_some() { live.bytes - BLOCK as u64 } else { live.bytes / 2 };
        if bytes > max {
            return Ok(Some(Condensed::TooMuch { needed: payload + (directory.frames.len() * ENTRY_LEN) as u64 }));
        }
        self.half_made = true;
        let writing = self.written(Writing::begin(&mut directory, &*files.fs, &files.dir))?;
        self.copying = Some(Copying { window, directory, places, writing, next: 0 });
        Ok(None)
    }

    fn copy(&mut self, mut copying: Copying) -> Result<Option<Condensed>, WalError> {
        let mut copied = 0;
        while copied < STEP_BYTES {
            let Some((frame, &at)) = copying.directory.frames.get(copying.next).zip(copying.places.get(copying.next))
            else {
                return self.finish(copying);
            };
            let payload = copying.window.get(at, frame.entry.len as usize)?;
            if crc32c::crc32c(payload) != frame.entry.crc {
                return Err(damaged(&self.live, at, frame));
            }
            self.written(copying.writing.put(payload))?;
            copied += u64::from(frame.entry.len);
            copying.next += 1;
        }
        self.copying = Some(copying);
        Ok(None)
    }

    /// The new file takes the place of the old one.
    fn finish(&mut self, mut copying: Copying) -> Result<Option<Condensed>, WalError> {
        let (files, live) = (self.shared.files.clone(), self.live.clone());
        let kept_bytes = self.written(copying.writing.finish())?;
        self.renamed(copying.writing.publish(&*files.fs, &files.dir))?;
        self.half_made = false;
        let kept = LiveFile {
            number: live.number,
            path: names::kept(&files.dir, live.number),
            bytes: kept_bytes,
            first_group: live.first_group,
            last_group: AtomicU64::new(live.last_group.load(Ordering::SeqCst)),
            kept: Some(index(&copying.directory)),
            retired: AtomicBool::new(false),
        };
        let mut table = files.lock();
        table.files.insert(live.number, Arc::new(kept));
        live.retired.store(true, Ordering::SeqCst);
        if live.kept.is_none() && live.bytes == files.file_bytes {
            table.blanks.push(live.path.clone());
        } else if live.kept.is_none() {
            drop(table);
            self.renamed(files.remove(&live.path))?;
        }
        Ok(Some(Condensed::Done { kept: kept_bytes }))
    }

    /// Without room for it nothing has happened; any other error of a write is the end.
    fn written<T>(&self, done: Result<T, WalError>) -> Result<T, WalError> {
        done.map_err(|error| match is_no_space(&error) {
            true => WalError::DiskFull(self.shared.files.dir.clone()),
            false => self.fatal(error),
        })
    }

    fn renamed(&self, done: Result<(), WalError>) -> Result<(), WalError> {
        done.map_err(|error| self.fatal(error))
    }

    fn fatal(&self, error: WalError) -> WalError {
        self.shared.fail(&error);
        error
    }
}

impl Drop for Condensing {
    fn drop(&mut self) {
        let files = &self.shared.files;
        if self.half_made {
            // It would only keep room; if it cannot go now, it goes at the next start.
            let _ = files.fs.remove(&names::kept_temporary(&files.dir, self.live.number));
        }
        let mut table = files.lock();
        table.busy = None;
        files.tell(table);
        self.shared.tell_room();
    }
}

impl std::fmt::Debug for Condensing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Condensing").field("file", &self.live.number).finish_non_exhaustive()
    }
}

/// What is needed of a condensed file, and where it lies.
fn of_kept(window: &mut Window, live: &LiveFile, needed: Needed<'_>) -> Result<(Directory, Vec<u64>), WalError> {
    let unreadable = || WalError::NotCondensable { file: live.number, why: "its directory is damaged" };
    let mut directory = Directory::read(window, &live.path)?.ok_or_else(unreadable)?;
    let frames = index(&directory).into_iter().zip(std::mem::take(&mut directory.frames));
    let (places, frames) =
        frames.filter(|(_, f)| needed(&f.entry.meta, f.group)).map(|((_, here), f)| (here, f)).unzip();
    directory.frames = frames;
    Ok((directory, places))
}

/// What is needed of a file of groups, and where it lies.
fn of_wal(
    files: &Files,
    window: &mut Window,
    live: &LiveFile,
    needed: Needed<'_>,
) -> Result<(Directory, Vec<u64>), WalError> {
    let broken = || WalError::NotCondensable { file: live.number, why: "its groups cannot be read" };
    let begun = Header::decode(Kind::Wal, window.get(0, BLOCK)?, &live.path)?.ok_or_else(broken)?;
    let (last_group, mut last_crc) = (live.last_group.load(Ordering::SeqCst), begun.previous_crc);
    let (mut frames, mut places) = (Vec::new(), Vec::new());
    let mut at = BLOCK as u64;
    for number in live.first_group..=last_group {
        let head = GroupHead::peek(window.get(at, BLOCK)?, tag(&files.identity), live.number).ok_or_else(broken)?;
        if head.number != number || head.salt != begun.salt || !head.is_plausible(window.len() - at) {
            return Err(broken());
        }
        let bytes = window.get(at, head.directory_end())?;
        if !head.is_intact(bytes) {
            return Err(broken());
        }
        let mut byte = at + head.directory_end() as u64;
        for entry in head.entries(bytes) {
            if needed(&entry.meta, number) {
                frames.push(KeptFrame { group: number, at: byte, entry });
                places.push(byte);
            }
            byte += u64::from(entry.len);
        }
        last_crc = head.crc;
        at += u64::from(head.len);
    }
    let kept = KeptPart { last_group, last_crc, ..KeptPart::default() };
    let header = Header { kind: Kind::Kept, kept, ..begun };
    Ok((Directory { header, frames, losses: Vec::new() }, places))
}

fn damaged(live: &LiveFile, at: u64, frame: &KeptFrame) -> WalError {
    WalError::Damaged(Box::new(Damage {
        path: live.path.clone(),
        file: live.number,
        at,
        len: u64::from(frame.entry.len),
        groups: frame.group..=frame.group,
        frame: Some(frame.entry.meta),
        accepted: false,
        kind: DamageKind::Payload,
    }))
}
