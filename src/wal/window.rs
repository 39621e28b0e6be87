//! Reads a file from front to back through one buffer, so that recovery and condensing need few and large reads.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::WalError;
use super::fs::{File, FileSystem, Open, read_full};

/// Bytes asked for at once: large enough that the disk streams, small enough for any machine.
const CHUNK: usize = 4 << 20;

/// A moving view of a file.
pub(crate) struct Window {
    file: Arc<dyn File>,
    path: PathBuf,
    len: u64,
    buf: Vec<u8>,
    from: u64,
}

impl Window {
    /// Opens a file to read.
    pub fn open(fs: &dyn FileSystem, path: &Path) -> Result<Self, WalError> {
        let file = fs.open(path, Open::Read).map_err(|e| WalError::io("open", path, &e))?;
        let len = file.len().map_err(|e| WalError::io("ask for the length of", path, &e))?;
        Ok(Self { file, path: path.to_owned(), len, buf: Vec::new(), from: 0 })
    }

    /// Length of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// `len` bytes from `at`, or what there is up to the end of the file.
    pub fn get(&mut self, at: u64, len: usize) -> Result<&[u8], WalError> {
        let room = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(room);
        let end = self.from + self.buf.len() as u64;
        if at < self.from || at + len as u64 > end {
            self.load(at, len.max(CHUNK).min(room))?;
        }
        let begin = usize::try_from(at - self.from).unwrap_or(usize::MAX);
        Ok(&self.buf[begin..begin + len])
    }

    /// Makes the buffer hold `len` bytes from `at`, keeping what it has of them.
    fn load(&mut self, at: u64, len: usize) -> Result<(), WalError> {
        let end = self.from + self.buf.len() as u64;
        if at >= self.from && at < end {
            self.buf.drain(..usize::try_from(at - self.from).unwrap_or(usize::MAX));
        } else {
            self.buf.clear();
        }
        self.from = at;
        let have = self.buf.len();
        self.buf.resize(len.max(have), 0);
        let read = read_full(&*self.file, &mut self.buf[have..], at + have as u64)
            .map_err(|e| WalError::io("read", &self.path, &e))?;
        if have + read < self.buf.len() {
            return Err(WalError::io("read", &self.path, &std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }
}
