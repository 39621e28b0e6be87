//! A condensed file: the frames of a WAL file that are still needed, with their original positions, and what was lost.
//!
//! ```text
//! header block (`header.rs`)
//! per frame, 88 bytes, by rising byte: group u64, byte in the original file u64, directory entry (`frame.rs`)
//! per loss, 112 bytes: byte u64, length u64, first and last group u64 each, kind u8, has a frame u8, 6 zeros, entry
//! zeros to the next block, then the payloads one after the other, zeros to the next block
//! ```
//! It is written beside the original, synced, and then renamed: a file of this name is whole.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::buffer::{BLOCK, Buffer, Pool};
use super::frame::{ENTRY_LEN, Entry, FrameMeta, array};
use super::fs::{File, FileSystem, Open, write_full};
use super::header::{Header, Kind};
use super::window::Window;
use super::{DamageKind, WalError, names};

const FRAME_LEN: usize = 16 + ENTRY_LEN;
const LOSS_LEN: usize = 40 + ENTRY_LEN;
const STAGE: usize = 1 << 20;

/// Takes the bytes of a frame.
type Put<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), WalError>;

/// A frame and where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptFrame {
    pub group: u64,
    pub at: u64,
    pub entry: Entry,
}

/// A place of the original whose loss was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    pub at: u64,
    pub len: u64,
    pub first_group: u64,
    pub last_group: u64,
    pub kind: DamageKind,
    pub frame: Option<FrameMeta>,
}

/// What stands before the payloads.
#[derive(Debug)]
pub(crate) struct Directory {
    pub header: Header,
    pub frames: Vec<KeptFrame>,
    pub losses: Vec<Loss>,
}

impl Directory {
    /// Byte at which the payloads begin.
    pub fn payload_at(&self) -> u64 {
        (BLOCK + self.frames.len() * FRAME_LEN + self.losses.len() * LOSS_LEN).next_multiple_of(BLOCK) as u64
    }

    /// Reads a condensed file's directory; `None` if it is damaged.
    pub fn read(window: &mut Window, path: &Path) -> Result<Option<Self>, WalError> {
        let Some(header) = Header::decode(Kind::Kept, window.get(0, BLOCK)?, path)? else { return Ok(None) };
        let frames = header.kept.frames as usize * FRAME_LEN;
        let len = frames + header.kept.losses as usize * LOSS_LEN;
        if len as u64 > window.len() {
            return Ok(None);
        }
        let bytes = window.get(BLOCK as u64, len)?;
        if bytes.len() < len || crc32c::crc32c(bytes) != header.kept.directory_crc {
            return Ok(None);
        }
        let (frames, losses) = bytes.split_at(frames);
        let frames = frames.as_chunks::<FRAME_LEN>().0.iter().map(decode_frame).collect();
        let losses = losses.as_chunks::<LOSS_LEN>().0.iter().map(decode_loss).collect();
        Ok(Some(Self { header, frames, losses }))
    }

