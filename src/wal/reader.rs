//! Reading frames of a running WAL from its files, while files are recycled and condensed under the reader.
//!
//! A file is marked as retired before its name or bytes change. A reader looks at the mark after it read, and looks the file
//! up again when it is set: then the bytes it has may be anything.
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::buffer::{BLOCK, Pool};
use super::files::{Files, LiveFile};
use super::fs::{File, Open, read_full};
use super::pieces::Pieces;
use super::{Damage, DamageKind, Drive, Position, WalError};

/// Frames this far apart are still read at once.
const HOLE_MAX: u64 = 64 << 10;
/// Most bytes of one read, unless a single frame is larger.
const RUN_MAX: u64 = 4 << 20;
/// Files held open for reading.
const OPEN_MAX: usize = 32;
/// How often a file is looked up again when it changes under the reader.
const TRIES: usize = 5;
/// How long it gets for that.
const PAUSE: Duration = Duration::from_millis(5);

/// Reads from files.
pub(crate) struct Reader {
    files: Arc<Files>,
    drive: Drive,
    pool: Arc<Pool>,
    open: Mutex<Vec<Held>>,
}

/// A file and its open handle.
type Held = (Arc<LiveFile>, Arc<dyn File>);

/// Why a read must be tried again.
enum Again {
    /// The file was recycled or replaced.
    Retired,
    /// A checksum is wrong: of this position.
    Wrong(Position),
    Failed(WalError),
}

impl Reader {
    pub fn new(files: Arc<Files>, drive: Drive) -> Self {
        let run_max = usize::try_from(RUN_MAX).unwrap_or(usize::MAX);
        Self { files, drive, pool: Pool::new(4, run_max + BLOCK), open: Mutex::default() }
    }

    /// How many of the first positions can be had with one read.
    pub fn run(positions: &[Position]) -> usize {
        let Some(first) = positions.first() else { return 0 };
        let mut end = first.at + u64::from(first.len);
        let mut fits = |p: &Position| {
            let near = p.file == first.file && p.at >= end && p.at - end <= HOLE_MAX;
            end = p.at + u64::from(p.len);
            near && end - first.at <= RUN_MAX
        };
        1 + positions[1..].iter().take_while(|p| fits(p)).count()
    }

    /// Reads one run of positions into `pieces`.
    pub fn read(&self, positions: &[Position], pieces: &mut Pieces) -> Result<(), WalError> {
        let Some(first) = positions.first() else { return Ok(()) };
        let mut direct = false;
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 1 {
                self.drive.pause(PAUSE);
            }
            let live = self.files.lock().files.get(&first.file).cloned();
            let live = live.ok_or(WalError::Recycled(*first))?;
            match self.try_read(&live, positions, direct, pieces) {
                Ok(()) => return Ok(()),
                Err(Again::Failed(error)) => return Err(error),
                Err(Again::Retired) => {}
                Err(Again::Wrong(position)) => {
                    // The page cache may be behind what was written past it.
                    (direct, last) = (true, Some((live.path.clone(), position)));
                }
            }
            self.forget(&live);
        }
        let Some((path, position)) = last else { return Err(WalError::Recycled(*first)) };
        Err(WalError::Damaged(Box::new(Damage {
            path,
            file: position.file,
            at: position.at,
            len: u64::from(position.len),
            groups: position.group..=position.group,
            frame: None,
            accepted: false,
            kind: DamageKind::Payload,
        })))
    }

    fn try_read(
        &self,
        live: &Arc<LiveFile>,
        positions: &[Position],
        direct: bool,
        pieces: &mut Pieces,
    ) -> Result<(), Again> {
        let places: Vec<u64> =
            positions.iter().map(|p| live.place(p)).collect::<Result<_, _>>().map_err(Again::Failed)?;
        let (Some(&begin), Some((&end, last))) = (places.first(), places.last().zip(positions.last())) else {
            return Ok(());
        };
        let from = begin / BLOCK as u64 * BLOCK as u64;
        let span = usize::try_from(end + u64::from(last.len) - from).expect("a run fits in memory");
        let mut buffer = self.pool.take(span.next_multiple_of(BLOCK));
        let opened = self.file(live, direct);
        let retired = || live.retired.load(Ordering::SeqCst);
        let read = opened.map(|file| read_full(&*file, &mut buffer.bytes_mut()[..span.next_multiple_of(BLOCK)], from));
        if retired() {
            return Err(Again::Retired);
        }
        let n = match read.map_err(|e| Again::Failed(WalError::io("open", &live.path, &e)))? {
            Ok(n) => n,
            // What cannot be read is damage, of one frame.
            Err(_) if positions.len() == 1 => return Err(Again::Wrong(*last)),
            Err(_) => {
                return positions.iter().try_for_each(|p| self.try_read(live, std::slice::from_ref(p), direct, pieces));
            }
        };
        let base = buffer.freeze();
        let range = |place: u64, p: &Position| {
            let begin = usize::try_from(place - from).expect("a run fits in memory");
            begin..begin + p.len as usize
        };
        let all = || places.iter().zip(positions);
        if let Some((_, wrong)) = all().find(|(at, p)| {
            let range = range(**at, p);
            range.end > n || crc32c::crc32c(&base[range]) != p.crc
        }) {
            return Err(Again::Wrong(*wrong));
        }
        all().for_each(|(at, p)| pieces.push(&base, range(*at, p)));
        Ok(())
    }

    /// An open file, kept for the next reader. With `direct`, a fresh one past the page cache.
    fn file(&self, live: &Arc<LiveFile>, direct: bool) -> std::io::Result<Arc<dyn File>> {
        if direct {
            return self.files.fs.open(&live.path, Open::Write);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(l, _)| Arc::ptr_eq(l, live)) {
            let found = open.remove(at);
            let file = found.1.clone();
            open.push(found);
            return Ok(file);
        }
        drop(open);
        let file = self.files.fs.open(&live.path, Open::Read)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_MAX {
            open.remove(0);
        }
        open.push((live.clone(), file.clone()));
        Ok(file)
    }

    /// Closes the handles on files that went: they would keep their bytes on the disk.
    pub fn purge(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(l, _)| !l.retired.load(Ordering::SeqCst));
    }

    /// Closes the handle on a file.
    fn forget(&self, live: &Arc<LiveFile>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(l, _)| !Arc::ptr_eq(l, live));
    }
}

impl LiveFile {
    /// The byte at which a frame lies in this file.
    fn place(&self, position: &Position) -> Result<u64, WalError> {
        let Some(index) = &self.kept else { return Ok(position.at) };
        let at = index.binary_search_by_key(&position.at, |(original, _)| *original);
        at.map(|at| index[at].1).map_err(|_| WalError::Recycled(*position))
    }
}
