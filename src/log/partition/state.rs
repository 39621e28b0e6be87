//! What a partition knows of itself: its ends, what is hot, who produced, who waits. Pure but for the channels of those who
//! wait; [`Partition`](super::Partition) keeps it behind its mutex.
use super::expansion::Expansion;
use std::collections::VecDeque;
use std::sync::Weak;

use tokio::sync::{Notify, oneshot};

use crate::archive::manifest::{Change, Manifest};
use crate::log::hot::HotIndex;
use crate::log::producers::{BatchMark, Producers, Verdict, Violation};
use crate::log::recovery::{Beginning, Damaged, Lost};
use crate::log::transactions::{Role, Transactions};
use crate::log::{AppendError, Appended, Ends, Pending};
use crate::record::{BatchHeader, Checked};

/// A move of the log start that is durable in the WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStartMove {
    /// The newest log start.
    pub to: i64,
    /// The oldest group that the manifest does not cover and that says so.
    pub group: u64,
    /// When the oldest of them came, ms.
    pub since_ms: i64,
}

/// Why a partition takes no appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its topic is gone, and its records with it.
    Deleted,
    /// Acknowledged records of it cannot be read.
    Damaged(String),
    /// The broker stops, or has stopped.
    Ended(String),
}

impl Closed {
    /// For who asks.
    pub fn reason(&self) -> String {
        match self {
            Self::Deleted => "the topic was deleted".to_owned(),
            Self::Damaged(why) | Self::Ended(why) => why.clone(),
        }
    }
}

#[derive(Debug)]
pub struct State {
    pub log_start: i64,
    pub high_watermark: i64,
    pub log_end: i64,
    pub sealed_end: i64,
    pub reserved: i64,
    pub hot: HotIndex,
    pub producers: Producers,
    pub transactions: Transactions,
    /// First offset of each epoch that this life knows of, ascending.
    pub epochs: Vec<(i32, i64)>,
    /// Bytes of batches above `sealed_end`.
    pub unsealed_bytes: u64,
    /// How much payload is in them.
    pub expansion: Expansion,
    /// The move of the log start that the manifest does not know yet.
    pub log_start_move: Option<LogStartMove>,
    /// Ranges above the sealed one that will never hold records, in order.
    pub lost: Vec<Lost>,
    /// Offsets that a start leaves out, until a frame of the WAL says so.
    pub left_out: Option<(i64, i64)>,
    /// A log start that retention asks for; it rides on the next seal. Since when, ms.
    pub retained_to: Option<(i64, i64)>,
    /// Why appends are refused, if they are.
    pub closed: Option<Closed>,
    /// Why it is not sealed and its hot tier not read, if so.
    pub damaged: Option<Damaged>,
    pub pending: VecDeque<(i64, oneshot::Sender<()>)>,
    pub readers: Vec<Weak<Notify>>,
}

impl State {
    pub fn new(manifest: &Manifest, from_wal: Beginning, now_ms: i64) -> Self {
        let Beginning { hot, producers, transactions, epochs, log_start, lost, damaged, known_end, end } = from_wal;
        Self {
            log_start: log_start.map_or(manifest.log_start, |(to, _)| to),
            high_watermark: end,
            log_end: end,
            sealed_end: manifest.next,
            reserved: manifest.reserved,
            log_start_move: log_start.map(|(to, group)| LogStartMove { to, group, since_ms: now_ms }),
            expansion: Expansion::default(),
            unsealed_bytes: hot.bytes_above(manifest.next),
            hot,
            producers,
            transactions,
            epochs: joined(manifest, epochs),
            lost,
            left_out: (known_end < end).then_some((known_end, end)),
            retained_to: None,
            closed: damaged.as_ref().map(|damaged| Closed::Damaged(damaged.why.clone())),
            damaged,
            pending: VecDeque::new(),
            readers: Vec::new(),
        }
    }

    /// Why it takes no appends, if so.
    pub fn refusal(&self) -> Option<AppendError> {
        self.closed.as_ref().map(|closed| AppendError::NotServing(closed.reason()))
    }

    /// One past the last offset that is durable and belongs to no transaction that is still open, wherever the log start is:
    /// what may be sealed.
    pub fn decided_end(&self) -> i64 {
        self.transactions.first_open().unwrap_or(i64::MAX).min(self.high_watermark)
    }

    /// The first group of the WAL that this partition needs.
    pub fn pinned_group(&self) -> Option<u64> {
        let records = self.hot.from(self.sealed_end).next().map(|span| span.position.group);
        let lost = self.lost.iter().find(|lost| lost.next > self.sealed_end).map(|lost| lost.group);
        let log_start = self.log_start_move.map(|moved| moved.group);
        let damaged = self.damaged.as_ref().map(|damaged| damaged.group);
        [records, lost, log_start, damaged].into_iter().flatten().min()
    }

    /// Asks for a log start that the next manifest version takes along.
    pub fn retain_from(&mut self, to: i64, now_ms: i64) {
        if to > self.log_start {
            let since = self.retained_to.map_or(now_ms, |(_, since)| since);
            self.retained_to = Some((to, since));
        }
    }

