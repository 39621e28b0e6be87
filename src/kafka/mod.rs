//! Row 6: Kafka's protocol. Translates between bytes and [`crate::log`]; decides nothing.
//!
//! | file | what it does |
//! |---|---|
//! | [`messages`] | the codec: one table of APIs and versions, one file per API |
//! | [`errors`] | Kafka's error codes, made nowhere else |
//! | `server` | connections: framing, order, budgets, slow clients, the stop |
//! | `handlers` | one file per API: requests become calls of the log |
//! | [`broker`] | what the process hands its listeners to |
//! | [`client`] | a small client for the command line |
pub mod broker;
pub mod client;
mod counts;
pub mod errors;
mod handlers;
pub mod messages;
mod server;

pub use broker::{Advertised, Broker, BrokerOptions};
