//! One partition: it checks, numbers and stamps what is appended, hands it to the WAL, and lets readers see it when a sync
//! covered it.
//!
//! All state is behind one mutex that is never held over I/O or an await. The order of calls to the WAL under that mutex is
//! the order of offsets. The WAL's thread calls [`Partition::durable`] after each sync, which moves the high watermark,
//! answers the appends below it and wakes the readers that wait.
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

pub(super) use self::state::{Closed, LogStartMove, State};
use super::cold::EntryLookup;
use super::core::Core;
use super::entries::Versions;
use super::hot::Span;
use super::recovery::Beginning;
use super::settings::TopicSettings;
use super::transactions::Role;
use super::{AppendError, Ends, Isolation, Pending};
use crate::archive::PartitionArchive;
use crate::archive::manifest::Manifest;
use crate::base::{BytePermit, Current, Uuid};
use crate::record::{CheckLimits, Checked, EndMarker, Stamped, TimestampType};
use crate::wal::{Append, Done, Durable, FrameKind, FrameMeta};

mod expansion;
mod gap;
mod log_start;
mod state;

/// Most bytes that a batch may unpack to, unless `max.message.bytes` is larger.
const UNPACKED_MAX_BYTES: u64 = 64 << 20;

/// What a producer is told while the hot index takes all that it may.
const NO_ROOM_FOR_POSITIONS: &str = "there are too many small batches that are not in the bucket yet for the memory that their \
     positions may take; retry when some are sealed, send larger batches (linger.ms), or give the broker more memory.bytes";

/// One partition of an open log; cheap to clone.
#[derive(Clone, Debug)]
pub struct Partition(pub(super) Arc<Inner>);

/// What clones share.
pub(super) struct Inner {
    pub(super) core: Arc<Core>,
    pub(super) topic: Arc<str>,
    pub(super) topic_id: Uuid,
    pub(super) number: i32,
    pub(super) archive: PartitionArchive,
    pub(super) entries: Arc<dyn EntryLookup>,
    pub(super) versions: Versions,
    /// One seal at a time.
    pub(super) sealing: tokio::sync::Mutex<()>,
    /// When it was last said that something cannot be read (monotonic).
    pub(super) complained: Mutex<Option<Duration>>,
    settings: Current<TopicSettings>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.number)
    }
}

impl Partition {
    pub(super) fn new(
        core: Arc<Core>,
        topic: Arc<str>,
        settings: Arc<TopicSettings>,
        archive: PartitionArchive,
        from_wal: Beginning,
    ) -> Self {
        let manifest = archive.head();
        let state = State::new(&manifest, from_wal, core.env.clock.now_ms());
        Self(Arc::new(Inner {
            core,
            topic,
            topic_id: manifest.topic_id,
            number: manifest.partition,
            entries: Arc::new(Versions::Own(archive.clone())),
            versions: Versions::Own(archive.clone()),
            archive,
            sealing: tokio::sync::Mutex::default(),
            complained: Mutex::default(),
            settings: Current::new(settings),
            state: Mutex::new(state),
        }))
    }

    /// Topic name.
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// Topic id.
    pub fn topic_id(&self) -> Uuid {
        self.0.topic_id
    }

    /// Partition number.
    pub fn number(&self) -> i32 {
        self.0.number
    }

    /// Its ends now.
    pub fn ends(&self) -> Ends {
        self.state().ends()
    }

