//! Buffers aligned to blocks, as O_DIRECT wants them, recycled when the last reader of their bytes is gone.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The unit of every write: also the alignment of buffers, offsets and lengths.
pub(crate) const BLOCK: usize = 4096;

/// Smallest buffer; sizes double from here, so that at most half of a buffer is unused.
const SMALLEST: usize = 2 * BLOCK;

/// A block-aligned buffer of a fixed size.
struct AlignedBuf {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// A zeroed buffer. The vector is larger by a block, and is never moved or grown, so the aligned part stays aligned.
    fn new(len: usize) -> Self {
        let bytes = vec![0; len + BLOCK];
        let start = bytes.as_ptr().align_offset(BLOCK);
        assert!(start < BLOCK, "an address can be aligned within a block");
        Self { bytes, start, len }
    }
}

/// Recycled buffers; bounded by what it keeps free, it counts what is out.
pub(crate) struct Pool {
    free: Mutex<Vec<AlignedBuf>>,
    free_max: usize,
    pooled_max: usize,
    out: AtomicU64,
}

impl Pool {
    /// Keeps at most `free_max` unused buffers of at most `pooled_max` bytes each.
    pub fn new(free_max: usize, pooled_max: usize) -> Arc<Self> {
        let pooled_max = pooled_max.next_power_of_two();
        Arc::new(Self { free: Mutex::default(), free_max, pooled_max, out: AtomicU64::new(0) })
    }

    /// A buffer of at least `len` bytes with arbitrary content.
    pub fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let size =
            if len <= self.pooled_max { len.next_power_of_two().max(SMALLEST) } else { len.next_multiple_of(BLOCK) };
        let recycled = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let at = free.iter().rposition(|b| b.len == size);
            at.map(|at| free.swap_remove(at))
        };
        self.out.fetch_add(size as u64, Ordering::Relaxed);
        Buffer { inner: Some(recycled.unwrap_or_else(|| AlignedBuf::new(size))), pool: self.clone() }
    }

    /// Bytes of buffers that somebody holds.
    pub fn out_bytes(&self) -> u64 {
        self.out.load(Ordering::Relaxed)
    }
}

/// A buffer out of a [`Pool`], to which it goes back when dropped.
pub(crate) struct Buffer {
    inner: Option<AlignedBuf>,
    pool: Arc<Pool>,
}

impl Buffer {
    /// Its size.
    pub fn capacity(&self) -> usize {
        self.inner.as_ref().map_or(0, |b| b.len)
    }

    /// All of it, to be written to.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.inner {
            Some(b) => &mut b.bytes[b.start..b.start + b.len],
            None => &mut [],
        }
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        match &self.inner {
            Some(b) => &b.bytes[b.start..b.start + b.len],
            None => &[],
        }
    }

    /// Its bytes for any number of readers, without a copy.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(Frozen(self))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(buffer) = self.inner.take() else { return };
        self.pool.out.fetch_sub(buffer.len as u64, Ordering::Relaxed);
        if buffer.len > self.pool.pooled_max || self.pool.free_max == 0 {
            return;
        }
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() >= self.pool.free_max {
            free.remove(0); // the oldest: sizes in use now are more likely to be asked for again
        }
        free.push(buffer);
    }
}

struct Frozen(Buffer);

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_come_back_only_after_their_last_reader() {
        let pool = Pool::new(2, 1 << 20);
        let mut buffer = pool.take(10_000);
        assert_eq!(buffer.capacity(), 16_384);
        assert_eq!(buffer.bytes().as_ptr().align_offset(BLOCK), 0);
        buffer.bytes_mut()[5] = 7;
        let address = buffer.bytes().as_ptr();
        let bytes = buffer.freeze();
        let slice = bytes.slice(4..6);
        drop(bytes);
        assert_ne!(pool.take(16_384).bytes().as_ptr(), address, "still read");
        assert_eq!(&slice[..], &[0, 7]);
        drop(slice);
        let again = [pool.take(16_384), pool.take(16_384)];
        assert!(again.iter().any(|b| b.bytes().as_ptr() == address));
        assert_eq!(pool.out_bytes(), 32_768);
    }

    #[test]
    fn a_buffer_beyond_the_pools_sizes_is_exact_and_not_kept() {
        let pool = Pool::new(2, 8192);
        drop(pool.take(100_000));
        assert_eq!(pool.take(100_000).capacity(), 102_400);
        assert!(pool.free.lock().unwrap().is_empty());
    }
}
