//! Frames that wait for the next group, and the decision whether one more may.
//!
//! The queue is bounded by the budget, and in memory by the permits that its frames carry.
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::buffer::BLOCK;
use super::files::Room;
use super::frame::ENTRY_LEN;
use super::group::group_len;
use super::{Append, WalError};

/// Most frames of one group: bounds the directory, and the time until the first of them is answered.
const GROUP_FRAMES_MAX: usize = 16_384;

/// Frames and what became of the WAL.
pub(crate) struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    wake: Condvar,
}

/// What never changes.
#[derive(Debug, Clone)]
pub(crate) struct QueueLimits {
    pub file_bytes: u64,
    pub group_max_bytes: u64,
    pub reserve: u64,
    pub budget: u64,
    pub dir: std::path::PathBuf,
}

struct State {
    frames: VecDeque<Waiting>,
    /// What the frames will take on disk, but for padding.
    bytes: u64,
    room: Room,
    /// Bytes left in the file that is being written.
    active: u64,
    /// The number of frames at which the writer wants to be woken.
    wake_at: usize,
    /// How many of the frames are not patient.
    impatient: usize,
    /// An impatient frame wakes the writer too.
    lingers: bool,
    end: Option<End>,
}

struct Waiting {
    append: Append,
    /// The next frame goes into the same group.
    joined: bool,
}

enum End {
    Closing,
    Closed,
    Failed(String),
}

/// What the writer does next.
pub(crate) enum Next {
    /// Frames wait.
    Frames,
    /// Nothing came for a while.
    Quiet,
    /// Nothing waits and nothing will come.
    Closing,
}

/// Length of a frame's payload.
pub(crate) fn payload_len(append: &Append) -> usize {
    append.head.map_or(0, |head| head.len()) + append.body.len()
}

