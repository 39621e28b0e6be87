//! Parquet's hybrid of runs and bit-packed groups: levels and dictionary indexes.

/// Decoded numbers: most often one number for all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers<'a> {
    Same(u32),
    Each(&'a [u32]),
}

impl Numbers<'_> {
    #[inline]
    pub(super) fn get(self, index: usize) -> u32 {
        match self {
            Self::Same(number) => number,
            Self::Each(numbers) => numbers[index],
        }
    }
}

/// Decodes `count` numbers of `width` bits (at most 32). Returns the number when one run holds them all; otherwise they are
/// in `out`. None when `bytes` hold fewer, or numbers too large for the width.
pub(in crate::archive::segment) fn decode(
    bytes: &[u8],
    width: u32,
    count: usize,
    out: &mut Vec<u32>,
) -> Option<Option<u32>> {
    out.clear();
    if width > 32 {
        return None;
    }
    let run_bytes = width.div_ceil(8) as usize;
    let mut rest = bytes;
    while out.len() < count {
        let header = varint(&mut rest)?;
        let missing = count - out.len();
        if header & 1 == 0 {
            let len = usize::try_from(header >> 1).ok()?;
            let (run, after) = rest.split_at_checked(run_bytes)?;
            rest = after;
            let number = run.iter().rev().fold(0u32, |number, &byte| number << 8 | u32::from(byte));
            if len == 0 || (width < 32 && number >> width != 0) {
                return None;
            }
            if out.is_empty() && len >= count {
                return Some(Some(number));
            }
            out.resize(out.len() + len.min(missing), number);
        } else {
            let groups = usize::try_from(header >> 1).ok()?;
            let (packed, after) = rest.split_at_checked(groups.checked_mul(width as usize)?)?;
            rest = after;
            let len = groups.checked_mul(8)?;
            if len == 0 {
                return None;
            }
            unpack(packed, width, len.min(missing), |number| out.push(number as u32));
        }
    }
    Some(None)
}

/// Hands the first `count` numbers of `width` bits (at most 64), packed from the lowest bit up, to `f`. `packed` holds them.
#[inline]
pub(super) fn unpack(packed: &[u8], width: u32, count: usize, mut f: impl FnMut(u64)) {
    if width == 0 {
        (0..count).for_each(|_| f(0));
        return;
    }
    let mask = u64::MAX >> (64 - width);
    for index in 0..count {
        let bit = index * width as usize;
        let shift = (bit % 8) as u32;
        let window = &packed[bit / 8..];
        let low = match window.first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            None => window.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        let mut number = low >> shift;
        if shift + width > 64 {
            number |= u64::from(window[8]) << (64 - shift);
        }
        f(number & mask);
    }
}

/// An unsigned varint; moves `bytes` on.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
