//! Whether this broker may still answer (DESIGN 4.4).
//!
//! A task looks at the owner chain every few seconds. No answer leaves when the last successful look began more than
//! [`STALE`] ago, for then another broker may have taken the bucket over while this process was paused; the answer waits
//! for a fresh look. While the store does not answer at all, answers go on: the WAL is local, and a broker that cannot reach
//! the store cannot be taken over without its disk being refused later.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::base::Clock;

/// Age of a look beyond which nothing may be answered.
pub const STALE: Duration = Duration::from_secs(10);
/// Time between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(4);

/// What a look at the owner chain showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// This broker still owns the bucket.
    Ours,
    /// The store did not answer.
    Away,
    /// Another broker owns it; the text names it.
    Foreign(String),
}

/// The state that every answer asks; cheap to clone.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    last_look_ms: AtomicU64,
    away: AtomicBool,
    failed: AtomicBool,
    reason: RwLock<Option<String>>,
    look_now: Notify,
    changed: watch::Sender<u64>,
}

impl Fence {
    /// A fence as of a claim that was just made.
    pub fn new(clock: Clock) -> Self {
        let last_look_ms = AtomicU64::new(millis(clock.elapsed()));
        Self(Arc::new(Shared {
            clock,
            last_look_ms,
            away: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            reason: RwLock::new(None),
            look_now: Notify::new(),
            changed: watch::Sender::new(0),
        }))
    }

    /// Ends the service of this log, once and for all. The first reason stays.
    pub fn fail(&self, reason: String) {
        let mut slot = self.0.reason.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            tracing::error!(%reason, "this broker stops serving");
            *slot = Some(reason);
        }
        drop(slot);
        self.tell();
    }

    /// Ends the service of this log because it was asked to.
    pub fn end(&self, reason: &str) {
        self.0.reason.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reason.to_owned());
        self.tell();
    }

    fn tell(&self) {
        self.0.failed.store(true, Ordering::SeqCst);
        self.0.changed.send_modify(|n| *n += 1);
    }

    /// Why the service ended, if it did.
    pub fn reason(&self) -> Option<String> {
        if !self.0.failed.load(Ordering::SeqCst) {
            return None;
        }
        self.0.reason.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resolves with the reason when the service ends.
    pub async fn failed(&self) -> String {
        let mut changed = self.0.changed.subscribe();
        loop {
            if let Some(reason) = self.reason() {
                return reason;
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether an answer may leave now; waits for a fresh look when the last one is too old.
    pub async fn may_answer(&self) -> Result<(), String> {
        let mut changed = self.0.changed.subscribe();
        loop {
            if let Some(reason) = self.reason() {
                return Err(reason);
            }
            if self.is_fresh() || self.0.away.load(Ordering::SeqCst) {
                return Ok(());
            }
            self.0.look_now.notify_one();
            if changed.changed().await.is_err() {
                return Err("the log is closed".to_owned());
            }
        }
    }

    /// Records a look that began `began` after the clock's start.
    pub fn looked(&self, began: Duration, look: Look) {
        match look {
            Look::Ours => {
                self.0.last_look_ms.store(millis(began), Ordering::SeqCst);
                self.0.away.store(false, Ordering::SeqCst);
            }
            Look::Away => self.0.away.store(true, Ordering::SeqCst),
            Look::Foreign(reason) => self.fail(reason),
        }
        self.0.changed.send_modify(|n| *n += 1);
    }

    /// Resolves when it is time for the next look: after [`LOOK_EVERY`], or when an answer waits for one.
    pub async fn next_look(&self) {
        let _ = tokio::time::timeout(LOOK_EVERY, self.0.look_now.notified()).await;
    }

    /// Whether the store did not answer the last look.
    pub fn store_is_away(&self) -> bool {
        self.0.away.load(Ordering::SeqCst)
    }

    fn is_fresh(&self) -> bool {
        let age = millis(self.0.clock.elapsed()).saturating_sub(self.0.last_look_ms.load(Ordering::SeqCst));
        age <= millis(STALE)
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_pause_no_answer_leaves_before_a_fresh_look() {
        let clock = Clock::manual(0);
        let fence = Fence::new(clock.clone());
        assert_eq!(fence.may_answer().await, Ok(()));
        clock.advance(Duration::from_secs(11));
        {
            let answer = fence.may_answer();
            tokio::pin!(answer);
            assert!(futures::poll!(answer.as_mut()).is_pending());
            fence.looked(clock.elapsed(), Look::Ours);
            assert_eq!(answer.await, Ok(()));
        }
        clock.advance(Duration::from_secs(11));
        let answer = fence.may_answer();
        tokio::pin!(answer);
        assert!(futures::poll!(answer.as_mut()).is_pending());
        fence.looked(clock.elapsed(), Look::Foreign("broker 2 took over".to_owned()));
        assert_eq!(answer.await, Err("broker 2 took over".to_owned()));
        assert_eq!(fence.failed().await, "broker 2 took over");
    }

    #[tokio::test]
    async fn while_the_store_is_away_answers_go_on() {
        let clock = Clock::manual(0);
        let fence = Fence::new(clock.clone());
        fence.looked(clock.elapsed(), Look::Away);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(fence.may_answer().await, Ok(()));
    }
}
