//! Transactional ids and their transactions.
//!
//! A call locks its id, asks the pure [`Transaction`], hands what follows to the log and takes it over, all under that lock and
//! without waiting; then it waits for the disk. What a transaction writes is written under the same lock: nothing can be
//! appended to a transaction after its end, nor to one that never was.
//!
//! The end of a transaction is one group of the WAL: markers in all partitions, the id's new entry, and the offsets that it
//! committed. There is nothing half done that a start would have to finish. A start aborts what partitions have open and no id
//! knows, and forgets all ids when a WAL was lost: their producers get new producer ids and cannot go on as who they were.
//!
//! | file | what it does |
//! |---|---|
//! | [`entry`] | what is known of a transactional id; the format of its item |
//! | `machine` | one transactional id at work (pure) |
//! | `ids` | all of them, with their locks |
//! | `log` | what is needed of the log |
//! | `calls` | what producers ask |
//! | `admin` | what administrators ask |
//! | `recovery` | the start |
//! | `minding` | time-outs, expiry, pressure |
mod admin;
mod calls;
pub mod entry;
mod ids;
mod log;
pub(super) mod machine;
mod minding;
mod recovery;

use std::sync::Arc;

use prometheus_client::metrics::family::Family;
use tokio::sync::{mpsc, oneshot};

use super::Coordinator;
use super::error::{GroupError, TxnError};
use super::items::{Changes, txn_key, value_of};
use super::journal::JournalError;
use super::options::Live;
use crate::base::metrics::{Counter, Gauge, Labels};
use crate::base::{Clock, Metrics};
use crate::log::TransactionEnd;
use crate::record::Outcome;
use entry::{Entry, Places};
use ids::{Id, Ids, Slot, lock};
use machine::{Ending, Transaction};

pub use admin::{Described, Filter, Listed};
pub use calls::CommitError;
pub use entry::{Identity, TV2};
pub use log::{OpenIn, TransactionLog};
pub use machine::EndCall;
pub use recovery::Surroundings;

/// What the operator may choose about transactions, with Kafka's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionOptions {
    /// `transaction.max.timeout.ms`.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub expiration_ms: i64,
    /// Transactional ids of one broker.
    pub max_ids: usize,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self { max_timeout_ms: 15 * 60 * 1000, expiration_ms: 7 * 24 * 60 * 60 * 1000, max_ids: 100_000 }
    }
}

/// The coordinator of all transactions; cheap to clone.
#[derive(Clone)]
pub struct Transactions(Arc<Inner>);

struct Inner {
    ids: Ids,
    log: Arc<dyn TransactionLog>,
    groups: Coordinator,
    clock: Clock,
    live: Live,
    counts: Counts,
    unfinished: mpsc::UnboundedSender<Unfinished>,
}

/// An end that the log has taken and that is not durable yet: at most one of each id.
struct Unfinished {
    slot: Slot,
    durable: oneshot::Receiver<Result<(), GroupError>>,
    tell: oneshot::Sender<Result<(), TxnError>>,
}

struct Counts {
    ids: Gauge,
    open: Gauge,
    oldest_ms: Gauge,
    ended: Family<Labels, Counter>,
}

/// How a transaction came to its end, for the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Its producer said so.
    Producer,
    /// Another instance of its producer came.
    Fenced,
    /// It was open for too long.
    TimedOut,
    /// It kept the WAL from going on.
    Pressure,
    /// An administrator said so.
    Admin,
    /// Nobody knows of it.
    Unknown,
}

impl Counts {
    fn new(metrics: &Metrics) -> Self {
        Self {
            ids: metrics.gauge("transactional_ids", "Transactional ids that are known"),
            open: metrics.gauge("transactions_open", "Transactions that are open"),
            oldest_ms: metrics.gauge("transaction_oldest_open_ms", "Age of the oldest open transaction, in ms"),
            ended: metrics.counters("transactions_ended", "Transactions that have ended, by how"),
        }
    }

