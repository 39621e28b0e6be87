//! One read of the cold tier, from the lookup to the answer.
use std::sync::Arc;

use bytes::Bytes;

use super::count::Counts;
use super::encode::EncodedSlice;
use super::engine::{Engine, Flight};
use super::error::ColdError;
use super::plan;
use super::segments::StoredSegments;
use super::source::{Entry, EntryLookup, Look, OpenSegment, SegmentRef, SegmentSource};
use super::streams::{self, Ended, Streams};
use crate::base::tasks::Tasks;
use crate::base::{Clock, Limits, Metrics, Uuid};
use crate::record::Codec;
use crate::store::Store;

/// Reads sealed history; cheap to clone. One per process: its caches and budgets are the process's.
#[derive(Clone)]
pub struct ColdReader {
    pub(super) engine: Arc<Engine>,
    streams: Arc<Streams>,
    clock: Clock,
    tasks: Tasks,
}

/// Whose history is read, and how its batches should come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdTarget {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// `esker.replay.compression`: how batches are compressed.
    pub codec: Codec,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdRequest {
    /// The first offset.
    pub from: i64,
    /// No batch begins at or above this offset (the last one may reach beyond it).
    pub until: i64,
    /// Wait until there are so many bytes of batches; 0: answer with the first slice and what else is in memory.
    pub min_bytes: usize,
    /// No more bytes of batches than this, but always one batch if there is any.
    pub max_bytes: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColdRead {
    /// Whole Kafka v2 batches. The first may begin below the offset asked for, and ends at or above it.
    pub batches: Vec<Bytes>,
    /// Bytes of all batches.
    pub bytes: usize,
    /// Where to go on: after the last record, or, if nothing but gaps follows it up to an entry's end, after those, but
    /// not beyond `until` for a gap's sake. Equal to `from` only when nothing is sealed at or above it.
    pub next: i64,
}

/// A read under way.
struct Reading<'a> {
    reader: &'a ColdReader,
    target: &'a ColdTarget,
    entries: &'a Arc<dyn EntryLookup>,
    want: ColdRequest,
    read: ColdRead,
    /// The first offset after the last record taken.
    after: Option<i64>,
    /// Bytes to read ahead; `None` when the read continues no stream.
    window: Option<u64>,
    ahead_begun: bool,
}

/// How an entry was left.
#[derive(PartialEq, Eq)]
enum Left {
    /// Nothing more in it.
    Exhausted,
    /// Enough was read, or what follows is not in memory.
    Enough,
}

impl ColdReader {
    /// A reader of the bucket.
    pub fn new(store: Store, limits: &Limits, clock: &Clock, tasks: Tasks, metrics: &Metrics) -> Self {
        Self::over(Arc::new(StoredSegments { store }), limits, clock, tasks, metrics)
    }

    /// A reader over any source of segments: for tests.
    pub fn over(
        source: Arc<dyn SegmentSource>,
        limits: &Limits,
        clock: &Clock,
        tasks: Tasks,
        metrics: &Metrics,
    ) -> Self {
        let engine = Engine::new(source, limits, tasks.clone(), Counts::new(metrics));
        Self { engine: Arc::new(engine), streams: Arc::default(), clock: clock.clone(), tasks }
    }

    /// Reads batches from `want.from` on. Cancel-safe: a fetch that this read began goes on and leaves its slices in the
    /// cache, so that a repetition finds them.
    ///
    /// Errors: [`ColdError`] when the slice at `want.from` cannot be read. What was read before an error is answered
    /// without it; the next read meets it.
    pub async fn read(
        &self,
        target: &ColdTarget,
        entries: &Arc<dyn EntryLookup>,
        want: ColdRequest,
    ) -> Result<ColdRead, ColdError> {
        let window = self.streams.window(target.topic_id, target.partition, want.from);
        let read = ColdRead { next: want.from, ..ColdRead::default() };
        let mut reading =
            Reading { reader: self, target, entries, want, read, after: None, window, ahead_begun: false };
        reading.run().await?;
        let Reading { read, after, window, .. } = reading;
        let ended =
            Ended { from: want.from, after: after.unwrap_or(read.next), next: read.next, window: window.unwrap_or(0) };
        self.streams.ended(target.topic_id, target.partition, ended, self.clock.elapsed());
        self.engine.counts.served_bytes.inc_by(read.bytes as u64);
        Ok(read)
    }
}

