//! A segment: the records of one partition, sorted by offset, as one immutable Parquet object. It is the cold tier of the
//! log and a data file of the table at the same time.
//!
//! - [`SegmentEncoder`] turns records into the bytes of the object, block by block, and ends with a [`SegmentMeta`].
//! - [`Footer`] is the object's map: where the pages of each slice lie and what each page's checksum is.
//! - [`Footer::decode`] turns fetched bytes ([`SliceBytes`]) back into records with a [`Decoder`].
//! - [`verify()`] proves a whole segment against its hashes.
//!
//! # The object
//! ```text
//! "PAR1"
//! block 0: one column chunk per column, in the order of `schema::Column`
//! block 1 ...
//! ---- index_at: all from here to the end is covered by `SegmentMeta::index_crc32c` ----
//! Bloom filters (when the topic asks), column indexes, offset indexes
//! trailer, 20 bytes: "EskerIdx", index_at u64, CRC32C u32; little-endian
//! Parquet file metadata, its length u32, "PAR1"
//! ```
//! The trailer's CRC covers everything from `index_at` to the end of the object except its own four bytes, so that a bare
//! file is checked too before it is parsed. Parquet readers do not look between the indexes and the metadata. Where the end
//! begins is not proven before it was fetched, so one larger than 64 MiB is refused.
//!
//! A block has about 32 MiB of payload and is cut into slices of about 1 MiB; where records and headers are so small that
//! their number takes more than their bytes, that counts instead. All columns break their pages at the borders
//! of the slices, exactly one page per column and slice: reading a slice takes one page of each column and, where a column
//! has one, its dictionary page.
//!
//! The entry `esker.segment` of the file's key-value metadata is JSON: [`facts::Facts`]. Among other things it holds the
//! CRC32C of the stored bytes (header and body) of every page. **Nothing is parsed, decompressed or decoded before a
//! checksum covered it.**
//!
//! # Settings, and what they were measured against
//! zstd level 1; values PLAIN without dictionary; keys and header keys with a dictionary, which falls back
//! by itself; of both, and of values, statistics count the nulls and no more; offset and timestamp DELTA_BINARY_PACKED with
//! page statistics; the three columns that hardly ever change
//! (partition, timestamp type, leader epoch) PLAIN, because zstd turns 40 KB of one number into 20 bytes faster than a
//! dictionary is built. Data pages v1; where values do not compress, v2 (which may leave a page as it is) with slices of a
//! quarter of the size. Higher zstd levels cost more speed than they save bytes.
use crate::base::Uuid;
use crate::record::HashSum;
use crate::store::StoreError;
use crate::store::envelope::Unknown;

mod decode;
mod encode;
pub mod facts;
mod footer;
mod schema;
mod trailer;
mod verify;

pub use decode::{Decoder, SliceBytes};
pub use encode::SegmentEncoder;
pub use footer::{Footer, SliceInfo};
pub use verify::{Proof, verify};

use serde::{Deserialize, Serialize};

/// How keys or values of a topic are stored (`esker.key.type`, `esker.value.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ColumnType {
    /// As a string where it is UTF-8, else as binary in the `_raw` column.
    #[default]
    Utf8OrBinary,
    /// All to the `_raw` column: for topics whose bytes are UTF-8 only by chance.
    Binary,
}

/// What to encode, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSpec {
    /// The topic's id; part of every record's hash.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// First offset that the segment stands for; its first record may lie above.
    pub first_offset: i64,
    /// How keys are stored.
    pub key_type: ColumnType,
    /// How values are stored.
    pub value_type: ColumnType,
    /// Payload of one block in bytes.
    pub block_bytes: u64,
    /// Payload of one slice in bytes; a quarter of it where values do not compress.
    pub slice_bytes: u64,
    /// zstd level, 1 to 22.
    pub zstd_level: i32,
    /// Whether blocks get a Bloom filter on `key`.
    pub key_bloom: bool,
}

impl SegmentSpec {
    /// The measured settings.
    pub fn new(topic_id: Uuid, partition: i32, first_offset: i64) -> Self {
        Self {
            topic_id,
            partition,
            first_offset,
            key_type: ColumnType::default(),
            value_type: ColumnType::default(),
            block_bytes: 32 << 20,
            slice_bytes: 1 << 20,
            zstd_level: 1,
            key_bloom: false,
        }
    }

    /// For so much payload as is expected: if more comes than that, it is cut into more blocks and takes no more memory.
    pub fn expecting(self, payload_bytes: u64) -> Self {
        let block_bytes = self.block_bytes.min(payload_bytes.max(self.slice_bytes));
        Self { block_bytes, slice_bytes: self.slice_bytes.min(block_bytes), ..self }
    }

    /// The [weight](SegmentEncoder::weight) up to which the end of a segment stays readable: Bloom filters are part of it.
    pub fn weight_max(&self) -> u64 {
        match schema::bloom_bytes_max(self) {
            0 => u64::MAX,
            bloom => (END_BYTES_MAX / 4 * 3 / bloom).saturating_mul(self.block_bytes),
        }
    }

