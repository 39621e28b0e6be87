//! Snappy in its two framings. Java and most clients write xerial's: a header of 16 bytes, then chunks, each a big-endian
//! length and a raw snappy block; librdkafka and others may write one raw block. The magic tells them apart: as a raw
//! block it would declare a copy before anything to copy.
use super::unpack::Problem;

/// Xerial's magic, its version 1 and the lowest version that can read it, 1.
const HEADER: &[u8; 16] = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";
/// The magic alone: other versions were never written, and are read alike by every client.
const MAGIC_LEN: usize = 8;
/// Unpacked bytes of a chunk, as Kafka's Java client cuts them.
const CHUNK_BYTES: usize = 32 << 10;
/// A block's three-byte copy yields 64 bytes at most; a block that declares more than this ratio is refused before
/// anything is allocated for it.
const RATIO_MAX: usize = 22;

pub(super) fn unpack(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    if !body.starts_with(&HEADER[..MAGIC_LEN]) {
        return unpack_block(body, limit, out);
    }
    let mut rest = body.get(HEADER.len()..).ok_or("xerial's header is cut off")?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or("a chunk's length is cut off")?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| "a chunk's length is negative")?;
        let (block, after) = after.split_at_checked(length).ok_or("a chunk is cut off")?;
        unpack_block(block, limit, out)?;
        rest = after;
    }
    Ok(())
}

/// Appends one raw block.
fn unpack_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    let length = snap::raw::decompress_len(block).map_err(|e| Problem::Broken(e.to_string()))?;
    if length > block.len().saturating_mul(RATIO_MAX) {
        return Err("a block declares more bytes than it can hold".into());
    }
    let start = out.len();
    if length > limit.saturating_sub(start) {
        return Err(Problem::TooLarge);
    }
    out.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(|e| Problem::Broken(e.to_string()))?;
    Ok(())
}

/// Appends `records` in xerial's framing.
pub(super) fn pack(records: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
    let mut encoder = snap::raw::Encoder::new();
    for chunk in records.chunks(CHUNK_BYTES) {
        let length_at = out.len();
        let block_at = length_at + 4;
        out.resize(block_at + snap::raw::max_compress_len(chunk.len()), 0);
        let length = encoder.compress(chunk, &mut out[block_at..]).expect("the buffer has the encoder's own bound");
        out[length_at..block_at].copy_from_slice(&(length as u32).to_be_bytes());
        out.truncate(block_at + length);
    }
}