impl Queue {
    pub fn new(limits: QueueLimits) -> Self {
        let state = State {
            frames: VecDeque::new(),
            bytes: 0,
            room: Room::default(),
            active: 0,
            wake_at: usize::MAX,
            impatient: 0,
            lingers: false,
            end: None,
        };
        Self { limits, state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Adds a frame, or says why not; never waits.
    pub fn push(&self, append: Append) -> Result<(), WalError> {
        let mut state = self.admit(1, payload_len(&append) as u64, append.urgent)?;
        state.add(append, false);
        self.wake(state);
        Ok(())
    }

    /// Adds frames that go into one group: all of them, or none. They are urgent if the first one is.
    pub fn push_together(&self, appends: Vec<Append>) -> Result<(), WalError> {
        let Some(first) = appends.first() else { return Ok(()) };
        let (count, payload) = (appends.len(), appends.iter().map(|append| payload_len(append) as u64).sum());
        let mut state = self.admit(count, payload, first.urgent)?;
        appends.into_iter().zip((0..count).rev()).for_each(|(append, left)| state.add(append, left > 0));
        self.wake(state);
        Ok(())
    }

    /// Takes the room for so many frames that go into one group.
    fn admit(&self, frames: usize, payload: u64, urgent: bool) -> Result<MutexGuard<'_, State>, WalError> {
        let max = self.limits.file_bytes - BLOCK as u64;
        if group_len(frames, payload) > max || payload > u64::from(u32::MAX) || frames > GROUP_FRAMES_MAX {
            return Err(WalError::TooLarge { bytes: payload, max: max - BLOCK as u64 });
        }
        let mut state = self.lock();
        state.may_end()?;
        let free = (state.active + state.room.bytes).saturating_sub(state.bytes);
        let keep = if urgent { 0 } else { self.limits.reserve };
        let cost = (frames * ENTRY_LEN) as u64 + payload;
        if free < cost + keep {
            return Err(match state.room.disk_full {
                true => WalError::DiskFull(self.limits.dir.clone()),
                false => WalError::NoSpace { pinned: state.room.pinned, budget: self.limits.budget },
            });
        }
        state.bytes += cost;
        Ok(state)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if state.frames.len() >= state.wake_at || state.lingers && state.impatient > 0 {
            state.wake_at = usize::MAX;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Waits for frames, for at most `quiet`.
    pub fn next(&self, quiet: Option<Duration>) -> Next {
        let mut state = self.lock();
        state.wake_at = 1;
        let nothing = |s: &mut State| s.frames.is_empty() && s.end.is_none();
        let mut state = match quiet {
            Some(quiet) => {
                self.wake.wait_timeout_while(state, quiet, nothing).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.wake.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner),
        };
        state.wake_at = usize::MAX;
        match (state.frames.is_empty(), &state.end) {
            (false, _) => Next::Frames,
            (true, None) => Next::Quiet,
            (true, Some(_)) => Next::Closing,
        }
    }

    /// Waits until so many frames wait, but not longer than `patience`, not when a group is full anyway, and, with
    /// `lingers`, only while all of them are patient. Returns how many wait.
    pub fn gather(&self, frames: usize, patience: Duration, lingers: bool) -> usize {
        let mut state = self.lock();
        (state.wake_at, state.lingers) = (frames, lingers);
        let full = self.limits.group_max_bytes;
        let few = |s: &mut State| {
            let calm = !(lingers && s.impatient > 0);
            calm && s.frames.len() < frames && s.bytes < full && s.end.is_none()
        };
        let waited = self.wake.wait_timeout_while(state, patience, few);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        (state.wake_at, state.lingers) = (usize::MAX, false);
        state.frames.len()
    }

    /// How many frames wait.
    pub fn len(&self) -> usize {
        self.lock().frames.len()
    }

    /// Moves the frames of the next group to `group`, as many as fit in `left` bytes of the file, but none without those
    /// that it is joined with: none at all if the first ones do not fit.
    pub fn take(&self, left: u64, group: &mut Vec<Append>) {
        let mut state = self.lock();
        let mut payload = 0;
        loop {
            let (count, len) = state.first_unit();
            let grown = group_len(group.len() + count, payload + len);
            let full = grown > self.limits.group_max_bytes || group.len() + count > GROUP_FRAMES_MAX;
            if count == 0 || grown > left || full && !group.is_empty() {
                return;
            }
            payload += len;
            let from = group.len();
            group.extend(state.frames.drain(..count).map(|waiting| waiting.append));
            state.impatient -= group[from..].iter().filter(|append| !append.patient).count();
            state.bytes -= (count * ENTRY_LEN) as u64 + len;
        }
    }

    /// Tells how much can still be written.
    pub fn set_room(&self, room: Room) {
        self.lock().room = room;
    }

    /// Tells how much the file being written can still take.
    pub fn set_active(&self, left: u64) {
        self.lock().active = left;
    }

    /// No further appends; what waits is still written.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(End::Closing);
        }
        drop(state);
        self.wake.notify_all();
    }

    /// Everything is written.
    pub fn closed(&self) {
        self.lock().end = Some(End::Closed);
    }

    /// Nothing will be written any more, nobody is told of what waits. Returns whether this is the first failure.
    pub fn fail(&self, why: &WalError) -> bool {
        let (frames, first) = {
            let mut state = self.lock();
            let first = !matches!(state.end, Some(End::Failed(_) | End::Closed));
            if first {
                state.end = Some(End::Failed(why.to_string()));
            }
            (state.bytes, state.impatient) = (0, 0);
            (std::mem::take(&mut state.frames), first)
        };
        drop(frames); // their sinks may want the lock
        first
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, append: Append, joined: bool) {
        self.impatient += usize::from(!append.patient);
        self.frames.push_back(Waiting { append, joined });
    }

    /// How many frames stand first and go together, and the bytes of their payloads.
    fn first_unit(&self) -> (usize, u64) {
        let (mut count, mut payload) = (0, 0);
        for Waiting { append, joined } in &self.frames {
            (count, payload) = (count + 1, payload + payload_len(append) as u64);
            if !joined {
                break;
            }
        }
        (count, payload)
    }

    fn may_end(&self) -> Result<(), WalError> {
        match &self.end {
            None => Ok(()),
            Some(End::Closing | End::Closed) => Err(WalError::Closed),
            Some(End::Failed(why)) => Err(WalError::Failed(why.clone())),
        }
    }
}
