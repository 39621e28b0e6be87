//! Zigzag varints as Kafka's v2 records use them (protobuf's `sint32` and `sint64`), and a cursor that never reads past
//! its end.

/// Longest varint of 32 bits; clients refuse longer ones even if the number would fit.
const VARINT_MAX: usize = 5;
/// Longest varint of 64 bits.
const VARLONG_MAX: usize = 10;

/// A cursor over encoded bytes. Every method answers `None` when the bytes end too early or a number does not fit.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `length` bytes.
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    /// A zigzag varint of at most 32 bits.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<i32> {
        i32::try_from(self.number::<VARINT_MAX>()?).ok()
    }

    /// A zigzag varint of at most 64 bits.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        self.number::<VARLONG_MAX>()
    }

    #[inline]
    fn number<const MAX: usize>(&mut self) -> Option<i64> {
        let first = *self.rest.first()?;
        if first < 0x80 {
            self.rest = &self.rest[1..];
            return Some(unzigzag(u64::from(first)));
        }
        self.long_number::<MAX>()
    }

    fn long_number<const MAX: usize>(&mut self) -> Option<i64> {
        let mut word = 0u64;
        for (at, &byte) in self.rest.iter().take(MAX).enumerate() {
            // The tenth byte holds the one bit that is left.
            if at == VARLONG_MAX - 1 && byte > 1 {
                return None;
            }
            word |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Some(unzigzag(word));
            }
        }
        None
    }

    /// A varint length and that many bytes; the inner `None` is null, written as a length of -1. Lengths below -1 are
    /// null to some clients and an error to others; here they are an error.
    #[inline]
    pub(crate) fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.varint()? {
            -1 => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }
}

#[inline]
fn unzigzag(word: u64) -> i64 {
    (word >> 1).cast_signed() ^ -((word & 1).cast_signed())
}

/// The number whose varint is written: small for small values of either sign.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Appends `value` as a zigzag varint; 32-bit values take the same bytes as Kafka's `writeVarint`.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut word = zigzag(value);
    while word >= 0x80 {
        out.push((word & 0x7f) as u8 | 0x80);
        word >>= 7;
    }
    out.push(word as u8);
}

/// How many bytes [`put_varint`] writes.
#[inline]
pub(crate) fn varint_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests;
