//! Stores for tests: in memory, and one that fails as scripted. Kept out of the documentation, but compiled always, so that
//! the tests of every module and the integration tests share them.
use std::sync::Arc;

use super::{Objects, Store, StoreOptions};
use crate::base::{Clock, Metrics, Random};

mod faulty;
mod memory;
mod weather;

pub use faulty::{Call, Fault, Faulty};
pub use memory::Memory;
pub use weather::Weather;

/// A store over `objects` with seeded randomness, and a clock that stands at the time of the call: it never sleeps between
/// attempts, and gives up after fifty, however slow the machine is.
pub fn store_over(objects: Arc<dyn Objects>) -> Store {
    store_seeded(objects, 1)
}

/// The same with a seed of the caller's: nonces of writers that race have to differ.
pub fn store_seeded(objects: Arc<dyn Objects>, seed: u64) -> Store {
    let options = StoreOptions { backoff_ms: 0, backoff_max_ms: 0, retry_ms: 50, ..StoreOptions::default() };
    let clock = Clock::manual(Clock::real().now_ms());
    Store::over(objects, "memory://test", options, &clock, &Random::seeded(seed), &Metrics::new())
}

/// A store over `objects` that waits and gives up by `clock`, as the product's does by the machine's: for runs in virtual
/// time.
pub fn store_on_clock(objects: Arc<dyn Objects>, clock: &Clock, seed: u64) -> Store {
    let options = StoreOptions::default();
    Store::over(objects, "memory://test", options, clock, &Random::seeded(seed), &Metrics::new())
}

/// A fresh store in memory.
pub fn memory() -> Store {
    Faulty::new().store()
}
