//! What looks at the owner chain allow (DESIGN 4.4). Pure: times are given, and count from any one moment.
use std::time::Duration;

/// How long after its begin a look counts.
pub const STALE: Duration = Duration::from_secs(10);

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// This broker still owns the bucket.
    Ours,
    /// The store did not answer.
    Away,
    /// The store answered that it will not: the rights are missing, or the bucket. The text names it.
    Denied(String),
    /// Another broker owns it; the text names it.
    Foreign(String),
}

/// The newest look that has ended, and whether there was always one.
///
/// | newest that has ended | age since it began | answers leave | writes are taken |
/// |---|---|---|---|
/// | ours, or away | at most 10 s | yes | yes |
/// | denied | at most 10 s | yes | no: an error at once, to be retried |
/// | any | more | no | |
///
/// Once it was too old only a success opens again: the process stood still, and nobody knows who owned the bucket meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    began: Duration,
    found: Look,
    closed: bool,
}

impl Looks {
    /// After a claim that was made at `at`.
    pub fn claimed(at: Duration) -> Self {
        Self { began: at, found: Look::Ours, closed: false }
    }

    /// A look that began at `began` has ended by `now`. An older one than another that has ended says nothing any more; the
    /// same one again says what it found at last.
    pub fn ended(&mut self, began: Duration, found: Look, now: Duration) {
        if began < self.began {
            return;
        }
        self.closed |= now.saturating_sub(self.began) > STALE;
        self.closed &= !(found == Look::Ours && now.saturating_sub(began) <= STALE);
        (self.began, self.found) = (began, found);
    }

    /// Until when answers leave; none: not before a look succeeds.
    pub fn open_until(&self) -> Option<Duration> {
        (!self.closed).then_some(self.began.saturating_add(STALE))
    }

    /// Why nothing that is to be kept is taken now.
    pub fn refuses_writes(&self) -> Option<&str> {
        match &self.found {
            Look::Denied(why) => Some(why),
            _ => None,
        }
    }

    /// Whether the store was of no help to the newest look.
    pub fn is_away(&self) -> bool {
        self.found != Look::Ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn denied() -> Look {
        Look::Denied("403".to_owned())
    }

    /// Looks as (began, found, ended), after a claim at 0; then the time, whether answers leave, whether writes are taken.
    type Case = (&'static [(u64, fn() -> Look, u64)], u64, bool, bool);

    #[test]
    fn the_newest_look_that_has_ended_counts_from_its_begin() {
        const OURS: fn() -> Look = || Look::Ours;
        const AWAY: fn() -> Look = || Look::Away;
        const DENIED: fn() -> Look = denied;
        const HOUR: u64 = 3_600_000;
        let cases: &[Case] = &[
            // The claim counts as a look.
            (&[], 10_000, true, true),
            (&[], 10_001, false, true),
            // A success or an unreachable store counts for ten seconds from its begin, not from its end.
            (&[(4_000, OURS, 4_100)], 14_000, true, true),
            (&[(4_000, OURS, 6_900)], 14_001, false, true),
            (&[(4_000, AWAY, 7_000)], 14_000, true, true),
            (&[(4_000, AWAY, 7_000)], 14_001, false, true),
            // While the store is away look after look, answers go on for ever.
            (&[(4_000, AWAY, 7_000), (8_000, AWAY, 11_000), (12_000, AWAY, 15_000)], 22_000, true, true),
            // The process stood still during a look, or after one that failed: nothing leaves, and a further failure opens
            // nothing; a success does.
            (&[(4_000, AWAY, HOUR)], HOUR, false, true),
            (&[(4_000, AWAY, 7_000)], HOUR, false, true),
            (&[(4_000, AWAY, 7_000), (HOUR, AWAY, HOUR + 3_000)], HOUR + 3_000, false, true),
            (
                &[(4_000, AWAY, 7_000), (HOUR, AWAY, HOUR + 3_000), (HOUR + 4_000, AWAY, HOUR + 7_000)],
                HOUR + 7_000,
                false,
                true,
            ),
            (
                &[(4_000, AWAY, 7_000), (HOUR, AWAY, HOUR + 3_000), (HOUR + 4_000, OURS, HOUR + 4_100)],
                HOUR + 14_000,
                true,
                true,
            ),
            // A success that was on the way while the process stood still is an old one; the next failure does not open.
            (&[(4_000, OURS, HOUR)], HOUR, false, true),
            (&[(4_000, OURS, HOUR), (HOUR, AWAY, HOUR + 3_000)], HOUR + 3_000, false, true),
            // Denied: answers leave, so that errors do; nothing is taken, from the first such look on.
            (&[(4_000, DENIED, 4_100)], 4_100, true, false),
            (&[(4_000, DENIED, 4_100), (8_000, DENIED, 8_100)], 18_000, true, false),
            (&[(4_000, DENIED, 4_100), (8_000, OURS, 8_100)], 8_100, true, true),
            (&[(4_000, DENIED, 4_100), (8_000, AWAY, 11_000)], 11_000, true, true),
            (&[(4_000, DENIED, 4_100)], HOUR, false, false),
            (&[(4_000, DENIED, 4_100), (HOUR, DENIED, HOUR)], HOUR, false, false),
            // A look that is heard late corrects itself, but not one that began after it.
            (&[(4_000, AWAY, 7_000), (4_000, DENIED, 7_500)], 7_500, true, false),
            (&[(4_000, AWAY, 7_000), (8_000, OURS, 8_100), (4_000, DENIED, 9_000)], 9_000, true, true),
            (&[(4_000, AWAY, 7_000), (8_000, AWAY, 11_000), (4_000, OURS, 12_000)], 18_001, false, true),
        ];
        for (looks, now, leave, taken) in cases {
            let mut state = Looks::claimed(at(0));
            for (began, found, ended) in *looks {
                state.ended(at(*began), found(), at(*ended));
            }
            let open = state.open_until().is_some_and(|until| at(*now) <= until);
            let told: Vec<_> = looks.iter().map(|(began, found, ended)| (began, found(), ended)).collect();
            assert_eq!((open, state.refuses_writes().is_none()), (*leave, *taken), "{told:?} at {now}");
        }
    }
}