    /// Whether a read at `from` goes to the cold tier.
    pub fn is_cold_at(&self, from: i64) -> bool {
        let state = self.state();
        from < state.sealed_end && state.hot.start().is_none_or(|hot| from < hot)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> Arc<TopicSettings> {
        self.0.settings.get()
    }

    pub(super) fn set_settings(&self, settings: Arc<TopicSettings>) {
        self.0.settings.set(settings);
    }

    /// Takes over a committed manifest version: what it sealed is cold from now on.
    pub(super) fn committed(&self, manifest: &Manifest) {
        self.state().committed(manifest);
    }

    /// Refuses appends from now on, with the reason; what waits for a sync is forgotten, readers are woken.
    pub(super) fn close(&self, why: Closed) {
        let mut state = self.state();
        match why {
            Closed::Deleted => state.closed = Some(why),
            why => drop(state.closed.get_or_insert(why)),
        }
        state.pending.clear();
        state.wake_readers();
    }

    /// Refuses appends from now on; those that wait for a sync still get their answer.
    pub(super) fn refuse_appends(&self, reason: &str) {
        self.state().closed.get_or_insert_with(|| Closed::Ended(reason.to_owned()));
    }

    /// Whether everything that was appended is durable.
    pub(super) fn is_synced(&self) -> bool {
        let state = self.state();
        state.high_watermark == state.log_end
    }

    /// Checks, numbers and stamps one record set (exactly one v2 batch) and hands it to the WAL, all without waiting.
    /// `permit` is the share of the request budget that its bytes hold; it is returned when they are durable.
    ///
    /// # Errors
    /// [`AppendError`]; [`AppendError::Transactional`] for a batch of a transaction.
    pub fn append(&self, records: Bytes, permit: Option<BytePermit>) -> Result<Pending, AppendError> {
        self.append_as(records, permit, false)
    }

    /// Like [`Partition::append`], for a batch of a transaction that is open and stays open until this returns: who calls it
    /// keeps the books on transactions.
    ///
    /// # Errors
    /// [`AppendError`]; [`AppendError::Transactional`] for a batch that belongs to no transaction.
    pub fn append_transactional(&self, records: Bytes, permit: Option<BytePermit>) -> Result<Pending, AppendError> {
        self.append_as(records, permit, true)
    }

    fn append_as(
        &self,
        records: Bytes,
        permit: Option<BytePermit>,
        transactional: bool,
    ) -> Result<Pending, AppendError> {
        self.0.core.fence.may_write().map_err(AppendError::Storage)?;
        if let Some(reason) = self.0.archive.refusal() {
            return Err(AppendError::Storage(format!("{}-{}: {reason}", self.topic(), self.number())));
        }
        if self.0.core.index_is_full() {
            return Err(AppendError::Storage(NO_ROOM_FOR_POSITIONS.to_owned()));
        }
        let settings = self.settings();
        let now_ms = self.0.core.env.clock.now_ms();
        let batch = one_batch(records)?;
        let checked = crate::record::check(&batch, &limits(&settings, now_ms)).inspect_err(|_| {
            self.0.core.metrics.rejected.inc();
        })?;
        let header = &checked.header;
        if header.is_transactional() != transactional || header.is_control() || transactional && !header.has_producer()
        {
            return Err(AppendError::Transactional);
        }
        let append_time = (settings.timestamp_type == TimestampType::Append).then_some(now_ms);
        self.0.core.metrics.produced(&checked, batch.len());
        let mut state = self.state();
        if let Some(refusal) = state.refusal() {
            return Err(refusal);
        }
        if !transactional && state.transactions.open_from(checked.header.producer_id).is_some() {
            return Err(AppendError::Transactional);
        }
        if let Some(mark) = state.repeated(&checked.header)? {
            return Ok(state.answer_again(mark));
        }
        let base = state.log_end;
        let last = base + i64::from(checked.header.last_offset_delta);
        self.0.check_reserved(&state, last)?;
        let epoch = self.0.core.leader_epoch();
        let stamped = crate::record::stamp(&batch, &checked.header, base, epoch, append_time);
        self.hand_to_wal(&checked, stamped, base, last, now_ms, permit)?;
        state.expansion.learn(checked.payload_bytes, batch.len() as u64);
        Ok(state.appended(&checked, base, last, now_ms, append_time, epoch))
    }

    fn hand_to_wal(
        &self,
        checked: &Checked,
        stamped: Stamped,
        base: i64,
        last: i64,
        now_ms: i64,
        permit: Option<BytePermit>,
    ) -> Result<(), AppendError> {
        let meta = FrameMeta {
            records: u32::try_from(checked.header.record_count).unwrap_or(0),
            max_timestamp: checked.max_timestamp,
            ..self.0.meta(FrameKind::BATCH, base..=last, now_ms)
        };
        let frame = Append {
            meta,
            head: Some(stamped.head),
            body: stamped.body,
            urgent: false,
            patient: false,
            permit,
            sink: self.0.clone(),
            token: Role::of(&checked.header).to_token(),
        };
        self.0.core.wal.append(frame).map_err(|e| AppendError::Storage(e.to_string()))
    }

    /// Registers a reader that wants to know when the high watermark or the log start moves, until it drops `notify`.
    pub(super) fn watch(&self, notify: &Arc<Notify>) {
        let mut state = self.state();
        if state.readers.len() == state.readers.capacity() {
            state.readers.retain(|r| r.strong_count() > 0);
        }
        state.readers.push(Arc::downgrade(notify));
    }

    /// About how many bytes can be read from `from` on; stops counting at `enough`. History counts as enough.
    pub(super) fn readable(&self, from: i64, isolation: Isolation, enough: u64) -> u64 {
        let state = self.state();
        let ends = state.ends();
        if state.closed.is_some() || from < ends.log_start || from > ends.high_watermark {
            return enough; // a read answers at once, with an error or with what is there
        }
        let until = ends.end_for(isolation);
        match state.hot.start() {
            _ if from >= until => 0,
            Some(start) if from >= start => match state.hot.bytes_from(from, until, enough) {
                0 => enough, // a gap up to the end: a marker can be read
                n => n,
            },
            _ => enough,
        }
    }

    /// About how many records readers have before them at `offset`, out of what is in memory: what compaction took, gaps and
    /// lost ranges do not count, except that a page of the manifest which the offset cuts counts from its end. What is not
    /// sealed counts by its offsets.
    pub fn records_from(&self, offset: i64) -> i64 {
        let view = self.0.archive.view();
        let state = self.state();
        let ends = state.ends();
        let from = offset.max(ends.log_start);
        let sealed = i64::try_from(view.manifest().records_from(from)).unwrap_or(i64::MAX);
        let from = from.max(view.manifest().next);
        let lost = state.lost.iter().map(|lost| lost.next.min(ends.high_watermark) - lost.first.max(from));
        let lost: i64 = lost.filter(|offsets| *offsets > 0).sum();
        sealed.saturating_add((ends.high_watermark - from - lost).max(0))
    }

    /// Whether its settings let old records be deleted: a topic that is only compacted keeps the newest of each key.
    pub fn is_deleted_from(&self) -> bool {
        self.settings().deletes
    }
}

impl Inner {
    /// Whether `offset` may be given out.
    pub(super) fn check_reserved(&self, state: &State, offset: i64) -> Result<(), AppendError> {
        if offset < state.reserved {
            return Ok(());
        }
        Err(AppendError::Storage(format!(
            "{}-{}: offsets are reserved in the bucket up to {} only; retry when the bucket answers again",
            self.topic, self.number, state.reserved
        )))
    }

