//! The hot index, pure: which offsets of one partition lie where in the WAL. Spans are in offset order and do not overlap;
//! between two of them there may be a gap.
use std::collections::VecDeque;

use super::transactions::Role;
use crate::wal::Position;

/// One batch in the WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of its first record.
    pub base: i64,
    /// One past the offset of its last record.
    pub next: i64,
    /// Where it lies.
    pub position: Position,
    /// Greatest timestamp in it, ms; -1 if none.
    pub max_timestamp: i64,
    /// When it was appended, ms.
    pub append_time: i64,
    /// What it is to transactions.
    pub role: Role,
}

/// The spans of one partition.
#[derive(Debug, Default)]
pub struct HotIndex {
    spans: VecDeque<Span>,
    bytes: u64,
}

impl HotIndex {
    /// Adds the next batch. A batch that lies below the end of the index is an old copy and is ignored.
    pub fn push(&mut self, span: Span) {
        if self.spans.back().is_some_and(|last| span.base < last.next) {
            return;
        }
        self.bytes += u64::from(span.position.len);
        self.spans.push_back(span);
    }

    /// First offset in the WAL.
    pub fn start(&self) -> Option<i64> {
        self.spans.front().map(|s| s.base)
    }

    /// One past the last offset in the WAL.
    pub fn end(&self) -> Option<i64> {
        self.spans.back().map(|s| s.next)
    }

    /// Bytes of batches.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The spans that end above `from`, in order.
    pub fn from(&self, from: i64) -> impl Iterator<Item = &Span> {
        let first = self.spans.partition_point(|s| s.next <= from);
        self.spans.range(first..)
    }

    /// Spans from `from` on that begin below `until`, up to `max_bytes`; the first one always if `first_always`.
    pub fn take(&self, from: i64, until: i64, max_bytes: usize, first_always: bool) -> Vec<Span> {
        let mut left = max_bytes as u64;
        let mut out = Vec::new();
        for span in self.from(from).take_while(|s| s.base < until) {
            let len = u64::from(span.position.len);
            if len > left && !(out.is_empty() && first_always) {
                break;
            }
            left = left.saturating_sub(len);
            out.push(*span);
        }
        out
    }

    /// Bytes readable from `from` on, below `until`; stops counting at `enough`.
    pub fn bytes_from(&self, from: i64, until: i64, enough: u64) -> u64 {
        let mut sum = 0;
        for span in self.from(from).take_while(|s| s.base < until) {
            sum += u64::from(span.position.len);
            if sum >= enough {
                break;
            }
        }
        sum
    }

    /// Bytes of batches that end above `from`: what is not sealed yet.
    pub fn bytes_above(&self, from: i64) -> u64 {
        self.from(from).map(|s| u64::from(s.position.len)).sum()
    }

    /// Forgets what is sealed (below `sealed_end`) and lies in groups below `group`, whose WAL files went.
    pub fn forget_below(&mut self, group: u64, sealed_end: i64) {
        while let Some(span) = self.spans.front().filter(|s| s.position.group < group && s.next <= sealed_end) {
            self.bytes -= u64::from(span.position.len);
            self.spans.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
