//! The entry `esker.segment` of a segment's key-value metadata: what Parquet has no field for.
use serde::{Deserialize, Serialize};

use super::schema::Column;
use crate::base::Uuid;
use crate::record::HashSum;

/// Name of the entry.
pub const KEY: &str = "esker.segment";
/// The format that this version writes, and the highest it reads.
pub const FORMAT: u32 = 1;

/// Names of features that this version knows: none has been needed so far.
pub const FEATURES: &[&str] = &[];

/// The entry, as JSON. Fields that this version does not know are ignored: segments are never rewritten in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Format number: [`FORMAT`].
    pub format: u32,
    /// Features without which a reader must not read.
    pub must_read: Vec<String>,
    /// Features without which a writer must not merge, rewrite or delete.
    pub must_write: Vec<String>,
    /// Features without which nobody may delete it.
    pub must_collect: Vec<String>,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// First offset that the segment stands for.
    pub first_offset: i64,
    /// The offset after the last one that it stands for.
    pub next_offset: i64,
    /// The blocks, in order.
    pub blocks: Vec<BlockFacts>,
}

/// What the entry asks of a reader: parsed before anything else, because only a reader that can do it may trust the rest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Needs {
    /// Format number.
    pub format: u32,
    /// Features without which a reader must not read.
    pub must_read: Vec<String>,
}

/// What is known of one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockFacts {
    /// Number of records.
    pub records: u64,
    /// Sum of the hashes of its records.
    pub hash: HashSum,
    /// Payload of each slice in bytes.
    pub slice_bytes: Vec<u64>,
    /// CRC32C of the stored bytes (header and body) of every page: for each column in file order its dictionary page, if
    /// it has one, then its data pages. Little-endian u32s in base64, because JSON numbers would double the footer.
    #[serde(with = "crcs")]
    pub page_crc32c: Vec<u32>,
}

/// Pairs of field id and number, by id, of `columns`; `numbers` are in the order of the file.
pub(super) fn by_id(columns: &[Column], numbers: &[u64; Column::COUNT]) -> Vec<(i32, u64)> {
    let mut pairs: Vec<(i32, u64)> = columns.iter().map(|column| (column.id(), numbers[*column as usize])).collect();
    pairs.sort_unstable();
    pairs
}

/// A u32 as eight lower-case hex digits.
pub mod hex32 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// As `serialize_with` wants it.
    pub fn serialize<S: Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{number:08x}"))
    }

    /// As `deserialize_with` wants it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() != 8 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(D::Error::custom(format!("'{text}' is not eight lower-case hex digits")));
        }
        u32::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

mod crcs {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(crcs: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = crcs.iter().flat_map(|crc| crc.to_le_bytes()).collect();
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(D::Error::custom("page checksums are not whole numbers of 32 bits"));
        }
        Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }
}
