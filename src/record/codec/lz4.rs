//! The LZ4 frame as Kafka uses it: independent blocks, no dictionary. The frame is parsed here and only its blocks are
//! handed to the library: its own reader takes a frame that ends too early for a whole one, and copies every byte twice.
//! <https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>
use std::hash::Hasher;
use std::io::Write;

use lz4_flex::block::{DecompressError, decompress_into};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::unpack::Problem;

const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// A byte of a block yields 255 bytes at most.
const RATIO_MAX: usize = 255;
/// Set in a block's length if the block is stored as it is.
const STORED_BIT: u32 = 1 << 31;

/// What the frame's descriptor says.
struct Descriptor {
    block_max: usize,
    block_checksum: bool,
    content_checksum: bool,
    content_size: Option<u64>,
}

pub(super) fn unpack(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut rest = body;
    let frame = read_descriptor(&mut rest)?;
    if frame.content_size.is_some_and(|size| size > limit as u64) {
        return Err(Problem::TooLarge);
    }
    loop {
        let word = u32::from_le_bytes(take(&mut rest)?);
        if word == 0 {
            break;
        }
        let length = (word & !STORED_BIT) as usize;
        if length > frame.block_max {
            return Err("a block is longer than the frame allows".into());
        }
        let (block, after) = rest.split_at_checked(length).ok_or("the frame ends inside a block")?;
        rest = after;
        if frame.block_checksum && u32::from_le_bytes(take(&mut rest)?) != checksum(block) {
            return Err("a block's checksum is wrong".into());
        }
        unpack_block(block, word & STORED_BIT != 0, frame.block_max, limit, out)?;
    }
    if frame.content_checksum && u32::from_le_bytes(take(&mut rest)?) != checksum(out) {
        return Err("the content's checksum is wrong".into());
    }
    if frame.content_size.is_some_and(|size| size != out.len() as u64) {
        return Err("the content is not as long as the frame says".into());
    }
    if rest.is_empty() { Ok(()) } else { Err("bytes follow the frame".into()) }
}

fn read_descriptor(rest: &mut &[u8]) -> Result<Descriptor, Problem> {
    if take::<4>(rest)? != MAGIC {
        return Err("it does not begin with an LZ4 frame".into());
    }
    let start = *rest;
    let [flags, block] = take(rest)?;
    let bit = |n: u8| flags >> n & 1 == 1;
    if flags >> 6 != 1 || bit(1) || block & 0b1000_1111 != 0 {
        return Err("the frame's version or reserved bits are unknown".into());
    }
    if !bit(5) {
        return Err("its blocks depend on each other, which Kafka does not allow".into());
    }
    if bit(0) {
        return Err("it needs a dictionary, which Kafka does not allow".into());
    }
    let block_max = match block >> 4 {
        size @ 4..=7 => 1 << (8 + 2 * size),
        _ => return Err("the frame's block size is unknown".into()),
    };
    let content_size = if bit(3) { Some(u64::from_le_bytes(take(rest)?)) } else { None };
    let described = &start[..start.len() - rest.len()];
    let [sum] = take(rest)?;
    if sum != (checksum(described) >> 8) as u8 {
        return Err("the frame header's checksum is wrong".into());
    }
    Ok(Descriptor { block_max, block_checksum: bit(4), content_checksum: bit(2), content_size })
}

/// Appends one block.
fn unpack_block(block: &[u8], stored: bool, block_max: usize, limit: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    let start = out.len();
    let left = limit.saturating_sub(start);
    if stored {
        if block.len() > left {
            return Err(Problem::TooLarge);
        }
        out.extend_from_slice(block);
        return Ok(());
    }
    let room = block_max.min(block.len().saturating_mul(RATIO_MAX));
    out.resize(start + room.min(left), 0);
    let length = decompress_into(block, &mut out[start..]).map_err(|e| match e {
        DecompressError::OutputTooSmall { .. } if left < room => Problem::TooLarge,
        other => Problem::Broken(other.to_string()),
    })?;
    out.truncate(start + length);
    Ok(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Problem> {
    let (head, after) = rest.split_first_chunk().ok_or("the frame is cut off")?;
    *rest = after;
    Ok(*head)
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = XxHash32::with_seed(0);
    hasher.write(bytes);
    hasher.finish_32()
}

/// Appends `records` as one frame of independent blocks of 64 KiB, as Kafka's Java client writes it.
pub(super) fn pack(records: &[u8], out: &mut Vec<u8>) {
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, std::mem::take(out));
    encoder.write_all(records).expect("writing to memory does not fail");
    *out = encoder.finish().expect("writing to memory does not fail");
}
