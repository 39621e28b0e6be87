//! Which partition a record goes to, as the Java client decides it: murmur2 of the key, sticky where there is no key.
use crate::base::Random;

/// Bytes after which records without a key move on to another partition: the Java client's `batch.size`.
const STICKY_BYTES: usize = 16 * 1024;

/// Chooses partitions of one topic.
#[derive(Debug)]
pub struct Partitioner {
    partitions: u32,
    random: Random,
    sticky: u32,
    sticky_bytes: usize,
}

impl Partitioner {
    /// For a topic of so many partitions (at least 1).
    pub fn new(partitions: i32, random: Random) -> Self {
        let partitions = u32::try_from(partitions).unwrap_or(1).max(1);
        let sticky = below(&random, partitions);
        Self { partitions, random, sticky, sticky_bytes: 0 }
    }

    /// The partition of a record with this key and so many bytes.
    pub fn choose(&mut self, key: Option<&[u8]>, bytes: usize) -> i32 {
        let chosen = match key {
            Some(key) => (murmur2(key) & 0x7fff_ffff) % self.partitions,
            None => {
                if self.sticky_bytes >= STICKY_BYTES {
                    self.sticky = below(&self.random, self.partitions);
                    self.sticky_bytes = 0;
                }
                self.sticky_bytes += bytes;
                self.sticky
            }
        };
        i32::try_from(chosen).expect("it is below a number of partitions, which is an i32")
    }
}

fn below(random: &Random, bound: u32) -> u32 {
    u32::try_from(random.below(u64::from(bound))).expect("it is below a u32")
}

/// MurmurHash2 with Kafka's seed, as `org.apache.kafka.common.utils.Utils.murmur2`.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    #[expect(clippy::cast_possible_truncation, reason = "the Java original hashes the length as an int too")]
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("chunks of four"));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_the_java_client() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_key_stays_and_its_absence_moves_on_after_a_batch() {
        let mut partitioner = Partitioner::new(50, Random::seeded(7));
        let keyed = partitioner.choose(Some(b"abc"), 1);
        assert_eq!(keyed, 479_470_107 % 50);
        let first = partitioner.choose(None, STICKY_BYTES);
        assert_eq!(partitioner.choose(Some(b"abc"), 1), keyed);
        let moved: Vec<i32> = (0..20).map(|_| partitioner.choose(None, STICKY_BYTES)).collect();
        assert!(moved.iter().any(|partition| *partition != first));
        assert!(moved.iter().all(|partition| (0..50).contains(partition)));
        let small: Vec<i32> = (0..20).map(|_| partitioner.choose(None, 10)).skip(1).collect();
        assert!(small.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
