//! Stores for tests: in memory, and one that fails as scripted.
use std::sync::Arc;

use super::{Objects, Store, StoreOptions};
use crate::base::{Clock, Metrics, Random};

/// A store over `objects` with short waits, the machine's clock and seeded randomness.
pub fn store_over(objects: Arc<dyn Objects>) -> Store {
    let options = StoreOptions { backoff_ms: 1, backoff_max_ms: 2, retry_ms: 50, ..StoreOptions::default() };
    Store::over(objects, "memory://test", options, &Clock::real(), &Random::seeded(1), &Metrics::new())
}

/// A fresh store in memory.
pub fn memory() -> Store {
    store_over(Arc::new(object_store::memory::InMemory::new()))
}
