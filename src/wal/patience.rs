//! When patient frames wait for others of their kind (pure).
use std::time::Duration;

/// How long patient frames wait for others, and how often is often.
pub(crate) const LINGER: Duration = Duration::from_millis(2);

/// After a wait in which nobody came, so many groups are written at once before the next try: a client that commits, waits
/// and commits again has no companions.
const HURRY: u32 = 32;

/// What the writer has seen lately.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    wrote: Duration,
    hurry: u32,
}

impl Patience {
    /// A group was written.
    pub fn wrote(&mut self, now: Duration) {
        self.wrote = now;
    }

    /// Whether the group that could be written now shall wait for others, if it is patient.
    pub fn waits(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.wrote) > LINGER {
            return false;
        }
        let waits = self.hurry == 0;
        self.hurry = self.hurry.saturating_sub(1);
        waits
    }

    /// It waited; whether anybody came.
    pub fn waited(&mut self, worth: bool) {
        self.hurry = if worth { 0 } else { HURRY };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_after_a_pause_or_always_alone_does_not_wait() {
        let mut patience = Patience::default();
        let mut now = Duration::from_secs(1);
        // Of groups that come one right after the other and find nobody, one in 33 waits.
        let mut waits = 0;
        for _ in 0..330 {
            patience.wrote(now);
            now += LINGER / 2;
            if patience.waits(now) {
                waits += 1;
                patience.waited(false);
            }
        }
        assert_eq!(waits, 10);
        // With companions, each does.
        while !patience.waits(now) {}
        for _ in 0..10 {
            patience.waited(true);
            patience.wrote(now);
            assert!(patience.waits(now + LINGER));
        }
        assert!(!patience.waits(now + LINGER * 2), "after a pause");
    }
}
