//! The clock: the only place that asks the machine what time it is. Tests turn a manual one, or let it follow the runtime's
//! time, which may be paused.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of wall time and of monotonic time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    Real { start: Instant },
    Manual { wall_ms: AtomicI64, elapsed_ms: AtomicI64 },
    Runtime { start: tokio::time::Instant, wall_ms: AtomicI64 },
}

impl Clock {
    /// The machine's clock.
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn real() -> Self {
        Self(Arc::new(Source::Real { start: Instant::now() }))
    }

    /// A clock that stands at `wall_ms` until [`Clock::advance`] moves it.
    pub fn manual(wall_ms: i64) -> Self {
        Self(Arc::new(Source::Manual { wall_ms: AtomicI64::new(wall_ms), elapsed_ms: AtomicI64::new(0) }))
    }

    /// A clock that shows `wall_ms` now and goes with the time of Tokio's runtime, so that it agrees with every timeout also
    /// where that time is paused and runs ahead by itself.
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn of_runtime(wall_ms: i64) -> Self {
        Self(Arc::new(Source::Runtime { start: tokio::time::Instant::now(), wall_ms: AtomicI64::new(wall_ms) }))
    }

    /// Wall time in milliseconds since 1970 (UTC).
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn now_ms(&self) -> i64 {
        match &*self.0 {
            Source::Real { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(d) => i64::try_from(d.as_millis()).unwrap_or(i64::MAX),
                Err(e) => -i64::try_from(e.duration().as_millis()).unwrap_or(i64::MAX),
            },
            Source::Manual { wall_ms, .. } => wall_ms.load(Ordering::SeqCst),
            Source::Runtime { start, wall_ms } => wall_ms.load(Ordering::SeqCst).saturating_add(ms(start.elapsed())),
        }
    }

    /// Time since this clock was made; never goes back.
    pub fn elapsed(&self) -> Duration {
        match &*self.0 {
            Source::Real { start } => start.elapsed(),
            Source::Manual { elapsed_ms, .. } => {
                Duration::from_millis(u64::try_from(elapsed_ms.load(Ordering::SeqCst)).unwrap_or(0))
            }
            Source::Runtime { start, .. } => start.elapsed(),
        }
    }

    /// Time since the machine was booted, suspended or not: unlike [`Clock::elapsed`] it knows of a sleep of the machine.
    pub fn boottime(&self) -> Duration {
        #[cfg(target_os = "linux")]
        if matches!(&*self.0, Source::Real { .. }) {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0));
            return Duration::new(seconds, nanos);
        }
        self.elapsed()
    }

    /// Moves a manual clock on, wall time and elapsed time alike; does nothing to others.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { wall_ms, elapsed_ms } = &*self.0 {
            wall_ms.fetch_add(ms(by), Ordering::SeqCst);
            elapsed_ms.fetch_add(ms(by), Ordering::SeqCst);
        }
    }

    /// Sets the wall time forward or back by `ms`, as an operator or NTP does: elapsed time goes on as if nothing had
    /// happened. Does nothing to the machine's clock.
    pub fn set_wall_by(&self, ms: i64) {
        if let Source::Manual { wall_ms, .. } | Source::Runtime { wall_ms, .. } = &*self.0 {
            wall_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_of_the_runtime_goes_with_its_time_and_its_wall_time_jumps_alone() {
        let clock = Clock::of_runtime(1_000);
        assert_eq!((clock.now_ms(), clock.elapsed()), (1_000, Duration::ZERO));
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!((clock.now_ms(), clock.elapsed()), (91_000, Duration::from_secs(90)));
        clock.set_wall_by(25 * 3_600_000);
        assert_eq!((clock.now_ms(), clock.elapsed()), (91_000 + 25 * 3_600_000, Duration::from_secs(90)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.elapsed(), Duration::from_secs(90), "only the runtime moves it");
    }
}
