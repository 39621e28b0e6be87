//! Manifests: which segments and gaps a partition has, one chain per partition.
//!
//! | file | what it does |
//! |---|---|
//! | `model`, `producers` | what stands in the bucket: plain data |
//! | `change` | what may happen to a manifest |
//! | `plan` | a change on a head gives the next version (pure) |
//! | `cleaned`, `removed` | clean points; what waits to be deleted, and its pages (pure) |
//! | `tree` | pages: append, fold, cut, splice (pure) |
//! | `lookup` | offsets, times, epochs (pure) |
//! | `invariants` | named rules, checked before every commit (pure) |
//! | `pages` | the cache of pages |
//! | `view` | a snapshot with its pages: what readers ask |
//! | `partition` | the one writer, and the reader without a broker |
//!
//! The pure parts never wait: where they need a page that was not handed in they return [`Need`], the caller loads it and
//! asks again.
pub mod change;
mod cleaned;
mod heads;
mod invariants;
mod lookup;
pub mod model;
mod pages;
mod partition;
mod plan;
pub mod producers;
mod removed;
mod tree;
mod view;

pub use change::{Change, Dropped, Gone, Replace, Seal};
pub(in crate::archive) use heads::Heads;
pub use invariants::{Invariant, Violation};
pub use model::{Entry, EpochStart, Gap, GapReason, Manifest, SegmentEntry, Sums};
pub(super) use pages::PageCache;
pub(super) use partition::Place;
pub use partition::{InFlight, PartitionArchive, PartitionReader};
pub use producers::{AbortedTransaction, Producer, ProducerBatch, Producers};

pub use view::{EpochEnd, MaxTimestamp, Retention, View};
