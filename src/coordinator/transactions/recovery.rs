//! The start of transactions.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::entry::{Entry, Identity, Places};
use super::ids::Ids;
use super::log::TransactionLog;
use super::{Cause, Counts, Inner, Live, Transactions, minding};
use crate::base::tasks::Tasks;
use crate::base::{Clock, Metrics, Uuid};
use crate::coordinator::error::TxnError;
use crate::coordinator::items::{BadItem, Changes, Item, Items, TXN_LOSS_KEY, txn_key, txn_of_key, value_of};
use crate::coordinator::journal::JournalError;
use crate::coordinator::{Coordinator, OpenError};
use crate::log::{Env, Log};

/// What transactions take from their surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// Where they write.
    pub log: Arc<dyn TransactionLog>,
    /// Whose offsets they decide.
    pub groups: Coordinator,
    /// The time.
    pub clock: Clock,
    /// Where they register what they count.
    pub metrics: Metrics,
    /// Where their tasks run.
    pub tasks: Tasks,
}

impl Transactions {
    /// The transactions of a log that was just opened, and whose groups were.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn of(log: &Log, groups: &Coordinator, live: impl Into<Live>, env: &Env) -> Result<Self, OpenError> {
        let Env { clock, metrics, tasks, .. } = env.clone();
        let (items, lost_wal) = (log.state_items(), log.wal_after_loss());
        let surroundings = Surroundings { log: Arc::new(log.clone()), groups: groups.clone(), clock, metrics, tasks };
        Self::open(&items, lost_wal, live, surroundings).await
    }

    /// Begins with the items that were recovered. `lost_wal`: the WAL that began when another one was lost. At the first start
    /// after it all transactional ids are forgotten, and what they had open is aborted, durably so when this returns.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        items: &Items,
        lost_wal: Option<Uuid>,
        live: impl Into<Live>,
        surroundings: Surroundings,
    ) -> Result<Self, OpenError> {
        let Surroundings { log, groups, clock, metrics, tasks } = surroundings;
        let ids = Ids::default();
        let loss = lost_wal.map(|id| value_of(&id)).filter(|id| items.get(TXN_LOSS_KEY) != Some(id));
        let mut entries = entries(items)?;
        if let Some(loss) = loss {
            let forgotten = std::mem::take(&mut entries).into_keys().map(|name| (txn_key(&name), None));
            let changes: Changes = forgotten.chain([(TXN_LOSS_KEY.to_owned(), Some(loss))]).collect();
            log.put(changes)?.await.map_err(|_| OpenError::Ended)?;
        }
        for (name, entry) in &entries {
            ids.restore(name, entry.clone());
        }
        let (unfinished, finished) = mpsc::unbounded_channel();
        let inner =
            Arc::new(Inner { ids, log, groups, clock, live: live.into(), counts: Counts::new(&metrics), unfinished });
        inner.abort_strangers(items, &entries).await?;
        minding::start(&inner, finished, &tasks);
        Ok(Self(inner))
    }
}

/// The ids that were recovered.
fn entries(items: &Items) -> Result<BTreeMap<String, Entry>, BadItem> {
    let mut entries = BTreeMap::new();
    for (key, value) in items {
        if let Some(name) = txn_of_key(key) {
            let bad = |error: serde_json::Error| BadItem { key: key.clone(), why: error.to_string() };
            entries.insert(name.to_owned(), value.read().map_err(bad)?);
        }
    }
    Ok(entries)
}

impl Inner {
    /// Aborts what partitions and groups have open of producers whose transaction no id knows.
    async fn abort_strangers(&self, items: &Items, entries: &BTreeMap<String, Entry>) -> Result<(), OpenError> {
        let open: BTreeMap<i64, &Entry> =
            entries.values().filter(|entry| entry.is_open()).map(|entry| (entry.producer_id, entry)).collect();
        let mut strangers: BTreeMap<i64, (i16, Places)> = BTreeMap::new();
        for found in self.log.open_transactions() {
            let Identity { id, epoch } = found.producer;
            if !open.get(&id).is_some_and(|entry| entry.has(found.place)) {
                let (newest, places) = strangers.entry(id).or_insert((epoch, Places::new()));
                *newest = epoch.max(*newest);
                places.entry(found.place.topic).or_default().insert(found.place.partition);
            }
        }
        for (id, (epoch, places)) in strangers {
            let aborted = self.abort_unknown(Identity { id, epoch }, &places, Cause::Unknown);
            aborted.map_err(refused)?.await.map_err(|_| OpenError::Ended)?;
        }
        for (producer_id, groups) in pending(items)? {
            if !open.contains_key(&producer_id) {
                let put = |changes| self.log.put(changes);
                let dropped = self.groups.end_transaction(producer_id, groups.iter(), false, put)?;
                wait(dropped).await?;
            }
        }
        Ok(())
    }
}

/// Groups with offsets that are not decided, by producer.
fn pending(items: &Items) -> Result<BTreeMap<i64, BTreeSet<String>>, BadItem> {
    let mut pending: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (key, value) in items {
        if let Some(Item::Pending(group, producer_id, ..)) = Item::read(key, value)? {
            pending.entry(producer_id).or_default().insert(group);
        }
    }
    Ok(pending)
}

async fn wait<E>(told: oneshot::Receiver<Result<(), E>>) -> Result<(), OpenError> {
    told.await.ok().and_then(Result::ok).ok_or(OpenError::Ended)
}

fn refused(error: TxnError) -> OpenError {
    OpenError::Journal(JournalError::Busy(error.to_string()))
}
