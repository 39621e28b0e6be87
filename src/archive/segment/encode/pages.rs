//! The stored pages of one column chunk, in memory, summed as they are made.
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::errors::Result;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

/// Pages, one after the other, and their checksums.
pub(super) struct Pages {
    stored: TrackedWrite<Vec<u8>>,
    crc32c: Vec<u32>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { stored: TrackedWrite::new(Vec::new()), crc32c: Vec::new() }
    }
}

impl Pages {
    /// Stores a page with its header.
    pub(super) fn append(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let at = self.stored.bytes_written();
        let spec = SerializedPageWriter::new(&mut self.stored).write_page(page)?;
        self.stored.flush()?;
        self.crc32c.push(crc32c::crc32c(&self.stored.inner()[at..]));
        Ok(spec)
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored.bytes_written() as u64
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.stored.inner().capacity() as u64
    }

    /// Takes bytes and checksums.
    pub(super) fn take(&mut self) -> (Bytes, Vec<u32>) {
        (std::mem::take(self.stored.inner_mut()).into(), std::mem::take(&mut self.crc32c))
    }
}

/// Hands the pages of a library's column writer to whoever owns the other clone: the writer itself is a sealed box.
#[derive(Clone, Default)]
pub(super) struct PageSink(Arc<Mutex<Pages>>);

impl PageSink {
    pub(super) fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageWriter for PageSink {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        self.lock().append(page)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
