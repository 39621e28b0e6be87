//! All transactional ids, each under a lock of its own, and which of them have a transaction open.
//!
//! The lock of an id is held while its transaction writes, never over an await. Locks are taken in this order: the map, an id,
//! the groups, the partitions, `open`.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::entry::Entry;
use super::machine::Transaction;
use crate::coordinator::error::TxnError;

/// An id with its lock.
pub type Slot = Arc<Mutex<Id>>;

/// One transactional id.
#[derive(Debug)]
pub struct Id {
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub transaction: Transaction,
    /// Whether it was removed since it was looked up.
    pub gone: bool,
}

/// An open transaction as the timer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// When it began, ms since 1970.
    pub start_ms: i64,
    /// When it is aborted.
    pub deadline_ms: i64,
    /// Whose it is.
    pub producer_id: i64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Ids {
    all: RwLock<HashMap<Arc<str>, Slot>>,
    open: Mutex<HashMap<Arc<str>, Open>>,
}

/// Locks an id.
pub fn lock(slot: &Slot) -> MutexGuard<'_, Id> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ids {
    /// An id by name.
    pub fn get(&self, name: &str) -> Option<Slot> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Slot> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Adds an id of at most `most`, once `store` has stored it. `None`: somebody else was faster.
    ///
    /// # Errors
    /// [`TxnError::TooMany`]; that of `store`.
    pub fn add<T>(
        &self,
        name: &str,
        most: usize,
        store: impl FnOnce() -> Result<(Entry, T), TxnError>,
    ) -> Result<Option<T>, TxnError> {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(name) {
            return Ok(None);
        }
        if all.len() >= most {
            return Err(TxnError::TooMany(most));
        }
        let (entry, stored) = store()?;
        self.insert(&mut all, name, entry);
        Ok(Some(stored))
    }

    /// Adds an id as it was recovered.
    pub fn restore(&self, name: &str, entry: Entry) {
        self.insert(&mut self.all.write().unwrap_or_else(PoisonError::into_inner), name, entry);
    }

    fn insert(&self, all: &mut HashMap<Arc<str>, Slot>, name: &str, entry: Entry) {
        let name: Arc<str> = name.into();
        self.note(&name, &entry);
        let id = Id { name: name.clone(), transaction: Transaction::new(entry), gone: false };
        all.insert(name, Arc::new(Mutex::new(id)));
    }

    /// Removes those that `expire` says are to go; it stores that. One that is in use just now stays.
    pub fn remove(&self, mut expire: impl FnMut(&Id) -> bool) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, slot| {
            let Ok(mut id) = slot.try_lock() else { return true };
            id.gone = expire(&id);
            !id.gone
        });
    }

    /// Takes note of what an id has become.
    pub fn note(&self, name: &Arc<str>, entry: &Entry) {
        let mut open = self.lock_open();
        match entry.deadline_ms() {
            Some(deadline_ms) => {
                let now = Open { start_ms: entry.start_ms, deadline_ms, producer_id: entry.producer_id };
                open.insert(name.clone(), now);
            }
            None => drop(open.remove(name)),
        }
    }

    /// What is open.
    pub fn open(&self) -> Vec<(Arc<str>, Open)> {
        self.lock_open().iter().map(|(name, open)| (name.clone(), *open)).collect()
    }

    fn lock_open(&self) -> MutexGuard<'_, HashMap<Arc<str>, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
