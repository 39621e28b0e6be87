//! What to fetch together, as pure functions over slices.
//!
//! A *run* is the part of one fetch: adjacent slices of one block, so that each column is one range. Runs of read-ahead lie
//! on a grid (every 1, 2, 4 … slices of a block): whoever reads a history, from wherever, cuts it at the same places, and
//! a reader that moves on by one slice does not start a fetch of one slice.
use std::ops::Range;

use crate::archive::segment::SliceInfo;

/// The greatest payload of one run. Larger GETs gain nothing on S3 or MinIO; smaller ones cost requests.
pub(super) const RUN_BYTES_MAX: u64 = 8 << 20;
/// A sequential reader's fetches are no smaller, however many share the budget: small slices (of values that do not
/// compress) would cost a request for each quarter of a megabyte.
const RUN_BYTES_MIN: u64 = 1 << 20;

/// Index of the first slice that has a record at or above `offset`; `slices.len()` if there is none.
pub(super) fn slice_at(slices: &[SliceInfo], offset: i64) -> usize {
    slices.partition_point(|slice| slice.next_offset <= offset)
}

/// The run of the grid that `index` lies in: `step` slices of its block, fewer at the block's end.
pub(super) fn run_of(slices: &[SliceInfo], index: usize, step: usize) -> Range<usize> {
    let block = slices[index].block;
    let block_start = slices.partition_point(|slice| slice.block < block);
    let block_end = slices.partition_point(|slice| slice.block <= block);
    let start = block_start + (index - block_start) / step * step;
    start..(start + step).min(block_end)
}

/// Slices of a run when `window` bytes are read ahead: about a quarter of the window, so that several fetches are in
/// flight, a power of two, so that the grids of different windows nest.
pub(super) fn run_step(window: u64, slice_bytes: u64) -> usize {
    let bytes = (window / 4).clamp(RUN_BYTES_MIN.min(window), RUN_BYTES_MAX);
    let slices = bytes / slice_bytes.max(1);
    let slices = usize::try_from(slices.clamp(1, 1 << 16)).unwrap_or(1);
    1 << slices.ilog2()
}

/// The end of what a sequential reader that must wait for slice `index` has fetched with it: what it would take now
/// (`wanted_bytes`), at most a small run, of one block.
pub(super) fn demand_end(slices: &[SliceInfo], index: usize, wanted_bytes: u64) -> usize {
    let mut left = wanted_bytes.min(RUN_BYTES_MIN).saturating_sub(slices[index].payload_bytes);
    let mut end = index + 1;
    while let Some(slice) = slices.get(end).filter(|slice| slice.block == slices[index].block) {
        match left.checked_sub(slice.payload_bytes) {
            Some(rest) => left = rest,
            None => break,
        }
        end += 1;
    }
    end
}

/// The parts of `run` for which `absent` holds, each as long as possible.
pub(super) fn parts(run: Range<usize>, absent: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for index in run.filter(|index| absent(*index)) {
        match parts.last_mut() {
            Some(part) if part.end == index => part.end += 1,
            _ => parts.push(index..index + 1),
        }
    }
    parts
}

/// How many bytes the batches of a slice take, rather too many than too few: payload, and per record the varints around
/// it. Decompressed pages take no more than that either: lengths are four bytes there.
pub(super) fn encoded_bytes(slice: &SliceInfo) -> u64 {
    const RECORD_OVERHEAD: u64 = 32;
    const SLICE_OVERHEAD: u64 = 4096;
    slice.payload_bytes + u64::from(slice.records) * RECORD_OVERHEAD + SLICE_OVERHEAD
}

/// Bytes that a fetch of a run takes while it works: everything stored, and one slice at a time decompressed and encoded.
pub(super) fn work_bytes(stored: &[Range<u64>], run: &[SliceInfo]) -> u64 {
    let stored: u64 = stored.iter().map(|range| range.end - range.start).sum();
    let slice = run.iter().map(encoded_bytes).max().unwrap_or(0);
    stored + 2 * slice
}

#[cfg(test)]
mod tests;
