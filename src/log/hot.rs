//! The hot index, pure: which offsets of one partition lie where in the WAL. Spans are in offset order and do not overlap;
//! between two of them there may be a gap.
//!
//! A WAL of small batches has tens of millions of them, so a span takes some 16 bytes and not the 80 of [`Span`]: spans lie in
//! chunks, the first of each as it is, the others as zigzag varints (those of Kafka's records) of their differences from the
//! one before.
use std::collections::VecDeque;

use super::transactions::Role;
use crate::record::varint::{Reader, put_varint};
use crate::wal::Position;

/// Spans of a chunk.
const CHUNK_SPANS: u32 = 64;

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
    chunks: VecDeque<Chunk>,
    /// The newest span.
    last: Option<Span>,
    bytes: u64,
    memory: u64,
}

/// Spans side by side in the index.
#[derive(Debug)]
struct Chunk {
    first: Span,
    /// Those behind the first.
    rest: Vec<u8>,
    count: u32,
    /// One past the last offset.
    next: i64,
    /// The group of the last span, which is the greatest.
    last_group: u64,
    max_timestamp: i64,
    /// Bytes of batches.
    bytes: u64,
}

impl HotIndex {
    /// Adds the next batch, and says whether it did: one that lies below the end of the index is an old copy.
    pub fn push(&mut self, span: Span) -> bool {
        if self.last.is_some_and(|last| span.base < last.next) {
            return false;
        }
        self.bytes += u64::from(span.position.len);
        match (self.chunks.back_mut(), self.last) {
            (Some(chunk), Some(last)) if chunk.count < CHUNK_SPANS => {
                self.memory -= chunk.memory();
                chunk.push(&last, &span);
                self.memory += chunk.memory();
            }
            _ => {
                let chunk = Chunk::new(span);
                self.memory += chunk.memory();
                self.chunks.push_back(chunk);
            }
        }
        self.last = Some(span);
        true
    }

    /// First offset in the WAL.
    pub fn start(&self) -> Option<i64> {
        self.chunks.front().map(|chunk| chunk.first.base)
    }

    /// One past the last offset in the WAL.
    pub fn end(&self) -> Option<i64> {
        self.chunks.back().map(|chunk| chunk.next)
    }

    /// Bytes of batches.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory that the index takes.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// The spans that end above `from`, in order.
    pub fn from(&self, from: i64) -> impl Iterator<Item = Span> {
        let first = self.chunks.partition_point(|chunk| chunk.next <= from);
        self.chunks.range(first..).flat_map(Chunk::spans).skip_while(move |span| span.next <= from)
    }

    /// The first span that ends above `from` and has a timestamp of at least `timestamp`.
    pub fn at_or_after(&self, from: i64, timestamp: i64) -> Option<Span> {
        let first = self.chunks.partition_point(|chunk| chunk.next <= from);
        let chunks = self.chunks.range(first..).filter(|chunk| chunk.max_timestamp >= timestamp);
        chunks.flat_map(Chunk::spans).find(|span| span.next > from && span.max_timestamp >= timestamp)
    }

    /// The greatest timestamp of the spans that end above `from`.
    pub fn max_timestamp(&self, from: i64) -> Option<i64> {
        let first = self.chunks.partition_point(|chunk| chunk.next <= from);
        let cut = self.chunks.get(first)?.spans().filter(|span| span.next > from).map(|span| span.max_timestamp);
        let whole = self.chunks.range(first + 1..).map(|chunk| chunk.max_timestamp);
        cut.chain(whole).max()
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
            out.push(span);
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
        let first = self.chunks.partition_point(|chunk| chunk.next <= from);
        let Some(chunk) = self.chunks.get(first) else { return 0 };
        let cut: u64 = chunk.spans().filter(|s| s.next > from).map(|s| u64::from(s.position.len)).sum();
        cut + self.chunks.range(first + 1..).map(|chunk| chunk.bytes).sum::<u64>()
    }

    /// How much of the index there is up to which group of the WAL: of what is sealed, or of what is not. In rising order of
    /// groups, roughly: by chunks.
    pub fn by_group(&self, sealed_end: i64, sealed: bool) -> impl Iterator<Item = (u64, u64)> {
        let chunks = self.chunks.iter().filter(move |chunk| (chunk.next <= sealed_end) == sealed);
        chunks.map(|chunk| (chunk.last_group, chunk.memory()))
    }