    /// Writes the file durably under its name; `payload` hands out each frame's bytes. Returns its length.
    pub fn write(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        payload: &mut dyn FnMut(&KeptFrame, Put<'_>) -> Result<(), WalError>,
    ) -> Result<u64, WalError> {
        let mut writing = Writing::begin(self, fs, dir)?;
        for frame in &self.frames {
            payload(frame, &mut |bytes| writing.put(bytes))?;
        }
        let len = writing.finish()?;
        writing.publish(fs, dir)?;
        Ok(len)
    }

    /// The directory's bytes; sets the counts of the header.
    fn encode(&mut self) -> Vec<u8> {
        self.header.kept.frames = u32::try_from(self.frames.len()).expect("a file holds fewer than 2^32 frames");
        self.header.kept.losses = u32::try_from(self.losses.len()).expect("a file has fewer than 2^32 losses");
        let mut out = Vec::with_capacity(self.frames.len() * FRAME_LEN + self.losses.len() * LOSS_LEN);
        for frame in &self.frames {
            out.extend_from_slice(&frame.group.to_le_bytes());
            out.extend_from_slice(&frame.at.to_le_bytes());
            out.extend_from_slice(&frame.entry.encode());
        }
        for loss in &self.losses {
            for number in [loss.at, loss.len, loss.first_group, loss.last_group] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(&[loss.kind.code(), u8::from(loss.frame.is_some()), 0, 0, 0, 0, 0, 0]);
            match loss.frame {
                Some(meta) => out.extend_from_slice(&Entry { meta, len: 0, crc: 0 }.encode()),
                None => out.extend_from_slice(&[0; ENTRY_LEN]),
            }
        }
        out
    }
}

fn decode_frame(bytes: &[u8; FRAME_LEN]) -> KeptFrame {
    KeptFrame {
        group: u64::from_le_bytes(array(bytes, 0)),
        at: u64::from_le_bytes(array(bytes, 8)),
        entry: Entry::decode(&array(bytes, 16)),
    }
}

fn decode_loss(bytes: &[u8; LOSS_LEN]) -> Loss {
    let number = |at| u64::from_le_bytes(array(bytes, at));
    Loss {
        at: number(0),
        len: number(8),
        first_group: number(16),
        last_group: number(24),
        kind: DamageKind::from_code(bytes[32]),
        frame: (bytes[33] == 1).then(|| Entry::decode(&array(bytes, 40)).meta),
    }
}

/// Where each frame of a condensed file lies.
pub(crate) fn index(directory: &Directory) -> Vec<(u64, u64)> {
    let mut byte = directory.payload_at();
    let place = |frame: &KeptFrame| {
        let here = byte;
        byte += u64::from(frame.entry.len);
        (frame.at, here)
    };
    directory.frames.iter().map(place).collect()
}

/// A condensed file that is being written, in block-aligned pieces.
pub(crate) struct Writing {
    number: u64,
    file: Arc<dyn File>,
    /// Its name until it is whole.
    path: PathBuf,
    buffer: Buffer,
    filled: usize,
    at: u64,
}

impl Writing {
    /// Makes the file, with everything that stands before the payloads.
    pub fn begin(directory: &mut Directory, fs: &dyn FileSystem, dir: &Path) -> Result<Self, WalError> {
        let number = directory.header.file;
        let path = names::kept_temporary(dir, number);
        match fs.remove(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(WalError::io("remove", path, &e)),
            _ => {}
        }
        let file = fs.open(&path, Open::Create).map_err(|e| WalError::io("create", &path, &e))?;
        let mut writing = Self { number, file, path, buffer: Pool::new(1, STAGE).take(STAGE), filled: 0, at: 0 };
        let bytes = directory.encode();
        directory.header.kept.directory_crc = crc32c::crc32c(&bytes);
        writing.put(&directory.header.encode())?;
        writing.put(&bytes)?;
        writing.pad()?;
        Ok(writing)
    }

    /// Appends bytes of a payload.
    pub fn put(&mut self, mut bytes: &[u8]) -> Result<(), WalError> {
        while !bytes.is_empty() {
            let n = bytes.len().min(self.buffer.capacity() - self.filled);
            self.buffer.bytes_mut()[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
            self.filled += n;
            bytes = &bytes[n..];
            if self.filled == self.buffer.capacity() {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Makes the bytes durable; returns how many there are.
    pub fn finish(&mut self) -> Result<u64, WalError> {
        self.pad()?;
        self.flush()?;
        self.file.sync().map_err(|e| WalError::io("sync", &self.path, &e))?;
        Ok(self.at)
    }

    /// Gives the file its name. After an error nobody knows which name a power cut would leave.
    pub fn publish(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), WalError> {
        let named = fs.rename(&self.path, &names::kept(dir, self.number));
        named.map_err(|e| WalError::io("rename", &self.path, &e))?;
        fs.sync_dir(dir).map_err(|e| WalError::io("sync", dir, &e))
    }

    fn pad(&mut self) -> Result<(), WalError> {
        self.put(&[0; BLOCK][..self.filled.next_multiple_of(BLOCK) - self.filled])
    }

    fn flush(&mut self) -> Result<(), WalError> {
        write_full(&*self.file, &self.buffer.bytes()[..self.filled], self.at)
            .map_err(|e| WalError::io("write", &self.path, &e))?;
        self.at += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
}
