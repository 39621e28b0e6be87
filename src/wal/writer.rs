//! The machine that writes: gathers what waits into a group, writes it, syncs it, tells those who wait. One at a time.
//!
//! Appends gather while a sync runs, and no timer is needed, but for one case: producers that wait for their
//! acknowledgement and then send again. The first of them to come back would start a group of one, and all others would
//! wait for two syncs, for ever. So on a slow disk a group that is smaller than the number of producers just seen waits for
//! the rest, for an eighth of a sync at most. And frames that are patient (offsets that are committed) wait for others of
//! their kind when they come often, so that a thousand groups that commit once a second do not cost a thousand syncs.
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::buffer::{BLOCK, Buffer, Pool};
use super::drive::{Machine, Step};
use super::engine::Shared;
use super::files::{LiveFile, Next};
use super::frame::{ENTRY_LEN, Entry};
use super::fs::{File, write_full};
use super::group::{FLAG_CLOSED, FLAG_UNSYNCED, GroupHead, HEAD_LEN, group_len};
use super::inventory::tag;
use super::patience::{LINGER, Patience};
use super::queue::{Ready, payload_len};
use super::{Append, Done, Durability, Durable, Position, WalError};
use crate::base::Random;

/// Payloads are copied and summed in pieces that stay in the processor's first cache.
const COPY: usize = 16 << 10;

/// Syncs that take less are not worth waiting for others.
const SLOW_SYNC: Duration = Duration::from_micros(500);

/// The file that is being written.
pub(crate) struct Active {
    pub file: Arc<dyn File>,
    pub live: Arc<LiveFile>,
    pub salt: u64,
    /// Where the next group goes.
    pub at: u64,
}

impl Active {
    fn left(&self) -> u64 {
        (self.live.bytes / BLOCK as u64 * BLOCK as u64).saturating_sub(self.at)
    }
}

/// The machine's own state.
pub(crate) struct Writer {
    pub shared: Arc<Shared>,
    pub active: Active,
    pub next: u64,
    pub previous_crc: u32,
    pub boot: u64,
    pub random: Random,
    pub pool: Arc<Pool>,
    pub frames: Vec<Append>,
    pub done: Vec<Done>,
    /// Frames that were under way when the last sync returned, and how long that took.
    pub crowd: usize,
    pub last_sync: Duration,
    pub patience: Patience,
    /// Whether the last group has frames and nothing behind it.
    pub alone: bool,
    /// When it gets an empty successor, once that is known.
    pub quiet_until: Option<Duration>,
    pub phase: Phase,
}

/// What the writer is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Look whether frames wait.
    Look,
    /// Wait for so many frames, until then at the latest, once that is known.
    Gather(usize, Option<Duration>),
    /// Likewise, while all of them are patient.
    Linger(usize, Option<Duration>),
    /// Write what waits.
    Write,
    /// Go on in the next file.
    Roll,
}

impl Machine for Writer {
    fn step(&mut self) -> Result<Step, WalError> {
        loop {
            let waits = match self.phase {
                Phase::Look => self.look()?,
                Phase::Gather(frames, until) => {
                    let (found, until) = self.gather(frames, until, self.last_sync / 8, false);
                    self.phase = if found.is_some() { self.linger() } else { Phase::Gather(frames, until) };
                    found.is_none().then_some(Step::Wait(until))
                }
                Phase::Linger(frames, until) => {
                    let (found, until) = self.gather(frames, until, LINGER, true);
                    self.phase = if found.is_some() { Phase::Write } else { Phase::Linger(frames, until) };
                    match found {
                        Some(found) => {
                            self.patience.found(frames, found);
                            None
                        }
                        None => Some(Step::Wait(until)),
                    }
                }
                Phase::Write => self.write_waiting()?,
                Phase::Roll => self.roll()?,
            };
            if let Some(step) = waits {
                return Ok(step);
            }
        }
    }

    fn ended(&mut self) {
        let files = &self.shared.files;
        let mut table = files.lock();
        table.ended = true;
        files.tell(table);
    }
}