    /// Forgets what is sealed (below `sealed_end`) and lies in groups below `group`.
    pub fn forget_below(&mut self, group: u64, sealed_end: i64) {
        let gone = |span: &Span| span.position.group < group && span.next <= sealed_end;
        while let Some(chunk) = self.chunks.front() {
            if !gone(&chunk.first) {
                return;
            }
            (self.bytes, self.memory) = (self.bytes - chunk.bytes, self.memory - chunk.memory());
            let mut rest = chunk.spans().skip_while(gone);
            let kept = rest.next().map(|first| Chunk::of(first, rest));
            self.chunks.pop_front();
            if let Some(kept) = kept {
                (self.bytes, self.memory) = (self.bytes + kept.bytes, self.memory + kept.memory());
                self.chunks.push_front(kept);
                return;
            }
        }
        self.last = None;
    }
}

impl Chunk {
    fn new(first: Span) -> Self {
        Self {
            first,
            rest: Vec::new(),
            count: 1,
            next: first.next,
            last_group: first.position.group,
            max_timestamp: first.max_timestamp,
            bytes: u64::from(first.position.len),
        }
    }

    fn of(first: Span, rest: impl Iterator<Item = Span>) -> Self {
        let (mut chunk, mut last) = (Self::new(first), first);
        for span in rest {
            chunk.push(&last, &span);
            last = span;
        }
        chunk
    }

    /// Adds a span behind `last`.
    fn push(&mut self, last: &Span, span: &Span) {
        let out = &mut self.rest;
        for (now, before) in fields(span).into_iter().zip(guesses(last, span)) {
            put_varint(out, now.wrapping_sub(before));
        }
        out.extend_from_slice(&span.position.crc.to_le_bytes());
        self.count += 1;
        if self.count == CHUNK_SPANS {
            self.rest.shrink_to_fit();
        }
        (self.next, self.last_group) = (span.next, span.position.group);
        self.max_timestamp = self.max_timestamp.max(span.max_timestamp);
        self.bytes += u64::from(span.position.len);
    }

    fn spans(&self) -> impl Iterator<Item = Span> {
        let (mut last, mut rest) = (self.first, Reader::new(&self.rest));
        let behind = std::iter::from_fn(move || {
            last = read_behind(&last, &mut rest)?;
            Some(last)
        });
        std::iter::once(self.first).chain(behind)
    }

    fn memory(&self) -> u64 {
        (size_of::<Self>() + self.rest.capacity()) as u64
    }
}

/// What of a span is written as a difference, in the order in which it is read.
fn fields(span: &Span) -> [i64; 9] {
    let Position { file, group, at, len, crc: _ } = span.position;
    [
        span.base,
        span.next,
        file.cast_signed(),
        group.cast_signed(),
        at.cast_signed(),
        i64::from(len),
        span.append_time,
        span.max_timestamp,
        span.role.to_token().cast_signed(),
    ]
}

/// What each field of the span behind `last` is counted from, given the fields before it: a batch mostly begins where the one
/// before it ended, and its newest record is about as old as its append.
fn guesses(last: &Span, span: &Span) -> [i64; 9] {
    let Position { file, group, at, len, crc: _ } = last.position;
    let in_file = if span.position.file == file { (at + u64::from(len)).cast_signed() } else { 0 };
    [
        last.next,
        span.base,
        file.cast_signed(),
        group.cast_signed(),
        in_file,
        0,
        last.append_time,
        span.append_time,
        last.role.to_token().cast_signed(),
    ]
}

fn read_behind(last: &Span, from: &mut Reader<'_>) -> Option<Span> {
    if from.is_empty() {
        return None;
    }
    let mut span = Span { position: Position { len: 0, ..last.position }, ..*last };
    span.base = last.next.wrapping_add(from.varlong()?);
    span.next = span.base.wrapping_add(from.varlong()?);
    let mut next = |before: u64| Some(before.wrapping_add_signed(from.varlong()?));
    span.position.file = next(last.position.file)?;
    span.position.group = next(last.position.group)?;
    let same_file = span.position.file == last.position.file;
    span.position.at = next(if same_file { last.position.at + u64::from(last.position.len) } else { 0 })?;
    span.position.len = u32::try_from(next(0)?).ok()?;
    span.append_time = last.append_time.wrapping_add(from.varlong()?);
    span.max_timestamp = span.append_time.wrapping_add(from.varlong()?);
    span.role = Role::of_token(last.role.to_token().wrapping_add_signed(from.varlong()?));
    span.position.crc = u32::from_le_bytes(from.take(4)?.try_into().ok()?);
    Some(span)
}

#[cfg(test)]
mod tests;
