//! Columns of values, which are most of a segment. The Parquet crate's writer copies each value four times on its way to
//! the compressor and counts a reference for each; here a value is copied once, to its place in the body of the page that
//! it will be part of.
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType};
use parquet::column::page::{CompressedPage, Page};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::reader::Length;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::levels::Levels;
use super::pages::Pages;

/// Room before the values of a page for its levels, which are known last: a page whose rows are all alike takes 12 bytes.
const LEVELS_ROOM: usize = 64;

/// The values of one column of the slice that is being filled, each after its length, as a PLAIN page has them.
#[derive(Default)]
pub(super) struct PlainValues {
    /// `LEVELS_ROOM` bytes, then the values; or empty.
    body: Vec<u8>,
    levels: Vec<i16>,
}

impl PlainValues {
    /// Adds a value that is there; it is shorter than 2 GiB.
    #[inline]
    pub(super) fn push(&mut self, value: &[u8], level: i16) {
        if self.body.is_empty() {
            self.body.resize(LEVELS_ROOM, 0);
        }
        self.body.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.body.extend_from_slice(value);
        self.levels.push(level);
    }

    /// Adds a row without a value.
    #[inline]
    pub(super) fn skip(&mut self, level: i16) {
        self.levels.push(level);
    }

    /// The first bytes of the values, for a look at how well they compress.
    pub(super) fn sample(&self, len: usize) -> &[u8] {
        let values = self.body.get(LEVELS_ROOM..).unwrap_or_default();
        &values[..len.min(values.len())]
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.body.capacity() + self.levels.capacity() * 2
    }

    /// Puts the levels directly before the values; returns where they begin.
    fn prepend(&mut self, levels: &[u8]) -> usize {
        self.body.resize(self.body.len().max(LEVELS_ROOM), 0);
        match LEVELS_ROOM.checked_sub(levels.len()) {
            Some(start) => {
                self.body[start..LEVELS_ROOM].copy_from_slice(levels);
                start
            }
            None => {
                self.body.splice(..LEVELS_ROOM, levels.iter().copied());
                0
            }
        }
    }
}

/// A compressor and the buffer that it fills: a fresh one for each page would cost the clearing of its memory.
pub(super) struct Packer {
    zstd: Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    /// Errors when `level` is no level of zstd.
    pub(super) fn new(level: i32) -> std::io::Result<Self> {
        Ok(Self { zstd: Compressor::new(level)?, packed: Vec::new() })
    }

    /// Compresses `bytes`; the result is there until the next call.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> std::io::Result<&[u8]> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.zstd.compress_to_buffer(bytes, &mut self.packed)?;
        Ok(&self.packed)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.packed.capacity()
    }
}

/// The pages of one such column in the open block.
pub(super) struct PlainChunk {
    column: ColumnDescPtr,
    codec: Compression,
    /// Data pages of the second version, which keep values that do not compress as they are.
    v2: bool,
    repeats: Levels,
    definitions: Levels,
    pages: Pages,
    offsets: OffsetIndexBuilder,
    rows: u64,
    values: i64,
    nulls: u64,
    unpacked_bytes: i64,
    page_count: i32,
}

impl PlainChunk {
    pub(super) fn new(column: ColumnDescPtr, codec: Compression, v2: bool) -> Self {
        Self {
            repeats: Levels::new(column.max_rep_level(), v2),
            definitions: Levels::new(column.max_def_level(), v2),
            column,
            codec,
            v2,
            pages: Pages::default(),
            offsets: OffsetIndexBuilder::new(),
            rows: 0,
            values: 0,
            nulls: 0,
            unpacked_bytes: 0,
            page_count: 0,
        }
    }

    /// Writes `values`, which are `rows` rows, as one page, and empties them.
    pub(super) fn write(
        &mut self,
        values: &mut PlainValues,
        repeats: Option<&[i16]>,
        rows: usize,
        packer: &mut Packer,
    ) -> Result<()> {
        let mut levels = Vec::with_capacity(LEVELS_ROOM);
        if let Some(repeats) = repeats {
            self.repeats.encode(repeats, &mut levels);
        }
        let rep_len = levels.len();
        let max = self.column.max_def_level();
        let nulls = values.levels.iter().filter(|&&level| level < max).count();
        self.definitions.encode(&values.levels, &mut levels);
        let start = values.prepend(&levels);
        let unpacked = values.body.len() - start;
        let num_values = values.levels.len() as u32; // at most a slice's rows and headers
        let page = if self.v2 {
            let lens = (rep_len, levels.len() - rep_len);
            Self::v2_page(values, start, lens, (num_values, nulls as u32, rows as u32), packer)?
        } else {
            Page::DataPage {
                buf: Bytes::copy_from_slice(packer.pack(&values.body[start..])?),
                num_values,
                encoding: Encoding::PLAIN,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            }
        };
        let spec = self.pages.append(CompressedPage::new(page, unpacked))?;
        self.offsets.append_row_count(rows as i64);
        self.offsets.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
        self.rows += rows as u64;
        self.values += i64::from(num_values);
        self.nulls += nulls as u64;
        self.unpacked_bytes += spec.uncompressed_size as i64;
        self.page_count += 1;
        values.body.clear();
        values.levels.clear();
        Ok(())
    }

    /// A page whose values are compressed only if that makes them smaller; otherwise the body itself becomes the page.
    fn v2_page(
        values: &mut PlainValues,
        start: usize,
        (rep_len, def_len): (usize, usize),
        (num_values, num_nulls, num_rows): (u32, u32, u32),
        packer: &mut Packer,
    ) -> Result<Page> {
        let values_at = start + rep_len + def_len;
        let packed = packer.pack(&values.body[values_at..])?;
        let is_compressed = packed.len() < values.body.len() - values_at;
        let buf = if is_compressed {
            [&values.body[start..values_at], packed].concat().into()
        } else {
            let room = Vec::with_capacity(values.body.len());
            Bytes::from(std::mem::replace(&mut values.body, room)).slice(start..)
        };
        Ok(Page::DataPageV2 {
            buf,
            num_values,
            encoding: Encoding::PLAIN,
            num_nulls,
            num_rows,
            def_levels_byte_len: def_len as u32,
            rep_levels_byte_len: rep_len as u32,
            is_compressed,
            statistics: None,
        })
    }

    /// What the file's writer has to know of the chunk, and its pages.
    pub(super) fn close(self) -> Result<(ColumnCloseResult, Pages)> {
        let stored = self.stored_bytes();
        let page_type = if self.v2 { PageType::DATA_PAGE_V2 } else { PageType::DATA_PAGE };
        let stats = PageEncodingStats { page_type, encoding: Encoding::PLAIN, count: self.page_count };
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.codec)
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
            .set_page_encoding_stats(vec![stats])
            .set_total_compressed_size(stored as i64)
            .set_total_uncompressed_size(self.unpacked_bytes)
            .set_num_values(self.values)
            .set_data_page_offset(0)
            .build()?;
        let closed = ColumnCloseResult {
            bytes_written: stored,
            rows_written: self.rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.offsets.build()),
        };
        Ok((closed, self.pages))
    }

    /// Values below the highest definition level.
    pub(super) fn nulls(&self) -> u64 {
        self.nulls
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.pages.stored().len()
    }
}
