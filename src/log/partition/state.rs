//! What a partition knows of itself: its ends, what is hot, who produced, who waits. Pure but for the channels of those who
//! wait; [`Partition`](super::Partition) keeps it behind its mutex.
use std::collections::VecDeque;
use std::sync::Weak;

use tokio::sync::{Notify, oneshot};

use crate::archive::manifest::Manifest;
use crate::log::hot::HotIndex;
use crate::log::producers::{BatchMark, Producers, Verdict, Violation};
use crate::log::transactions::{Role, Transactions};
use crate::log::{AppendError, Appended, Ends, Pending};
use crate::record::{BatchHeader, Checked};

/// What a partition begins with: the manifest, and what the WAL held of it.
#[derive(Debug, Default)]
pub struct Beginning {
    /// Batches in the WAL at or above the log start, in order.
    pub hot: HotIndex,
    /// Producers as of the end of the WAL.
    pub producers: Producers,
    /// First offset of each epoch in the WAL, ascending.
    pub epochs: Vec<(i32, i64)>,
    /// The newest log start in the WAL, and the group that says so.
    pub log_start: Option<(i64, u64)>,
    /// Why this partition must not be served: damage that the message names.
    pub damaged: Option<String>,
    /// Acknowledged records may be missing behind the last one: go on at `reserved`, so that no offset is used twice.
    pub uncertain_end: bool,
    /// End of what was acknowledged and then given up with damage: none of these offsets is used again.
    pub end_at_least: i64,
    /// Transactions as of the end of the WAL.
    pub transactions: Transactions,
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
    /// The newest log start that the manifest does not know yet, and the oldest group of the WAL that says so.
    pub log_start_group: Option<(i64, u64)>,
    /// Why appends are refused, if they are.
    pub closed: Option<String>,
    /// Why reads of the hot tier are refused, if they are.
    pub damaged: Option<String>,
    pub pending: VecDeque<(i64, oneshot::Sender<()>)>,
    pub readers: Vec<Weak<Notify>>,
}

impl State {
    pub fn new(manifest: &Manifest, from_wal: Beginning) -> Self {
        let Beginning { hot, mut producers, epochs, log_start, damaged, uncertain_end, end_at_least, transactions } =
            from_wal;
        let from_wal_log_start = log_start.filter(|(to, _)| *to > manifest.log_start);
        let log_start = from_wal_log_start.map_or(manifest.log_start, |(to, _)| to);
        let known_end = hot.end().unwrap_or(manifest.next).max(manifest.next).max(log_start);
        let end = if uncertain_end { manifest.reserved.max(known_end) } else { known_end.max(end_at_least) };
        if end > known_end {
            producers.lost_until(end);
        }
        Self {
            log_start,
            high_watermark: end,
            log_end: end,
            sealed_end: manifest.next,
            reserved: manifest.reserved,
            log_start_group: from_wal_log_start,
            unsealed_bytes: hot.bytes_above(manifest.next),
            hot,
            producers,
            transactions,
            epochs: joined(manifest, epochs),
            closed: damaged.clone(),
            damaged,
            pending: VecDeque::new(),
            readers: Vec::new(),
        }
    }

    /// Whether it takes appends.
    pub fn is_served(&self) -> bool {
        self.closed.is_none()
    }

    pub fn ends(&self) -> Ends {
        let undecided = self.transactions.first_open().unwrap_or(i64::MAX);
        Ends {
            log_start: self.log_start,
            last_stable: undecided.min(self.high_watermark).max(self.log_start),
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
