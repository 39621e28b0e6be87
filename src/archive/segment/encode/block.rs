//! One block: the pages of each column. Columns with a dictionary, statistics or packed integers are written by the
//! Parquet crate's column writers, values by [`PlainChunk`].
use std::sync::Arc;

use parquet::column::writer::{ColumnWriter, get_column_writer, get_typed_column_writer_mut};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::reader::Length;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use super::Output;
use super::pages::PageSink;
use super::plain::{Packer, PlainChunk};
use super::rows::{Rows, Strings};
use crate::archive::segment::schema::Column;

/// Levels and dictionary index of a value in a page that waits for its dictionary, in bytes.
const WAITING_ENTRY_BYTES: u64 = 3;

/// A block that is being filled.
pub(super) struct BlockWriter {
    chunks: Vec<Chunk>,
    /// Null keys, by the place of their column.
    nulls: [u64; Column::COUNT],
    partitions: Vec<i32>,
    strings: Vec<ByteArray>,
    /// Bytes of keys and header keys, and what their levels and indexes take: an upper bound of what dictionaries and the
    /// pages that wait for them hold.
    waiting_bytes: u64,
}

/// Columns with no other statistics than how many values are null: their smallest and largest values may be of any length.
const NULLS_ONLY: [Column; 4] = [Column::Key, Column::KeyRaw, Column::Value, Column::ValueRaw];

/// What is known of a block when it is appended; by column in the order of the file.
pub(super) struct Closed {
    /// Checksums of its pages, in the order of the file.
    pub(super) page_crc32c: Vec<u32>,
    pub(super) bytes: [u64; Column::COUNT],
    /// Of keys and values; zero for others.
    pub(super) nulls: [u64; Column::COUNT],
}

enum Chunk {
    Library(Box<ColumnWriter<'static>>, PageSink),
    Plain(Box<PlainChunk>),
}

impl BlockWriter {
    /// `dense` asks for data pages of the second version where values are.
    pub(super) fn new(schema: &SchemaDescriptor, properties: &WriterPropertiesPtr, dense: bool) -> Self {
        let chunk = |column: Column| {
            let description = schema.column(column as usize);
            let codec = properties.compression(description.path());
            match column {
                Column::HeaderValue => Chunk::Plain(Box::new(PlainChunk::new(description, codec, false))),
                Column::Value | Column::ValueRaw => Chunk::Plain(Box::new(PlainChunk::new(description, codec, dense))),
                _ => {
                    let sink = PageSink::default();
                    let writer = get_column_writer(description, Arc::clone(properties), Box::new(sink.clone()));
                    Chunk::Library(Box::new(writer), sink)
                }
            }
        };
        let chunks = Column::ALL.into_iter().map(chunk).collect();
        Self { chunks, nulls: [0; Column::COUNT], partitions: Vec::new(), strings: Vec::new(), waiting_bytes: 0 }
    }

    /// Writes one slice: one page of each column. Takes the values out of `rows`; the rest is left to `Rows::clear`.
    pub(super) fn write(&mut self, rows: &mut Rows, partition: i32, packer: &mut Packer) -> Result<()> {
        let count = rows.len();
        let mut partitions = std::mem::take(&mut self.partitions);
        partitions.resize(count, partition);
        self.int32(Column::Partition, &partitions)?;
        self.partitions = partitions;
        self.int64(Column::LogOffset, &rows.offsets, None)?;
        self.int64(Column::Timestamp, &rows.timestamps, Some(&rows.timestamp_levels))?;
        self.int32(Column::TimestampType, &rows.timestamp_types)?;
        self.int32(Column::LeaderEpoch, &rows.leader_epochs)?;
        let repeats = Some(&rows.header_repeats[..]);
        for (column, strings, repeats) in [
            (Column::Key, &mut rows.keys.text, None),
            (Column::KeyRaw, &mut rows.keys.raw, None),
            (Column::HeaderKey, &mut rows.header_keys, repeats),
        ] {
            self.nulls[column as usize] += strings.nulls();
            self.strings(column, strings, repeats)?;
        }
        for (column, values, repeats) in [
            (Column::HeaderValue, &mut rows.header_values, repeats),
            (Column::Value, &mut rows.values.text, None),
            (Column::ValueRaw, &mut rows.values.raw, None),
        ] {
            if let Chunk::Plain(chunk) = &mut self.chunks[column as usize] {
                chunk.write(values, repeats, count, packer)?;
            }
        }
        Ok(())
    }

