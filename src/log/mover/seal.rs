//! One seal: a run of batches becomes a Parquet object, and a manifest version makes it visible.
//!
//! ```text
//! blocking, step by step:  WAL -> batches -> records -> encoder -> chunks of the object
//! task:                                                            chunks -> upload -> manifest version
//! ```
//! The object has a name that was never used; whatever goes wrong before the commit leaves an orphan that the collector
//! removes, and the records stay in the WAL. The permit for the encoder's memory is taken before the first byte is read.
use std::collections::BTreeMap;

use bytes::Bytes;

use super::plan::{self, Run};
use crate::archive::manifest::{
    self as archive, AbortedTransaction, Change, Entry, EpochStart, GapReason, Seal, SegmentEntry,
};
use crate::archive::segment::{ColumnType, SegmentEncoder, SegmentError, SegmentMeta, SegmentSpec};
use crate::archive::{ArchiveError, CommitError};
use crate::base::ByteBudget;
use crate::base::tasks::Tasks;
use crate::log::hot::Span;
use crate::log::partition::Partition;
use crate::log::producers::Producers;
use crate::log::transactions::Role;
use crate::record::{BatchError, BatchHeader, for_each_record};
use crate::store::{Store, StoreError, Upload};
use crate::wal::{Wal, WalError};

/// Bytes of batches read from the WAL at once.
const READ_BYTES: u64 = 4 << 20;
/// What a batch may unpack to: it passed this when it was produced.
const UNPACKED_MAX: u64 = i32::MAX as u64;
/// How many times as large as in the WAL records usually are at most.
const UNPACKED_USUAL: u64 = 4;
/// Silent producers are forgotten after this long, as Kafka's `producer.id.expiration.ms`.
pub(super) const PRODUCER_EXPIRATION_MS: i64 = 24 * 3600 * 1000;

/// Why a seal did not come to its end. The records stay in the WAL.
#[derive(Debug, thiserror::Error)]
pub(in crate::log) enum SealError {
    #[error("{0}")]
    Damaged(String),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error("a batch of the WAL cannot be read: {0}")]
    Batch(#[from] BatchError),
    #[error("the encoder's thread ended early: {0}")]
    Thread(String),
    #[error("the upload has {uploaded} bytes, the encoder made {made}")]
    Size { uploaded: u64, made: u64 },
}

impl SealError {
    /// Whether another broker owns the bucket.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Commit(e) if e.is_fenced())
    }

    /// Whether only the store kept it from succeeding.
    pub fn is_store_away(&self) -> bool {
        match self {
            Self::Commit(e) => e.is_retriable(),
            Self::Archive(e) => e.is_retriable(),
            Self::Store(e) => e.is_retriable(),
            Self::Segment(e) => e.is_retriable(),
            _ => false,
        }
    }
}

/// What a finished seal did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sealed {
    pub records: u64,
    pub payload_bytes: u64,
    pub stored_bytes: u64,
    /// End of the sealed range; the same as before if there was nothing to seal.
    pub end: i64,
}

/// What the encoding learned on its way.
struct Encoded {
    meta: SegmentMeta,
    /// Batches of the run that are in it, or are counted as dead: all, unless their payload came to a whole segment before.
    taken: usize,
    books: Books,
    mixed: (bool, bool),
}

/// What a manifest says of producers, transactions and epochs, as of the batches that were read.
struct Books {
    producers: Producers,
    /// Where each transaction begins that no batch below has ended.
    open: BTreeMap<i64, i64>,
    epochs: Vec<EpochStart>,
}

impl Books {
    /// As of the end of the sealed range.
    fn of(known: &archive::Producers) -> Self {
        let open = known.producers.iter().filter(|p| p.open_from >= 0).map(|p| (p.id, p.open_from));
        Self { producers: Producers::from_archive(known), open: open.collect(), epochs: Vec::new() }
    }