    /// The log starts that the next manifest version should have if they are higher: what was deleted, and what is retained.
    pub fn log_starts_to_write(&self) -> Vec<Change> {
        let retained = self.retained_to.map(|(to, _)| Change::Retention { to });
        let deleted = self.log_start_move.map(|moved| Change::LogStart { to: moved.to });
        retained.into_iter().chain(deleted).collect()
    }

    /// What the WAL holds above the sealed range, if there is anything to seal.
    pub fn unsealed(&self) -> Option<(i64, i64)> {
        let (from, until) = (self.sealed_end, self.decided_end());
        (from < until && self.damaged.is_none()).then_some((from, until))
    }

    /// Takes over a manifest version: what it sealed is cold from now on.
    pub fn committed(&mut self, manifest: &Manifest) {
        self.sealed_end = self.sealed_end.max(manifest.next);
        self.reserved = self.reserved.max(manifest.reserved);
        self.unsealed_bytes = self.hot.bytes_above(self.sealed_end);
        self.lost.retain(|lost| lost.next > manifest.next);
        if manifest.log_start > self.log_start {
            self.log_start = manifest.log_start;
            self.wake_readers();
        }
        self.log_start_move = self.log_start_move.filter(|moved| moved.to > manifest.log_start);
        self.retained_to = self.retained_to.filter(|(to, _)| *to > manifest.log_start);
    }

    pub fn ends(&self) -> Ends {
        Ends {
            log_start: self.log_start,
            last_stable: self.decided_end().max(self.log_start),
            high_watermark: self.high_watermark,
            log_end: self.log_end,
        }
    }

    /// The epoch of the record at `offset`, as far as the newest epochs tell.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        let above = self.epochs.partition_point(|(_, first)| *first <= offset);
        above.checked_sub(1).map(|i| self.epochs[i].0)
    }

    pub fn answer_pending(&mut self) {
        while self.pending.front().is_some_and(|(last, _)| *last < self.high_watermark) {
            if let Some((_, answer)) = self.pending.pop_front() {
                let _ = answer.send(());
            }
        }
    }

    pub fn wake_readers(&mut self) {
        self.readers.retain(|reader| match reader.upgrade() {
            Some(notify) => {
                notify.notify_one();
                true
            }
            None => false,
        });
    }

    /// Where an idempotent producer's batch lies if it was appended before.
    pub fn repeated(&self, header: &BatchHeader) -> Result<Option<BatchMark>, AppendError> {
        if !header.has_producer() {
            return Ok(None);
        }
        let (id, epoch) = (header.producer_id, header.producer_epoch);
        match self.producers.check(id, epoch, header.base_sequence, header.last_sequence()) {
            Ok(Verdict::New) => Ok(None),
            Ok(Verdict::Repeated(mark)) => Ok(Some(mark)),
            Err(Violation::Fenced { current }) => {
                Err(AppendError::ProducerFenced { producer_id: id, current, got: epoch })
            }
            Err(Violation::OutOfOrder { expected }) => {
                Err(AppendError::OutOfOrderSequence { producer_id: id, expected, got: header.base_sequence })
            }
        }
    }

    /// Answers a batch that was sent again with the offset it has, when that is durable.
    pub fn answer_again(&mut self, mark: BatchMark) -> Pending {
        let (answer, durable) = oneshot::channel();
        if mark.last_offset < self.high_watermark {
            let _ = answer.send(());
        } else {
            let at = self.pending.partition_point(|(last, _)| *last <= mark.last_offset);
            self.pending.insert(at, (mark.last_offset, answer));
        }
        let appended = Appended {
            base_offset: mark.first_offset,
            last_offset: mark.last_offset,
            append_time_ms: -1,
            log_start: self.log_start,
        };
        Pending { appended, durable }
    }

    /// Takes note of a batch that the WAL accepted.
    pub fn appended(
        &mut self,
        checked: &Checked,
        base: i64,
        last: i64,
        now_ms: i64,
        append_time: Option<i64>,
        epoch: i32,
    ) -> Pending {
        let header = &checked.header;
        if header.has_producer() {
            let mark = BatchMark {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                first_offset: base,
                last_offset: last,
                timestamp: checked.max_timestamp,
            };
            self.producers.record(header.producer_id, header.producer_epoch, mark, now_ms);
        }
        if let Role::Part(producer_id) = Role::of(header) {
            self.transactions.part(producer_id, base);
        }
        if self.epochs.last().is_none_or(|(newest, _)| *newest < epoch) {
            self.epochs.push((epoch, base));
        }
        self.log_end = last + 1;
        let (answer, durable) = oneshot::channel();
        self.pending.push_back((last, answer));
        let appended = Appended {
            base_offset: base,
            last_offset: last,
            append_time_ms: append_time.unwrap_or(-1),
            log_start: self.log_start,
        };
        Pending { appended, durable }
    }
}

/// Epochs of the manifest, then those that only the WAL knows.
fn joined(manifest: &Manifest, from_wal: Vec<(i32, i64)>) -> Vec<(i32, i64)> {
    let mut all: Vec<(i32, i64)> = manifest.epochs.iter().map(|e| (e.epoch(), e.first_offset())).collect();
    for (epoch, first) in from_wal {
        if all.last().is_none_or(|(newest, _)| *newest < epoch) {
            all.push((epoch, first));
        }
    }
    all
}
