//! The first block of a WAL file and of a condensed one.
//!
//! 4 KiB, little-endian, zero where nothing is said:
//! ```text
//!   0 magic "ESKERWAL" or "ESKRKEPT"     8 format u32 (1)            12 broker id i32
//!  16 cluster id 16 bytes               32 WAL id 16 bytes
//!  48 born u32                          52 epoch u32                56 file number u64
//!  64 salt u64                          72 budget in bytes u64      80 first group u64
//!  88 CRC of the group before it u32    92 CRC of the directory u32 (condensed)
//!  96 last group u64 (condensed)       104 its CRC u32 (condensed) 108 frames u32 (condensed)
//! 112 losses u32 (condensed)           116 zero
//! 128 must_read: u16 count, then each name as u8 length and UTF-8; must_write and must_collect likewise
//! 4092 CRC32C of all bytes before
//! ```
use std::path::Path;

use super::buffer::BLOCK;
use super::frame::array;
use super::{Identity, WalError};
use crate::base::Uuid;

/// The format that this version writes; it reads no other.
const FORMAT: u32 = 1;
/// Features of files that this version can read and write; an unknown one refuses by name.
const KNOWN: [&str; 0] = [];
const CRC_AT: usize = BLOCK - 4;

/// What kind of file it heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Groups.
    Wal,
    /// What is still needed of a file.
    Kept,
}

/// The number in the header of a file that was filled with zeros and never begun: no name has it.
pub(crate) const NEVER_BEGUN: u64 = u64::MAX;

/// A file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    pub identity: Identity,
    pub file: u64,
    pub salt: u64,
    pub budget: u64,
    /// The group that is or will be its first.
    pub first_group: u64,
    /// CRC of the group before that.
    pub previous_crc: u32,
    pub kept: KeptPart,
}

/// What only a condensed file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KeptPart {
    pub directory_crc: u32,
    pub last_group: u64,
    pub last_crc: u32,
    pub frames: u32,
    pub losses: u32,
}

impl Kind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Wal => *b"ESKERWAL",
            Self::Kept => *b"ESKRKEPT",
        }
    }
}

impl Header {
    /// The block.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut out = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.kind.magic());
        put(8, &FORMAT.to_le_bytes());
        put(12, &self.identity.broker_id.to_le_bytes());
        put(16, &self.identity.cluster_id.0);
        put(32, &self.identity.wal_id.0);
        put(48, &self.identity.born.to_le_bytes());
        put(52, &self.identity.epoch.to_le_bytes());
        put(56, &self.file.to_le_bytes());
        put(64, &self.salt.to_le_bytes());
        put(72, &self.budget.to_le_bytes());
        put(80, &self.first_group.to_le_bytes());
        put(88, &self.previous_crc.to_le_bytes());
        put(92, &self.kept.directory_crc.to_le_bytes());
        put(96, &self.kept.last_group.to_le_bytes());
        put(104, &self.kept.last_crc.to_le_bytes());
        put(108, &self.kept.frames.to_le_bytes());
        put(112, &self.kept.losses.to_le_bytes());
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a block; `None` if it is not a whole header of this kind.
    ///
    /// # Errors
    /// [`WalError::Unsupported`] for a whole header of another format, or one that needs an unknown feature to be read.
    pub fn decode(kind: Kind, block: &[u8], path: &Path) -> Result<Option<Self>, WalError> {
        if block.len() < BLOCK || block[..8] != kind.magic() {
            return Ok(None);
        }
        if crc32c::crc32c(&block[..CRC_AT]) != u32::from_le_bytes(array(block, CRC_AT)) {
            return Ok(None);
        }
        let unsupported = |what| WalError::Unsupported { path: path.to_owned(), what };
        let format = u32::from_le_bytes(array(block, 8));
        if format != FORMAT {
            return Err(unsupported(format!("WAL format {format}, and this version knows {FORMAT}")));
        }
        if let Some(name) = features(block).into_iter().find_map(|(list, name)| (list == 0).then_some(name)) {
            return Err(unsupported(format!("it needs the feature '{name}' to be read")));
        }
        Ok(Some(Self {
            kind,
            identity: Identity {
                cluster_id: Uuid(array(block, 16)),
                broker_id: i32::from_le_bytes(array(block, 12)),
                wal_id: Uuid(array(block, 32)),
                born: u32::from_le_bytes(array(block, 48)),
                epoch: u32::from_le_bytes(array(block, 52)),
            },
            file: u64::from_le_bytes(array(block, 56)),
            salt: u64::from_le_bytes(array(block, 64)),
            budget: u64::from_le_bytes(array(block, 72)),
            first_group: u64::from_le_bytes(array(block, 80)),
            previous_crc: u32::from_le_bytes(array(block, 88)),
            kept: KeptPart {
                directory_crc: u32::from_le_bytes(array(block, 92)),
                last_group: u64::from_le_bytes(array(block, 96)),
                last_crc: u32::from_le_bytes(array(block, 104)),
                frames: u32::from_le_bytes(array(block, 108)),
                losses: u32::from_le_bytes(array(block, 112)),
            },
        }))
    }
}