    fn enter(&mut self, header: &BatchHeader, span: &Span) {
        self.producers.observe(header, span.append_time);
        match span.role {
            Role::Plain => {}
            Role::Part(producer_id) => drop(self.open.entry(producer_id).or_insert(span.base)),
            Role::Control => drop(self.open.remove(&header.producer_id)),
        }
        if self.epochs.last().is_none_or(|e| e.epoch() < header.leader_epoch) {
            self.epochs.push(EpochStart(header.leader_epoch, header.base_offset));
        }
    }
}

/// Seals the next run of `partition` below `until`, if there is any.
pub(super) async fn seal_next(
    partition: &Partition,
    store: &Store,
    budget: &ByteBudget,
    until: i64,
) -> Result<Sealed, SealError> {
    let _one = partition.0.sealing.lock().await;
    // A commit of which nobody knew whether it succeeded may have: then its range is sealed already.
    partition.committed(&*partition.0.archive.settle().await?);
    let settings = partition.settings();
    let (mut run, log_end, from, log_starts) = {
        let state = partition.state();
        if let Some(damaged) = &state.damaged {
            return Err(SealError::Damaged(damaged.why.clone()));
        }
        let until = until.min(state.decided_end());
        let spans = state.hot.from(state.sealed_end).map(|span| (*span, state.transactions.dead(span)));
        let run = plan::next_run(state.sealed_end, state.log_start, until, settings.seal_bytes, spans);
        (run, state.log_end, state.sealed_end, state.log_starts_to_write())
    };
    if run.next <= from {
        return Ok(Sealed { end: from, ..Sealed::default() });
    }
    let archive = &partition.0.archive;
    let mut books = Books::of(&archive.producers().await?);
    let mut entries: Vec<Entry> = run.gaps.iter().cloned().map(Entry::Gap).collect();
    let mut sealed = Sealed { end: run.next, ..Sealed::default() };
    if !run.leading.is_empty() {
        books = keep_books(partition, run.leading.clone(), books).await?;
    }
    let name = archive.begin_segment(run.first);
    if !run.spans.is_empty() {
        let bytes: u64 = run.spans.iter().map(|(s, _)| u64::from(s.position.len)).sum();
        // What is in the batches is known when they are unpacked; the more it is, the more blocks there are.
        let spec = spec_of(partition, &settings, run.first, budget.capacity()).expecting(bytes * UNPACKED_USUAL);
        let _memory = budget.acquire(spec.memory_bytes() + READ_BYTES.min(bytes)).await;
        let encoded = upload(partition, store, name.path(), spec, &run, settings.seal_bytes, books).await?;
        run.spans.truncate(encoded.taken);
        run.next = encoded.meta.next_offset;
        sealed.end = run.next;
        warn_of_mixed(partition, encoded.mixed);
        sealed.records = encoded.meta.records;
        sealed.payload_bytes = encoded.meta.payload_bytes;
        sealed.stored_bytes = encoded.meta.size;
        books = encoded.books;
        let dead =
            |reason| run.spans.iter().filter(move |(_, dead)| *dead == Some(reason)).map(|(s, _)| offsets(s)).sum();
        entries.push(Entry::Segment(Box::new(SegmentEntry {
            name: name.name().to_owned(),
            root: None,
            control: dead(GapReason::Control),
            aborted: dead(GapReason::Aborted),
            compacted: 0,
            sealed_ms: partition.0.core.env.clock.now_ms(),
            meta: encoded.meta,
            unknown: Default::default(),
        })));
    }
    let Books { mut producers, open, epochs } = books;
    producers.expire(partition.0.core.env.clock.now_ms() - PRODUCER_EXPIRATION_MS, |id| open.contains_key(&id));
    let producers = producers.to_archive(&open, aborted_across(partition, run.next));
    let seal = Seal { first: from, next: run.next, log_end, entries, epochs, producers };
    let changes = std::iter::once(Change::Seal(seal)).chain(log_starts).collect();
    let manifest = archive.commit(Change::All(changes)).await?;
    partition.committed(&manifest);
    Ok(sealed)
}

