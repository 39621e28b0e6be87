//! The clock: the only place that asks the machine what time it is. Tests turn a manual one.
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

    /// Wall time in milliseconds since 1970 (UTC).
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn now_ms(&self) -> i64 {
        match &*self.0 {
            Source::Real { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(d) => i64::try_from(d.as_millis()).unwrap_or(i64::MAX),
                Err(e) => -i64::try_from(e.duration().as_millis()).unwrap_or(i64::MAX),
            },
            Source::Manual { wall_ms, .. } => wall_ms.load(Ordering::SeqCst),
        }
    }

    /// Time since this clock was made; never goes back.
    pub fn elapsed(&self) -> Duration {
        match &*self.0 {
            Source::Real { start } => start.elapsed(),
            Source::Manual { elapsed_ms, .. } => {
                Duration::from_millis(u64::try_from(elapsed_ms.load(Ordering::SeqCst)).unwrap_or(0))
            }
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

    /// Moves a manual clock on, wall time and elapsed time alike; does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { wall_ms, elapsed_ms } = &*self.0 {
            let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            wall_ms.fetch_add(ms, Ordering::SeqCst);
            elapsed_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }
}
