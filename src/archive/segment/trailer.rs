//! The 20 bytes before the Parquet metadata that let a reader without a manifest check the end of a segment before it
//! parses it. Layout: see the module `segment`.
use std::ops::Range;

const MAGIC: &[u8; 8] = b"EskerIdx";
const LEN: usize = 20;
/// Length of the metadata and "PAR1".
const PARQUET_END: usize = 8;

/// Puts the trailer into `tail`, the bytes from `index_at` to the end as the Parquet writer made them.
pub(super) fn insert(mut tail: Vec<u8>, index_at: u64) -> Vec<u8> {
    let metadata_at = metadata_at(&tail).expect("the Parquet writer ends a file with its metadata's length and PAR1");
    let metadata = tail.split_off(metadata_at);
    tail.extend_from_slice(MAGIC);
    tail.extend_from_slice(&index_at.to_le_bytes());
    let crc32c = crc32c::crc32c_append(crc32c::crc32c(&tail), &metadata);
    tail.extend_from_slice(&crc32c.to_le_bytes());
    tail.extend_from_slice(&metadata);
    tail
}

/// What the trailer says, not yet checked.
pub(super) struct Trailer {
    /// Where indexes begin in the object.
    pub(super) index_at: u64,
    crc32c: u32,
    /// Where `crc32c` lies, counted from the end of the object.
    crc_to_end: usize,
}

impl Trailer {
    /// How far from the end of an object it begins, by its last bytes.
    pub(super) fn to_end(tail: &[u8]) -> Result<u64, &'static str> {
        Ok(u64::from(metadata_len(tail)?) + (LEN + PARQUET_END) as u64)
    }

    /// Finds it in the last bytes of an object.
    pub(super) fn find(tail: &[u8]) -> Result<Self, &'static str> {
        let metadata_at = metadata_at(tail)?;
        let at = metadata_at.checked_sub(LEN).ok_or("the trailer is missing")?;
        let trailer = &tail[at..metadata_at];
        if &trailer[..8] != MAGIC {
            return Err("the trailer is missing: not a segment, or cut");
        }
        let index_at = u64::from_le_bytes(trailer[8..16].try_into().expect("8 bytes"));
        let crc32c = u32::from_le_bytes(trailer[16..].try_into().expect("4 bytes"));
        Ok(Self { index_at, crc32c, crc_to_end: tail.len() - metadata_at + 4 })
    }

    /// Whether its checksum covers `tail`, all bytes from `index_at` to the end.
    pub(super) fn covers(&self, tail: &[u8]) -> bool {
        let Some(at) = tail.len().checked_sub(self.crc_to_end) else { return false };
        let hole: Range<usize> = at..at + 4;
        crc32c::crc32c_append(crc32c::crc32c(&tail[..hole.start]), &tail[hole.end..]) == self.crc32c
    }
}

/// Where the Parquet metadata begins in the last bytes of an object.
fn metadata_at(tail: &[u8]) -> Result<usize, &'static str> {
    let len = metadata_len(tail)?;
    let end = tail.len() - PARQUET_END;
    end.checked_sub(len as usize).ok_or("the metadata's length is larger than the object's end")
}

/// The length that the last bytes of an object say its Parquet metadata has.
fn metadata_len(tail: &[u8]) -> Result<u32, &'static str> {
    let end = tail.len().checked_sub(PARQUET_END).ok_or("the object is shorter than any Parquet file")?;
    if &tail[end + 4..] != b"PAR1" {
        return Err("the object does not end as a Parquet file does");
    }
    Ok(u32::from_le_bytes(tail[end..end + 4].try_into().expect("4 bytes")))
}