/// The aborted transactions that the end of a seal cuts: the rest of them has to be known as such.
fn aborted_across(partition: &Partition, next: i64) -> Vec<AbortedTransaction> {
    let state = partition.state();
    let cut = state.transactions.aborted_in(next, i64::MAX).filter(|aborted| aborted.first < next);
    cut.map(|a| AbortedTransaction::from((a.producer_id, a.first, a.last))).collect()
}

pub(super) fn spec_of(
    partition: &Partition,
    settings: &crate::log::settings::TopicSettings,
    first: i64,
    budget_bytes: u64,
) -> SegmentSpec {
    let column = |binary| if binary { ColumnType::Binary } else { ColumnType::Utf8OrBinary };
    let spec = SegmentSpec::new(partition.topic_id(), partition.number(), first);
    SegmentSpec {
        key_type: column(settings.key_binary),
        value_type: column(settings.value_binary),
        key_bloom: settings.key_bloom,
        block_bytes: spec.block_bytes.min(budget_bytes / 4),
        ..spec
    }
}

/// Encodes `run` beside the tasks of the cold runtime while the object is uploaded.
async fn upload(
    partition: &Partition,
    store: &Store,
    path: &str,
    spec: SegmentSpec,
    run: &Run,
    seal_bytes: u64,
    books: Books,
) -> Result<Encoded, SealError> {
    let core = &partition.0.core;
    let encoding = Box::new(Encoding::new(&core.wal, spec, run, seal_bytes, books)?);
    let mut upload = store.upload(path).await?;
    match encode(&core.env.tasks, encoding, &mut upload).await {
        Ok(encoded) => {
            let uploaded = upload.finish().await?;
            if uploaded != encoded.meta.size {
                return Err(SealError::Size { uploaded, made: encoded.meta.size });
            }
            Ok(encoded)
        }
        Err(error) => {
            let _ = upload.abort().await; // the first error is the one that matters
            Err(error)
        }
    }
}

/// Writes what was made while the next is made.
async fn encode(tasks: &Tasks, mut encoding: Box<Encoding>, upload: &mut Upload) -> Result<Encoded, SealError> {
    let mut made = Vec::new();
    loop {
        let making = tasks.blocking_cold(move || encoding.step());
        let (step, written) = tokio::join!(making, write_all(upload, std::mem::take(&mut made)));
        written?;
        match step.map_err(|e| SealError::Thread(e.to_string()))?? {
            Step::More(rest, chunks) => (encoding, made) = (rest, chunks),
            Step::Last(encoded, chunks) => {
                write_all(upload, chunks).await?;
                return Ok(*encoded);
            }
        }
    }
}

async fn write_all(upload: &mut Upload, chunks: Vec<Bytes>) -> Result<(), StoreError> {
    for chunk in chunks {
        upload.write(chunk).await?;
    }
    Ok(())
}

/// A segment that is being made: it reads batches and pushes their records, keeping the books on producers and epochs, until
/// `seal_bytes` of payload are together: the plan knows only what batches take in the WAL, compressed.
struct Encoding {
    wal: Wal,
    encoder: SegmentEncoder,
    books: Books,
    spans: std::vec::IntoIter<(Span, Option<GapReason>)>,
    /// Batches that were read and not yet pushed; they are those of the first spans.
    read: std::vec::IntoIter<Bytes>,
    scratch: Vec<u8>,
    first: i64,
    seal_bytes: u64,
    /// Batches that were taken, and the end of the last one.
    taken: usize,
    next: i64,
}

/// What one step of an encoding made.
enum Step {
    More(Box<Encoding>, Vec<Bytes>),
    Last(Box<Encoded>, Vec<Bytes>),
}

