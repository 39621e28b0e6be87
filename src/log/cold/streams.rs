//! Who reads in sequence, and how far ahead of them it pays to read.
//!
//! Nobody has to say that they are sequential: a read that begins where an earlier read of the partition ended *is*. So it
//! works for fetch sessions, reconnecting consumers and the library alike, and readers of one history share one stream.
//!
//! The window grows by demand: it doubles when the reader had to wait for its slice, and stays when the slice was there.
//! It is cut to the reader's share of the one budget for read-ahead, which shrinks as streams become active.
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::Uuid;

/// Streams that are remembered; the one that is silent for longest goes first.
const STREAMS_MAX: usize = 4096;
/// A stream that is silent for so long takes no share any more.
const IDLE: Duration = Duration::from_secs(10);

/// All streams of a process.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By topic, partition and the offset at which the next read is expected.
    by_place: BTreeMap<Place, Stream>,
    /// Places by the number of their last read.
    order: BTreeMap<u64, Place>,
    reads: u64,
}

type Place = (Uuid, i32, i64);

#[derive(Clone, Copy, Debug)]
struct Stream {
    /// The next read may begin anywhere from the place up to here: after the last record, or after the gap behind it.
    next: i64,
    window: u64,
    at: Duration,
    read: u64,
}

/// How a read that ended should be remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Where it began.
    pub(super) from: i64,
    /// The first offset after its last record; `next` if it found none.
    pub(super) after: i64,
    /// Where it ended, gaps included.
    pub(super) next: i64,
    /// The window it used.
    pub(super) window: u64,
}

impl Streams {
    /// The window of the stream that a read at `from` continues; `None` if it continues none.
    pub(super) fn window(&self, topic: Uuid, partition: i32, from: i64) -> Option<u64> {
        self.lock().find((topic, partition, from)).map(|(_, stream)| stream.window)
    }

    /// Streams that read within the last ten seconds, at least one.
    pub(super) fn active(&self, now: Duration) -> u64 {
        let mut state = self.lock();
        while let Some((&read, &place)) = state.order.first_key_value() {
            if state.by_place.get(&place).is_some_and(|stream| now.saturating_sub(stream.at) <= IDLE) {
                break;
            }
            state.order.remove(&read);
            state.by_place.remove(&place);
        }
        state.by_place.len().max(1) as u64
    }

    /// Remembers a read. Nothing is remembered of a read that was given up: its repetition finds the stream as it was.
    pub(super) fn ended(&self, topic: Uuid, partition: i32, read: Ended, now: Duration) {
        let mut state = self.lock();
        let old = state.find((topic, partition, read.from));
        if let Some((place, _)) = old {
            state.remove(place);
        }
        let place = (topic, partition, read.after);
        // A reader that catches up with another one continues that one's stream.
        let window = state.by_place.get(&place).map_or(0, |other| other.window).max(read.window);
        state.remove(place);
        state.reads += 1;
        let number = state.reads;
        state.order.insert(number, place);
        state.by_place.insert(place, Stream { next: read.next, window, at: now, read: number });
        if state.by_place.len() > STREAMS_MAX
            && let Some((_, place)) = state.order.pop_first()
        {
            state.by_place.remove(&place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, (topic, partition, from): Place) -> Option<(Place, Stream)> {
        let (place, stream) =
            self.by_place.range((topic, partition, i64::MIN)..=(topic, partition, from)).next_back()?;
        (from <= stream.next).then_some((*place, *stream))
    }

    fn remove(&mut self, place: Place) {
        if let Some(stream) = self.by_place.remove(&place) {
            self.order.remove(&stream.read);
        }
    }
}

/// The window of a sequential reader: doubled if it had to wait, at least two slices then, and never more than `share`.
pub(super) fn grown(window: u64, waited: bool, slice_bytes: u64, share: u64) -> u64 {
    let window = if waited { (window * 2).max(slice_bytes * 2) } else { window };
    window.min(share)
}

#[cfg(test)]
mod tests;
