//! The map of a segment: where each page lies, and its checksum.
mod parse;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::schema::Column;
use super::trailer::Trailer;
use super::{BlockPos, SegmentError, SegmentMeta, facts};
use crate::base::Uuid;
use crate::record::HashSum;
use crate::store::Store;

/// What is fetched first of an object of which only the name is known; holds the end of a segment of about 2 GiB.
const TAIL_BYTES: u64 = if cfg!(test) { 1 << 10 } else { 512 << 10 };
/// Two ranges with at most this many bytes between them are fetched as one: a request takes as long as so many bytes.
const GAP_BYTES_MAX: u64 = 128 << 10;

/// A parsed and checked footer. Immutable; put it in an `Arc` to share it.
#[derive(Debug)]
pub struct Footer {
    object: Arc<str>,
    size: u64,
    index_at: u64,
    topic_id: Uuid,
    partition: i32,
    first_offset: i64,
    next_offset: i64,
    must_write: Vec<String>,
    must_collect: Vec<String>,
    /// Null values, by column in the order of the file; zero where the column cannot be null.
    nulls: [u64; Column::COUNT],
    blocks: Vec<Block>,
    slices: Vec<SliceInfo>,
}

/// One slice: one page of each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceInfo {
    /// The block it is part of.
    pub block: u32,
    /// Which page of each column chunk of the block.
    pub page: u32,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its last record plus one; what follows up to the next slice's first offset is a gap.
    pub next_offset: i64,
    /// Number of records.
    pub records: u32,
    /// Bytes of keys, values and headers.
    pub payload_bytes: u64,
    /// Smallest timestamp in ms, of those records that have one.
    pub min_timestamp: Option<i64>,
    /// Largest timestamp in ms, of those records that have one.
    pub max_timestamp: Option<i64>,
}

/// A block and the column chunks that log readers know.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) pos: BlockPos,
    pub(super) records: u64,
    pub(super) hash: HashSum,
    chunks: Vec<Chunk>,
    /// Pages of columns that a later version added: only checked as bytes.
    others: Vec<Page>,
}

#[derive(Debug)]
struct Chunk {
    dictionary: Option<Page>,
    pages: Vec<Page>,
}

/// Where a page lies, header and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) at: u64,
    pub(super) len: u32,
    pub(super) crc32c: u32,
}

impl Page {
    fn range(&self) -> Range<u64> {
        self.at..self.at + u64::from(self.len)
    }
}

impl Footer {
    /// Reads the footer of the object at `path`: one range request when `meta` (from the manifest) is given. Without it the
    /// object's own trailer holds the checksum: one request for the size and one to three for the tail.
    ///
    /// Errors: [`SegmentError::Store`]; [`SegmentError::Damaged`] when a checksum or what it covers is wrong;
    /// [`SegmentError::Unsupported`] when the segment was written by a later version that says so.
    pub async fn load(store: &Store, path: &str, meta: Option<&SegmentMeta>) -> Result<Self, SegmentError> {
        if let Some(meta) = meta {
            parse::check_end(path, meta.index_at, meta.size)?;
            let tail = store.get_range(path, meta.index_at..meta.size).await?;
            return Self::parse(path, &tail, meta.size, Some(meta));
        }
        let size = store.size(path).await?;
        let mut at = size.saturating_sub(TAIL_BYTES);
        let mut tail = store.get_range(path, at..size).await?;
        let damaged = |problem| parse::damaged(path, at, problem);
        let trailer_at = size.saturating_sub(Trailer::to_end(&tail).map_err(damaged)?);
        if trailer_at < at {
            parse::check_end(path, trailer_at, size)?;
            (at, tail) = (trailer_at, store.get_range(path, trailer_at..size).await?);
        }
        let index_at = Trailer::find(&tail).map_err(|problem| parse::damaged(path, at, problem))?.index_at;
        parse::check_end(path, index_at, size)?;
        if index_at < at {
            tail = store.get_range(path, index_at..size).await?;
        }
        Self::parse(path, &tail, size, None)
    }

    /// Parses the tail of an object of `size` bytes, `tail` being its bytes from `meta.index_at` on; without `meta`, any
    /// tail that reaches down to where the indexes begin. Errors as [`Footer::load`].
    pub fn parse(path: &str, tail: &Bytes, size: u64, meta: Option<&SegmentMeta>) -> Result<Self, SegmentError> {
        parse::parse(path, tail, size, meta)
    }

