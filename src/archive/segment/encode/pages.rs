//! The stored pages of one column chunk, in memory, summed as they are made. Each keeps a buffer of its own: one that grows
//! with the chunk would be copied and its fresh memory cleared again and again.
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

/// Pages, one after the other, and their checksums.
pub(super) struct Pages {
    writer: TrackedWrite<Vec<u8>>,
    stored: Stored,
    pub(super) crc32c: Vec<u32>,
}

/// The bytes of finished pages.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pages: Vec<Bytes>,
    len: u64,
}

impl Default for Pages {
    fn default() -> Self {
        Self { writer: TrackedWrite::new(Vec::new()), stored: Stored::default(), crc32c: Vec::new() }
    }
}

impl Pages {
    /// Stores a page with its header.
    pub(super) fn append(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        const HEADER_ROOM: usize = 64;
        self.writer.inner_mut().reserve(page.compressed_size() + HEADER_ROOM);
        let spec = SerializedPageWriter::new(&mut self.writer).write_page(page)?;
        self.writer.flush()?;
        let stored = Bytes::from(std::mem::take(self.writer.inner_mut()));
        self.crc32c.push(crc32c::crc32c(&stored));
        self.stored.len += stored.len() as u64;
        self.stored.pages.push(stored);
        Ok(spec)
    }

    /// The pages so far.
    pub(super) fn stored(&self) -> &Stored {
        &self.stored
    }
}

impl Stored {
    fn reader(&self) -> Box<dyn Read> {
        let pages: Vec<Bytes> = self.pages.clone();
        Box::new(Chain { pages: pages.into_iter(), page: Bytes::new() })
    }
}

impl Length for Stored {
    fn len(&self) -> u64 {
        self.len
    }
}

/// Only read from the beginning: the library copies whole chunks.
impl ChunkReader for Stored {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        if start == 0 { Ok(self.reader()) } else { Err(ParquetError::IndexOutOfBound(start as usize, 0)) }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Reads pages one after the other.
struct Chain {
    pages: std::vec::IntoIter<Bytes>,
    page: Bytes,
}

impl Read for Chain {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.page.is_empty() {
            match self.pages.next() {
                Some(page) => self.page = page,
                None => return Ok(0),
            }
        }
        let len = self.page.len().min(out.len());
        self.page.copy_to_slice(&mut out[..len]);
        Ok(len)
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
