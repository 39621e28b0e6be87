//! Rewriting sealed history: compaction of keyed topics, and merging of small neighbours.
//!
//! # Compaction
//! Of each key the newest record stays, as in Kafka. Everything below the clean point was compacted before; the dirty range
//! lies above it. One round:
//! 1. The keys of the dirty range, as hashes, with their newest offsets, fill a table of bounded size. If they may be more
//!    than fit, several passes each take a range of the hashes.
//! 2. Everything from the log start to the end of the dirty range is read, and each record that gave way to a newer one is
//!    marked: one bit a record. What marks would not fit is done window by window.
//! 3. Runs of segments are written anew without the marked records; offsets stay, and what is gone is counted as compacted.
//! 4. The clean point moves to the end of the dirty range.
//!
//! A tombstone (a record without a value) stays until `delete.retention.ms` after the clean point passed it: whoever reads
//! from the beginning and takes no longer than that learns of every deletion. Records without a key, which only a topic that
//! was not compacted before can hold, go.
//!
//! Hashes are 128 bits with a seed of each round's own, so that nobody can make two keys collide.
//!
//! # Merging
//! Small neighbours become one segment; nothing is left out. Which ones: see [`choose::merge`].
//!
//! # What a look costs
//! A look that finds nothing to do notes until when that holds ([`Looked`]): the next one asks for nothing before then,
//! unless more was sealed. Entries are read in pieces of bounded size, and pages whose sums say that there is nothing to
//! merge are not opened, so that a look does not cost more with a longer history.
//!
//! # The swap
//! A rewritten run becomes visible by one manifest version that names its inputs ([`Replace`]); the version is refused unless
//! hashes and counts of outputs and dropped records add up to those of the inputs. Readers that are inside of an input go on
//! reading it until it is collected. A crash leaves orphans and whole runs: the next round begins with what is there.
//!
//! | file | what it does |
//! |---|---|
//! | [`choose`] | what to rewrite and when (pure) |
//! | `looked` | what earlier looks found out (pure) |
//! | `keys` | the table of keys (pure) |
//! | `scan` | the records of segments, one after the other |
//! | `write` | one run: read, leave out, encode, upload |
pub mod choose;
mod keys;
mod looked;
mod scan;
mod write;

pub use looked::Looked;

use std::sync::Arc;

use self::choose::{Due, Look, Plan, Policy, Run, Size};
use self::keys::{KeyTable, Overfull, Pass};
use self::looked::For;
use super::manifest::model::{Entry, SegmentEntry, Sums};
use super::manifest::{Change, PartitionArchive, Replace, View};
use super::segment::{SegmentError, SegmentSpec};
use super::{ArchiveError, CommitError};
use crate::base::tasks::Tasks;
use crate::base::{ByteBudget, Clock, Random};
use crate::record::RecordRef;
use crate::store::{Store, StoreError};
use scan::{Part, Scanner};

/// Entries that are asked of the manifest at once, and that a look for merges sees at once.
const ENTRIES_AT_ONCE: usize = 256;
/// Entries that a round of compaction holds, of its dirty range and of the runs that it is at.
const ENTRIES_MAX: usize = if cfg!(test) { 12 } else { 4096 };
/// Nothing was sealed for a while: so long, in ms. A topic that is sealed by time, every ten minutes, is never so quiet.
const QUIET_MS: i64 = 15 * 60 * 1000;
/// Of the memory for a round, the table of keys may take a quarter, the marks a sixteenth.
const TABLE_SHARE: u64 = 4;
const MARKS_SHARE: u64 = 16;
/// Passes of one round; beyond, its memory is too small for its keys.
const PASSES_MAX: u64 = 1 << 16;

/// Why history was not rewritten. It stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The manifest cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A segment cannot be read or written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread ended early.
    #[error("a thread of the rewrite ended early: {0}")]
    Thread(String),
    /// An upload has another size than was written.
    #[error("the upload has {uploaded} bytes, the encoder made {made}")]
    Size {
        /// Bytes in the store.
        uploaded: u64,
        /// Bytes that were made.
        made: u64,
    },
}

impl RewriteError {
    /// Whether another broker owns the bucket.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Commit(e) if e.is_fenced())
    }

    /// Whether the segment at `path` cannot be read, or must not be rewritten.
    fn is_of(&self, store: &Store, path: &str) -> bool {
        match self {
            Self::Segment(SegmentError::Damaged { object, .. } | SegmentError::Unsupported { object, .. }) => {
                object == path
            }
            Self::Segment(SegmentError::Store(error)) | Self::Store(error) => {
                error.is_not_found() && error.path == store.url_of(path)
            }
            _ => false,
        }
    }
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Segments that were read to be written anew.
    pub segments: u64,
    /// Records that were left out.
    pub dropped: u64,
    /// Payload that was read to be written anew, in bytes.
    pub payload_bytes: u64,
    /// The clean point now, if it moved.
    pub clean_to: Option<i64>,
}