    /// The slices, by offset.
    pub fn slices(&self) -> &[SliceInfo] {
        &self.slices
    }

    /// The first slice that holds a record at or above `offset`; the number of slices when there is none.
    pub fn find(&self, offset: i64) -> usize {
        self.slices.partition_point(|slice| slice.next_offset <= offset)
    }

    /// The topic whose records these are.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// The partition whose records these are.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// First offset that the segment stands for.
    pub fn first_offset(&self) -> i64 {
        self.first_offset
    }

    /// The offset after the last one that the segment stands for.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Whether this version may merge or rewrite the segment, after which it is deleted: errors with
    /// [`SegmentError::Unsupported`] and the name of the first feature that it would lose.
    pub fn check_rewritable(&self) -> Result<(), SegmentError> {
        let lists = [(&self.must_write, "rewritten"), (&self.must_collect, "deleted")];
        let needs = lists.iter().flat_map(|(names, purpose)| names.iter().map(move |name| (name, purpose)));
        match needs.into_iter().find(|(feature, _)| !facts::FEATURES.contains(&feature.as_str())) {
            None => Ok(()),
            Some((feature, purpose)) => {
                let what = format!("the feature '{feature}' to be {purpose}");
                Err(SegmentError::Unsupported { object: self.object.to_string(), what })
            }
        }
    }

    /// Size of the object in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The byte ranges to fetch for decoding `slices`: ascending, apart, and joined where little lies between.
    pub fn ranges(&self, slices: Range<usize>) -> Vec<Range<u64>> {
        self.ranges_of(slices, &Column::ALL)
    }

    /// The same for [`Footer::decode_keys`].
    pub fn ranges_of_keys(&self, slices: Range<usize>) -> Vec<Range<u64>> {
        self.ranges_of(slices, &Column::KEYS)
    }

    fn ranges_of(&self, slices: Range<usize>, columns: &[Column]) -> Vec<Range<u64>> {
        let mut wanted: Vec<Range<u64>> = Vec::new();
        for slice in &self.slices[slices] {
            for column in columns {
                let (dictionary, page) = self.pages(slice, *column);
                wanted.extend(dictionary.map(Page::range));
                wanted.push(page.range());
            }
        }
        wanted.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in wanted {
            match joined.last_mut() {
                Some(last) if range.start <= last.end + GAP_BYTES_MAX => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }

    /// Stored bytes of each column that log readers know, in the order of the file.
    fn column_bytes(&self) -> [u64; Column::COUNT] {
        let bytes =
            |chunk: &Chunk| chunk.dictionary.iter().chain(&chunk.pages).map(|page| u64::from(page.len)).sum::<u64>();
        let mut sums = [0; Column::COUNT];
        for block in &self.blocks {
            block.chunks.iter().zip(&mut sums).for_each(|(chunk, sum)| *sum += bytes(chunk));
        }
        sums
    }

    /// Memory that this footer takes, in bytes: its weight in a cache.
    pub fn memory_bytes(&self) -> u64 {
        let pages = |block: &Block| {
            let known: usize = block.chunks.iter().map(|chunk| chunk.pages.capacity()).sum();
            (known + block.others.capacity()) * size_of::<Page>() + Column::COUNT * size_of::<Chunk>()
        };
        let blocks: usize = self.blocks.iter().map(|block| size_of::<Block>() + pages(block)).sum();
        (size_of::<Self>() + self.object.len() + blocks + self.slices.capacity() * size_of::<SliceInfo>()) as u64
    }

    pub(super) fn object(&self) -> &Arc<str> {
        &self.object
    }

    /// Null values, by column in the order of the file.
    pub(super) fn nulls(&self) -> &[u64; Column::COUNT] {
        &self.nulls
    }

    pub(super) fn index_at(&self) -> u64 {
        self.index_at
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The page of `column` for a slice, and the dictionary that it may need.
    pub(super) fn pages(&self, slice: &SliceInfo, column: Column) -> (Option<&Page>, &Page) {
        let chunk = &self.blocks[slice.block as usize].chunks[column as usize];
        (chunk.dictionary.as_ref(), &chunk.pages[slice.page as usize])
    }

    pub(super) fn damaged(&self, at: u64, problem: String) -> SegmentError {
        SegmentError::Damaged { object: self.object.to_string(), at, problem }
    }
}

impl Block {
    /// Pages that no slice reads, for the check of all bytes.
    pub(super) fn others(&self) -> &[Page] {
        &self.others
    }
}