    /// The frame of a marker; it may use the WAL's reserve.
    pub(super) fn control_frame(self: &Arc<Self>, marker: EndMarker) -> Append {
        let meta = FrameMeta {
            epoch: marker.leader_epoch,
            records: 1,
            ..self.meta(FrameKind::BATCH, marker.offset..=marker.offset, marker.timestamp)
        };
        Append::urgent(meta, marker.to_batch(), self.clone(), Role::Control.to_token())
    }

    /// The entry of a frame without records.
    fn meta(&self, kind: u8, offsets: RangeInclusive<i64>, append_time: i64) -> FrameMeta {
        FrameMeta {
            kind,
            topic_id: self.topic_id,
            partition: self.number,
            epoch: self.core.leader_epoch(),
            base_offset: *offsets.start(),
            last_offset: *offsets.end(),
            records: 0,
            max_timestamp: -1,
            append_time,
        }
    }
}

impl Durable for Inner {
    fn durable(&self, done: &[Done]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for Done { meta, position, token } in done {
            let next = meta.last_offset + 1;
            state.hot.push(Span {
                base: meta.base_offset,
                next,
                position: *position,
                max_timestamp: meta.max_timestamp,
                append_time: meta.append_time,
                role: Role::of_token(*token),
            });
            state.unsealed_bytes += u64::from(position.len);
            state.high_watermark = next;
        }
        let end = state.high_watermark;
        state.transactions.durable(end);
        state.answer_pending();
        state.wake_readers();
    }
}

impl Ends {
    /// One past the last offset that a reader may see.
    pub fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable,
        }
    }
}

fn one_batch(records: Bytes) -> Result<Bytes, AppendError> {
    let mut batches = crate::record::split(records);
    let first = match batches.next() {
        Some(batch) => batch.map_err(|e| AppendError::Rejected(e.into()))?,
        None => return Err(AppendError::NotOneBatch(0)),
    };
    match batches.count() {
        0 => Ok(first),
        more => Err(AppendError::NotOneBatch(more + 1)),
    }
}

fn limits(settings: &TopicSettings, now_ms: i64) -> CheckLimits {
    CheckLimits {
        message_max_bytes: settings.max_message_bytes,
        unpacked_max_bytes: UNPACKED_MAX_BYTES.max(u64::from(settings.max_message_bytes)),
        now_ms,
        timestamp_type: settings.timestamp_type,
        timestamp_before_max_ms: settings.timestamp_before_max_ms,
        timestamp_after_max_ms: settings.timestamp_after_max_ms,
        key_required: settings.compaction.is_some(),
    }
}
