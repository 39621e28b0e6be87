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
//! Small neighbours of one size class become one segment; nothing is left out.
//!
//! # The swap
//! A rewritten run becomes visible by one manifest version that names its inputs ([`Replace`]); the version is refused unless
//! hashes and counts of outputs and dropped records add up to those of the inputs. Readers that are inside of an input go on
//! reading it until it is collected. A crash leaves orphans and whole runs: the next round begins with what is there.
//!
//! | file | what it does |
//! |---|---|
//! | [`choose`] | what to rewrite and when (pure) |
//! | `keys` | the table of keys (pure) |
//! | `scan` | the records of segments, one after the other |
//! | `write` | one run: read, leave out, encode, upload |
pub mod choose;
mod keys;
mod scan;
mod write;

use std::sync::Arc;

use self::choose::{Plan, Policy, Run, Size};
use self::keys::{KeyTable, Overfull, Pass};
use super::manifest::model::{Entry, SegmentEntry};
use super::manifest::{Change, PartitionArchive, Replace};
use super::segment::{SegmentError, SegmentSpec};
use super::{ArchiveError, CommitError};
use crate::base::tasks::Tasks;
use crate::base::{ByteBudget, Clock, Random};
use crate::record::RecordRef;
use crate::store::{Store, StoreError};
use scan::{Part, Scanner};

/// Entries that are asked of the manifest at once.
const ENTRIES_AT_ONCE: usize = 256;
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
    ) -> Result<Option<Done>, RewriteError> {
        let now_ms = self.clock.now_ms();
        let manifest = partition.head();
        let entries = live(partition).await?;
        let cleaned_to = manifest.cleaned.last().map_or(manifest.log_start, |clean| clean.0);
        let Some(dirty) = choose::dirty(&entries, cleaned_to, policy, now_ms) else { return Ok(None) };
        let plan = Plan {
            dirty,
            tombstones_below: choose::horizon(&manifest.cleaned, policy.delete_retention_ms, now_ms),
            runs: choose::runs(&entries, dirty.next, policy.segment_bytes),
            seeds: [self.random.u64(), self.random.u64()],
        };
        let memory = self.budget.capacity();
        let _permit = self.budget.acquire(memory / TABLE_SHARE + memory / MARKS_SHARE + 2 * spec.block_bytes).await;
        let mut done = self.rewrite(partition, &entries, &plan, spec, memory).await?;
        let delete_retention_ms = policy.delete_retention_ms;
        partition.commit(Change::Cleaned { to: dirty.next, delete_retention_ms }).await?;
        done.clean_to = Some(dirty.next);
        Ok(Some(done))
    }

    /// Merges one run of small neighbours, if there is any.
    ///
    /// # Errors
    /// [`RewriteError`].
    pub async fn merge(
        &self,
        partition: &PartitionArchive,
        size: &Size,
        spec: &SegmentSpec,
    ) -> Result<Option<Done>, RewriteError> {
        let entries = partition.head().entries.clone();
        let Some(run) = choose::merge(&entries, size) else { return Ok(None) };
        let _permit = self.budget.acquire(2 * spec.block_bytes).await;
        let mut done = Done::default();
        self.swap(partition, &entries[run.from..run.to], Vec::new(), spec, &mut done).await?;
        Ok(Some(done))
    }

    /// Window by window: marks what gave way, then writes the runs anew.
    async fn rewrite(
        &self,
        partition: &PartitionArchive,
        entries: &[Entry],
        plan: &Plan,
        spec: &SegmentSpec,
        memory: u64,
    ) -> Result<Done, RewriteError> {
        let scanner = Scanner { store: self.store.clone(), view: partition.view(), tasks: self.tasks.clone() };
        let capacity = KeyTable::capacity_of(memory / TABLE_SHARE);
        let mut passes = plan.dirty.records.div_ceil(capacity).max(1);
        let mut table = None;
        let mut done = Done::default();
        for window in choose::windows(entries, &plan.runs, memory / MARKS_SHARE * 8) {
            let marks = loop {
                match self.mark(&scanner, entries, plan, window, passes, &mut table).await? {
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
                _ => match self.keys(scanner, entries, plan, Pass { index, passes }).await? {
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
        entries: &[Entry],
        plan: &Plan,
        pass: Pass,
    ) -> Result<Result<KeyTable, Overfull>, RewriteError> {
        let share = plan.dirty.records / pass.passes;
        let expected = if pass.passes == 1 { share } else { share + share / 4 };
        let mut state = (KeyTable::new(plan.seeds, pass, expected), false);
        let dirty = entries.iter().filter(|e| e.first() >= plan.dirty.first && e.next() <= plan.dirty.next);
        for segment in dirty.filter_map(Entry::segment) {
            let scanned = scanner.scan(segment, Part::Keys, state, |(table, overfull), _, record| {
                *overfull |= record.key.is_some_and(|key| table.put(key, record.offset).is_err());
                Ok(())
            });
            state = scanned.await?;
            if state.1 {
                return Ok(Err(Overfull));
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

/// All live entries from the log start on.
async fn live(partition: &PartitionArchive) -> Result<Vec<Entry>, ArchiveError> {
    let view = partition.view();
    let mut at = view.manifest().first().max(view.manifest().log_start);
    let mut all = Vec::new();
    loop {
        let more = view.entries_from(at, ENTRIES_AT_ONCE).await?;
        let Some(last) = more.last() else { return Ok(all) };
        at = last.next();
        all.extend(more);
    }
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
