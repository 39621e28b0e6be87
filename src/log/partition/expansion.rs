//! How much larger records are unpacked than their batches are in the WAL, pure: learned from what was appended lately, for the
//! WAL knows what batches take and not what is in them.

/// What is remembered of earlier batches, about, in bytes.
const MEMORY_BYTES: u64 = 64 << 20;

/// What a partition learned since the log was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expansion {
    payload: u64,
    stored: u64,
}

impl Expansion {
    /// Learns from a batch: bytes of its keys, values and headers, and what it takes.
    pub fn learn(&mut self, payload: u64, stored: u64) {
        if self.stored > MEMORY_BYTES {
            (self.payload, self.stored) = (self.payload / 2, self.stored / 2);
        }
        (self.payload, self.stored) = (self.payload.saturating_add(payload), self.stored + stored);
    }

    /// About how much payload is in batches that take so many bytes; as much as they take where nothing was learned.
    pub fn payload_of(&self, stored: u64) -> u64 {
        let payload = u128::from(stored) * u128::from(self.payload);
        match payload.checked_div(u128::from(self.stored)) {
            Some(payload) => u64::try_from(payload).unwrap_or(u64::MAX),
            None => stored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_lately_tells_how_much_is_in_what_is_stored() {
        let mut expansion = Expansion::default();
        assert_eq!(expansion.payload_of(100), 100);
        expansion.learn(1_000, 100);
        assert_eq!(expansion.payload_of(50), 500);
        expansion.learn(0, 100);
        assert_eq!(expansion.payload_of(50), 250);
        for _ in 0..1_000 {
            expansion.learn(1 << 20, 1 << 20);
        }
        assert_eq!(expansion.payload_of(1 << 30), 1 << 30, "what was long ago is forgotten");
        expansion.learn(u64::MAX, 1);
        assert!(expansion.payload_of(u64::MAX) > 1 << 40);
    }
}
