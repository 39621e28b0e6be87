//! Row 2: records and Kafka v2 record batches: bytes in, bytes out, no I/O, no clock.
//!
//! - [`model`]: a record, borrowed ([`RecordRef`]) and owned ([`Record`]), and its [`Headers`].
//! - [`batch`]: the header of a batch; a record set cut into batches ([`split`]); the CRC ([`verify_crc`]).
//! - [`codec`]: none, gzip, snappy (both framings), lz4, zstd; unpacking counts while it runs.
//! - [`walk`]: every record of a batch ([`for_each_record`]).
//! - [`check`](mod@check): what produce demands of a batch before it is numbered.
//! - [`stamp`](mod@stamp): what the broker writes into it.
//! - [`build`]: batches out of records ([`BatchBuilder`]).
//! - [`control`]: what ends a transaction ([`EndMarker`]), and the [`commit_marker`] that carries a reader over a gap.
//! - [`hash`]: the record hash, whose sum proves that two sets of records are the same.
//!
//! # The batch, all numbers big-endian
//! ```text
//!  0 base offset i64            <- stamped      27 base timestamp i64
//!  8 length i32 (of what follows it)            35 max timestamp i64     <- stamped for append time
//! 12 leader epoch i32           <- stamped      43 producer id i64       -1 none
//! 16 magic i8, 2                                51 producer epoch i16    -1 none
//! 17 CRC32C u32 of all from 21 on               53 base sequence i32     -1 none
//! 21 attributes i16             <- type bit     57 number of records i32
//! 23 last offset delta i32                      61 records, compressed as one piece
//! ```
//! A record, its numbers zigzag varints: length of what follows, attributes (one byte, unused), timestamp delta, offset
//! delta, key length (-1 null), key, value length (-1 null), value, number of headers, then for each: key length, key
//! (UTF-8), value length (-1 null), value.
pub mod batch;
pub mod build;
pub mod check;
pub mod codec;
pub mod control;
pub mod hash;
pub mod model;
pub mod stamp;
pub(crate) mod varint;
pub mod walk;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod testing;

pub use batch::{BatchError, BatchHeader, Split, split, verify_crc};
pub use build::{BatchBuilder, Producer, Pushed};
pub use check::{CheckLimits, Checked, Reject, check};
pub use codec::Codec;
pub use control::{EndMarker, Outcome, commit_marker};
pub use hash::{HashSum, RecordHasher, hash_record};
pub use model::{Header, HeaderRef, Headers, Record, RecordRef, TimestampType};
pub use stamp::{Stamped, stamp};
pub use walk::for_each_record;