impl Encoding {
    fn new(wal: &Wal, spec: SegmentSpec, run: &Run, seal_bytes: u64, books: Books) -> Result<Self, SealError> {
        let seal_bytes = seal_bytes.min(spec.weight_max());
        Ok(Self {
            wal: wal.clone(),
            encoder: SegmentEncoder::new(spec)?,
            books,
            spans: run.spans.clone().into_iter(),
            read: Vec::new().into_iter(),
            scratch: Vec::new(),
            first: run.first,
            seal_bytes,
            taken: 0,
            next: run.first,
        })
    }

    /// Goes on until there are bytes of the object, or all of it is made. Blocks.
    fn step(mut self: Box<Self>) -> Result<Step, SealError> {
        while !self.spans.as_slice().is_empty() && self.encoder.weight() < self.seal_bytes {
            if self.read.as_slice().is_empty() {
                let part = parts(self.spans.as_slice()).next().unwrap_or_default();
                let positions: Vec<_> = part.iter().map(|(s, _)| s.position).collect();
                self.read = self.wal.read(&positions, false)?.into_iter();
            }
            for (batch, (span, dead)) in self.read.by_ref().zip(self.spans.by_ref()) {
                (self.taken, self.next) = (self.taken + 1, span.next);
                self.books.enter(&BatchHeader::parse(&batch)?, &span);
                if dead.is_some() {
                    continue;
                }
                let (encoder, first) = (&mut self.encoder, self.first);
                for_each_record(&batch, UNPACKED_MAX, &mut self.scratch, |record| {
                    if record.offset >= first { encoder.push(&record).map_err(SealError::from) } else { Ok(()) }
                })?;
                let made = self.encoder.take_output();
                if !made.is_empty() {
                    return Ok(Step::More(self, made));
                }
                if self.encoder.weight() >= self.seal_bytes {
                    break;
                }
            }
        }
        let Self { encoder, books, taken, next, .. } = *self;
        let mixed = encoder.mixed();
        let (rest, meta) = encoder.finish(next)?;
        Ok(Step::Last(Box::new(Encoded { meta, taken, books, mixed }), rest))
    }
}

/// Enters batches whose records are not kept. Their producers go on all the same.
async fn keep_books(
    partition: &Partition,
    spans: Vec<(Span, Option<GapReason>)>,
    mut books: Books,
) -> Result<Books, SealError> {
    let wal = partition.0.core.wal.clone();
    let work = move || {
        for part in parts(&spans) {
            let positions: Vec<_> = part.iter().map(|(s, _)| s.position).collect();
            for (batch, (span, _)) in wal.read(&positions, false)?.iter().zip(part) {
                books.enter(&BatchHeader::parse(batch)?, span);
            }
        }
        Ok(books)
    };
    let done = partition.0.core.env.tasks.blocking_cold(work).await;
    done.unwrap_or_else(|e| Err(SealError::Thread(e.to_string())))
}

fn offsets(span: &Span) -> u64 {
    (span.next - span.base).unsigned_abs()
}

/// Spans in pieces of about [`READ_BYTES`].
fn parts(spans: &[(Span, Option<GapReason>)]) -> impl Iterator<Item = &[(Span, Option<GapReason>)]> {
    let mut rest = spans;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let mut n = 0;
        while n < rest.len() && (n == 0 || bytes + u64::from(rest[n].0.position.len) <= READ_BYTES) {
            bytes += u64::from(rest[n].0.position.len);
            n += 1;
        }
        let (part, more) = rest.split_at(n);
        rest = more;
        (!part.is_empty()).then_some(part)
    })
}

fn warn_of_mixed(partition: &Partition, (keys, values): (bool, bool)) {
    for (mixed, setting) in [(keys, "esker.key.type"), (values, "esker.value.type")] {
        if mixed && partition.0.core.metrics.first_mixed(partition.topic(), setting) {
            tracing::warn!(
                topic = partition.topic(),
                "some of this topic's bytes are UTF-8 and some are not, so they end up in two columns; \
                 `esker topic alter {} --config {setting}=binary` keeps them in one",
                partition.topic()
            );
        }
    }
}
