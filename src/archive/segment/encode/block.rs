//! One block: a Parquet column writer for each column, whose pages are kept in memory and summed as they are made.
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::{ColumnWriter, get_column_writer, get_typed_column_writer_mut};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::SchemaDescriptor;

use super::rows::{Rows, Strings};
use crate::archive::segment::schema::Column;

/// The stored pages of one column chunk.
struct Pages {
    stored: TrackedWrite<Vec<u8>>,
    crc32c: Vec<u32>,
}

/// Hands the pages of a column writer to whoever owns the other clone: the writer itself is a sealed box.
#[derive(Clone)]
struct PageSink(Arc<Mutex<Pages>>);

impl PageSink {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Pages { stored: TrackedWrite::new(Vec::new()), crc32c: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageWriter for PageSink {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let mut pages = self.lock();
        let at = pages.stored.bytes_written();
        let spec = SerializedPageWriter::new(&mut pages.stored).write_page(page)?;
        pages.stored.flush()?;
        let crc32c = crc32c::crc32c(&pages.stored.inner()[at..]);
        pages.crc32c.push(crc32c);
        Ok(spec)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A block that is being filled.
pub(super) struct BlockWriter {
    writers: Vec<ColumnWriter<'static>>,
    sinks: Vec<PageSink>,
    values: Vec<ByteArray>,
    /// Bytes of keys and header keys: an upper bound of what dictionaries and the pages that wait for them hold.
    waiting_bytes: u64,
}

impl BlockWriter {
    /// `dense` is used for the columns of values, `plain` for all others.
    pub(super) fn new(schema: &SchemaDescriptor, plain: &WriterPropertiesPtr, dense: &WriterPropertiesPtr) -> Self {
        let sinks: Vec<_> = Column::ALL.iter().map(|_| PageSink::new()).collect();
        let writers = Column::ALL.iter().zip(&sinks).map(|(&column, sink)| {
            let properties = if matches!(column, Column::Value | Column::ValueRaw) { dense } else { plain };
            get_column_writer(schema.column(column as usize), Arc::clone(properties), Box::new(sink.clone()))
        });
        Self { writers: writers.collect(), sinks, values: Vec::new(), waiting_bytes: 0 }
    }

    /// Writes one slice: one page of each column.
    pub(super) fn write(&mut self, rows: &mut Rows, partition: i32) -> Result<()> {
        self.int32(Column::Partition, &vec![partition; rows.len()])?;
        self.int64(Column::LogOffset, &rows.offsets, None)?;
        self.int64(Column::Timestamp, &rows.timestamps, Some(&rows.timestamp_levels))?;
        self.int32(Column::TimestampType, &rows.timestamp_types)?;
        self.int32(Column::LeaderEpoch, &rows.leader_epochs)?;
        for (column, strings) in [(Column::Key, &mut rows.keys.text), (Column::KeyRaw, &mut rows.keys.raw)] {
            self.waiting_bytes += self.strings(column, strings, None)?;
        }
        let repeats = Some(&rows.header_repeats[..]);
        self.waiting_bytes += self.strings(Column::HeaderKey, &mut rows.header_keys, repeats)?;
        self.strings(Column::HeaderValue, &mut rows.header_values, repeats)?;
        self.strings(Column::ValueRaw, &mut rows.values.raw, None)?;
        self.strings(Column::Value, &mut rows.values.text, None)?;
        self.values.clear();
        Ok(())
    }

    /// Appends the block to the file. Returns its pages' checksums in the order of the file.
    pub(super) fn close<W: Write + Send>(self, file: &mut SerializedFileWriter<W>) -> Result<Vec<u32>> {
        let mut crc32c = Vec::new();
        let mut block = file.next_row_group()?;
        for (writer, sink) in self.writers.into_iter().zip(self.sinks) {
            let closed = writer.close()?;
            let mut pages = sink.lock();
            let stored = std::mem::take(pages.stored.inner_mut());
            crc32c.append(&mut pages.crc32c);
            block.append_column(&Bytes::from(stored), closed)?;
        }
        block.close()?;
        Ok(crc32c)
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.lock().stored.inner().capacity() as u64).sum::<u64>() + self.waiting_bytes
    }

    fn int32(&mut self, column: Column, values: &[i32]) -> Result<()> {
        let writer = get_typed_column_writer_mut::<Int32Type>(&mut self.writers[column as usize]);
        writer.write_batch(values, None, None)?;
        Ok(())
    }

    fn int64(&mut self, column: Column, values: &[i64], levels: Option<&[i16]>) -> Result<()> {
        let writer = get_typed_column_writer_mut::<Int64Type>(&mut self.writers[column as usize]);
        writer.write_batch(values, levels, None)?;
        Ok(())
    }

    /// Returns the bytes written.
    fn strings(&mut self, column: Column, strings: &mut Strings, repeats: Option<&[i16]>) -> Result<u64> {
        strings.take_values(&mut self.values);
        let writer = get_typed_column_writer_mut::<ByteArrayType>(&mut self.writers[column as usize]);
        writer.write_batch(&self.values, Some(&strings.levels), repeats)?;
        Ok(self.values.iter().map(|value| value.len() as u64).sum())
    }
}
