//! What happens without being asked: ends become durable, transactions time out, ids expire, and a WAL that a transaction keeps
//! from going on is freed of it.
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::entry::Identity;
use super::ids::lock;
use super::{Cause, Inner, Unfinished, log_ended};
use crate::base::tasks::Tasks;
use crate::coordinator::items::txn_key;

/// Time between two looks at what is open.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two that remove unused ids.
const LOOKS_PER_EXPIRY: u32 = 600;
/// Looks in a row that find the same transaction in the way before it is aborted: sealing and condensing come first.
const LOOKS_OF_PRESSURE: u32 = 5;

/// Starts the tasks; they end when the transactions are dropped.
pub(super) fn start(inner: &Arc<Inner>, finished: mpsc::UnboundedReceiver<Unfinished>, tasks: &Tasks) {
    tasks.hot.spawn(finish_all(finished));
    tasks.hot.spawn(mind_time(Arc::downgrade(inner)));
}

/// Tells in the order of the log what is durable.
async fn finish_all(mut finished: mpsc::UnboundedReceiver<Unfinished>) {
    while let Some(Unfinished { slot, durable, tell }) = finished.recv().await {
        let outcome = match durable.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(log_ended()),
        };
        if outcome.is_ok() {
            lock(&slot).transaction.ended();
        }
        // Whoever asked may have gone.
        let _ = tell.send(outcome);
    }
}

async fn mind_time(inner: Weak<Inner>) {
    let (mut looks, mut pressing) = (0u32, Pressing::default());
    loop {
        {
            let Some(inner) = inner.upgrade() else { return };
            inner.look(&mut pressing);
            if looks.is_multiple_of(LOOKS_PER_EXPIRY) {
                inner.expire();
            }
        }
        looks = looks.wrapping_add(1);
        tokio::time::sleep(LOOK).await;
    }
}

/// The producer whose transaction is in the way, and for how many looks.
#[derive(Debug, Default)]
pub(super) struct Pressing {
    producer_id: Option<i64>,
    looks: u32,
}

impl Inner {
    /// Aborts what is due.
    pub(super) fn look(&self, pressing: &mut Pressing) {
        let now_ms = self.clock.now_ms();
        let open = self.ids.open();
        self.counts.ids.set(i64::try_from(self.ids.len()).unwrap_or(i64::MAX));
        self.counts.open.set(i64::try_from(open.len()).unwrap_or(i64::MAX));
        let oldest_ms = open.iter().map(|(_, open)| now_ms.saturating_sub(open.start_ms)).max();
        self.counts.oldest_ms.set(oldest_ms.unwrap_or(0));
        for (name, _) in open.iter().filter(|(_, open)| open.deadline_ms <= now_ms) {
            let is_due = |known: &super::Transaction| known.entry.deadline_ms().is_some_and(|due| due <= now_ms);
            if let Err(error) = self.fence(name, Cause::TimedOut, is_due) {
                tracing::warn!(transactional_id = &**name, %error, "timed out, and cannot be aborted now; trying again");
            }
        }
        self.relieve(pressing);
    }

    /// Aborts the transaction that keeps the WAL from going on, when nothing else has helped for a while.
    fn relieve(&self, pressing: &mut Pressing) {
        let found = self.log.pressing();
        let looks = if found.is_some() && found == pressing.producer_id { pressing.looks + 1 } else { 1 };
        *pressing = Pressing { producer_id: found, looks };
        let Some(producer_id) = found.filter(|_| looks >= LOOKS_OF_PRESSURE) else { return };
        *pressing = Pressing::default();
        let done = match self.ids.open().into_iter().find(|(_, open)| open.producer_id == producer_id) {
            Some((name, _)) => {
                self.fence(&name, Cause::Pressure, |known| known.entry.producer_id == producer_id).map(drop)
            }
            None => self.abort_stranger(producer_id),
        };
        if let Err(error) = done {
            tracing::warn!(producer_id, %error, "a transaction keeps the WAL from going on, and cannot be aborted now");
        }
    }

    fn abort_stranger(&self, producer_id: i64) -> Result<(), super::TxnError> {
        let mut places = super::Places::new();
        let mut epoch = 0;
        for found in self.log.open_transactions().into_iter().filter(|found| found.producer.id == producer_id) {
            epoch = found.producer.epoch.max(epoch);
            places.entry(found.place.topic).or_default().insert(found.place.partition);
        }
        self.abort_unknown(Identity { id: producer_id, epoch }, &places, Cause::Pressure).map(drop)
    }

    /// Removes ids that nobody has used for `transactional.id.expiration.ms`.
    pub(super) fn expire(&self) {
        let (now_ms, keep_ms) = (self.clock.now_ms(), self.options().expiration_ms);
        self.ids.remove(|id| {
            let unused = id.transaction.ending.is_none() && id.transaction.entry.is_expired(now_ms, keep_ms);
            // Whatever comes later is later in the log; one that cannot be written now goes the next time.
            unused && self.log.put(vec![(txn_key(&id.name), None)]).is_ok()
        });
    }
}
