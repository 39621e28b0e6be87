//! Row 5: the coordinator of groups and transactions. It decides in pure state machines (no async, no I/O, no clock); what
//! runs them is thin.
//!
//! Its state is items, of which the last value wins. They go through the log's WAL as frames; nothing is visible or answered
//! before its frame is durable.
//!
//! | file | what it does |
//! |---|---|
//! | [`error`] | why a call is refused, 1:1 with Kafka's codes |
//! | [`items`] | keys and values of state: a format |
//! | [`journal`] | where state goes |
pub mod error;
pub mod items;
pub mod journal;
