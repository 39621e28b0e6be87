//! DELTA_BINARY_PACKED: 64-bit integers as packed differences to the one before.
use super::rle::{unpack, varint};

/// Decodes exactly `count` numbers into `out`; None when `bytes` hold another count or are not this encoding.
pub(super) fn decode(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Option<()> {
    out.clear();
    let mut rest = bytes;
    let block = usize::try_from(varint(&mut rest)?).ok()?;
    let minis = usize::try_from(varint(&mut rest)?).ok()?;
    let total = usize::try_from(varint(&mut rest)?).ok()?;
    let first = zigzag(&mut rest)?;
    if total != count {
        return None;
    }
    if count == 0 {
        return Some(());
    }
    let per_mini = block.checked_div(minis)?;
    if per_mini == 0 || per_mini % 8 != 0 {
        return None;
    }
    out.reserve(count);
    out.push(first);
    let mut last = first;
    while out.len() < count {
        let smallest = zigzag(&mut rest)?;
        let (widths, after) = rest.split_at_checked(minis)?;
        rest = after;
        for &width in widths {
            let missing = count - out.len();
            if missing == 0 {
                break; // the widths of the miniblocks that follow are there, their bodies are not
            }
            let (packed, after) = rest.split_at_checked(per_mini.checked_mul(usize::from(width))? / 8)?;
            if width > 64 {
                return None;
            }
            rest = after;
            unpack(packed, u32::from(width), per_mini.min(missing), |delta| {
                last = last.wrapping_add(smallest).wrapping_add(delta as i64);
                out.push(last);
            });
        }
    }
    Some(())
}

fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    varint(bytes).map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
}

#[cfg(test)]
mod tests;
