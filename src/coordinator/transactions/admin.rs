//! What administrators ask.
use std::collections::BTreeSet;

use tokio::sync::oneshot;

use super::entry::{Entry, Identity, Places};
use super::ids::lock;
use super::{Cause, Transactions, log_ended};
use crate::coordinator::error::TxnError;
use crate::coordinator::items::TopicPartition;

/// A transactional id as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// What is known of it.
    pub entry: Entry,
}

/// A transactional id in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its producer id.
    pub producer_id: i64,
    /// Kafka's name of its state.
    pub state: &'static str,
}

/// What of all transactional ids is listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In these states; empty: in any.
    pub states: BTreeSet<String>,
    /// Of these producers; empty: of any.
    pub producer_ids: BTreeSet<i64>,
    /// With a last transaction that began longer ago than so many ms, or none at all; `None`: any.
    pub began_before_ms: Option<i64>,
    /// With a name that this matches; `None`: with any.
    pub pattern: Option<regex::Regex>,
}

impl Filter {
    /// The states that there are, in Kafka's words.
    pub const STATES: [&'static str; 8] = [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ];

    fn lets(&self, name: &str, state: &str, entry: &Entry, now_ms: i64) -> bool {
        (self.states.is_empty() || self.states.contains(state))
            && (self.producer_ids.is_empty() || self.producer_ids.contains(&entry.producer_id))
            && self.began_before_ms.is_none_or(|ms| now_ms.saturating_sub(entry.start_ms) > ms)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}

impl Transactions {
    /// A transactional id.
    ///
    /// # Errors
    /// [`TxnError::NotFound`], [`TxnError::InvalidRequest`].
    pub fn describe(&self, name: &str) -> Result<Described, TxnError> {
        let described = self.0.with(name, |_, id| {
            Ok(Described { state: id.transaction.state_name(), entry: id.transaction.entry.clone() })
        });
        described.map_err(|error| match error {
            TxnError::UnknownProducerId => TxnError::NotFound,
            other => other,
        })
    }

    /// All that a filter lets through, by name.
    pub fn list(&self, filter: &Filter) -> Vec<Listed> {
        let now_ms = self.0.clock.now_ms();
        let mut listed: Vec<_> = self
            .0
            .ids
            .all()
            .iter()
            .filter_map(|slot| {
                let id = lock(slot);
                let (state, entry) = (id.transaction.state_name(), &id.transaction.entry);
                let shown = !id.gone && filter.lets(&id.name, state, entry, now_ms);
                shown.then(|| Listed { name: id.name.to_string(), producer_id: entry.producer_id, state })
            })
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed
    }

    /// Aborts the transaction that a producer has open in a partition, as a whole, and fences the producer. Answered when that
    /// is durable.
    pub fn abort(
        &self,
        producer: Identity,
        place: TopicPartition,
    ) -> impl Future<Output = Result<(), TxnError>> + Send + use<> {
        let begun = self.begin_abort(producer, place);
        async move {
            match begun? {
                Aborting::Known(told) => told.await.unwrap_or_else(|_| Err(log_ended())),
                Aborting::Unknown(durable) => durable.await.map_err(|_| log_ended()),
            }
        }
    }

    fn begin_abort(&self, producer: Identity, place: TopicPartition) -> Result<Aborting, TxnError> {
        let open = self.0.log.open_transactions();
        let found = open.iter().find(|open| open.place == place && open.producer.id == producer.id);
        let found = found.ok_or(TxnError::InvalidState("not open in the partition"))?.producer;
        if producer.epoch < found.epoch {
            return Err(TxnError::Fenced { got: producer.epoch, current: found.epoch });
        }
        if let Some((name, _)) = self.0.ids.open().into_iter().find(|(_, open)| open.producer_id == producer.id) {
            let aborted = self.0.fence(&name, Cause::Admin, |known| known.entry.producer_id == producer.id)?;
            return aborted.map(Aborting::Known).ok_or(TxnError::Concurrent);
        }
        // Nobody knows of it: only the partition can be helped.
        let places = Places::from([(place.topic, BTreeSet::from([place.partition]))]);
        Ok(Aborting::Unknown(self.0.abort_unknown(found, &places, Cause::Admin)?))
    }
}

enum Aborting {
    Known(oneshot::Receiver<Result<(), TxnError>>),
    Unknown(oneshot::Receiver<()>),
}
