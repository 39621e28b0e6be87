//! Reads a file from front to back through one buffer, so that recovery and condensing need few and large reads.
//!
//! A block that the disk does not give is as damaged as one with other bytes than were written: it reads as bytes that
//! nobody writes, and no checksum will match them.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::WalError;
use super::buffer::BLOCK;
use super::fs::{File, FileSystem, Open, read_full};

/// Bytes asked for at once: large enough that the disk streams, small enough for any machine.
const CHUNK: usize = 4 << 20;
/// What stands in the place of bytes that cannot be read.
pub(crate) const UNREADABLE: &[u8] = b"this byte cannot be read ";

/// A moving view of a file.
pub(crate) struct Window {
    file: Arc<dyn File>,
    path: PathBuf,
    len: u64,
    chunk: usize,
    /// Only the first `have` bytes are the file's, from byte `from` on.
    buf: Vec<u8>,
    have: usize,
    from: u64,
}

impl Window {
    /// Opens a file to read it whole.
    pub fn open(fs: &dyn FileSystem, path: &Path) -> Result<Self, WalError> {
        Self::with_chunk(fs, path, CHUNK)
    }

    /// Opens a file to look at a few blocks.
    pub fn peep(fs: &dyn FileSystem, path: &Path) -> Result<Self, WalError> {
        Self::with_chunk(fs, path, BLOCK)
    }

    fn with_chunk(fs: &dyn FileSystem, path: &Path, chunk: usize) -> Result<Self, WalError> {
        let file = fs.open(path, Open::Read).map_err(|e| WalError::io("open", path, &e))?;
        let len = file.len().map_err(|e| WalError::io("ask for the length of", path, &e))?;
        Ok(Self { file, path: path.to_owned(), len, chunk, buf: Vec::new(), have: 0, from: 0 })
    }

    /// Length of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// `len` bytes from `at`, or what there is up to the end of the file.
    pub fn get(&mut self, at: u64, len: usize) -> Result<&[u8], WalError> {
        let room = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(room);
        let end = self.from + self.have as u64;
        if at < self.from || at + len as u64 > end {
            self.load(at, len.max(self.chunk).min(room))?;
        }
        let begin = usize::try_from(at - self.from).unwrap_or(usize::MAX);
        Ok(&self.buf[begin..begin + len])
    }

    /// Makes the buffer hold `len` bytes from `at`, keeping what it has of them.
    fn load(&mut self, at: u64, len: usize) -> Result<(), WalError> {
        let end = self.from + self.have as u64;
        let keep = usize::try_from(end.saturating_sub(at)).unwrap_or(0).min(self.have);
        let keep = if at < self.from { 0 } else { keep };
        self.buf.copy_within(self.have - keep..self.have, 0);
        (self.from, self.have) = (at, keep);
        if self.buf.len() < len {
            self.buf.resize(len, 0);
        }
        let missing = &mut self.buf[keep..len.max(keep)];
        let read = read_or_mark(&*self.file, missing, at + keep as u64);
        if read < missing.len() {
            return Err(WalError::io("read", &self.path, &std::io::ErrorKind::UnexpectedEof.into()));
        }
        self.have += read;
        Ok(())
    }
}

/// Reads like [`read_full`]; where that fails, block by block, with marks in the place of those that cannot be read.
fn read_or_mark(file: &dyn File, buf: &mut [u8], from: u64) -> usize {
    if let Ok(read) = read_full(file, buf, from) {
        return read;
    }
    let mut done = 0;
    while done < buf.len() {
        let at = from + done as u64;
        let to_border = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or(0);
        let end = (done + to_border).min(buf.len());
        let piece = &mut buf[done..end];
        match read_full(file, piece, at) {
            Ok(read) if read < piece.len() => return done + read,
            Ok(_) => {}
            Err(_) => piece.iter_mut().zip(UNREADABLE.iter().cycle()).for_each(|(to, mark)| *to = *mark),
        }
        done = end;
    }
    done
}
