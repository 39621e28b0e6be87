//! One seal: a run of batches becomes a Parquet object, and a manifest version makes it visible.
//!
//! ```text
//! blocking thread:  WAL -> batches -> records -> encoder -> chunks of the object
//! task:                                                     chunks -> upload -> manifest version
//! ```
//! The object has a name that was never used; whatever goes wrong before the commit leaves an orphan that the collector
//! removes, and the records stay in the WAL. The permit for the encoder's memory is taken before the first byte is read.
use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::plan::{self, Run};
use crate::archive::manifest::{
    self as archive, AbortedTransaction, Change, Entry, EpochStart, GapReason, Seal, SegmentEntry,
};
use crate::archive::segment::{ColumnType, SegmentEncoder, SegmentError, SegmentMeta, SegmentSpec};
use crate::archive::{ArchiveError, CommitError};
use crate::base::ByteBudget;
use crate::log::hot::Span;
use crate::log::partition::Partition;
use crate::log::producers::Producers;
use crate::log::transactions::Role;
use crate::record::{BatchError, BatchHeader, for_each_record};
use crate::store::{Store, StoreError};
use crate::wal::{Wal, WalError};

/// Bytes of batches read from the WAL at once.
const READ_BYTES: u64 = 4 << 20;
/// What a batch may unpack to: it passed this when it was produced.
const UNPACKED_MAX: u64 = i32::MAX as u64;
/// How many times as large as in the WAL records usually are at most.
const UNPACKED_USUAL: u64 = 4;
/// Silent producers are forgotten after this long, as Kafka's `producer.id.expiration.ms`.
pub(super) const PRODUCER_EXPIRATION_MS: i64 = 24 * 3600 * 1000;
/// Chunks of the object that wait for the upload.
const CHUNKS_WAITING: usize = 2;

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

/// What the encoder's thread learned on its way.
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
    let (mut run, log_end, from, aborted, log_start) = {
        let state = partition.state();
        if let Some(damaged) = &state.damaged {
            return Err(SealError::Damaged(damaged.why.clone()));
        }
        let until = until.min(state.decided_end());
        let spans = state.hot.from(state.sealed_end).map(|span| (*span, state.transactions.dead(span)));
        let run = plan::next_run(state.sealed_end, state.log_start, until, settings.seal_bytes, spans);
        let aborted = state.transactions.aborted_in(run.first, run.next);
        let aborted: Vec<_> = aborted.map(|a| (a.producer_id, a.first, a.last)).collect();
        (run, state.log_end, state.sealed_end, aborted, state.log_start_to_write())
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
    // What a cut leaves of a transaction that was aborted has to be known as such.
    let cut = aborted.into_iter().filter(|(_, first, last)| *first < run.next && *last >= run.next);
    let producers = producers.to_archive(&open, cut.map(AbortedTransaction::from).collect());
    let seal = Seal { first: from, next: run.next, log_end, entries, epochs, producers, log_start };
    let manifest = archive.commit(Change::Seal(seal)).await?;
    partition.committed(&manifest);
    Ok(sealed)
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

/// Encodes `run` on a thread of the cold runtime while the object is uploaded.
async fn upload(
    partition: &Partition,
    store: &Store,
    path: &str,
    spec: SegmentSpec,
    run: &Run,
    seal_bytes: u64,
    books: Books,
) -> Result<Encoded, SealError> {
    let (chunks, mut finished) = mpsc::channel::<Bytes>(CHUNKS_WAITING);
    let (wal, first, spans) = (partition.0.core.wal.clone(), run.first, run.spans.clone());
    let seal_bytes = seal_bytes.min(spec.weight_max());
    let work = move || encode(&wal, spec, &spans, (first, seal_bytes), books, &chunks);
    let encoding = partition.0.core.env.tasks.cold.spawn_blocking(work);
    let mut upload = store.upload(path).await?;
    let mut failed = None;
    while let Some(chunk) = finished.recv().await {
        if let Err(error) = upload.write(chunk).await {
            failed = Some(error);
            break;
        }
    }
    drop(finished);
    let encoded = encoding.await.map_err(|e| SealError::Thread(e.to_string()));
    match (failed, encoded) {
        (None, Ok(Ok(encoded))) => {
            let uploaded = upload.finish().await?;
            if uploaded != encoded.meta.size {
                return Err(SealError::Size { uploaded, made: encoded.meta.size });
            }
            Ok(encoded)
        }
        (failed, encoded) => {
            let _ = upload.abort().await; // the first error is the one that matters
            Err(match (failed, encoded) {
                (Some(error), _) => error.into(),
                (None, Ok(Err(error))) | (None, Err(error)) => error,
                (None, Ok(Ok(_))) => SealError::Thread("unknown".to_owned()),
            })
        }
    }
}

/// Reads the batches and pushes their records, keeping the books on producers and epochs, until `seal_bytes` of payload are
/// together: the plan knows only what batches take in the WAL, compressed. Runs on a blocking thread.
fn encode(
    wal: &Wal,
    spec: SegmentSpec,
    spans: &[(Span, Option<GapReason>)],
    (first, seal_bytes): (i64, u64),
    mut books: Books,
    chunks: &mpsc::Sender<Bytes>,
) -> Result<Encoded, SealError> {
    let mut encoder = SegmentEncoder::new(spec)?;
    let mut scratch = Vec::new();
    let (mut taken, mut next) = (0, first);
    'run: for part in parts(spans) {
        let positions: Vec<_> = part.iter().map(|(s, _)| s.position).collect();
        for (batch, (span, dead)) in wal.read(&positions, false)?.iter().zip(part) {
            if encoder.weight() >= seal_bytes {
                break 'run;
            }
            (taken, next) = (taken + 1, span.next);
            books.enter(&BatchHeader::parse(batch)?, span);
            if dead.is_some() {
                continue;
            }
            for_each_record(batch, UNPACKED_MAX, &mut scratch, |record| {
                if record.offset >= first { encoder.push(&record).map_err(SealError::from) } else { Ok(()) }
            })?;
            if !send(chunks, encoder.take_output()) {
                return Err(SealError::Thread("the upload ended".to_owned()));
            }
        }
    }
    let mixed = encoder.mixed();
    let (rest, meta) = encoder.finish(next)?;
    send(chunks, rest);
    Ok(Encoded { meta, taken, books, mixed })
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
    let done = partition.0.core.env.tasks.cold.spawn_blocking(work).await;
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

/// Hands chunks to the upload; false if it ended.
fn send(chunks: &mpsc::Sender<Bytes>, made: Vec<Bytes>) -> bool {
    made.into_iter().all(|chunk| chunks.blocking_send(chunk).is_ok())
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
