//! The cold tier's reader: any offset of sealed history, as Kafka v2 batches.
//!
//! ```text
//! read(from) -> entry of the manifest -> footer (cache, single flight) -> slice at `from` (cache, single flight)
//!                                                                            | miss
//!                 batches <- slice cache <- encode <- decode <- check <- GET <- permit
//! ```
//! | file | what it does |
//! |---|---|
//! | `source` | what it needs from others: the entry lookup, segments |
//! | `segments` | segments of the bucket |
//! | `plan` | which slices to fetch together (pure) |
//! | `streams` | who reads in sequence, and how far ahead of them to read (pure) |
//! | `flight` | byte-bounded cache with single flight |
//! | `engine` | fetches: permits, GETs, decoding threads |
//! | `encode` | records to batches of at most 256 KiB |
//! | `reader` | one read, from lookup to answer |
//! | `time` | the first offset at or after a timestamp, inside a segment |
//!
//! # Memory
//! Every byte is counted by one of three pools, all sized by `Limits` and none of them per reader: fetches under way
//! (stored, decompressed, encoded) by `cold_bytes`; encoded slices by the slice cache, of which what was read ahead and
//! not yet asked for may take half; footers by their cache. Batches that a reader has taken and that the cache has
//! forgotten are the response's, and counted there.
mod count;
mod encode;
mod engine;
mod error;
#[cfg(test)]
mod fake;
mod flight;
mod plan;
mod reader;
mod segments;
mod source;
mod streams;
mod time;

pub use encode::SliceEncoder;
pub use error::ColdError;
pub use reader::{ColdRead, ColdReader, ColdRequest, ColdTarget};
pub use source::{Bench, Entry, EntryLookup, Look, OpenSegment, SegmentRef, SegmentSource};
pub use time::TimeHit;