/// Rewrites segments; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rewriter {
    /// Where segments lie.
    pub store: Store,
    /// Memory for encoders and tables.
    pub budget: ByteBudget,
    /// Seeds of hashes.
    pub random: Random,
    /// Wall time.
    pub clock: Clock,
    /// Where decoding runs.
    pub tasks: Tasks,
}

impl Rewriter {
    /// One round of compaction, if it is due. `spec`: how the partition's segments are written.
    ///
    /// # Errors
    /// [`RewriteError`]; what was swapped before stays swapped.
    pub async fn compact(
        &self,
        partition: &PartitionArchive,
        policy: &Policy,
        spec: &SegmentSpec,
        looked: &mut Looked,
    ) -> Result<Option<Done>, RewriteError> {
        let now_ms = self.clock.now_ms();
        let view = partition.view();
        let looks_for = For::Compaction(policy.clone());
        if looked.found_nothing(view.next(), &looks_for, now_ms) {
            return Ok(None);
        }
        let manifest = view.manifest();
        let cleaned_to = manifest.cleaned.last().map_or(manifest.log_start, |clean| clean.0);
        let above = view.entries_from(cleaned_to, ENTRIES_MAX).await?;
        // Of a dirty range that does not fit, the beginning is one whatever its share is.
        let is_long = above.len() == ENTRIES_MAX;
        let bytes = above.iter().filter_map(Entry::segment).map(|segment| segment.meta.payload_bytes).sum();
        let clean_bytes = manifest.sums().map_or(0, |sums| sums.payload_bytes.saturating_sub(bytes));
        let dirty = match choose::dirty(if is_long { 0 } else { clean_bytes }, &above, policy, now_ms) {
            Due::Now(dirty) => dirty,
            Due::NotBefore(at_ms) => {
                looked.note_nothing(manifest.next, looks_for, at_ms);
                return Ok(None);
            }
        };
        drop(above);
        let plan = Plan {
            dirty,
            tombstones_below: choose::horizon(&manifest.cleaned, policy.delete_retention_ms, now_ms),
            segment_bytes: policy.segment_bytes,
            seeds: [self.random.u64(), self.random.u64()],
        };
        let memory = self.budget.capacity();
        let _permit = self.budget.acquire(memory / TABLE_SHARE + memory / MARKS_SHARE + spec.memory_bytes()).await;
        let mut done = self.rewrite(partition, &view, &plan, spec, memory).await?;
        // Only now has everything below the point been compacted.
        let delete_retention_ms = policy.delete_retention_ms;
        partition.commit(Change::Cleaned { to: dirty.next, delete_retention_ms }).await?;
        done.clean_to = Some(dirty.next);
        Ok(Some(done))
    }

    /// Merges one run of small neighbours, if there is any.
    ///
    /// # Errors
    /// [`RewriteError`]. A segment that cannot be read is in no run for a while.
    pub async fn merge(
        &self,
        partition: &PartitionArchive,
        size: &Size,
        spec: &SegmentSpec,
        looked: &mut Looked,
    ) -> Result<Option<Done>, RewriteError> {
        let now_ms = self.clock.now_ms();
        let view = partition.view();
        let next = view.next();
        while !looked.found_nothing(next, &For::Merges(*size), now_ms) {
            let is_merged = |sums: &Sums| choose::is_merged(sums, size);
            let entries = view.entries_where(looked.merged_to(size), ENTRIES_AT_ONCE, &is_merged).await?;
            let is_end = entries.len() < ENTRIES_AT_ONCE || entries.last().is_some_and(|last| last.next() == next);
            let newest_ms = entries.iter().filter_map(Entry::segment).map(|segment| segment.sealed_ms).max();
            let quiet_at = newest_ms.map_or(i64::MAX, |ms| ms.saturating_add(QUIET_MS));
            let is_quiet = is_end && quiet_at <= now_ms;
            let avoid = |segment: &SegmentEntry| looked.avoids(&segment.name, now_ms);
            let look = Look { entries: &entries, avoid: &avoid, is_quiet };
            if let Some(run) = choose::merge(&look, size) {
                let run = &entries[run.from..run.to];
                let bytes = run.iter().filter_map(Entry::segment).map(|segment| segment.meta.weight()).sum();
                let spec = spec.clone().expecting(bytes);
                let _permit = self.budget.acquire(spec.memory_bytes()).await;
                let mut done = Done::default();
                if let Err(error) = self.swap(partition, run, Vec::new(), &spec, &mut done).await {
                    let damaged = run.iter().filter_map(Entry::segment);
                    let damaged = damaged.filter(|segment| error.is_of(&self.store, &view.path_of(segment)));
                    damaged.for_each(|segment| looked.avoid(&segment.name, now_ms));
                    return Err(error);
                }
                return Ok(Some(done));
            }
            let open = choose::open_from(&look, size);
            let open_at = entries.get(open).map(Entry::first);
            if is_end {
                looked.note_merged(size, open_at.unwrap_or(next));
                looked.note_nothing(next, For::Merges(*size), if is_quiet { i64::MAX } else { quiet_at });
            } else {
                let end = entries.last().map_or(next, Entry::next);
                looked.note_merged(size, open_at.filter(|_| open > 0).unwrap_or(end));
            }
        }
        Ok(None)
    }

