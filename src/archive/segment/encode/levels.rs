//! Definition and repetition levels in Parquet's hybrid of runs and bit-packed groups of eight.
//!
//! The parquet crate has an encoder of its own, but only behind a feature that brings all of Arrow along.

/// A run of fewer equal levels goes into a bit-packed group.
const RUN_MIN: usize = 8;

/// Which levels a page holds, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// Bits of a level.
    width: u32,
    /// Pages of the first version have the length before the levels, as 4 bytes.
    has_len: bool,
}

impl Levels {
    /// Levels from 0 to `max`, for pages of the second version or the first.
    pub(super) fn new(max: i16, v2: bool) -> Self {
        Self { width: u16::BITS - max.unsigned_abs().leading_zeros(), has_len: !v2 }
    }

    /// Appends `levels` to `out`.
    pub(super) fn encode(self, levels: &[i16], out: &mut Vec<u8>) {
        let len_at = out.len();
        if self.has_len {
            out.extend_from_slice(&[0; 4]);
        }
        let (mut at, mut packed_from) = (0, 0);
        while at < levels.len() {
            let rest = &levels[at..];
            let run = rest.iter().take_while(|&&level| level == rest[0]).count();
            if run >= RUN_MIN || run == rest.len() {
                self.groups(&levels[packed_from..at], out);
                self.run(rest[0], run, out);
                at += run;
                packed_from = at;
            } else {
                at += RUN_MIN.min(rest.len());
            }
        }
        self.groups(&levels[packed_from..], out);
        if self.has_len {
            let len = (out.len() - len_at - 4) as u32; // of at most a slice's rows and headers
            out[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
        }
    }

    fn run(self, level: i16, len: usize, out: &mut Vec<u8>) {
        varint(len << 1, out);
        out.extend_from_slice(&level.to_le_bytes()[..self.width.div_ceil(8) as usize]);
    }

    /// Whole groups, the last one filled up with zeros.
    fn groups(self, levels: &[i16], out: &mut Vec<u8>) {
        if levels.is_empty() {
            return;
        }
        varint(levels.len().div_ceil(RUN_MIN) << 1 | 1, out);
        for group in levels.chunks(RUN_MIN) {
            // 8 levels of at most 15 bits.
            let packed = group.iter().rev().fold(0u128, |packed, &level| packed << self.width | level as u128);
            out.extend_from_slice(&packed.to_le_bytes()[..self.width as usize]);
        }
    }
}

fn varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests;
