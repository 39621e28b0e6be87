//! Randomness: the operating system's, or a seeded stream so that a test run can be repeated.
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random bytes; cheap to clone. Clones of a seeded source share one stream.
#[derive(Clone, Debug)]
pub struct Random(Arc<Source>);

#[derive(Debug)]
enum Source {
    Os,
    Seeded(AtomicU64),
}

impl Random {
    /// The operating system's generator.
    pub fn os() -> Self {
        Self(Arc::new(Source::Os))
    }

    /// A repeatable stream (SplitMix64); for tests and simulations only.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Source::Seeded(AtomicU64::new(seed))))
    }

    /// `N` random bytes.
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0u8; N];
        match &*self.0 {
            Source::Os => getrandom::fill(&mut out).expect("the operating system's random generator answers"),
            Source::Seeded(state) => {
                for chunk in out.chunks_mut(8) {
                    let word = split_mix(state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst));
                    chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
                }
            }
        }
        out
    }

    /// A random 64-bit number.
    pub fn u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number in `0..bound` (0 for an empty range); the bias of the modulo is below 2^-32 for bounds below 2^32.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.u64() % bound }
    }

    /// Sixteen lower-case hex digits, for object names and nonces.
    pub fn hex16(&self) -> String {
        self.bytes::<8>().iter().fold(String::with_capacity(16), |mut s, b| {
            let _ = write!(s, "{b:02x}");
            s
        })
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
