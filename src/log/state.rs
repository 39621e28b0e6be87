//! State: what the coordinators keep, and the broker's settings that were changed while it runs, as items of which the last value
//! wins.
//!
//! A change of some items is one frame in the WAL, so it is there as a whole or not at all. Its payload is a JSON object: a
//! key's new value, or null where the item is removed. The state chain holds all items as of R. Because a frame says what an
//! item *is* and never what to do with it, a start only applies the frames from R on in their order, and R moves forward by
//! applying those below it; there is no other logic of replay.
//!
//! What lies between R and the end of the WAL is kept in runs of groups, for R may stop anywhere ([`behind`]).
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

pub(super) use self::behind::Behind;
use super::core::Core;
use super::{AppendError, Log};
use crate::archive::state::Items;
use crate::base::{Json, Uuid};
use crate::wal::{Append, Done, Durable, FrameKind, FrameMeta};

mod behind;

/// Items that change together: a key with its new value, or `None` to remove it. Of a key that comes twice the last one
/// counts.
pub type Changes = Vec<(String, Option<Json>)>;

/// What stands for a topic's id in frames of state: within a group they come behind all partitions, so that whoever waits for
/// a change finds what was written with it.
const BEHIND_ALL: Uuid = Uuid([0xff; 16]);

/// The payload of a frame.
pub(super) fn encode(changes: Changes) -> Bytes {
    let object: BTreeMap<String, Option<Json>> = changes.into_iter().collect();
    serde_json::to_vec(&object).expect("a map with text keys is JSON").into()
}

/// What a frame's payload says.
pub(super) fn decode(payload: &[u8]) -> Result<Changes, serde_json::Error> {
    let object: BTreeMap<String, Option<Json>> = serde_json::from_slice(payload)?;
    Ok(object.into_iter().collect())
}

/// The coordinator's state of an open log.
#[derive(Debug)]
pub(super) struct StateLog {
    behind: Mutex<Behind>,
    gate: Mutex<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    /// Frames that were appended and are not durable yet.
    under_way: usize,
    /// Why no more are taken.
    closed: Option<String>,
}

impl StateLog {
    /// Goes on behind `r` with what a recovery found in the WAL.
    pub fn new(mut behind: Behind, r: u64) -> Self {
        behind.forget_below(r);
        Self { behind: Mutex::new(behind), gate: Mutex::default() }
    }

    pub fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The items as they stand, out of those as of R.
    pub fn items(&self, mut as_of_r: Items) -> Items {
        self.behind().apply(&mut as_of_r);
        as_of_r
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a state version as of `r`.
    pub fn folded(&self, r: u64) {
        self.behind().forget_below(r);
    }

    /// Refuses changes from now on; those under way are still answered.
    pub fn close(&self, reason: &str) {
        self.gate().closed.get_or_insert_with(|| reason.to_owned());
    }

    /// Whether everything that was appended is durable.
    pub fn is_synced(&self) -> bool {
        self.gate().under_way == 0
    }
}

/// One change on its way to the disk.
struct UnderWay {
    core: Arc<Core>,
    written: Mutex<Option<(Changes, oneshot::Sender<()>)>>,
}

impl Durable for UnderWay {
    fn durable(&self, done: &[Done]) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some((changes, answer)), [done]) = (written, done) {
            self.core.state.behind().record(done.position, done.meta.append_time, changes);
            let _ = answer.send(());
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.core.state.gate().under_way -= 1;
    }
}

/// A frame of state for the WAL, and who learns that it is durable. Counts as under way until the WAL is done with it.
///
/// # Errors
/// [`AppendError::NotServing`] after [`StateLog::close`]; [`AppendError::Storage`] while the store refuses this broker.
pub(super) fn frame(core: &Arc<Core>, changes: Changes) -> Result<(Append, oneshot::Receiver<()>), AppendError> {
    core.fence.may_write().map_err(AppendError::Storage)?;
    let body = encode(changes.clone());
    let meta = FrameMeta {
        kind: FrameKind::STATE,
        topic_id: BEHIND_ALL,
        partition: 0,
        epoch: core.leader_epoch(),
        base_offset: 0,
        last_offset: 0,
        records: u32::try_from(changes.len()).unwrap_or(u32::MAX),
        max_timestamp: -1,
        append_time: core.env.clock.now_ms(),
    };
    let (answer, durable) = oneshot::channel();
    {
        let mut gate = core.state.gate();
        if let Some(reason) = &gate.closed {
            return Err(AppendError::NotServing(reason.clone()));
        }
        gate.under_way += 1;
    }
    let sink = Arc::new(UnderWay { core: core.clone(), written: Mutex::new(Some((changes, answer))) });
    Ok((Append::urgent(meta, body, sink, 0), durable))
}

/// A change that was handed to the WAL; resolves when a sync covered it. Dropping it forgets the answer, not the change.
#[derive(Debug)]
pub struct PendingState(oneshot::Receiver<()>);

impl PendingState {
    pub(super) fn new(durable: oneshot::Receiver<()>) -> Self {
        Self(durable)
    }

    /// Waits for the sync.
    ///
    /// # Errors
    /// [`AppendError::NotServing`] when the log ended first: the change may or may not be there after a restart.
    pub async fn durable(self) -> Result<(), AppendError> {
        self.0.await.map_err(|_| AppendError::NotServing("it was closed before the change was synced".to_owned()))
    }
}

impl From<PendingState> for oneshot::Receiver<()> {
    /// What resolves when a sync covered the change, and fails when the log ended first.
    fn from(pending: PendingState) -> Self {
        pending.0
    }
}

impl Log {
    /// The coordinator's items as they stand: those of the bucket, and every durable change since.
    pub fn state_items(&self) -> BTreeMap<String, Json> {
        let behind = self.0.core.state.behind(); // taken first: R does not pass it meanwhile
        let mut items = self.0.mover.state_items();
        behind.apply(&mut items);
        items
    }

    /// Hands a change of items to the WAL, all of it or nothing; the order of calls is the order of the log. It may use the
    /// WAL's reserve.
    ///
    /// # Errors
    /// [`AppendError::Storage`] when the WAL has no room or failed, [`AppendError::NotServing`] when the log stops.
    pub fn append_state(&self, changes: Changes) -> Result<PendingState, AppendError> {
        self.hand_over(changes, false)
    }

    /// The same, for a change that may wait for a millisecond or two when many of them come, so that they share syncs.
    ///
    /// # Errors
    /// As [`append_state`](Self::append_state).
    pub fn append_state_patiently(&self, changes: Changes) -> Result<PendingState, AppendError> {
        self.hand_over(changes, true)
    }

    fn hand_over(&self, changes: Changes, patient: bool) -> Result<PendingState, AppendError> {
        let core = &self.0.core;
        let (frame, durable) = frame(core, changes)?;
        let frame = Append { patient, ..frame };
        core.wal.append(frame).map_err(|e| AppendError::Storage(e.to_string()))?;
        Ok(PendingState::new(durable))
    }

    /// The WAL that began when an owner's unsealed records were lost, if this is one: what groups and transactions did
    /// after the last state version is unknown.
    pub fn wal_after_loss(&self) -> Option<Uuid> {
        let ownership = &self.0.core.ownership;
        ownership.began_after_loss().then(|| ownership.claim().wal_id)
    }
}

#[cfg(test)]
mod tests;
