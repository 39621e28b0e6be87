//! Groups of the consumer protocol, KIP-848 (pure): members only send heartbeats, and the broker assigns.
//!
//! ```text
//!                   the group's epoch rises: members, subscriptions or topics changed
//!                     | next heartbeat: an assignor makes a target for each member, for that epoch
//!                     v
//!   member:  Stable -----> Unrevoked -----> Unreleased -----> Stable, at the new epoch
//!                    must give up        waits for partitions
//!                    partitions          that others give up
//! ```
//! A member gets a partition only when no other owns it, and owns it until its client said that it gave it up, or until it
//! is gone: so no partition ever has two owners, and an epoch that was taken away commits nothing.
//!
//! | file | what it does |
//! |---|---|
//! | [`calls`] | what members ask, and what they are told |
//! | [`machine`] | members, epochs, targets |
//! | `classic` | members of the classic protocol |
//! | [`migration`] | from one protocol to the other, with members |
//! | [`group`] | answers wait until what they tell is durable |
//! | `checks` | what a call must be |
//! | `reconcile` | a member's way to its target |
//! | [`assignor`] | who gets what |
//! | [`catalog`] | what members are subscribed to |
//! | [`pattern`] | subscriptions by pattern |
//! | [`partitions`] | sets of partitions |
pub mod assignor;
pub mod calls;
pub mod catalog;
mod checks;
mod classic;
pub mod group;
pub mod machine;
pub mod migration;
pub mod partitions;
pub mod pattern;
mod reconcile;

pub use calls::{Beat, Beaten, Rules};
pub use group::Group;

#[cfg(test)]
mod tests;
