//! Random messages of a given version: only fields that the version has, and null only where it may be.
use std::ops::RangeBounds;

use bytes::Bytes;

use crate::base::{Random, Uuid};
use crate::kafka::messages::wire::Records;

/// A source of random values for one version.
pub struct Generator {
    random: Random,
    version: i16,
}

/// A type of which random values can be made.
pub trait Generate: Sized {
    fn generate(by: &mut Generator) -> Self;
}

impl Generator {
    pub fn new(seed: u64, version: i16) -> Self {
        Self { random: Random::seeded(seed), version }
    }

    pub fn is_in(&self, versions: impl RangeBounds<i16>) -> bool {
        versions.contains(&self.version)
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    pub fn option<T: Generate>(&mut self, can_be_null: bool) -> Option<T> {
        (!can_be_null || self.below(3) > 0).then(|| T::generate(self))
    }
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Generate for $ty {
            fn generate(by: &mut Generator) -> Self {
                match by.below(5) {
                    0 => -1,
                    1 => Self::MAX,
                    2 => Self::MIN,
                    _ => by.random.u64() as Self,
                }
            }
        }
    )*};
}

integers!(i8 i16 i32 i64);

impl Generate for u16 {
    fn generate(by: &mut Generator) -> Self {
        by.random.u64() as Self
    }
}

impl Generate for f64 {
    /// Always equal to itself, as NaN is not.
    fn generate(by: &mut Generator) -> Self {
        i32::generate(by) as Self / 64.0
    }
}

impl Generate for bool {
    fn generate(by: &mut Generator) -> Self {
        by.below(2) == 1
    }
}

impl Generate for Uuid {
    fn generate(by: &mut Generator) -> Self {
        Self(by.random.bytes())
    }
}

impl Generate for String {
    /// Mostly short; now and then longer than one varint byte can say.
    fn generate(by: &mut Generator) -> Self {
        let length = if by.below(20) == 0 { 300 } else { by.below(9) };
        (0..length).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789."[by.below(37) as usize])).collect()
    }
}

impl Generate for Bytes {
    /// Now and then long enough to be kept apart from the plain bytes.
    fn generate(by: &mut Generator) -> Self {
        let length = if by.below(8) == 0 { 1024 + by.below(200) } else { by.below(40) };
        (0..length).map(|_| by.random.u64() as u8).collect()
    }
}

impl Generate for Records {
    fn generate(by: &mut Generator) -> Self {
        Self(Vec::generate(by))
    }
}

impl<T: Generate> Generate for Vec<T> {
    fn generate(by: &mut Generator) -> Self {
        let length = if by.below(50) == 0 { 130 } else { by.below(4) };
        (0..length).map(|_| T::generate(by)).collect()
    }
}

impl<T: Generate> Generate for Option<T> {
    fn generate(by: &mut Generator) -> Self {
        by.option(true)
    }
}
