//! A byte budget: permits for bytes are taken before the bytes exist, in order of asking, and come back when dropped.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of 1 KiB, so that a budget of up to 4 TiB fits the semaphore.
const UNIT: u64 = 1024;

/// A pool of bytes with a name; cheap to clone. Waiters are served first come, first served, so a large request is not
/// starved by small ones.
#[derive(Clone, Debug)]
pub struct ByteBudget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    name: &'static str,
    units: u32,
    free: Arc<Semaphore>,
    waiting: AtomicU64,
}

/// A share of a [`ByteBudget`]; returned when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct BytePermit {
    _permit: Arc<OwnedSemaphorePermit>,
    bytes: u64,
}

impl BytePermit {
    /// How many bytes this permit stands for (after clamping to the pool).
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl ByteBudget {
    /// A pool of `bytes` (at least 1 KiB).
    pub fn new(name: &'static str, bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX >> 3).clamp(1, u32::MAX >> 3);
        Self(Arc::new(Pool { name, units, free: Arc::new(Semaphore::new(units as usize)), waiting: AtomicU64::new(0) }))
    }

    /// Waits for `bytes`, clamped to the whole pool: a single request larger than the pool gets all of it, alone.
    pub async fn acquire(&self, bytes: u64) -> BytePermit {
        let units = self.units_for(bytes);
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = Waiting(&self.0.waiting);
        let permit = self.0.free.clone().acquire_many_owned(units).await.expect("the semaphore is never closed");
        drop(guard);
        BytePermit { _permit: Arc::new(permit), bytes: u64::from(units) * UNIT }
    }

    /// Takes `bytes` if they are free now and nobody waits for them.
    pub fn try_acquire(&self, bytes: u64) -> Option<BytePermit> {
        let units = self.units_for(bytes);
        let permit = self.0.free.clone().try_acquire_many_owned(units).ok()?;
        Some(BytePermit { _permit: Arc::new(permit), bytes: u64::from(units) * UNIT })
    }

    /// The pool's name, for metrics and messages.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The pool's size in bytes.
    pub fn capacity(&self) -> u64 {
        u64::from(self.0.units) * UNIT
    }

    /// Bytes handed out at this moment.
    pub fn in_use(&self) -> u64 {
        (u64::from(self.0.units)).saturating_sub(self.0.free.available_permits() as u64) * UNIT
    }

    /// How many callers wait at this moment.
    pub fn waiters(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }

    fn units_for(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.0.units)
    }
}

/// Keeps the count of waiters right when a waiting future is dropped.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permits_come_back_and_an_oversized_request_is_clamped() {
        let budget = ByteBudget::new("test", 64 * 1024);
        let all = budget.acquire(1 << 40).await;
        assert_eq!(all.bytes(), budget.capacity());
        assert!(budget.try_acquire(1).is_none());
        drop(all);
        assert_eq!(budget.in_use(), 0);
        assert!(budget.try_acquire(1).is_some());
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_is_no_longer_counted() {
        let budget = ByteBudget::new("test", 1024);
        let _all = budget.acquire(1024).await;
        {
            let waiting = budget.acquire(1024);
            tokio::pin!(waiting);
            assert!(futures::poll!(waiting.as_mut()).is_pending());
            assert_eq!(budget.waiters(), 1);
        }
        assert_eq!(budget.waiters(), 0);
    }
}
