//! The operating system's files: O_DIRECT and fdatasync on Linux, buffered where a file system refuses O_DIRECT.
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::{DirEntry, DiskSpace, File, FileSystem, Open};

/// The real file system.
#[derive(Debug, Clone)]
pub struct RealFs {
    direct: bool,
}

impl RealFs {
    /// Past the page cache where that is possible.
    pub fn new() -> Self {
        Self { direct: true }
    }

    /// Through the page cache always.
    pub fn buffered() -> Self {
        Self { direct: false }
    }
}

impl Default for RealFs {
    fn default() -> Self {
        Self::new()
    }
}

struct RealFile {
    fd: OwnedFd,
    direct: AtomicBool,
}

impl RealFile {
    /// Some file systems take the flag and then refuse the write: the same descriptor goes on without it.
    fn without_direct(&self) -> io::Result<bool> {
        if !self.direct.swap(false, Ordering::SeqCst) {
            return Ok(false);
        }
        set_direct(&self.fd, false)?;
        Ok(true)
    }
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        match rustix::io::pread(&self.fd, &mut *buf, at) {
            Err(Errno::INVAL) if self.without_direct()? => Ok(rustix::io::pread(&self.fd, buf, at)?),
            other => Ok(other?),
        }
    }

    fn write_at(&self, buf: &[u8], at: u64) -> io::Result<usize> {
        match rustix::io::pwrite(&self.fd, buf, at) {
            Err(Errno::INVAL) if self.without_direct()? => Ok(rustix::io::pwrite(&self.fd, buf, at)?),
            other => Ok(other?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        sync_data(&self.fd)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(rustix::fs::fstat(&self.fd)?.st_size).unwrap_or(0))
    }
}

impl FileSystem for RealFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.create_dir(parent)?;
        match fs::create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        self.sync_dir(parent)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_file() {
                entries.push(DirEntry { name: entry.file_name().to_string_lossy().into_owned(), len: meta.len() });
            }
        }
        Ok(entries)
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => {}
            Open::Write => _ = options.write(true),
            Open::Create => _ = options.write(true).create_new(true),
        }
        let fd = OwnedFd::from(options.open(path)?);
        let direct = self.direct && how != Open::Read && set_direct(&fd, true).is_ok();
        Ok(Arc::new(RealFile { fd, direct: AtomicBool::new(direct) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn space(&self, dir: &Path) -> io::Result<DiskSpace> {
        let s = rustix::fs::statvfs(dir)?;
        Ok(DiskSpace { free: s.f_bavail.saturating_mul(s.f_frsize), total: s.f_blocks.saturating_mul(s.f_frsize) })
    }

    fn id(&self, path: &Path) -> io::Result<(u64, u64)> {
        let meta = fs::metadata(path)?;
        Ok((meta.dev(), meta.ino()))
    }

    fn boot(&self) -> u64 {
        let id = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        u64::from(crc32c::crc32c(&id)) | 1 << 32
    }
}

#[cfg(target_os = "linux")]
fn set_direct(fd: &OwnedFd, on: bool) -> io::Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(fd)?;
    flags.set(rustix::fs::OFlags::DIRECT, on);
    Ok(rustix::fs::fcntl_setfl(fd, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_fd: &OwnedFd, _on: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_vendor = "apple"))]
fn sync_data(fd: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::fdatasync(fd)?)
}

/// On Apple's systems fsync stops at the drive's cache.
#[cfg(target_vendor = "apple")]
fn sync_data(fd: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::fcntl_fullfsync(fd)?)
}
