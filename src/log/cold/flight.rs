//! A byte-bounded cache whose misses are single flights: the first who asks for a key gets a [`Lease`] to produce its
//! value, everybody else waits for that one answer.
//!
//! - Bytes are counted exactly, under one lock, before a value goes in: the cache is never above its capacity, not even
//!   for a moment (caches that tidy up later are). Least recently used goes first. There is no admission filter: a slice
//!   that was read ahead has never been asked for, and must still be kept.
//! - Failures are answers to those who wait, and are never kept. A lease that is dropped unanswered (a panic, a
//!   shutdown) frees its key and tells the waiters.
//! - A value that was read ahead may carry the permit for its bytes; the permit goes back as soon as somebody reads the
//!   value, or when it is evicted. So what nobody wanted yet is bounded by one budget.
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::base::BytePermit;

/// The cache; cheap to clone.
pub(super) struct FlightCache<K, V, E>(Arc<Shared<K, V, E>>);

struct Shared<K, V, E> {
    capacity: u64,
    state: Mutex<State<K, V, E>>,
}

struct State<K, V, E> {
    slots: HashMap<K, Slot<V, E>>,
    /// Ready keys by the tick of their last use: the first is the next to go.
    order: BTreeMap<u64, K>,
    tick: u64,
    bytes: u64,
}

enum Slot<V, E> {
    Ready {
        value: V,
        bytes: u64,
        tick: u64,
        unread: Option<BytePermit>,
    },
    /// `wanted`: somebody waits or waited, so the value is not read-ahead any more.
    Pending {
        answer: Answer<V, E>,
        wanted: bool,
    },
}

/// `None` until the flight has ended.
type Answer<V, E> = watch::Receiver<Option<Result<V, E>>>;

/// What a reader finds under a key.
pub(super) enum Claim<K, V, E>
where
    K: Hash + Eq + Clone,
{
    /// The value.
    Ready(V),
    /// Somebody produces it at this moment.
    Pending(Waiter<V, E>),
    /// Nobody does: the caller must.
    Vacant(Lease<K, V, E>),
}

/// The right and the duty to produce one value.
pub(super) struct Lease<K, V, E>
where
    K: Hash + Eq + Clone,
{
    cache: FlightCache<K, V, E>,
    key: K,
    tell: Option<watch::Sender<Option<Result<V, E>>>>,
    answer: Answer<V, E>,
}

/// A place in the queue for an answer.
pub(super) struct Waiter<V, E>(Answer<V, E>);

impl<V: Clone, E: Clone> Waiter<V, E> {
    /// The answer; `None` when the lease was dropped unanswered.
    pub(super) async fn wait(mut self) -> Option<Result<V, E>> {
        let answer = self.0.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }
}

impl<K, V, E> Clone for FlightCache<K, V, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V, E> FlightCache<K, V, E>
where
    K: Hash + Eq + Clone,
    V: Clone,
    E: Clone,
{
    /// An empty cache of at most `capacity` bytes.
    pub(super) fn new(capacity: u64) -> Self {
        let state = State { slots: HashMap::new(), order: BTreeMap::new(), tick: 0, bytes: 0 };
        Self(Arc::new(Shared { capacity, state: Mutex::new(state) }))
    }

    /// Reads `key`: the value, a place in the queue, or the lease.
    pub(super) fn claim(&self, key: &K) -> Claim<K, V, E> {
        let mut state = self.lock();
        if let Some(value) = state.touch(key) {
            return Claim::Ready(value);
        }
        match state.slots.get_mut(key) {
            Some(Slot::Pending { answer, wanted }) => {
                *wanted = true;
                Claim::Pending(Waiter(answer.clone()))
            }
            Some(Slot::Ready { .. }) | None => Claim::Vacant(self.lease(&mut state, key, true)),
        }
    }

    /// The value if it is there now; a use like any other.
    pub(super) fn ready(&self, key: &K) -> Option<V> {
        self.lock().touch(key)
    }

    /// The lease, if nobody has or produces the value. Not a use: this is how read-ahead looks.
    pub(super) fn claim_vacant(&self, key: &K) -> Option<Lease<K, V, E>> {
        let mut state = self.lock();
        if state.slots.contains_key(key) {
            return None;
        }
        Some(self.lease(&mut state, key, false))
    }

    /// Whether nobody has or produces the value.
    pub(super) fn is_vacant(&self, key: &K) -> bool {
        !self.lock().slots.contains_key(key)
    }

    /// Bytes of all values in the cache.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lease(&self, state: &mut State<K, V, E>, key: &K, wanted: bool) -> Lease<K, V, E> {
        let (tell, answer) = watch::channel(None);
        state.slots.insert(key.clone(), Slot::Pending { answer: answer.clone(), wanted });
        Lease { cache: self.clone(), key: key.clone(), tell: Some(tell), answer }
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V, E>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, E> State<K, V, E>
where
    K: Hash + Eq + Clone,
    V: Clone,
{
    /// Reads a ready value: it is now the most recently used, and no longer unread.
    fn touch(&mut self, key: &K) -> Option<V> {
        let Some(Slot::Ready { value, tick, unread, .. }) = self.slots.get_mut(key) else { return None };
        *unread = None;
        self.order.remove(tick);
        self.tick += 1;
        *tick = self.tick;
        self.order.insert(self.tick, key.clone());
        Some(value.clone())
    }

    /// Makes room for `bytes`, then puts the value in; returns what had to go, to be dropped outside the lock.
    fn insert(&mut self, key: &K, value: V, bytes: u64, unread: Option<BytePermit>, capacity: u64) -> Vec<Slot<V, E>> {
        let mut gone = Vec::new();
        while self.bytes + bytes > capacity {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(slot) = self.slots.remove(&oldest) {
                if let Slot::Ready { bytes, .. } = &slot {
                    self.bytes -= bytes;
                }
                gone.push(slot);
            }
        }
        self.tick += 1;
        self.bytes += bytes;
        self.order.insert(self.tick, key.clone());
        self.slots.insert(key.clone(), Slot::Ready { value, bytes, tick: self.tick, unread });
        gone
    }
}

impl<K, V, E> Lease<K, V, E>
where
    K: Hash + Eq + Clone,
    V: Clone,
    E: Clone,
{
    /// A place in this lease's own queue.
    pub(super) fn waiter(&self) -> Waiter<V, E> {
        Waiter(self.answer.clone())
    }

    /// Answers everybody, and keeps the value unless it alone is larger than the cache. `unread` is the permit of a value
    /// that was read ahead.
    pub(super) fn complete(mut self, value: V, bytes: u64, unread: Option<BytePermit>) {
        let Some(tell) = self.tell.take() else { return };
        let gone = {
            let capacity = self.cache.0.capacity;
            let mut state = self.cache.lock();
            let wanted = matches!(state.slots.remove(&self.key), Some(Slot::Pending { wanted: true, .. }));
            if bytes <= capacity {
                state.insert(&self.key, value.clone(), bytes, unread.filter(|_| !wanted), capacity)
            } else {
                Vec::new()
            }
        };
        drop(gone);
        tell.send_replace(Some(Ok(value)));
    }

    /// Answers everybody with a failure, which is not kept.
    pub(super) fn fail(mut self, error: E) {
        if let Some(tell) = self.tell.take() {
            self.cache.lock().slots.remove(&self.key);
            tell.send_replace(Some(Err(error)));
        }
    }
}

impl<K, V, E> Drop for Lease<K, V, E>
where
    K: Hash + Eq + Clone,
{
    fn drop(&mut self) {
        if self.tell.take().is_some() {
            let mut state = self.cache.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