impl Writer {
    /// Looks for frames; `None` if the next phase has begun.
    fn look(&mut self) -> Result<Option<Step>, WalError> {
        match self.shared.queue.ready(self.active.left()) {
            Ready::Frames if self.last_sync >= SLOW_SYNC => self.phase = Phase::Gather(self.crowd, None),
            Ready::Frames => self.phase = self.linger(),
            Ready::Closing => {
                self.close()?;
                self.shared.queue.closed();
                return Ok(Some(Step::Done));
            }
            Ready::Failed => return Ok(Some(Step::Done)),
            Ready::Nothing if !self.alone => return Ok(Some(Step::Wait(None))),
            Ready::Nothing => {
                let now = self.shared.timer.elapsed();
                let successor = Duration::from_millis(self.shared.options.successor_ms);
                let at = *self.quiet_until.get_or_insert(now + successor);
                if now < at {
                    return Ok(Some(Step::Wait(Some(at))));
                }
                if self.active.left() == 0 {
                    self.begin_roll()?;
                } else if self.shared.queue.make_place(self.active.left()) {
                    self.group(&[], 0)?;
                    return Ok(Some(Step::Again));
                }
            }
        }
        Ok(None)
    }

    /// Whether the frames that wait shall wait for others of their kind.
    fn linger(&mut self) -> Phase {
        match self.patience.waits_for(self.shared.clock.elapsed()) {
            Some(frames) => Phase::Linger(frames, None),
            None => Phase::Write,
        }
    }

    /// How many frames wait, when that is enough or the time is over; else when it will be.
    fn gather(
        &self,
        frames: usize,
        until: Option<Duration>,
        patience: Duration,
        lingers: bool,
    ) -> (Option<usize>, Option<Duration>) {
        let over = until.is_some_and(|at| self.shared.timer.elapsed() >= at);
        match self.shared.queue.gather(frames, lingers, over) {
            Some(found) => (Some(found), None),
            None => (None, until.or_else(|| Some(self.shared.timer.elapsed() + patience))),
        }
    }

    fn write_waiting(&mut self) -> Result<Option<Step>, WalError> {
        let mut frames = std::mem::take(&mut self.frames);
        self.shared.queue.take(self.active.left(), &mut frames);
        let written = if frames.is_empty() { self.begin_roll() } else { self.group(&frames, 0) };
        let wrote = !frames.is_empty();
        frames.clear();
        self.frames = frames;
        written?;
        Ok(wrote.then_some(Step::Again))
    }