    fn ended(&self, outcome: Outcome, cause: Cause) {
        let outcome = match (outcome, cause) {
            (Outcome::Committed, _) => "committed",
            (Outcome::Aborted, Cause::Producer) => "aborted",
            (Outcome::Aborted, Cause::Fenced) => "fenced",
            (Outcome::Aborted, Cause::TimedOut) => "timed-out",
            (Outcome::Aborted, Cause::Pressure) => "wal-pressure",
            (Outcome::Aborted, Cause::Admin) => "admin",
            (Outcome::Aborted, Cause::Unknown) => "unknown",
        };
        self.ended.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }
}

impl Inner {
    fn options(&self) -> TransactionOptions {
        self.live.get().transactions
    }

    /// Asks an id something, under its lock.
    fn with<T>(&self, name: &str, ask: impl FnOnce(&Slot, &mut Id) -> Result<T, TxnError>) -> Result<T, TxnError> {
        if name.is_empty() {
            return Err(TxnError::InvalidRequest("the transactional id is empty"));
        }
        let slot = self.ids.get(name).ok_or(TxnError::UnknownProducerId)?;
        let mut id = lock(&slot);
        if id.gone { Err(TxnError::UnknownProducerId) } else { ask(&slot, &mut id) }
    }

    /// Has the log take an id's new entry, and takes it over.
    fn store(&self, id: &mut Id, entry: Entry) -> Result<oneshot::Receiver<()>, TxnError> {
        let durable = self.log.put(vec![(txn_key(&id.name), Some(value_of(&entry)))])?;
        self.ids.note(&id.name, &entry);
        id.transaction.entry = entry;
        Ok(durable)
    }

    /// Has the log take an end. Told when it is durable.
    fn end_now(
        &self,
        slot: &Slot,
        id: &mut Id,
        ending: Ending,
        cause: Cause,
    ) -> Result<oneshot::Receiver<Result<(), TxnError>>, TxnError> {
        let Ending { entry, marker, partitions, groups } = &ending;
        let put = |offsets: Changes| {
            let mut changes = vec![(txn_key(&id.name), Some(value_of(entry)))];
            changes.extend(offsets);
            self.log.end(*marker, partitions, changes)
        };
        let commit = marker.outcome == Outcome::Committed;
        let durable = self.groups.end_transaction(marker.producer_id, groups.iter(), commit, put)?;
        self.ids.note(&id.name, entry);
        self.counts.ended(marker.outcome, cause);
        id.transaction.begin(ending);
        let (tell, told) = oneshot::channel();
        // The task ends with the broker only; then nobody is answered any more.
        let _ = self.unfinished.send(Unfinished { slot: slot.clone(), durable, tell });
        Ok(told)
    }

    /// Aborts what a producer has open in partitions and nobody knows of, with the offsets that it committed.
    fn abort_unknown(
        &self,
        producer: Identity,
        places: &Places,
        cause: Cause,
    ) -> Result<oneshot::Receiver<()>, TxnError> {
        let Identity { id: producer_id, epoch: producer_epoch } = producer;
        tracing::warn!(producer_id, partitions = ?places, ?cause, "a transaction that no transactional id knows is aborted");
        let end = TransactionEnd { producer_id, producer_epoch, outcome: Outcome::Aborted };
        let durable = self.log.end(end, places, Changes::new())?;
        self.counts.ended(Outcome::Aborted, cause);
        Ok(durable)
    }

    /// Aborts the open transaction of an id, and fences its producer, if `chosen` says so.
    fn fence(
        &self,
        name: &str,
        cause: Cause,
        chosen: impl FnOnce(&Transaction) -> bool,
    ) -> Result<Option<oneshot::Receiver<Result<(), TxnError>>>, TxnError> {
        let now_ms = self.clock.now_ms();
        self.with(name, |slot, id| match id.transaction.fence(now_ms) {
            Some(ending) if chosen(&id.transaction) => {
                tracing::info!(transactional_id = name, producer_id = ending.marker.producer_id, ?cause, "aborted");
                self.end_now(slot, id, ending, cause).map(Some)
            }
            _ => Ok(None),
        })
    }
}

impl From<JournalError> for TxnError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Busy(why) => Self::NotAvailable(why),
            JournalError::Closed(why) => Self::NotCoordinator(why),
        }
    }
}

/// What becomes of calls that wait when the log ends.
fn log_ended() -> TxnError {
    TxnError::NotCoordinator("the log has ended".to_owned())
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transactions").field("ids", &self.0.ids.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
