//! The file system as the WAL sees it: a trait small enough that a second implementation can lie, lose and fail.
mod faulty;
mod real;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use faulty::{Fault, FaultyFs, Op};
pub use real::RealFs;

use super::buffer::{BLOCK, Pool};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// To read, through the page cache. The file must exist.
    Read,
    /// To write, past the page cache where that is possible. The file must exist.
    Write,
    /// As [`Open::Write`], and the file must not exist.
    Create,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without the directory.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
}

/// Room on the disk that holds a directory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// What an ordinary user may still write.
    pub free: u64,
    /// The whole disk.
    pub total: u64,
}

/// An open file. Offsets, lengths and addresses of writes are multiples of 4 KiB.
///
/// Contract: what was written before [`File::sync`] returned `Ok` survives a power cut. After it returned an error
/// nothing may be assumed about any byte written since the last success, and calling it again proves nothing.
pub trait File: Send + Sync {
    /// Reads at `at`; fewer bytes than asked for, also 0, at the end of the file.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes at `at`, perhaps fewer bytes than given.
    fn write_at(&self, buf: &[u8], at: u64) -> io::Result<usize>;
    /// Makes data and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether there is no byte in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// What the WAL needs of an operating system.
///
/// Contract: creation, renaming and removal of names are durable after [`FileSystem::sync_dir`] of the directory.
pub trait FileSystem: Send + Sync + 'static {
    /// Makes a directory and those above it, durably.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock that ends with the returned guard or the process; `WouldBlock` when another has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
    /// The files of a directory in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;
    /// Renames, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names of a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Room on the disk.
    fn space(&self, dir: &Path) -> io::Result<DiskSpace>;
    /// Which disk a file lies on and which file of it that is: device and inode, the same for as long as it is not a copy.
    fn id(&self, path: &Path) -> io::Result<(u64, u64)>;
    /// A number that is another after every boot of the machine.
    fn boot(&self) -> u64;
}

/// The text of a small file that [`write_text`] wrote; `None` if it is not there.
///
/// # Errors
/// Any of the file system; a file of more than a block is not read.
pub fn read_text(fs: &dyn FileSystem, path: &Path) -> io::Result<Option<String>> {
    let file = match fs.open(path, Open::Read) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = vec![0; BLOCK];
    let len = read_full(&*file, &mut bytes, 0)?;
    Ok(Some(String::from_utf8_lossy(&bytes[..len]).trim().to_owned()))
}

/// Writes a small file, durably: a power cut leaves all of it or what was there. The text is filled up to a block with line
/// ends, as nothing else can be written past the page cache.
///
/// # Errors
/// Any of the file system, and a text of more than a block.
pub fn write_text(fs: &dyn FileSystem, path: &Path, text: &str) -> io::Result<()> {
    let mut block = Pool::new(0, BLOCK).take(BLOCK);
    let bytes = &mut block.bytes_mut()[..BLOCK];
    bytes.fill(b'\n');
    bytes.get_mut(..text.len()).ok_or(io::ErrorKind::FileTooLarge)?.copy_from_slice(text.as_bytes());
    let temporary = path.with_added_extension("tmp");
    match fs.remove(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = fs.open(&temporary, Open::Create)?;
    write_full(&*file, bytes, 0)?;
    file.sync()?;
    fs.rename(&temporary, path)?;
    fs.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Fills `buf` from `at`; returns how much there was.
pub(crate) fn read_full(file: &dyn File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Writes all of `buf` at `at`.
pub(crate) fn write_full(file: &dyn File, buf: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match file.write_at(&buf[done..], at + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
