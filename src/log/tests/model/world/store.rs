//! What the store does.
use super::*;

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sky {
    Clear,
    /// It does not answer.
    Away,
    /// What fails may have been done, or is done later; listings are old.
    Ambiguous,
    /// Listings are old.
    Stale,
    /// It takes seconds.
    Slow,
    /// Most calls are not answered in time, done or not.
    Hanging,
    /// It refuses everything.
    Denied,
}

impl World {
    /// The store turns bad, or is itself again.
    pub async fn turn_the_store(&mut self) {
        let to = match (self.sky, self.below(8)) {
            (Sky::Clear, 0..=2) => Sky::Away,
            (Sky::Clear, 3..=4) => Sky::Ambiguous,
            (Sky::Clear, 5) => Sky::Slow,
            (Sky::Clear, 6) => [Sky::Stale, Sky::Hanging][usize::try_from(self.below(2)).unwrap()],
            (Sky::Clear, _) => Sky::Denied,
            _ => Sky::Clear,
        };
        self.note(format!("the store is {to:?}"));
        self.heal().await;
        self.sky = to;
        let (one_in, faults, pause): (_, fn(_) -> _, _) = match to {
            Sky::Clear => return,
            Sky::Away => return self.bucket.away(true),
            Sky::Ambiguous => (3, Weather::ambiguous, Duration::from_millis(20)),
            Sky::Stale => (1, Weather::stale, Duration::ZERO),
            Sky::Slow => (0, Weather::stale, Duration::from_secs(3)),
            Sky::Hanging => (0, Weather::stale, Duration::from_secs(200)),
            Sky::Denied => (1, Weather::denied, Duration::ZERO),
        };
        self.happened.insert(match to {
            Sky::Ambiguous => "ambiguous",
            _ => "bad store",
        });
        self.bucket.weather(Weather { random: Random::seeded(self.random.u64()), one_in, faults, pause });
    }

    /// Calls take some time, so that something may come in between, unless the store is bad anyway.
    pub(super) fn calls_take_time(&mut self) {
        if self.sky == Sky::Clear {
            let random = Random::seeded(self.random.u64());
            let pause = Duration::from_millis(20);
            self.bucket.weather(Weather { random, one_in: 0, faults: Weather::stale, pause });
        }
    }

    pub async fn heal(&mut self) {
        self.sky = Sky::Clear;
        self.bucket.heal().await;
    }

    /// Whether a call may fail.
    pub(super) fn store_is_bad(&self) -> bool {
        !matches!(self.sky, Sky::Clear | Sky::Slow | Sky::Stale)
    }
}
