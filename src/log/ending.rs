//! The end of a transaction: its markers in all partitions and the coordinator's own change, in one group of the WAL, so that
//! all of it is durable at once. There is no state in between that a restart would have to finish.
use std::sync::Arc;

use super::partition::{Closed, Inner, State};
use super::state::{self, PendingState};
use super::{AppendError, Changes, Log, Partition};
use crate::record::{EndMarker, Outcome};
use crate::wal::Append;

/// A transaction that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEnd {
    /// Whose.
    pub producer_id: i64,
    /// The lowest epoch with which the producer may write from now on.
    pub producer_epoch: i16,
    /// How.
    pub outcome: Outcome,
}

/// What an idempotent or transactional producer did last in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its newest epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record; -1 if none is known.
    pub last_sequence: i32,
    /// When it last wrote, by the broker's clock, ms.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that wrote its last marker here; -1 before the first one.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction, if there is one.
    pub open_from: Option<i64>,
}

impl Log {
    /// Ends a transaction: a marker in each of `partitions`, and `changes` of state, all of it or nothing. Partitions whose
    /// topic was deleted are left out. The caller sees to it that nothing is appended to the transaction any more.
    ///
    /// # Errors
    /// [`AppendError::Storage`] when the WAL has no room or failed, or a partition has no offset to give;
    /// [`AppendError::NotServing`] when the log stops, or a partition is damaged.
    pub fn end_transaction(
        &self,
        end: TransactionEnd,
        mut partitions: Vec<Partition>,
        changes: Changes,
    ) -> Result<PendingState, AppendError> {
        // One order for everybody who locks several; the order of offsets is the order of the WAL, as with appends.
        partitions.sort_by_key(|p| (p.topic_id(), p.number()));
        partitions.dedup_by_key(|p| (p.topic_id(), p.number()));
        let mut states: Vec<_> = partitions.iter().map(|p| (&p.0, p.state())).collect();
        states.retain(|(_, state)| state.closed != Some(Closed::Deleted));
        if let Some(refusal) = states.iter().find_map(|(_, state)| state.refusal()) {
            return Err(refusal);
        }
        let core = &self.0.core;
        let (frame, durable) = state::frame(core, changes)?;
        let mut frames = vec![frame];
        let mut markers = Vec::new();
        for (partition, state) in &states {
            let (marker, frame) = partition.marker_frame(state, end)?;
            markers.push(marker);
            frames.push(frame);
        }
        core.wal.append_together(frames).map_err(|e| AppendError::Storage(e.to_string()))?;
        for ((_, state), marker) in states.iter_mut().zip(markers) {
            state.ended(marker);
        }
        Ok(PendingState::new(durable))
    }
}

impl Inner {
    /// The marker at the end of the log, and its frame.
    fn marker_frame(self: &Arc<Self>, state: &State, end: TransactionEnd) -> Result<(EndMarker, Append), AppendError> {
        let leader_epoch = self.core.leader_epoch();
        let marker = EndMarker {
            producer_id: end.producer_id,
            producer_epoch: end.producer_epoch,
            outcome: end.outcome,
            coordinator_epoch: leader_epoch,
            offset: state.log_end,
            leader_epoch,
            timestamp: self.core.env.clock.now_ms(),
        };
        self.check_reserved(state, marker.offset)?;
        Ok((marker, self.control_frame(marker)))
    }
}

impl State {
    /// Takes note of a marker that the WAL accepted.
    fn ended(&mut self, marker: EndMarker) {
        self.log_end = marker.offset + 1;
        self.producers.record_end(
            marker.producer_id,
            marker.producer_epoch,
            marker.coordinator_epoch,
            marker.timestamp,
        );
        self.transactions.ends(marker.producer_id, marker.outcome, marker.offset);
    }
}

impl Partition {
    /// The transactions that are open here: producer id and first offset.
    pub fn open_transactions(&self) -> Vec<(i64, i64)> {
        self.state().transactions.open().collect()
    }

    /// The producers that this partition knows, by id.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        let state = self.state();
        let mut all: Vec<_> = state
            .producers
            .iter()
            .map(|(producer_id, producer)| ActiveProducer {
                producer_id,
                producer_epoch: producer.epoch,
                last_sequence: producer.batches.back().map_or(-1, |batch| batch.last_sequence),
                last_timestamp: producer.last_timestamp,
                coordinator_epoch: producer.coordinator_epoch,
                open_from: state.transactions.open_from(producer_id),
            })
            .collect();
        all.sort_by_key(|producer| producer.producer_id);
        all
    }
}
