//! The newest offset of each key, in memory of a fixed size; pure.
use twox_hash::XxHash3_64;

/// Which part of all keys a table takes: those whose hash falls into the `index`th of `passes` equal ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub index: u64,
    pub passes: u64,
}

/// There are more keys than were expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overfull;

/// Bytes of one place.
const PLACE: u64 = 24;
/// Of the places at most so many eighths are taken: a look-up then sees three of them, on average.
const FULL_EIGHTHS: u64 = 6;

/// A hash table with open addressing.
#[derive(Clone, Debug)]
pub(super) struct KeyTable {
    seeds: [u64; 2],
    pass: Pass,
    /// Two hashes and an offset; the offset is [`FREE`] where there is nothing.
    places: Vec<(u64, u64, i64)>,
    taken: usize,
}

const FREE: i64 = -1;

impl KeyTable {
    /// How many keys fit into so much memory.
    pub fn capacity_of(bytes: u64) -> u64 {
        (bytes / PLACE * FULL_EIGHTHS / 8).max(1)
    }

    /// A table for so many keys of a pass.
    pub fn new(seeds: [u64; 2], pass: Pass, keys: u64) -> Self {
        let places = usize::try_from(keys.max(8) * 8 / FULL_EIGHTHS + 8).unwrap_or(usize::MAX);
        Self { seeds, pass, places: vec![(0, 0, FREE); places], taken: 0 }
    }

    /// Remembers the offset of a key that falls into the pass, if it is the newest so far.
    pub fn put(&mut self, key: &[u8], offset: i64) -> Result<(), Overfull> {
        let [a, b] = self.hash(key);
        if !self.has(a) {
            return Ok(());
        }
        let at = self.place(a, b);
        let (_, _, newest) = &mut self.places[at];
        if *newest != FREE {
            *newest = offset.max(*newest);
            return Ok(());
        }
        if self.taken as u64 * 8 >= self.places.len() as u64 * FULL_EIGHTHS {
            return Err(Overfull);
        }
        self.places[at] = (a, b, offset);
        self.taken += 1;
        Ok(())
    }

    /// The newest offset of a key, if it was put.
    pub fn newest(&self, key: &[u8]) -> Option<i64> {
        let [a, b] = self.hash(key);
        let newest = if self.has(a) { self.places[self.place(a, b)].2 } else { FREE };
        (newest != FREE).then_some(newest)
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        self.seeds.map(|seed| XxHash3_64::oneshot_with_seed(seed, key))
    }

    fn has(&self, hash: u64) -> bool {
        (u128::from(hash) * u128::from(self.pass.passes)) >> 64 == u128::from(self.pass.index)
    }

    /// Where a key is, or would be. There is always a free place.
    fn place(&self, a: u64, b: u64) -> usize {
        let len = self.places.len();
        // The upper bits chose the pass.
        let mut at = usize::try_from(b % len as u64).unwrap_or(0);
        loop {
            let (x, y, offset) = self.places[at];
            if offset == FREE || (x, y) == (a, b) {
                return at;
            }
            at = if at + 1 == len { 0 } else { at + 1 };
        }
    }
}

#[cfg(test)]
mod tests;
