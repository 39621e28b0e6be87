//! Waiting between attempts: doubling, with jitter, and an end.
use std::time::Duration;

use super::StoreOptions;
use crate::base::{Clock, Random};

/// How long to go on with one request.
#[derive(Debug)]
pub(super) struct Patience {
    clock: Clock,
    random: Random,
    began: Duration,
    slept: Duration,
    next_ms: u64,
    longest_ms: u64,
    total: Duration,
}

impl Patience {
    pub(super) fn new(options: &StoreOptions, clock: &Clock, random: &Random) -> Self {
        Self {
            clock: clock.clone(),
            random: random.clone(),
            began: clock.elapsed(),
            slept: Duration::ZERO,
            next_ms: options.backoff_ms,
            longest_ms: options.backoff_max_ms.max(options.backoff_ms),
            total: Duration::from_millis(options.retry_ms),
        }
    }

    /// Waits before the next attempt; false when patience is at its end. Each wait counts as 1 ms at least, whatever the
    /// clock says, so that neither a clock that stands still nor a wait of nothing goes on for ever.
    pub(super) async fn wait(&mut self) -> bool {
        let spent = self.slept.max(self.clock.elapsed().saturating_sub(self.began));
        if spent >= self.total {
            return false;
        }
        let half = self.next_ms.div_ceil(2);
        let pause = Duration::from_millis(half + self.random.below(half + 1)).min(self.total - spent);
        self.next_ms = (self.next_ms * 2).min(self.longest_ms);
        self.slept += pause.max(Duration::from_millis(1));
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn patience_ends_even_when_the_clock_stands_still() {
        let options = StoreOptions { retry_ms: 20, backoff_ms: 1, backoff_max_ms: 4, ..StoreOptions::default() };
        let mut patience = Patience::new(&options, &Clock::manual(0), &Random::seeded(1));
        let mut attempts = 0;
        while patience.wait().await {
            attempts += 1;
            assert!(attempts < 100);
        }
        assert!(attempts >= 4, "waits double from 1 to 4 ms within 20 ms: {attempts}");
    }

    #[tokio::test]
    async fn without_patience_there_is_one_attempt() {
        let options = StoreOptions { retry_ms: 0, ..StoreOptions::default() };
        assert!(!Patience::new(&options, &Clock::manual(0), &Random::seeded(1)).wait().await);
    }
}
