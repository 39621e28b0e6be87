//! Offsets that may have been given out and acknowledged before the end of the WAL was lost: they are left out for ever, and a
//! frame of the WAL says so before anything is appended behind them.
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Partition;
use crate::log::AppendError;
use crate::log::recovery::Lost;
use crate::wal::{Append, Done, Durable, FrameKind};

impl Partition {
    /// Records the offsets that a start leaves out; resolves when that is durable.
    ///
    /// # Errors
    /// [`AppendError::Storage`] when the WAL has no room or failed.
    pub async fn record_gap(&self) -> Result<(), AppendError> {
        let (answer, durable) = oneshot::channel();
        let Some((first, next)) = self.state().left_out else { return Ok(()) };
        let sink = Recorded { partition: self.clone(), answer: Mutex::new(Some(answer)) };
        let meta = self.0.meta(FrameKind::GAP, first..=next - 1, self.0.core.env.clock.now_ms());
        let frame = Append::urgent(meta, Bytes::new(), Arc::new(sink), 0);
        self.0.core.wal.append(frame).map_err(|e| AppendError::Storage(e.to_string()))?;
        durable.await.map_err(|_| AppendError::Storage("the WAL was closed".to_owned()))
    }
}

struct Recorded {
    partition: Partition,
    answer: Mutex<Option<oneshot::Sender<()>>>,
}

impl Durable for Recorded {
    fn durable(&self, done: &[Done]) {
        for Done { meta, position, .. } in done {
            let mut state = self.partition.state();
            state.lost.push(Lost { first: meta.base_offset, next: meta.last_offset + 1, group: position.group });
            state.left_out = None;
        }
        if let Some(answer) = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = answer.send(());
        }
    }
}
