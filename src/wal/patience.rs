//! When patient frames wait for others of their kind, and for how many (pure).
//!
//! How many come within [`LINGER`] is found out by waiting that long once in a while. In between a group waits for as many,
//! and not longer: clients that commit, wait and commit again are as many as there are, so they soon wait for nobody.
use std::time::Duration;

/// How long patient frames wait for others at most, and how often is often.
pub(crate) const LINGER: Duration = Duration::from_millis(2);

/// One in so many groups waits to find out how many come.
const FIND_OUT: u32 = 32;

/// What the writer has seen lately.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    wrote: Duration,
    turn: u32,
    crowd: usize,
}

impl Patience {
    /// A group was written.
    pub fn wrote(&mut self, now: Duration) {
        self.wrote = now;
    }

    /// For how many frames the group that could be written now shall wait, if it is patient.
    pub fn waits_for(&mut self, now: Duration) -> Option<usize> {
        if now.saturating_sub(self.wrote) > LINGER {
            return None; // whoever comes after a pause has no companions
        }
        self.turn = (self.turn + 1) % FIND_OUT;
        match self.turn {
            0 => Some(usize::MAX),
            _ => Some(self.crowd).filter(|crowd| *crowd > 1),
        }
    }

    /// So many there were when the wait for `frames` ended.
    pub fn found(&mut self, frames: usize, found: usize) {
        if frames == usize::MAX {
            self.crowd = found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `groups`, one right after the other, wait for how many, if `there` is what comes in time.
    fn waits(patience: &mut Patience, groups: u32, there: usize) -> Vec<usize> {
        let mut now = Duration::from_secs(1);
        let mut waits = Vec::new();
        for _ in 0..groups {
            patience.wrote(now);
            now += LINGER;
            if let Some(frames) = patience.waits_for(now) {
                patience.found(frames, there.min(frames));
                waits.push(frames);
            }
        }
        waits
    }

    #[test]
    fn a_group_waits_for_as_many_as_came_lately_and_a_lone_client_hardly_ever() {
        let mut patience = Patience::default();
        assert_eq!(waits(&mut patience, 10 * FIND_OUT, 1), [usize::MAX; 10]);
        let with_others = waits(&mut patience, 2 * FIND_OUT, 4);
        assert_eq!(with_others.iter().filter(|frames| **frames == 4).count() as u32, FIND_OUT - 1);
        patience.wrote(Duration::from_secs(9));
        assert_eq!(patience.waits_for(Duration::from_secs(9) + LINGER * 2), None, "after a pause");
    }
}
