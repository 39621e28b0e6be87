//! Whether this broker may still answer (DESIGN 4.4).
//!
//! A task looks at the owner chain every few seconds ([`super::watch`]); what its looks allow is decided by [`Looks`], which is
//! pure. No answer leaves when the newest look that has ended began more than [`STALE`] ago, for then another broker may have
//! taken the bucket over while this process stood still; the answer waits for a look that succeeds. While the store does not
//! answer at all, looks still end, and answers go on: the WAL is local. While the store refuses this broker nothing is taken
//! that is to be kept, for it could never be sealed; that is an error to be retried, not the end.
//!
//! Ages are taken by the time since the machine's boot, which knows of the machine's sleep.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use self::looks::Looks;
pub use self::looks::{Look, STALE};
use crate::base::Clock;

mod looks;

/// The state that every answer asks; cheap to clone.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    looks: Mutex<Looks>,
    /// Until when answers leave, in ms since the machine's boot; 0: not before a look succeeds.
    open_until_ms: AtomicU64,
    away: AtomicBool,
    denied: AtomicBool,
    failed: AtomicBool,
    reason: RwLock<Option<String>>,
    look_now: Notify,
    changed: watch::Sender<u64>,
}

impl Fence {
    /// A fence after a claim that was begun at `claimed`, by the time since the machine's boot.
    pub fn new(clock: Clock, claimed: Duration) -> Self {
        let looks = Looks::claimed(claimed);
        Self(Arc::new(Shared {
            clock,
            open_until_ms: AtomicU64::new(open_until_ms(&looks)),
            looks: Mutex::new(looks),
            away: AtomicBool::new(false),
            denied: AtomicBool::new(false),
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

    /// Whether an answer may leave now; waits for a look that succeeds when the newest one is too old.
    pub async fn may_answer(&self) -> Result<(), String> {
        if self.is_open() && self.reason().is_none() {
            return Ok(());
        }
        let mut changed = self.0.changed.subscribe();
        loop {
            if let Some(reason) = self.reason() {
                return Err(reason);
            }
            if self.is_open() {
                return Ok(());
            }
            self.0.look_now.notify_one();
            if changed.changed().await.is_err() {
                return Err("the log is closed".to_owned());
            }
        }
    }

    /// Whether something that is to be kept may be taken now; else why not, and it may be tried again later.
    pub fn may_write(&self) -> Result<(), String> {
        if !self.0.denied.load(Ordering::SeqCst) {
            return Ok(());
        }
        match self.looks().refuses_writes() {
            Some(why) => Err(format!(
                "the object store refuses this broker, so nothing is taken that could not be sealed ({why}); it goes on when \
                 the store lets it"
            )),
            None => Ok(()),
        }
    }

    /// Records a look that began `began` after the machine's boot and has ended now.
    pub fn looked(&self, began: Duration, look: Look) {
        if let Look::Foreign(reason) = look {
            return self.fail(reason);
        }
        {
            let mut looks = self.looks();
            looks.ended(began, look, self.0.clock.boottime());
            self.0.open_until_ms.store(open_until_ms(&looks), Ordering::SeqCst);
            self.0.away.store(looks.is_away(), Ordering::SeqCst);
            self.0.denied.store(looks.refuses_writes().is_some(), Ordering::SeqCst);
        }
        self.0.changed.send_modify(|n| *n += 1);
    }

    /// Resolves when an answer waits for a look.
    pub async fn look_is_wanted(&self) {
        self.0.look_now.notified().await;
    }

    /// Whether the newest look found the store of no help: it did not answer, or refused.
    pub fn store_is_away(&self) -> bool {
        self.0.away.load(Ordering::SeqCst)
    }

    fn is_open(&self) -> bool {
        millis(self.0.clock.boottime()) <= self.0.open_until_ms.load(Ordering::SeqCst)
    }

    fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.0.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_until_ms(looks: &Looks) -> u64 {
    // 0 is never open, for a machine that runs has been booted.
    looks.open_until().map_or(0, |until| millis(until).max(1))
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence() -> (Clock, Fence) {
        let clock = Clock::manual(0);
        clock.advance(Duration::from_secs(100));
        (clock.clone(), Fence::new(clock.clone(), clock.boottime()))
    }

    #[tokio::test]
    async fn after_a_pause_no_answer_leaves_before_a_fresh_look() {
        let (clock, fence) = fence();
        assert_eq!(fence.may_answer().await, Ok(()));
        clock.advance(Duration::from_secs(11));
        {
            let answer = fence.may_answer();
            tokio::pin!(answer);
            assert!(futures::poll!(answer.as_mut()).is_pending());
            fence.looked(clock.boottime(), Look::Ours);
            assert_eq!(answer.await, Ok(()));
        }
        clock.advance(Duration::from_secs(11));
        let answer = fence.may_answer();
        tokio::pin!(answer);
        assert!(futures::poll!(answer.as_mut()).is_pending());
        fence.looked(clock.boottime(), Look::Foreign("broker 2 took over".to_owned()));
        assert_eq!(answer.await, Err("broker 2 took over".to_owned()));
        assert_eq!(fence.failed().await, "broker 2 took over");
    }

    #[tokio::test]
    async fn while_looks_find_the_store_away_answers_go_on() {
        let (clock, fence) = fence();
        for _ in 0..900 {
            let began = clock.boottime();
            clock.advance(Duration::from_secs(3));
            fence.looked(began, Look::Away);
            clock.advance(Duration::from_secs(1));
            assert_eq!(fence.may_answer().await, Ok(()));
        }
        assert!(fence.store_is_away() && fence.may_write().is_ok());
    }

    #[tokio::test]
    async fn a_look_that_failed_before_the_process_stood_still_lets_nothing_out() {
        let (clock, fence) = fence();
        let began = clock.boottime();
        fence.looked(began, Look::Away);
        clock.advance(Duration::from_secs(3600));
        let answer = fence.may_answer();
        tokio::pin!(answer);
        assert!(futures::poll!(answer.as_mut()).is_pending(), "somebody may have taken over meanwhile");
        fence.looked(clock.boottime(), Look::Away);
        assert!(futures::poll!(answer.as_mut()).is_pending(), "and the store still does not say");
        fence.looked(began, Look::Ours);
        assert!(futures::poll!(answer.as_mut()).is_pending(), "an answer of before the pause says nothing");
        fence.looked(clock.boottime(), Look::Ours);
        assert_eq!(answer.await, Ok(()));
    }

    #[tokio::test]
    async fn a_store_that_refuses_stops_writes_and_not_the_broker() {
        let (clock, fence) = fence();
        fence.looked(clock.boottime(), Look::Denied("access denied".to_owned()));
        assert!(fence.may_write().unwrap_err().contains("access denied"));
        assert_eq!(fence.may_answer().await, Ok(()), "so that the error leaves");
        assert_eq!(fence.reason(), None);
        fence.looked(clock.boottime(), Look::Ours);
        assert_eq!(fence.may_write(), Ok(()));
    }
}