    /// Piece by piece, as many entries as fit, and of these window by window: marks what gave way, then writes the runs
    /// anew. All pieces are read of the version that the round began with.
    async fn rewrite(
        &self,
        partition: &PartitionArchive,
        view: &View,
        plan: &Plan,
        spec: &SegmentSpec,
        memory: u64,
    ) -> Result<Done, RewriteError> {
        let scanner = Scanner { store: self.store.clone(), view: view.clone(), tasks: self.tasks.clone() };
        let capacity = KeyTable::capacity_of(memory / TABLE_SHARE);
        let mut passes = plan.dirty.records.div_ceil(capacity).max(1);
        let mut table = None;
        let mut done = Done::default();
        let mut at = view.manifest().first().max(view.manifest().log_start);
        let mut entries = Vec::new();
        while at < plan.dirty.next || !entries.is_empty() {
            at = fill(view, &mut entries, at, plan.dirty.next).await?;
            let (runs, taken) = choose::closed_runs(&entries, plan.segment_bytes, at >= plan.dirty.next);
            for window in choose::windows(&entries, &runs, memory / MARKS_SHARE * 8) {
                let marks = loop {
                    match self.mark(&scanner, &entries, plan, window, passes, &mut table).await? {
                        Ok(marks) => break marks,
                        // Hashes are even, but a pass may get a few more than its share.
                        Err(Overfull) if passes < PASSES_MAX => (passes, table) = (passes * 2, None),
                        Err(Overfull) => return Err(RewriteError::Thread("the keys do not fit the memory".to_owned())),
                    }
                };
                let mut marks = marks.into_iter();
                for run in window {
                    let entries = &entries[run.from..run.to];
                    let segments = entries.iter().filter(|entry| entry.segment().is_some()).count();
                    let marks: Vec<Marks> = marks.by_ref().take(segments).collect();
                    if run.is_worth_it || marks.iter().any(Marks::any) {
                        self.swap(partition, entries, marks, spec, &mut done).await?;
                    }
                }
            }
            entries.drain(..taken);
        }
        Ok(done)
    }

    /// Marks, for every segment of the window's runs in order, the records that gave way.
    async fn mark(
        &self,
        scanner: &Scanner,
        entries: &[Entry],
        plan: &Plan,
        window: &[Run],
        passes: u64,
        table: &mut Option<Arc<KeyTable>>,
    ) -> Result<Result<Vec<Marks>, Overfull>, RewriteError> {
        let of_window = || window.iter().flat_map(|run| &entries[run.from..run.to]).filter_map(Entry::segment);
        let mut marks: Vec<Marks> = of_window().map(|segment| Marks::new(segment.meta.records)).collect();
        for index in 0..passes {
            let keys = match table.take() {
                Some(keys) if passes == 1 => keys,
                _ => match self.keys(scanner, plan, Pass { index, passes }).await? {
                    Ok(keys) => Arc::new(keys),
                    Err(overfull) => return Ok(Err(overfull)),
                },
            };
            for (segment, marks) in of_window().zip(&mut marks) {
                let (keys, horizon) = (keys.clone(), plan.tombstones_below);
                let state = std::mem::take(marks);
                // Whether there is a value matters only where tombstones go.
                let part = if segment.meta.first_offset < horizon { Part::Whole } else { Part::Keys };
                let scanned = scanner.scan(segment, part, state, move |marks: &mut Marks, row, record| {
                    if gives_way(&keys, record, horizon) {
                        marks.set(row);
                    }
                    Ok(())
                });
                *marks = scanned.await?;
            }
            *table = Some(keys);
        }
        Ok(Ok(marks))
    }

