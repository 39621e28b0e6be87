//! What to seal and when, pure.
use crate::archive::manifest::{Gap, GapReason};
use crate::log::hot::Span;
use crate::log::settings::TopicSettings;

/// What of a partition is in the WAL only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// Bytes of batches.
    pub bytes: u64,
    /// When its oldest batch was appended, ms.
    pub oldest_ms: i64,
    /// The group of its oldest batch.
    pub group: u64,
}

/// Why a partition is sealed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `esker.seal.bytes` are unsealed.
    Size,
    /// The oldest record is `esker.seal.ms` old.
    Age,
    /// It pins a WAL file that is needed.
    Pressure,
}

/// Whether to seal a partition now. `wanted_below`: groups that the WAL wants back.
pub fn choose(unsealed: &Unsealed, settings: &TopicSettings, now_ms: i64, wanted_below: Option<u64>) -> Option<Why> {
    let age = u64::try_from(now_ms.saturating_sub(unsealed.oldest_ms)).unwrap_or(0);
    if unsealed.bytes >= settings.seal_bytes {
        Some(Why::Size)
    } else if age >= settings.seal_ms {
        Some(Why::Age)
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

/// The next run of a partition: from `sealed_end` on, below `until`, about `max_bytes`. `spans` are those that end above
/// `sealed_end`. A hole between spans is a range whose records were lost with damaged or missing WAL groups.
pub fn next_run(
    sealed_end: i64,
    log_start: i64,
    until: i64,
    max_bytes: u64,
    spans: impl Iterator<Item = Planned>,
) -> Run {
    let mut run = Run::default();
    let mut at = sealed_end;
    if log_start > at {
        let next = log_start.min(until);
        push_gap(&mut run.gaps, at, next, GapReason::Deleted);
        at = next;
    }
    let (mut bytes, from) = (0, at);
    for (span, dead) in spans.filter(|(s, _)| s.next > from && s.base < until) {
        if bytes >= max_bytes {
            break;
        }
        if span.base > at {
            if !run.spans.is_empty() {
                break;
            }
            push_gap(&mut run.gaps, at, span.base, GapReason::WalLost);
            at = span.base;
        }
        bytes += u64::from(span.position.len);
        match dead {
            Some(reason) if run.spans.is_empty() => {
                push_gap(&mut run.gaps, at, span.next, reason);
                run.leading.push((span, dead));
            }
            _ => {
                if run.spans.is_empty() {
                    run.first = at;
                }
                run.spans.push((span, dead));
            }
        }
        at = span.next;
    }
    if run.spans.is_empty() {
        if bytes < max_bytes {
            push_gap(&mut run.gaps, at, until, GapReason::WalLost);
            at = at.max(until);
        }
        run.first = at;
    }
    run.next = at;
    run
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
