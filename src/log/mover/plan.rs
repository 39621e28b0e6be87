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

/// One seal: gaps, then a run of batches without a hole.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Run {
    /// Ranges without records before the run.
    pub gaps: Vec<Gap>,
    /// The batches in those ranges, none of which is kept.
    pub leading: Vec<Planned>,
    /// First offset of the run's segment.
    pub first: i64,
    /// One past its last offset; equal to `first` if there are no batches.
    pub next: i64,
    /// Its batches, in order; the first is kept, and may begin below `first`, where records were deleted.
    pub spans: Vec<Planned>,
}

/// The next run of a partition: from `sealed_end` on, about `max_bytes`. `spans` are those that end above `sealed_end`; those
/// that end above `until` are not decided yet, and the run ends before them, wherever the log start lies. What lies below
/// `log_start` is not kept, but its batches are in `leading`, for their producers go on. A hole between spans is a range whose
/// records were lost with damaged or missing WAL groups.
pub fn next_run(
    sealed_end: i64,
    log_start: i64,
    until: i64,
    max_bytes: u64,
    spans: impl Iterator<Item = Planned>,
) -> Run {
    let mut run = Run::default();
    let (mut at, mut until, mut bytes) = (sealed_end, until, 0);
    for (span, dead) in spans {
        if span.base >= until {
            break;
        }
        if span.next > until {
            until = span.base;
            break;
        }
        if bytes >= max_bytes || span.base > at && !run.spans.is_empty() {
            until = at;
            break;
        }
        at = run.pass_hole(at, span.base, log_start);
        bytes += u64::from(span.position.len);
        let dead = if span.next <= log_start { Some(GapReason::Deleted) } else { dead };
        match dead {
            Some(reason) if run.spans.is_empty() => {
                at = run.pass_hole(at, log_start.min(span.next), log_start);
                push_gap(&mut run.gaps, at, span.next, reason);
                run.leading.push((span, dead));
            }
            _ => {
                if run.spans.is_empty() {
                    at = run.pass_hole(at, log_start, log_start);
                    run.first = at;
                }
                run.spans.push((span, dead));
            }
        }
        at = span.next;
    }
    if run.spans.is_empty() {
        at = run.pass_hole(at, until, log_start);
        run.first = at;
    }
    run.next = at;
    run
}

impl Run {
    /// Makes gaps of the offsets from `at` up to `to`, where no batch lies: deleted below the log start, lost above it.
    fn pass_hole(&mut self, at: i64, to: i64, log_start: i64) -> i64 {
        let deleted = log_start.clamp(at, to.max(at));
        push_gap(&mut self.gaps, at, deleted, GapReason::Deleted);
        push_gap(&mut self.gaps, deleted, to, GapReason::WalLost);
        at.max(to)
    }
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
