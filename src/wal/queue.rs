//! Frames that wait for the next group, and the decision whether one more may.
//!
//! The queue is bounded by the budget, and in memory by the permits that its frames carry.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buffer::BLOCK;
use super::drive::Signal;
use super::files::Room;
use super::frame::ENTRY_LEN;
use super::group::group_len;
use super::{Append, WalError};

/// Most frames of one group: bounds the directory, and the time until the first of them is answered.
const GROUP_FRAMES_MAX: usize = 16_384;

/// The number of frames at which a writer is woken that does not wait for any.
const NEVER: usize = usize::MAX;

/// Frames and what became of the WAL.
pub(crate) struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    writer: Arc<Signal>,
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
    /// What the frames and their entries take, but for padding.
    bytes: u64,
    room: Room,
    /// Where the frames will come to lie.
    plan: Plan,
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

/// What there is for the writer.
pub(crate) enum Ready {
    /// Frames wait.
    Frames,
    /// Nothing yet; the next frame wakes.
    Nothing,
    /// Nothing waits and nothing will come.
    Closing,
    /// Likewise, and nothing may be written either.
    Failed,
}

impl QueueLimits {
    /// What a file can take.
    fn file_capacity(&self) -> u64 {
        self.file_bytes - BLOCK as u64
    }
}

/// Where the frames that wait will come to lie: as the writer takes them, if nothing else comes. What comes later goes behind
/// them, so the plan holds until they are written.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    /// Files that will be begun.
    files: u64,
    /// What the last of them can take before its last group, which is not closed yet.
    left: u64,
    /// That group.
    frames: usize,
    payload: u64,
}

impl Plan {
    /// With so many more frames that go together.
    fn with(self, count: usize, payload: u64, limits: &QueueLimits) -> Self {
        let grown = Self { frames: self.frames + count, payload: self.payload + payload, ..self };
        let len = group_len(grown.frames, grown.payload);
        if len <= self.left && (self.frames == 0 || len <= limits.group_max_bytes && grown.frames <= GROUP_FRAMES_MAX) {
            return grown;
        }
        let next = Self { left: self.end(), frames: count, payload, ..self };
        match group_len(count, payload) <= next.left {
            true => next,
            false => Self { files: self.files + 1, left: limits.file_capacity(), ..next },
        }
    }

    /// What the last file can take behind its last group.
    fn end(&self) -> u64 {
        let len = if self.frames == 0 { 0 } else { group_len(self.frames, self.payload) };
        self.left.saturating_sub(len)
    }

    /// What is left of so many files that can be begun; `None` if they are not enough.
    fn free(&self, files: u64, limits: &QueueLimits) -> Option<u64> {
        Some(files.checked_sub(self.files)? * limits.file_capacity() + self.end())
    }
}

/// Length of a frame's payload.
pub(crate) fn payload_len(append: &Append) -> usize {
    append.head.map_or(0, |head| head.len()) + append.body.len()
}

impl Queue {
    pub fn new(limits: QueueLimits, writer: Arc<Signal>) -> Self {
        let state = State {
            frames: VecDeque::new(),
            bytes: 0,
            room: Room::default(),
            plan: Plan::default(),
            wake_at: NEVER,
            impatient: 0,
            lingers: false,
            end: None,
        };
        Self { limits, state: Mutex::new(state), writer }
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
        let keep = if urgent { 0 } else { self.limits.reserve };
        let plan = state.plan.with(frames, payload, &self.limits);
        if plan.free(state.room.files, &self.limits).is_none_or(|free| free < keep) {
            return Err(match state.room.disk_full {
                true => WalError::DiskFull(self.limits.dir.clone()),
                false => WalError::NoSpace { pinned: state.room.pinned, budget: self.limits.budget },
            });
        }
        state.bytes += (frames * ENTRY_LEN) as u64 + payload;
        state.plan = plan;
        Ok(state)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waits = state.wake_at < NEVER;
        let enough = state.frames.len() >= state.wake_at || state.bytes >= self.limits.group_max_bytes;
        if waits && (enough || state.lingers && state.impatient > 0) {
            state.wake_at = NEVER;
            drop(state);
            self.writer.wake();
        }
    }

    /// What there is to be written; `left` is how much the file being written can still take.
    pub fn ready(&self, left: u64) -> Ready {
        let mut state = self.lock();
        state.at(left);
        let ready = match (state.frames.is_empty(), &state.end) {
            (_, Some(End::Failed(_))) => Ready::Failed,
            (false, _) => Ready::Frames,
            (true, None) => Ready::Nothing,
            (true, Some(_)) => Ready::Closing,
        };
        state.wake_at = if matches!(ready, Ready::Nothing) { 1 } else { NEVER };
        ready
    }

    /// How many frames wait, if that is enough: so many as asked for, or a group's worth, or, with `lingers`, one that is
    /// not patient, or the time is `over`. Else the writer is woken once it is.
    pub fn gather(&self, frames: usize, lingers: bool, over: bool) -> Option<usize> {
        let mut state = self.lock();
        let enough = state.frames.len() >= frames
            || state.bytes >= self.limits.group_max_bytes
            || lingers && state.impatient > 0
            || state.end.is_some();
        let enough = enough || over;
        (state.wake_at, state.lingers) = if enough { (NEVER, false) } else { (frames.min(NEVER - 1), lingers) };
        enough.then_some(state.frames.len())
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
                break;
            }
            payload += len;
            let from = group.len();
            group.extend(state.frames.drain(..count).map(|waiting| waiting.append));
            state.impatient -= group[from..].iter().filter(|append| !append.patient).count();
            state.bytes -= (count * ENTRY_LEN) as u64 + len;
        }
        if state.frames.is_empty() {
            state.plan = Plan { left: state.plan.end(), frames: 0, payload: 0, ..state.plan }; // its last group is closed
        }
    }

    /// Tells how much can still be written.
    pub fn set_room(&self, room: Room) {
        self.lock().room = room;
    }

    /// Tells that a file was begun, and what room there is beside it.
    pub fn begun(&self, room: Room) {
        let mut state = self.lock();
        state.room = room;
        match state.plan.files.checked_sub(1) {
            Some(files) => state.plan.files = files,
            None => state.plan = Plan { left: self.limits.file_capacity(), ..Plan::default() },
        }
    }

    /// Tells how much the file being written can still take.
    pub fn set_active(&self, left: u64) {
        self.lock().at(left);
    }

    /// Makes place for a group without frames in a file that can take `left` bytes, unless frames have come: then they go
    /// first.
    pub fn make_place(&self, left: u64) -> bool {
        let mut state = self.lock();
        let empty = state.frames.is_empty();
        if empty {
            state.at(left.saturating_sub(group_len(0, 0)));
        }
        empty
    }

    /// No further appends; what waits is still written.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(End::Closing);
        }
        drop(state);
        self.writer.wake();
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
        self.writer.wake();
        first
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The file being written can still take `left` bytes. With frames in the queue the plan has counted that already.
    fn at(&mut self, left: u64) {
        if self.frames.is_empty() {
            self.plan = Plan { left, ..Plan::default() };
        }
    }

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
