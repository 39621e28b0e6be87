//! Row 1: clock, randomness, identifiers, limits, metrics, byte budgets, tasks, and values that are replaced. Uses nothing else
//! of the crate.
pub mod budget;
pub mod clock;
pub mod current;
pub mod id;
pub mod json;
pub mod limits;
pub mod metrics;
pub mod random;
pub mod tasks;

pub use budget::{ByteBudget, BytePermit};
pub use clock::Clock;
pub use current::Current;
pub use id::Uuid;
pub use json::Json;
pub use limits::Limits;
pub use metrics::Metrics;
pub use random::Random;