    /// Ends with an empty group, so that the last frame has a successor, and with everything synced.
    fn close(&mut self) -> Result<(), WalError> {
        self.sync_all()?;
        if self.active.left() > 0 {
            self.group(&[], FLAG_CLOSED)?;
            self.sync_all()?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), WalError> {
        self.active.file.sync().map_err(|e| WalError::io("sync", &self.active.live.path, &e))
    }

    /// Syncs everything up to the last group.
    fn sync_all(&self) -> Result<(), WalError> {
        self.sync()?;
        self.shared.tail.sync(self.next - 1, self.previous_crc);
        Ok(())
    }

    fn begin_roll(&mut self) -> Result<(), WalError> {
        if self.shared.options.durability == Durability::Os {
            self.sync_all()?; // only the newest file may lose anything in a power cut
        }
        self.phase = Phase::Roll;
        Ok(())
    }

    /// Goes on in the next file, when it is there.
    fn roll(&mut self) -> Result<Option<Step>, WalError> {
        let spare = match self.shared.files.take_spare()? {
            Next::Spare(spare) => spare,
            Next::Later => return Ok(Some(Step::Wait(None))),
            Next::Hopeless => {
                let space = self.shared.files.space();
                return Err(WalError::NoSpace { pinned: space.pinned, budget: space.budget });
            }
        };
        let salt = self.random.u64();
        let (file, live) = self.shared.files.begin(&spare, salt, self.next, self.previous_crc)?;
        self.active = Active { file, live, salt, at: BLOCK as u64 };
        self.shared.files.tell_begun(&self.shared.queue);
        self.shared.show_space();
        self.phase = Phase::Look;
        Ok(None)
    }

    /// Writes one group. Its frames must fit in the file.
    fn group(&mut self, frames: &[Append], flags: u32) -> Result<(), WalError> {
        let payload: u64 = frames.iter().map(|f| payload_len(f) as u64).sum();
        let len = group_len(frames.len(), payload);
        assert!(len <= self.active.left(), "a group fits in the file: the queue was asked for what does");
        let mut order: Vec<&Append> = frames.iter().collect();
        // Stable, so the order of appends holds within a partition; its bytes lie side by side for its readers.
        order.sort_by_key(|f| (f.meta.topic_id.0, f.meta.partition));
        let mut buffer = self.pool.take(usize::try_from(len).expect("a file fits in memory"));
        let sum = self.encode(&order, flags, len, payload, &mut buffer);
        self.write(&buffer, len)?;
        self.crowd = frames.len() + self.shared.queue.len();
        self.publish(&order, buffer, len, sum);
        self.previous_crc = sum;
        self.next += 1;
        self.active.at += len;
        self.alone = !frames.is_empty();
        (self.quiet_until, self.phase) = (None, Phase::Look);
        self.patience.wrote(self.shared.clock.elapsed());
        Ok(())
    }

    /// Fills the buffer and `done`; returns the group's CRC.
    fn encode(&mut self, order: &[&Append], flags: u32, len: u64, payload: u64, buffer: &mut Buffer) -> u32 {
        let unsynced = self.shared.options.durability == Durability::Os && flags & FLAG_CLOSED == 0;
        let head = GroupHead {
            file: self.active.live.number,
            salt: self.active.salt,
            number: self.next,
            wal: tag(&self.shared.files.identity),
            boot: self.boot,
            len: u32::try_from(len).expect("the queue takes no frame beyond a file"),
            frames: u32::try_from(order.len()).expect("the queue bounds the frames of a group"),
            flags: if unsynced { flags | FLAG_UNSYNCED } else { flags },
            epoch: self.shared.files.identity.epoch,
            payload: u32::try_from(payload).expect("the payload is shorter than the group"),
            previous_crc: self.previous_crc,
            crc: 0,
        };
        let bytes = &mut buffer.bytes_mut()[..usize::try_from(len).expect("a file fits in memory")];
        let (directory, payloads) = bytes.split_at_mut(head.directory_end());
        let mut at = 0;
        self.done.clear();
        for (append, slot) in order.iter().zip(directory[HEAD_LEN..].as_chunks_mut::<ENTRY_LEN>().0) {
            let begin = at;
            let mut crc = 0;
            for part in [append.head.as_ref().map_or(&[][..], |h| &h[..]), &append.body] {
                for piece in part.chunks(COPY) {
                    payloads[at..at + piece.len()].copy_from_slice(piece);
                    crc = crc32c::crc32c_append(crc, &payloads[at..at + piece.len()]);
                    at += piece.len();
                }
            }
            let len = u32::try_from(at - begin).expect("the queue takes no frame beyond a file");
            *slot = Entry { meta: append.meta, len, crc }.encode();
            let byte = self.active.at + (head.directory_end() + begin) as u64;
            let position = Position { file: head.file, group: head.number, at: byte, len, crc };
            self.done.push(Done { token: append.token, meta: append.meta, position });
        }
        payloads[at..].fill(0);
        head.seal(bytes)
    }

    fn write(&mut self, buffer: &Buffer, len: u64) -> Result<(), WalError> {
        let bytes = &buffer.bytes()[..usize::try_from(len).expect("a file fits in memory")];
        write_full(&*self.active.file, bytes, self.active.at)
            .map_err(|e| WalError::io("write", &self.active.live.path, &e))?;
        if self.shared.options.durability == Durability::Fsync {
            let begin = self.shared.clock.elapsed();
            self.sync()?;
            let took = self.shared.clock.elapsed().saturating_sub(begin);
            self.shared.metrics.sync_seconds.observe(took.as_secs_f64());
            self.last_sync = took;
        }
        Ok(())
    }

    /// The group is durable: first it can be read, then those who wait are told, and only then does
    /// [`super::Wal::durable_group`] say so: whoever asks it finds every frame up to there with its sink. (The log computes
    /// from it what may be released.)
    fn publish(&self, order: &[&Append], buffer: Buffer, len: u64, crc: u32) {
        let shared = &self.shared;
        let capacity = buffer.capacity() as u64;
        let (bytes, cost) = if order.is_empty() { (bytes::Bytes::new(), 0) } else { (buffer.freeze(), capacity) };
        let synced = (shared.options.durability == Durability::Fsync).then_some(crc);
        shared.tail.push(self.next, self.active.at, bytes, cost, synced);
        self.active.live.last_group.store(self.next, Ordering::SeqCst);
        shared.queue.set_active(self.active.left() - len);
        shared.metrics.wrote(order, len);
        let mut begin = 0;
        while begin < order.len() {
            let sink: &Arc<dyn Durable> = &order[begin].sink;
            let same = order[begin..].iter().take_while(|f| Arc::ptr_eq(&f.sink, sink)).count();
            sink.durable(&self.done[begin..begin + same]);
            begin += same;
        }
        shared.durable.store(self.next, Ordering::SeqCst);
    }
}