impl Reading<'_> {
    async fn run(&mut self) -> Result<(), ColdError> {
        let mut look = Look::Known;
        while self.read.next < self.want.until && !self.is_full() {
            match self.step(look).await {
                Ok(Left::Exhausted) => look = Look::Known,
                Ok(Left::Enough) => break,
                // A merge or retention may have replaced the object since its entry was looked up.
                Err(ColdError::Missing { .. }) if look == Look::Known => look = Look::Again,
                Err(error) if self.read.batches.is_empty() => return Err(error),
                Err(_) => break, // what was read before is an answer; the next read meets the error
            }
        }
        Ok(())
    }

    /// Reads what the next entry has.
    async fn step(&mut self, look: Look) -> Result<Left, ColdError> {
        match self.entry(look).await? {
            None => Ok(Left::Enough),
            Some(Entry::Gap { next_offset, .. }) => {
                self.skip_to(next_offset);
                Ok(Left::Exhausted)
            }
            Some(Entry::Segment(segment)) => {
                self.skip_to(segment.first_offset());
                let left = self.segment(&segment).await?;
                if left == Left::Exhausted {
                    self.skip_to(segment.next_offset());
                }
                Ok(left)
            }
        }
    }

    async fn entry(&self, look: Look) -> Result<Option<Entry>, ColdError> {
        let offset = self.read.next;
        let entry = self.entries.entry_at(offset, look).await?;
        if entry.as_ref().is_some_and(|entry| entry.next_offset() <= offset) {
            return Err(ColdError::Lookup {
                offset,
                partition: self.target.partition,
                message: "it names an entry that ends before the offset; run `esker fsck`".into(),
                retriable: false,
            });
        }
        Ok(entry)
    }

    async fn segment(&mut self, segment: &SegmentRef) -> Result<Left, ColdError> {
        let open = if self.is_satisfied() {
            match self.reader.engine.open_now(segment) {
                Some(open) => open,
                None => return Ok(Left::Enough),
            }
        } else {
            self.reader.engine.open(segment).await?
        };
        let slices = open.slices();
        for (index, slice) in slices.iter().enumerate().skip(plan::slice_at(slices, self.read.next)) {
            if slice.first_offset >= self.want.until {
                self.skip_to(self.want.until);
                return Ok(Left::Enough);
            }
            let encoded = if self.is_satisfied() {
                match self.reader.engine.slice_now(segment, index, self.target.codec) {
                    Some(encoded) => encoded,
                    None => return Ok(Left::Enough),
                }
            } else {
                self.slice(segment, &open, index).await?
            };
            if !self.take(&encoded) {
                return Ok(Left::Enough);
            }
        }
        Ok(Left::Exhausted)
    }

    /// Asks for a slice, begins to read ahead, then waits.
    async fn slice(
        &mut self,
        segment: &SegmentRef,
        open: &Arc<dyn OpenSegment>,
        index: usize,
    ) -> Result<Arc<EncodedSlice>, ColdError> {
        let reader = self.reader;
        let end = match self.window {
            Some(_) => plan::demand_end(open.slices(), index, self.want.max_bytes as u64),
            None => index + 1,
        };
        let flight = reader.engine.slice(segment, open, index..end, self.target.codec);
        let info = &open.slices()[index];
        self.begin_ahead(matches!(flight, Flight::Underway(_)), plan::encoded_bytes(info), info.next_offset);
        match flight {
            Flight::Landed(encoded) => Ok(encoded),
            Flight::Underway(waiter) => {
                let began = reader.clock.elapsed();
                let landed = Engine::landed(&segment.path, waiter).await;
                reader.engine.counts.wait.observe((reader.clock.elapsed().saturating_sub(began)).as_secs_f64());
                landed
            }
        }
    }

    /// Once a read: sizes the window and sends somebody ahead.
    fn begin_ahead(&mut self, waits: bool, slice_bytes: u64, from: i64) {
        if std::mem::replace(&mut self.ahead_begun, true) {
            return;
        }
        let reader = self.reader;
        let share = reader.engine.ahead_share(reader.streams.active(reader.clock.elapsed()));
        self.window = self.window.map(|window| streams::grown(window, waits, slice_bytes, share));
        // A read that waits for many bytes has said so: they are fetched together, in sequence or not.
        let bytes = self.window.unwrap_or(0).max((self.want.min_bytes as u64).min(share));
        if bytes > 0 {
            let ahead =
                Ahead { engine: reader.engine.clone(), entries: self.entries.clone(), codec: self.target.codec };
            reader.tasks.cold.spawn(ahead.run(from, self.want.until, bytes));
        }
    }

    /// Takes the batches of a slice that end at or above the position; false when the answer is full.
    fn take(&mut self, slice: &EncodedSlice) -> bool {
        let first = slice.batches.partition_point(|batch| batch.last_offset < self.read.next);
        for batch in &slice.batches[first..] {
            let fits = self.read.bytes + batch.bytes.len() <= self.want.max_bytes;
            if self.read.next >= self.want.until || !(fits || self.read.batches.is_empty()) {
                return false;
            }
            self.read.bytes += batch.bytes.len();
            self.read.batches.push(batch.bytes.clone());
            self.read.next = batch.last_offset + 1;
            self.after = Some(self.read.next);
        }
        true
    }

    /// Moves over offsets without records, not beyond what was asked for.
    fn skip_to(&mut self, offset: i64) {
        self.read.next = self.read.next.max(offset.min(self.want.until));
    }

    /// Whether the answer can be given: what follows is taken only if it costs no wait.
    fn is_satisfied(&self) -> bool {
        !self.read.batches.is_empty() && self.read.bytes >= self.want.min_bytes
    }

    fn is_full(&self) -> bool {
        !self.read.batches.is_empty() && self.read.bytes >= self.want.max_bytes
    }
}