/// Refuses a whole header of a file that may not be written to, nor be recycled, without a feature that is not known here.
pub(crate) fn check_writable(block: &[u8], path: &Path) -> Result<(), WalError> {
    match features(block).into_iter().next() {
        None => Ok(()),
        Some((list, name)) => {
            let what = format!("it needs the feature '{name}' to be {}", ["read", "written to", "recycled"][list]);
            Err(WalError::Unsupported { path: path.to_owned(), what })
        }
    }
}

/// The unknown names of the lists, with the list's number; the block's checksum was right, so what does not fit is not there.
fn features(block: &[u8]) -> Vec<(usize, String)> {
    let mut bytes = block.get(128..CRC_AT).unwrap_or_default();
    let mut names = Vec::new();
    for list in 0..3 {
        let Some((count, rest)) = bytes.split_first_chunk::<2>() else { break };
        bytes = rest;
        for _ in 0..u16::from_le_bytes(*count) {
            let Some((&len, rest)) = bytes.split_first() else { break };
            let Some((name, rest)) = rest.split_at_checked(usize::from(len)) else { break };
            let name = String::from_utf8_lossy(name).into_owned();
            if !KNOWN.contains(&name.as_str()) {
                names.push((list, name));
            }
            bytes = rest;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            kind: Kind::Kept,
            identity: Identity { cluster_id: Uuid([1; 16]), broker_id: 2, wal_id: Uuid([3; 16]), born: 4, epoch: 5 },
            file: 6,
            salt: 7,
            budget: 8,
            first_group: 9,
            previous_crc: 10,
            kept: KeptPart { directory_crc: 11, last_group: 12, last_crc: 13, frames: 14, losses: 15 },
        }
    }

    #[test]
    fn a_header_reads_back_as_it_was_written_and_no_byte_of_it_may_change() {
        let block = header().encode();
        assert_eq!(block[116..CRC_AT], [0; CRC_AT - 116], "nothing is said there in this format");
        assert_eq!(Header::decode(Kind::Kept, &block, Path::new("f")).unwrap(), Some(header()));
        assert_eq!(Header::decode(Kind::Wal, &block, Path::new("f")).unwrap(), None);
        for at in 0..BLOCK {
            let mut bad = block;
            bad[at] ^= 1;
            assert_eq!(Header::decode(Kind::Kept, &bad, Path::new("f")).unwrap(), None, "byte {at}");
        }
    }

    #[test]
    fn a_future_format_and_an_unknown_feature_are_refused_by_name() {
        let seal = |mut block: [u8; BLOCK]| {
            let crc = crc32c::crc32c(&block[..CRC_AT]);
            block[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
            let decoded = Header::decode(Kind::Kept, &block, Path::new("f"));
            decoded.and_then(|_| check_writable(&block, Path::new("f"))).unwrap_err().to_string()
        };
        let mut future = header().encode();
        future[8] = 2;
        assert!(seal(future).contains("WAL format 2"));
        for (list, what) in ["read", "written to", "recycled"].into_iter().enumerate() {
            let mut encrypted = header().encode();
            encrypted[128 + 2 * list..][..12].copy_from_slice(b"\x01\x00\x09encrypted");
            let refused = seal(encrypted);
            assert!(refused.contains("'encrypted'") && refused.contains(what), "{refused}");
        }
        check_writable(&header().encode(), Path::new("f")).unwrap();
    }
}
