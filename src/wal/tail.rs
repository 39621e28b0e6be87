//! The newest groups, kept in memory in the buffers that they were written from.
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use super::Position;

/// A ring of groups with consecutive numbers, bounded in bytes.
pub(crate) struct Tail {
    max: u64,
    ring: RwLock<Ring>,
}

#[derive(Default)]
struct Ring {
    /// Number and CRC of the last group that is synced.
    synced: (u64, u32),
    first: u64,
    bytes: u64,
    groups: VecDeque<TailGroup>,
}

struct TailGroup {
    /// Byte of the file at which the group begins.
    at: u64,
    bytes: Bytes,
    /// What it costs: the whole buffer.
    capacity: u64,
}

impl Tail {
    /// Keeps at most `max` bytes of buffers; `synced` is the group with which the WAL goes on.
    pub fn new(max: u64, synced: (u64, u32)) -> Self {
        Self { max, ring: RwLock::new(Ring { synced, ..Ring::default() }) }
    }

    /// Number and CRC of the last group that is synced.
    pub fn synced(&self) -> (u64, u32) {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).synced
    }

    /// A sync covered everything up to this group.
    pub fn sync(&self, number: u64, crc: u32) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).synced = (number, crc);
    }

    /// Adds the newest group, with its CRC if it is synced; the oldest go as far as needed.
    pub fn push(&self, number: u64, at: u64, bytes: Bytes, capacity: u64, synced: Option<u32>) {
        let mut gone = Vec::new();
        {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(crc) = synced {
                ring.synced = (number, crc);
            }
            if ring.groups.is_empty() {
                ring.first = number;
            }
            ring.groups.push_back(TailGroup { at, bytes, capacity });
            ring.bytes += capacity;
            while ring.bytes > self.max {
                let Some(oldest) = ring.groups.pop_front() else { break };
                ring.first += 1;
                ring.bytes -= oldest.capacity;
                gone.push(oldest);
            }
        }
        drop(gone); // buffers go back outside of the lock
    }

    /// For each position its group's bytes and where in them the payload is, as far as it is in memory; stops when `found`
    /// says so.
    pub fn look(&self, positions: &[Position], mut found: impl FnMut(usize, Option<(&Bytes, Range<usize>)>) -> bool) {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        for (n, position) in positions.iter().enumerate() {
            let group =
                position.group.checked_sub(ring.first).and_then(|at| ring.groups.get(usize::try_from(at).ok()?));
            let piece = group.and_then(|group| {
                let from = usize::try_from(position.at.checked_sub(group.at)?).ok()?;
                let range = from..from + position.len as usize;
                (range.end <= group.bytes.len()).then_some((&group.bytes, range))
            });
            if !found(n, piece) {
                return;
            }
        }
    }
}
