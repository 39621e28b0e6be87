//! Row 6: Kafka's protocol. Translates between bytes and [`crate::log`]; decides nothing.
//!
//! [`messages`] is the codec, [`client`] a small client for the command line.
pub mod client;
pub mod errors;
pub mod messages;
mod server;
