//! The proof that a segment holds what was sealed.
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::schema::Column;
use super::{Decoder, Footer, SegmentError, SegmentMeta, SliceBytes};
use crate::record::{HashSum, RecordHasher, RecordRef};
use crate::store::Store;

/// What a whole segment was proven to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Number of records.
    pub records: u64,
    /// Bytes of keys, values and headers.
    pub payload_bytes: u64,
    /// Bytes of the object.
    pub size: u64,
    /// Sum of the hashes of all records.
    pub hash: HashSum,
}

/// Reads all of the segment at `path`, block by block, and proves it: every byte is covered by a checksum that matches,
/// every block has the hash and number of records that its footer says, offsets rise, and what the footer and `meta` say
/// of offsets and timestamps is true. Decodes on Tokio's threads for blocking work; holds one block at a time.
pub async fn verify(store: &Store, path: &str, meta: Option<&SegmentMeta>) -> Result<Proof, SegmentError> {
    let footer = Arc::new(Footer::load(store, path, meta).await?);
    let head = store.get_range(path, 0..4).await?;
    if &head[..] != b"PAR1" {
        return Err(footer.damaged(0, "it does not begin as a Parquet file does".to_owned()));
    }
    let mut seen = Seen::default();
    for block in 0..footer.blocks().len() {
        let range = footer.block_range(block);
        let bytes = store.get_range(path, range).await?;
        let footer = Arc::clone(&footer);
        let proven = tokio::task::spawn_blocking(move || footer.prove_block(block, bytes, seen)).await;
        seen = match proven {
            Ok(proven) => proven?,
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        };
    }
    if !footer.counts_nulls_of(&seen) {
        return Err(footer.damaged(footer.index_at(), "it does not count its null values right".to_owned()));
    }
    if let Some(meta) = meta.filter(|meta| !seen.agrees(meta)) {
        return Err(footer.damaged(meta.index_at, "its records are not those of its manifest entry".to_owned()));
    }
    Ok(Proof { records: seen.records, payload_bytes: seen.payload_bytes, size: footer.size(), hash: seen.hash })
}

/// What the blocks so far held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    records: u64,
    payload_bytes: u64,
    hash: HashSum,
    min_timestamp: Option<i64>,
    /// The largest timestamp and the first offset that has it.
    max_timestamp: Option<(i64, i64)>,
    null_timestamps: u64,
    /// Records without a key, and without a value.
    null_keys: u64,
    null_values: u64,
}

impl Seen {
    fn add(&mut self, record: &RecordRef<'_>, hash: u64) {
        self.records += 1;
        self.payload_bytes += record.payload_bytes();
        self.hash.add(hash);
        self.null_keys += u64::from(record.key.is_none());
        self.null_values += u64::from(record.value.is_none());
        if record.timestamp == RecordRef::NO_TIMESTAMP {
            self.null_timestamps += 1;
            return;
        }
        self.min_timestamp = Some(self.min_timestamp.map_or(record.timestamp, |min| min.min(record.timestamp)));
        if self.max_timestamp.is_none_or(|(max, _)| record.timestamp > max) {
            self.max_timestamp = Some((record.timestamp, record.offset));
        }
    }

    fn merge(&mut self, later: &Self) {
        self.records += later.records;
        self.payload_bytes += later.payload_bytes;
        self.hash += later.hash;
        self.null_timestamps += later.null_timestamps;
        self.null_keys += later.null_keys;
        self.null_values += later.null_values;
        self.min_timestamp = self.min_timestamp.into_iter().chain(later.min_timestamp).min();
        self.max_timestamp = match (self.max_timestamp, later.max_timestamp) {
            (Some(mine), Some(other)) if other.0 > mine.0 => Some(other),
            (mine, other) => mine.or(other),
        };
    }

    fn agrees(&self, meta: &SegmentMeta) -> bool {
        self.records == meta.records
            && self.payload_bytes == meta.payload_bytes
            && self.hash == meta.hash
            && self.null_timestamps == meta.null_timestamps
            && self.min_timestamp == meta.min_timestamp
            && self.max_timestamp.unzip() == (meta.max_timestamp, meta.offset_of_first_max)
    }
}

impl Footer {
    /// Whether the statistics of the file count the null values that were seen. A key lies in one of two columns at most,
    /// so a record without one counts in both and every other one in one of them; and so do values.
    fn counts_nulls_of(&self, seen: &Seen) -> bool {
        let nulls = |column: Column| self.nulls()[column as usize];
        nulls(Column::Timestamp) == seen.null_timestamps
            && nulls(Column::Key).checked_add(nulls(Column::KeyRaw)) == Some(seen.records + seen.null_keys)
            && nulls(Column::Value).checked_add(nulls(Column::ValueRaw)) == Some(seen.records + seen.null_values)
    }

    fn block_range(&self, block: usize) -> Range<u64> {
        let pos = &self.blocks()[block].pos;
        pos.at..pos.at + pos.len
    }

    /// Decodes every slice of a block and holds it against the footer; returns `seen` with the block added.
    fn prove_block(&self, block: usize, bytes: Bytes, mut seen: Seen) -> Result<Seen, SegmentError> {
        let expected = &self.blocks()[block];
        let bytes = SliceBytes::new(&[self.block_range(block)], vec![bytes]);
        for page in expected.others() {
            self.checked(page, "of a later version", &bytes)?;
        }
        let mut hasher = RecordHasher::new(self.topic_id(), self.partition());
        let mut decoder = Decoder::new();
        let mut whole = Seen::default();
        let slices = self.slices().iter().enumerate().filter(|(_, slice)| slice.block as usize == block);
        for (index, slice) in slices {
            let mut one = Seen::default();
            self.decode(index, &bytes, &mut decoder, |record| {
                one.add(&record, hasher.hash(&record));
                Ok::<(), SegmentError>(())
            })?;
            let told = one.payload_bytes == slice.payload_bytes
                && one.min_timestamp == slice.min_timestamp
                && one.max_timestamp.map(|(max, _)| max) == slice.max_timestamp;
            if !told {
                let problem = format!("the indexes lie about the slice of offset {}", slice.first_offset);
                return Err(self.damaged(self.index_at(), problem));
            }
            whole.merge(&one);
        }
        if whole.records != expected.records || whole.hash != expected.hash {
            let problem = format!("block {block} hashes to {}, but {} was sealed", whole.hash, expected.hash);
            return Err(self.damaged(expected.pos.at, problem));
        }
        seen.merge(&whole);
        Ok(seen)
    }
}
