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

use super::plan::{self, Planned, Run, Took};
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
    /// Offsets of the run whose records were not kept: markers, and what was aborted.
    control: u64,
    aborted: u64,
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
    partition.committed(&partition.0.archive.settle().await?.manifest());
    let settings = partition.settings();
    let (run, log_end, from, log_starts) = {
        let state = partition.state();
        if let Some(damaged) = &state.damaged {
            return Err(SealError::Damaged(damaged.why.clone()));
        }
        let until = until.min(state.decided_end());
        let run = Run::new(state.sealed_end, state.log_start, until, settings.seal_bytes);
        (run, state.log_end, state.sealed_end, state.log_starts_to_write())
    };
    let mut run = planned(partition, run).await;
    if run.next <= from {
        return Ok(Sealed { end: from, ..Sealed::default() });
    }
    let archive = &partition.0.archive;
    let mut books = Books::of(&archive.producers().await?);
    let mut entries: Vec<Entry> = run.gaps.iter().cloned().map(Entry::Gap).collect();
    let mut sealed = Sealed { end: run.next, ..Sealed::default() };
    if run.first > from {
        books = keep_books(partition, from, run.first, books).await?;
    }
    let name = archive.begin_segment(run.first);
    if run.next > run.first {
        // What is in the batches is known when they are unpacked; the more it is, the more blocks there are.
        let spec = spec_of(partition, &settings, run.first, budget.capacity()).expecting(run.bytes * UNPACKED_USUAL);
        let _memory = budget.acquire(spec.memory_bytes() + READ_BYTES.min(run.bytes)).await;
        let encoded = upload(partition, store, name.path(), spec, &run, settings.seal_bytes, books).await?;
        run.next = encoded.meta.next_offset;
        sealed.end = run.next;
        warn_of_mixed(partition, encoded.mixed);
        sealed.records = encoded.meta.records;
        sealed.payload_bytes = encoded.meta.payload_bytes;
        sealed.stored_bytes = encoded.meta.size;
        books = encoded.books;
        entries.push(Entry::Segment(Box::new(SegmentEntry {
            name: name.name().to_owned(),
            root: None,
            control: encoded.control,
            aborted: encoded.aborted,
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
    let encoding = Box::new(Encoding::new(partition, spec, run, seal_bytes, books)?);
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
    partition: Partition,
    encoder: SegmentEncoder,
    books: Books,
    run: Run,
    /// Batches that were read and not yet pushed.
    read: std::vec::IntoIter<(Planned, Bytes)>,
    scratch: Vec<u8>,
    seal_bytes: u64,
    /// The end of the last batch that was taken.
    next: i64,
    control: u64,
    aborted: u64,
}

/// What one step of an encoding made.
enum Step {
    More(Box<Encoding>, Vec<Bytes>),
    Last(Box<Encoded>, Vec<Bytes>),
}

impl Encoding {
    fn new(
        partition: &Partition,
        spec: SegmentSpec,
        run: &Run,
        seal_bytes: u64,
        books: Books,
    ) -> Result<Self, SealError> {
        Ok(Self {
            partition: partition.clone(),
            seal_bytes: seal_bytes.min(spec.weight_max()),
            encoder: SegmentEncoder::new(spec)?,
            books,
            run: run.clone(),
            read: Vec::new().into_iter(),
            scratch: Vec::new(),
            next: run.first,
            control: 0,
            aborted: 0,
        })
    }

    /// Goes on until there are bytes of the object, or all of it is made. Blocks.
    fn step(mut self: Box<Self>) -> Result<Step, SealError> {
        while self.next < self.run.next && self.encoder.weight() < self.seal_bytes {
            if self.read.as_slice().is_empty() {
                let piece = self.partition.piece(self.next, self.run.next);
                self.read = read_batches(&self.partition.0.core.wal, piece)?.into_iter();
            }
            let Some(((span, dead), batch)) = self.read.next() else {
                let (next, end) = (self.next, self.run.next);
                return Err(SealError::Damaged(format!("offsets {next}..{end} are not in the WAL any more")));
            };
            self.next = span.next;
            self.books.enter(&BatchHeader::parse(&batch)?, &span);
            match plan::dead_below(self.run.log_start, &span, dead) {
                Some(GapReason::Control) => self.control += offsets(&span),
                Some(GapReason::Aborted) => self.aborted += offsets(&span),
                Some(_) => {}
                None => {
                    let (encoder, first) = (&mut self.encoder, self.run.first);
                    for_each_record(&batch, UNPACKED_MAX, &mut self.scratch, |record| {
                        if record.offset >= first { encoder.push(&record).map_err(SealError::from) } else { Ok(()) }
                    })?;
                    let made = self.encoder.take_output();
                    if !made.is_empty() {
                        return Ok(Step::More(self, made));
                    }
                }
            }
        }
        let Self { encoder, books, next, control, aborted, .. } = *self;
        let mixed = encoder.mixed();
        let (rest, meta) = encoder.finish(next)?;
        Ok(Step::Last(Box::new(Encoded { meta, control, aborted, books, mixed }), rest))
    }
}

/// Plans the rest of a run, piece by piece: whoever appends or reads waits for none of it.
async fn planned(partition: &Partition, mut run: Run) -> Run {
    loop {
        let piece = partition.piece(run.next, i64::MAX);
        if piece.is_empty() || piece.iter().any(|batch| run.take(batch) == Took::Nothing) {
            return run.end();
        }
        tokio::task::yield_now().await;
    }
}

/// Enters the batches of `from..until`, whose records are not kept. Their producers go on all the same.
async fn keep_books(partition: &Partition, from: i64, until: i64, mut books: Books) -> Result<Books, SealError> {
    let reads = partition.clone();
    let work = move || {
        let mut at = from;
        loop {
            let piece = reads.piece(at, until);
            let Some((last, _)) = piece.last() else { return Ok(books) };
            at = last.next;
            for ((span, _), batch) in read_batches(&reads.0.core.wal, piece)? {
                books.enter(&BatchHeader::parse(&batch)?, &span);
            }
        }
    };
    let done = partition.0.core.env.tasks.blocking_cold(work).await;
    done.unwrap_or_else(|e| Err(SealError::Thread(e.to_string())))
}

fn read_batches(wal: &Wal, piece: Vec<Planned>) -> Result<Vec<(Planned, Bytes)>, SealError> {
    let positions: Vec<_> = piece.iter().map(|(span, _)| span.position).collect();
    Ok(piece.into_iter().zip(wal.read(&positions, false)?).collect())
}

impl Partition {
    /// The next batches that end above `from` and not above `until`, about [`READ_BYTES`] of them, each with the reason why its
    /// records are not kept, if its transaction is one.
    fn piece(&self, from: i64, until: i64) -> Vec<Planned> {
        let state = self.state();
        let (mut bytes, mut piece) = (0, Vec::new());
        for span in state.hot.from(from).take_while(|span| span.next <= until) {
            bytes += u64::from(span.position.len);
            if bytes > READ_BYTES && !piece.is_empty() {
                break;
            }
            piece.push((span, state.transactions.dead(&span)));
        }
        piece
    }
}

fn offsets(span: &Span) -> u64 {
    (span.next - span.base).unsigned_abs()
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
