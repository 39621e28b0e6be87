//! What to seal and when, pure.
use crate::archive::manifest::{Gap, GapReason};
use crate::log::hot::Span;
use crate::log::settings::TopicSettings;

/// What of a partition is in the WAL only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// Bytes of batches.
    pub bytes: u64,
    /// About how much payload is in them.
    pub payload: u64,
    /// When its oldest batch was appended, ms.
    pub oldest_ms: i64,
    /// The group of its oldest batch.
    pub group: u64,
}

/// Why a partition is sealed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `esker.seal.bytes` of payload are unsealed.
    Size,
    /// The oldest record is `esker.seal.ms` old.
    Age,
    /// The oldest record of a compacted topic is `max.compaction.lag.ms` old: only what is sealed is compacted.
    Lag,
    /// It pins a WAL file that is needed.
    Pressure,
}

/// A compacted partition is not sealed more often than this because of `max.compaction.lag.ms`.
const LAG_MS_MIN: i64 = 5_000;

/// Whether to seal a partition now. `wanted_below`: groups that the WAL wants back.
pub fn choose(unsealed: &Unsealed, settings: &TopicSettings, now_ms: i64, wanted_below: Option<u64>) -> Option<Why> {
    let age = u64::try_from(now_ms.saturating_sub(unsealed.oldest_ms)).unwrap_or(0);
    if unsealed.payload >= settings.seal_bytes {
        Some(Why::Size)
    } else if age >= settings.seal_ms {
        Some(Why::Age)
    } else if settings.compaction.as_ref().is_some_and(|c| i128::from(age) >= i128::from(c.max_lag_ms.max(LAG_MS_MIN)))
    {
        Some(Why::Lag)
    } else if wanted_below.is_some_and(|group| unsealed.group < group) {
        Some(Why::Pressure)
    } else {
        None
    }
}

/// A batch, and the reason if its records are not kept.
pub type Planned = (Span, Option<GapReason>);

/// One seal, planned batch by batch: gaps, then a run of batches without a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Ranges without records before the run. None of the batches in them is kept, but their producers go on.
    pub gaps: Vec<Gap>,
    /// First offset of the run's segment; its first batch may begin below, where records were deleted.
    pub first: i64,
    /// One past its last offset; equal to `first` if there are no batches.
    pub next: i64,
    /// Bytes of its batches.
    pub bytes: u64,
    /// What lies below is not kept.
    pub log_start: i64,
    until: i64,
    max_bytes: u64,
    begun: bool,
    passed_bytes: u64,
}

/// What a run makes of the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// It lies in a gap before the run.
    Leading,
    /// It is part of the run.
    Part,
    /// It is not for this run, nor is any behind it.
    Nothing,
}

impl Run {
    /// A run from `sealed_end` on, of about `max_bytes`. Batches that end above `until` are not decided yet, and the run ends
    /// before them, wherever the log start lies.
    pub fn new(sealed_end: i64, log_start: i64, until: i64, max_bytes: u64) -> Self {
        Self {
            gaps: Vec::new(),
            first: sealed_end,
            next: sealed_end,
            bytes: 0,
            log_start,
            until,
            max_bytes,
            begun: false,
            passed_bytes: 0,
        }
    }

    /// Takes the next batch that ends above `next`. A hole before it is a range whose records were lost with damaged or missing
    /// groups of the WAL.
    pub fn take(&mut self, (span, dead): &Planned) -> Took {
        if span.base >= self.until {
            return Took::Nothing;
        }
        if span.next > self.until {
            self.until = span.base;
            return Took::Nothing;
        }
        if self.passed_bytes >= self.max_bytes || span.base > self.next && self.begun {
            self.until = self.next;
            return Took::Nothing;
        }
        self.pass_hole(span.base);
        self.passed_bytes += u64::from(span.position.len);
        let took = match dead_below(self.log_start, span, *dead) {
            Some(reason) if !self.begun => {
                self.pass_hole(self.log_start.min(span.next));
                push_gap(&mut self.gaps, self.next, span.next, reason);
                Took::Leading
            }
            _ => {
                if !self.begun {
                    self.pass_hole(self.log_start);
                    (self.begun, self.first) = (true, self.next);
                }
                self.bytes += u64::from(span.position.len);
                Took::Part
            }
        };
        self.next = span.next;
        took
    }

    /// No batch is left that it takes.
    pub fn end(mut self) -> Self {
        if !self.begun {
            self.pass_hole(self.until);
            self.first = self.next;
        }
        self
    }

    /// Makes gaps of the offsets up to `to`, where no batch lies: deleted below the log start, lost above it.
    fn pass_hole(&mut self, to: i64) {
        let deleted = self.log_start.clamp(self.next, to.max(self.next));
        push_gap(&mut self.gaps, self.next, deleted, GapReason::Deleted);
        push_gap(&mut self.gaps, deleted, to, GapReason::WalLost);
        self.next = self.next.max(to);
    }
}

/// Why the records of a batch are not kept, given what is known of its transaction.
pub fn dead_below(log_start: i64, span: &Span, dead: Option<GapReason>) -> Option<GapReason> {
    if span.next <= log_start { Some(GapReason::Deleted) } else { dead }
}

/// Adds a range; to the one before it if the reason is the same. What aborted transactions leave behind is one gap, with all
/// markers in between.
fn push_gap(gaps: &mut Vec<Gap>, first: i64, next: i64, reason: GapReason) {
    match gaps.last_mut() {
        _ if first >= next => {}
        Some(last) if last.next == first && last.reason == reason => last.next = next,
        Some(last) if last.next == first && is_transactional(last.reason) && is_transactional(reason) => {
            (last.next, last.reason) = (next, GapReason::Aborted);
        }
        _ => gaps.push(Gap { first, next, reason, unknown: Default::default() }),
    }
}

fn is_transactional(reason: GapReason) -> bool {
    matches!(reason, GapReason::Control | GapReason::Aborted)
}

#[cfg(test)]
mod tests;
