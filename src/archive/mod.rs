//! Row 3: what the log leaves behind in the bucket: segments, manifests, topics, state and who owns it.
//!
//! # The order of a start
//! 1. [`Bucket::open`]: `esker.json` is read, or made after the store was probed.
//! 2. [`Survey::load`]: the owner chain, topics, manifests and state are read; nothing is written.
//! 3. [`owner::claim`]: decides whether this disk goes on, or a new WAL begins, or the start is refused; then writes the
//!    next number of the owner chain. That number is the broker's [`Ownership::epoch`].
//! 4. The log begins or continues its WAL as [`Ownership::wal`] says (its header is durable before the next step).
//! 5. [`Survey::adopt`]: every partition, topic and state chain whose newest epoch is below the WAL's `born` gets a
//!    version, so that each fences the old owner: partitions a `wal-lost` gap up to `reserved` (none after a release),
//!    state R = start of this WAL. A start that was cut half-way does the rest the next time. The result is the
//!    [`Archive`]: topics, partitions and state that can be written.
//! 6. From then on [`Ownership::look`] is asked at least every 10 s; a foreign claim, or a commit that answers
//!    [`CommitError::Fenced`], stops the broker at once.
//!
//! # The order of a seal
//! [`PartitionArchive::begin_segment`] gives a name that the collector leaves alone; the segment is uploaded;
//! [`PartitionArchive::commit`] with [`Change::Seal`](manifest::Change::Seal) makes it visible; [`StateChain::commit`]
//! moves R; then the WAL below R is released.
//!
//! # Reading
//! A [`View`](manifest::View) is a snapshot of one manifest version with its pages; [`PartitionReader`] gives them with no
//! broker and no claim.
pub mod bucket;
pub mod collect;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod fsck;
pub mod layout;
pub mod manifest;
pub mod owner;
pub mod rewrite;
pub mod segment;
pub mod start;
pub mod state;
#[cfg(test)]
mod testing;
pub mod topics;

pub use bucket::Bucket;
pub use error::{ArchiveError, CommitError};
pub use manifest::{PartitionArchive, PartitionReader};
pub use owner::Ownership;
pub use start::{Archive, Survey};
pub use state::StateChain;
pub use topics::Topics;