/// Who runs ahead of a reader, over blocks and segments, until the window or a budget is used up.
struct Ahead {
    engine: Arc<Engine>,
    entries: Arc<dyn EntryLookup>,
    codec: Codec,
}

impl Ahead {
    /// Errors are not this task's to report: whoever reads that far meets them.
    async fn run(self, from: i64, until: i64, window: u64) {
        let (mut position, mut left) = (from, window);
        while position < until {
            match self.entries.entry_at(position, Look::Known).await {
                Ok(Some(Entry::Gap { next_offset, .. })) if next_offset > position => position = next_offset,
                Ok(Some(Entry::Segment(segment))) if segment.next_offset() > position => {
                    let Ok(open) = self.engine.open(&segment).await else { return };
                    let Some(rest) = self.segment(&segment, &open, position, until, window, left) else { return };
                    (position, left) = (segment.next_offset(), rest);
                }
                _ => return,
            }
        }
    }

    /// Begins the runs of one segment; what is left of the window, or `None` when that or a budget is used up.
    fn segment(
        &self,
        segment: &SegmentRef,
        open: &Arc<dyn OpenSegment>,
        position: i64,
        until: i64,
        window: u64,
        mut left: u64,
    ) -> Option<u64> {
        let slices = open.slices();
        let mut index = plan::slice_at(slices, position);
        while index < slices.len() && slices[index].first_offset < until {
            let step = plan::run_step(window, plan::encoded_bytes(&slices[index]));
            let run = index..plan::run_of(slices, index, step).end;
            if !self.engine.ahead(segment, open, run.clone(), self.codec) {
                return None;
            }
            left = left.checked_sub(slices[run.clone()].iter().map(plan::encoded_bytes).sum())?;
            index = run.end;
        }
        Some(left)
    }
}

#[cfg(test)]
mod tests;