    /// Appends the block to the file.
    pub(super) fn close(self, file: &mut SerializedFileWriter<Output>) -> Result<Closed> {
        let mut chunks = Vec::with_capacity(Column::COUNT);
        let mut nulls = self.nulls;
        for (column, chunk) in Column::ALL.into_iter().zip(self.chunks) {
            let (mut closed, pages) = match chunk {
                Chunk::Library(writer, sink) => {
                    let closed = writer.close()?;
                    let pages = std::mem::take(&mut *sink.lock());
                    (closed, pages)
                }
                Chunk::Plain(chunk) => {
                    nulls[column as usize] = chunk.nulls();
                    chunk.close()?
                }
            };
            if NULLS_ONLY.contains(&column) {
                let counted =
                    Statistics::ByteArray(ValueStatistics::new(None, None, None, Some(nulls[column as usize]), false));
                closed.metadata = closed.metadata.into_builder().set_statistics(counted).build()?;
            }
            chunks.push((closed, pages));
        }
        let bytes = std::array::from_fn(|place| chunks[place].1.stored().len());
        let stored: u64 = chunks.iter().map(|(_, pages)| pages.stored().len()).sum();
        file.inner_mut().0.reserve(stored as usize);
        let mut crc32c = Vec::new();
        let mut block = file.next_row_group()?;
        for (closed, pages) in chunks {
            block.append_column(pages.stored(), closed)?;
            crc32c.extend(pages.crc32c);
        }
        block.close()?;
        Ok(Closed { page_crc32c: crc32c, bytes, nulls })
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        let pages = |chunk: &Chunk| match chunk {
            Chunk::Library(_, sink) => sink.lock().stored().len(),
            Chunk::Plain(chunk) => chunk.stored_bytes(),
        };
        // The library's writer has an index of 8 bytes for each string of a page.
        let strings = self.strings.capacity() * (size_of::<ByteArray>() + 8);
        let scratch = strings + self.partitions.capacity() * size_of::<i32>();
        self.chunks.iter().map(pages).sum::<u64>() + self.waiting_bytes + scratch as u64
    }

    fn library(&mut self, column: Column) -> &mut ColumnWriter<'static> {
        match &mut self.chunks[column as usize] {
            Chunk::Library(writer, _) => writer,
            Chunk::Plain(_) => unreachable!("`new` gave this column a writer of the library"),
        }
    }

    fn int32(&mut self, column: Column, values: &[i32]) -> Result<()> {
        let writer = get_typed_column_writer_mut::<Int32Type>(self.library(column));
        writer.write_batch(values, None, None)?;
        Ok(())
    }

    fn int64(&mut self, column: Column, values: &[i64], levels: Option<&[i16]>) -> Result<()> {
        let writer = get_typed_column_writer_mut::<Int64Type>(self.library(column));
        writer.write_batch(values, levels, None)?;
        Ok(())
    }

    fn strings(&mut self, column: Column, strings: &mut Strings, repeats: Option<&[i16]>) -> Result<()> {
        let mut values = std::mem::take(&mut self.strings);
        self.waiting_bytes += strings.take_values(&mut values) + strings.levels.len() as u64 * WAITING_ENTRY_BYTES;
        let writer = get_typed_column_writer_mut::<ByteArrayType>(self.library(column));
        writer.write_batch(&values, Some(&strings.levels), repeats)?;
        values.clear();
        self.strings = values;
        Ok(())
    }
}
