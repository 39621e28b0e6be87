//! What is kept of the newest version of each partition's manifest: as plain data while there is room for it and it is asked
//! for, else as compressed text, which takes a tenth. So 20,000 partitions with long histories fit, and no head is ever read
//! from the bucket again for want of memory.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::model::{Entry, Manifest};

/// About the memory that the parts of a manifest take as plain data, in bytes.
const MANIFEST_BYTES: u64 = 1024;
const ENTRY_BYTES: u64 = 900;
const PAGE_BYTES: u64 = 500;
const REMOVED_BYTES: u64 = 200;

/// The memory of a bucket's heads, shared by all of them; cheap to clone.
#[derive(Clone, Debug)]
pub struct Heads(Arc<Room>);

#[derive(Debug)]
struct Room {
    max: u64,
    /// Of the heads that are plain data.
    used: AtomicU64,
}

impl Heads {
    /// Heads as plain data of at most `max` bytes together, but for those that somebody holds.
    pub fn new(max: u64) -> Self {
        Self(Arc::new(Room { max, used: AtomicU64::new(0) }))
    }

    /// Whether those that nobody asked for lately should make room.
    pub fn is_tight(&self) -> bool {
        self.0.used.load(Ordering::Relaxed) > self.0.max / 4 * 3
    }

    fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| Some(used + bytes).filter(|sum| *sum <= self.0.max);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One version.
#[derive(Debug)]
pub struct Kept {
    heads: Heads,
    /// About what it takes as plain data.
    bytes: u64,
    form: Mutex<Form>,
    /// Whether somebody asked for it since the last [`Kept::cool`].
    asked: AtomicBool,
    /// End of the sealed range.
    pub next: i64,
    /// The smallest time (ms) of what waits to be deleted; of a page of it the greatest in there.
    pub removed_ms: Option<i64>,
    /// By the time of the oldest segment (ms) it goes when retention is by time. None: there is no segment at hand; the smallest
    /// number where it is in a page.
    pub oldest_ms: Option<i64>,
    /// Bytes of all segments in the bucket.
    pub stored_bytes: u64,
}

#[derive(Debug)]
enum Form {
    Plain(Arc<Manifest>),
    /// Its JSON text, compressed with zstd, and the length of the text.
    Packed(Box<[u8]>, usize),
}

impl Kept {
    pub fn new(heads: &Heads, manifest: Arc<Manifest>) -> Self {
        let bytes = plain_bytes(&manifest);
        let (next, removed_ms, oldest_ms) = (manifest.next, removed_ms(&manifest), oldest_ms(&manifest));
        let stored_bytes = manifest.sums().map_or(0, |sums| sums.stored_bytes);
        let form = match heads.take(bytes) {
            true => Form::Plain(manifest),
            false => packed(&manifest),
        };
        let (form, asked) = (Mutex::new(form), AtomicBool::new(true));
        Self { heads: heads.clone(), bytes, form, asked, next, removed_ms, oldest_ms, stored_bytes }
    }

    /// What it says.
    pub fn manifest(&self) -> Arc<Manifest> {
        self.asked.store(true, Ordering::Relaxed);
        let mut form = self.form();
        let manifest = match &*form {
            Form::Plain(manifest) => return manifest.clone(),
            Form::Packed(text, len) => Arc::new(unpacked(text, *len)),
        };
        if self.heads.take(self.bytes) {
            *form = Form::Plain(manifest.clone());
        }
        manifest
    }

    /// Makes room if nobody asked for it since the last time.
    pub fn cool(&self) {
        if self.asked.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut form = self.form();
        if let Form::Plain(manifest) = &*form {
            *form = packed(manifest);
            self.heads.give_back(self.bytes);
        }
    }

    fn form(&self) -> MutexGuard<'_, Form> {
        self.form.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if matches!(*self.form(), Form::Plain(_)) {
            self.heads.give_back(self.bytes);
        }
    }
}

fn packed(manifest: &Manifest) -> Form {
    let text = serde_json::to_vec(manifest).expect("plain data is JSON");
    let packed = zstd::bulk::compress(&text, 1).expect("text in memory is compressed");
    Form::Packed(packed.into_boxed_slice(), text.len())
}

fn unpacked(packed: &[u8], len: usize) -> Manifest {
    let text = zstd::bulk::decompress(packed, len).expect("what was compressed here");
    serde_json::from_slice(&text).expect("what was written here")
}

fn plain_bytes(manifest: &Manifest) -> u64 {
    let pages = manifest.pages.len() + manifest.epoch_pages.len() + manifest.removed_pages.len();
    MANIFEST_BYTES
        + ENTRY_BYTES * manifest.entries.len() as u64
        + PAGE_BYTES * pages as u64
        + REMOVED_BYTES * manifest.removed.len() as u64
}

fn removed_ms(manifest: &Manifest) -> Option<i64> {
    let pages = manifest.removed_pages.iter().map(|page| page.last_ms);
    manifest.removed.iter().map(|removed| removed.at_ms).chain(pages).min()
}

fn oldest_ms(manifest: &Manifest) -> Option<i64> {
    if !manifest.pages.is_empty() {
        return Some(i64::MIN);
    }
    let above = manifest.entries.iter().filter(|entry| entry.next() > manifest.log_start);
    above.filter_map(Entry::segment).next().map(|segment| segment.retained_by_ms())
}

#[cfg(test)]
mod tests;
