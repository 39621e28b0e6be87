//! A group: what one sync covers. It begins and ends at blocks of 4 KiB.
//!
//! Little-endian:
//! ```text
//!  0 magic "ESKGROUP"      8 file number u64      16 the file's salt u64
//! 24 group number u64     32 first 8 bytes of the WAL id
//! 40 boot of the machine that wrote it u64
//! 48 length u32, with directory, payloads and padding
//! 52 frames u32           56 flags u32            60 epoch u32
//! 64 payload bytes u32    68 CRC of the group before it u32
//! 72 zero u32             76 CRC: CRC32C of bytes 0..76 and the directory
//! 80 directory: one entry of 72 bytes a frame (`frame.rs`), then the payloads one after the other, then zeros
//! ```
//! The directory holds each payload's CRC32C, so the group's CRC stands for all of it, and the chain of CRCs for the WAL.
use super::buffer::BLOCK;
use super::frame::{ENTRY_LEN, Entry, array};

const MAGIC: [u8; 8] = *b"ESKGROUP";
/// Bytes before the directory.
pub(crate) const HEAD_LEN: usize = 80;

/// Written without waiting for a sync (`durability = os`).
pub(crate) const FLAG_UNSYNCED: u32 = 1;
/// Written by a clean stop, after everything before it was synced.
pub(crate) const FLAG_CLOSED: u32 = 2;

/// What stands before the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHead {
    pub file: u64,
    pub salt: u64,
    pub number: u64,
    pub wal: [u8; 8],
    pub boot: u64,
    pub len: u32,
    pub frames: u32,
    pub flags: u32,
    pub epoch: u32,
    pub payload: u32,
    pub previous_crc: u32,
    pub crc: u32,
}

/// Length of a group of so many frames and payload bytes, a multiple of the block.
pub(crate) fn group_len(frames: usize, payload: u64) -> u64 {
    (HEAD_LEN as u64 + (frames * ENTRY_LEN) as u64 + payload).next_multiple_of(BLOCK as u64)
}

impl GroupHead {
    /// Bytes of head and directory.
    pub fn directory_end(&self) -> usize {
        HEAD_LEN + self.frames as usize * ENTRY_LEN
    }

    /// Writes the head in front of a finished directory, computes the group's CRC, and returns it.
    pub fn seal(&self, group: &mut [u8]) -> u32 {
        let mut put = |at: usize, bytes: &[u8]| group[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &self.file.to_le_bytes());
        put(16, &self.salt.to_le_bytes());
        put(24, &self.number.to_le_bytes());
        put(32, &self.wal);
        put(40, &self.boot.to_le_bytes());
        put(48, &self.len.to_le_bytes());
        put(52, &self.frames.to_le_bytes());
        put(56, &self.flags.to_le_bytes());
        put(60, &self.epoch.to_le_bytes());
        put(64, &self.payload.to_le_bytes());
        put(68, &self.previous_crc.to_le_bytes());
        put(72, &[0; 4]);
        let crc = Self::checksum(group, self.directory_end());
        group[76..80].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// Reads the fields of what looks like a group of this WAL and file, without trust in any of them.
    pub fn peek(bytes: &[u8], wal: [u8; 8], file: u64) -> Option<Self> {
        if bytes.len() < HEAD_LEN || bytes[..8] != MAGIC {
            return None;
        }
        let u32_at = |at| u32::from_le_bytes(array(bytes, at));
        let u64_at = |at| u64::from_le_bytes(array(bytes, at));
        let head = Self {
            file: u64_at(8),
            salt: u64_at(16),
            number: u64_at(24),
            wal: array(bytes, 32),
            boot: u64_at(40),
            len: u32_at(48),
            frames: u32_at(52),
            flags: u32_at(56),
            epoch: u32_at(60),
            payload: u32_at(64),
            previous_crc: u32_at(68),
            crc: u32_at(76),
        };
        (head.wal == wal && head.file == file).then_some(head)
    }

    /// Whether this is the head of some group of a file with this number, of whatever WAL.
    pub fn looks_like_one(bytes: &[u8], file: u64) -> bool {
        bytes.len() >= HEAD_LEN && Self::peek(bytes, array(bytes, 32), file).is_some()
    }

    /// Whether its sizes agree with each other and fit in `room` bytes: then, and only then, `len` bytes may be read.
    pub fn is_plausible(&self, room: u64) -> bool {
        let frames_max = room / ENTRY_LEN as u64;
        u64::from(self.frames) <= frames_max
            && u64::from(self.len) <= room
            && u64::from(self.len) == group_len(self.frames as usize, u64::from(self.payload))
    }

    /// Whether the CRC over head and directory is right and the directory adds up; `bytes` holds at least both.
    pub fn is_intact(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.directory_end()
            && Self::checksum(bytes, self.directory_end()) == self.crc
            && self.entries(bytes).map(|e| u64::from(e.len)).sum::<u64>() == u64::from(self.payload)
    }

    /// The directory.
    pub fn entries<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = Entry> + use<'a> {
        bytes[HEAD_LEN..self.directory_end()].as_chunks::<ENTRY_LEN>().0.iter().map(Entry::decode)
    }

    /// Whether every payload matches its checksum; `bytes` is the whole group.
    pub fn payloads_match(&self, bytes: &[u8]) -> bool {
        let mut at = self.directory_end();
        self.entries(bytes).all(|e| {
            let payload = &bytes[at..at + e.len as usize];
            at += e.len as usize;
            crc32c::crc32c(payload) == e.crc
        })
    }

    fn checksum(bytes: &[u8], end: usize) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..76]), &bytes[HEAD_LEN..end])
    }
}
