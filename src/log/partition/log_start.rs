//! Deleting records: the log start moves up, as a frame of the WAL, and counts when that is durable.
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{LogStartMove, Partition};
use crate::log::ReadError;
use crate::wal::{Append, Done, Durable, FrameKind};

impl Partition {
    /// Moves the log start up to `before` (-1: the high watermark); returns the new log start when that is durable.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] beyond the high watermark; [`ReadError::Storage`] when the WAL has no room.
    pub async fn delete_records(&self, before: i64) -> Result<i64, ReadError> {
        let (answer, durable) = oneshot::channel();
        let to = {
            let state = self.state();
            let ends = state.ends();
            let to = if before == -1 { ends.high_watermark } else { before };
            if to > ends.high_watermark || to < 0 {
                return Err(ReadError::OutOfRange { offset: to, log_start: ends.log_start, end: ends.high_watermark });
            }
            if to <= ends.log_start {
                return Ok(ends.log_start);
            }
            let sink = Moved { partition: self.clone(), answer: Mutex::new(Some(answer)) };
            let meta = self.0.meta(FrameKind::LOG_START, to..=to, self.0.core.env.clock.now_ms());
            let frame = Append::urgent(meta, Bytes::new(), Arc::new(sink), 0);
            self.0.core.wal.append(frame).map_err(|e| ReadError::Storage(e.to_string()))?;
            to
        };
        durable.await.map_err(|_| ReadError::Storage("the WAL was closed".to_owned()))?;
        Ok(to)
    }
}

/// Moves the log start when that is durable.
struct Moved {
    partition: Partition,
    answer: Mutex<Option<oneshot::Sender<()>>>,
}

impl Durable for Moved {
    fn durable(&self, done: &[Done]) {
        for Done { meta, position, .. } in done {
            let mut state = self.partition.state();
            state.log_start = state.log_start.max(meta.base_offset);
            let new = LogStartMove { to: state.log_start, group: position.group, since_ms: meta.append_time };
            state.log_start_move =
                Some(state.log_start_move.map_or(new, |before| LogStartMove { to: state.log_start, ..before }));
            state.wake_readers();
        }
        if let Some(answer) = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = answer.send(());
        }
    }
}