    /// The newest offset of each key of the dirty range that falls into the pass.
    async fn keys(
        &self,
        scanner: &Scanner,
        plan: &Plan,
        pass: Pass,
    ) -> Result<Result<KeyTable, Overfull>, RewriteError> {
        let share = plan.dirty.records / pass.passes;
        let expected = if pass.passes == 1 { share } else { share + share / 4 };
        let mut state = (KeyTable::new(plan.seeds, pass, expected), false);
        let mut at = plan.dirty.first;
        while at < plan.dirty.next {
            let mut dirty = Vec::new();
            at = fill(&scanner.view, &mut dirty, at, plan.dirty.next).await?;
            for segment in dirty.iter().filter_map(Entry::segment) {
                let scanned = scanner.scan(segment, Part::Keys, state, |(table, overfull), _, record| {
                    *overfull |= record.key.is_some_and(|key| table.put(key, record.offset).is_err());
                    Ok(())
                });
                state = scanned.await?;
                if state.1 {
                    return Ok(Err(Overfull));
                }
            }
        }
        Ok(Ok(state.0))
    }

    /// Writes the segments of a run anew without what is marked, and swaps them.
    async fn swap(
        &self,
        partition: &PartitionArchive,
        entries: &[Entry],
        marks: Vec<Marks>,
        spec: &SegmentSpec,
        done: &mut Done,
    ) -> Result<(), RewriteError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let (first, next) = (first.first(), last.next());
        let segments: Vec<&SegmentEntry> = entries.iter().filter_map(Entry::segment).collect();
        let name = partition.begin_segment(first);
        let spec = SegmentSpec { first_offset: first, ..spec.clone() };
        let scanner = Scanner { store: self.store.clone(), view: partition.view(), tasks: self.tasks.clone() };
        let written = write::write(&scanner, name.path(), spec, next, &segments, marks).await?;
        let dropped = written.dropped;
        let output = write::entry(entries, (first, next), name.name(), written);
        let inputs = segments.iter().map(|segment| segment.name.clone()).collect();
        partition.commit(Change::Replace(Replace { first, next, inputs, outputs: vec![output], dropped })).await?;
        done.segments += segments.len() as u64;
        done.dropped += dropped.records;
        done.payload_bytes += segments.iter().map(|segment| segment.meta.payload_bytes).sum::<u64>();
        Ok(())
    }
}

/// Whether a record is left out: there is a newer one of its key, or it is a tombstone that has done its work.
fn gives_way(keys: &KeyTable, record: RecordRef<'_>, tombstones_below: i64) -> bool {
    let Some(key) = record.key else { return true };
    keys.newest(key).is_some_and(|newest| newest > record.offset)
        || (record.value.is_none() && record.offset < tombstones_below)
}

/// Adds the entries from `at` on that end at or below `next`, until [`ENTRIES_MAX`] are together; returns where the last of
/// them ends, or `next`.
async fn fill(view: &View, entries: &mut Vec<Entry>, mut at: i64, next: i64) -> Result<i64, ArchiveError> {
    while at < next && entries.len() < ENTRIES_MAX {
        let count = (ENTRIES_MAX - entries.len()).min(ENTRIES_AT_ONCE);
        let more = view.entries_from(at, count).await?;
        let below = more.iter().take_while(|entry| entry.next() <= next).count();
        at = if below < more.len() { next } else { more.last().map_or(next, Entry::next) };
        entries.extend(more.into_iter().take(below));
    }
    Ok(at)
}

/// One bit for each record of a segment.
#[derive(Clone, Debug, Default)]
pub(in crate::archive) struct Marks(Vec<u64>);

impl Marks {
    fn new(records: u64) -> Self {
        Self(vec![0; usize::try_from(records.div_ceil(64)).unwrap_or(0)])
    }

    fn set(&mut self, row: u64) {
        if let Some(word) = self.0.get_mut(usize::try_from(row / 64).unwrap_or(usize::MAX)) {
            *word |= 1 << (row % 64);
        }
    }

    fn get(&self, row: u64) -> bool {
        self.0.get(usize::try_from(row / 64).unwrap_or(usize::MAX)).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    fn any(&self) -> bool {
        self.0.iter().any(|word| *word != 0)
    }
}

#[cfg(test)]
mod tests;