    /// Memory that an encoder of this may hold, whatever it encodes, its output included as long as each block is taken; a
    /// record larger than a slice comes on top.
    pub fn memory_bytes(&self) -> u64 {
        2 * self.block_bytes + SLICE_FACTOR * self.slice_bytes + ENCODER_BYTES
    }
}

/// What a header, and a record without headers, weighs at least: it takes so much and more, also when it has no bytes.
const ENTRY_BYTES: u64 = 16;
/// Largest end of a segment, from the indexes on, that is read, in bytes.
const END_BYTES_MAX: u64 = 64 << 20;
/// Of a slice, in memory: its columns, their copies on the way to a page, and room that grows by doubling.
const SLICE_FACTOR: u64 = 8;
/// Of an encoder of nothing.
const ENCODER_BYTES: u64 = 256 << 10;

/// What a manifest has to know of a segment; part of its entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Size of the object in bytes.
    pub size: u64,
    /// First offset that the segment stands for.
    pub first_offset: i64,
    /// The offset after the last one that it stands for.
    pub next_offset: i64,
    /// Offset of its first record.
    pub first_record: i64,
    /// Offset of its last record.
    pub last_record: i64,
    /// Number of records; next - first less what sealing left out.
    pub records: u64,
    /// Bytes of keys, values, header keys and header values.
    pub payload_bytes: u64,
    /// Bytes of all pages, headers included.
    pub stored_bytes: u64,
    /// Of these, bytes of the pages of each column: pairs of field id and bytes, by id.
    pub column_bytes: Vec<(i32, u64)>,
    /// Records whose value is null, of each column at the top level that may be null: pairs of field id and count, by id.
    pub null_counts: Vec<(i32, u64)>,
    /// Where Bloom filters and indexes begin.
    pub index_at: u64,
    /// CRC32C of everything from `index_at` to the end; eight hex digits.
    #[serde(with = "facts::hex32")]
    pub index_crc32c: u32,
    /// The blocks, in order.
    pub blocks: Vec<BlockPos>,
    /// Smallest timestamp in ms, of those records that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_timestamp: Option<i64>,
    /// Largest timestamp in ms, of those records that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_timestamp: Option<i64>,
    /// Offset of the first record that has `max_timestamp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_of_first_max: Option<i64>,
    /// Number of records without a timestamp (-1).
    pub null_timestamps: u64,
    /// Sum of the hashes of all records.
    pub hash: HashSum,
    /// Fields of later builds: kept where a manifest is written again, never handed on to another segment.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl SegmentMeta {
    /// What it counts towards a larger segment: payload, or what the number of records takes where that is more.
    pub fn weight(&self) -> u64 {
        self.payload_bytes.max(self.records.saturating_mul(ENTRY_BYTES))
    }
}

/// Where a block lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPos {
    /// First byte.
    pub at: u64,
    /// Length in bytes.
    pub len: u64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Number of records in the blocks before it.
    pub first_row: u64,
    /// Fields of later builds, as those of the segment.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl BlockPos {
    /// Whether both speak of the same place.
    fn agrees(&self, other: &Self) -> bool {
        let place = |pos: &Self| (pos.at, pos.len, pos.first_offset, pos.first_row);
        place(self) == place(other)
    }
}

/// What can go wrong with a segment.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SegmentError {
    /// The store failed; nothing is known about the segment.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes of the segment are not what was written.
    #[error(
        "segment {object} is damaged at byte {at}: {problem}; its offsets cannot be read until the object is restored from a copy"
    )]
    Damaged {
        /// Path of the object.
        object: String,
        /// The byte at which what is damaged begins.
        at: u64,
        /// What was found.
        problem: String,
    },
    /// The segment asks for something that this version cannot do.
    #[error("segment {object} needs {what}, which this version of Esker does not know: use a newer one")]
    Unsupported {
        /// Path of the object.
        object: String,
        /// The format number or feature.
        what: String,
    },
    /// A record that a segment cannot hold. Produce refuses such records, so this is a defect of the caller.
    #[error("the record at offset {offset} cannot be stored: {problem}")]
    Record {
        /// Offset of the record.
        offset: i64,
        /// Why not.
        problem: &'static str,
    },
    /// A segment without records: a gap says the same for less.
    #[error("a segment of offsets {first_offset} to {next_offset} would have no records: record a gap instead")]
    Empty {
        /// First offset of the range.
        first_offset: i64,
        /// Offset after the range.
        next_offset: i64,
    },
    /// The Parquet writer refused: a defect of the encoder.
    #[error("the Parquet writer failed: {0}")]
    Writer(String),
}

impl SegmentError {
    /// Whether trying again may help: true only for a store that is away.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retriable())
    }
}

impl From<parquet::errors::ParquetError> for SegmentError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Writer(error.to_string())
    }
}

#[cfg(test)]
mod tests;
