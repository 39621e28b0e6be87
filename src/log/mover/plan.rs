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

/// One seal: gaps, then a run of batches without a hole.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Run {
    /// Ranges without records before the run.
    pub gaps: Vec<Gap>,
    /// First offset of the run's segment.
    pub first: i64,
    /// One past its last offset; equal to `first` if there are no batches.
    pub next: i64,
    /// Its batches, in order; the first may begin below `first`, where records were deleted.
    pub spans: Vec<Span>,
}

/// The next run of a partition: from `sealed_end` on, below `until`, about `max_bytes`. `spans` are those that end above
/// `sealed_end`. A hole between spans is a range whose records were lost with damaged or missing WAL groups.
pub fn next_run(sealed_end: i64, log_start: i64, until: i64, max_bytes: u64, spans: impl Iterator<Item = Span>) -> Run {
    let mut gaps = Vec::new();
    let mut at = sealed_end;
    if log_start > at {
        let next = log_start.min(until);
        push_gap(&mut gaps, at, next, GapReason::Deleted);
        at = next;
    }
    let mut spans = spans.filter(|s| s.next > at && s.base < until).peekable();
    let first = spans.peek().map_or(until, |s| s.base.max(at));
    push_gap(&mut gaps, at, first, GapReason::WalLost);
    let mut run = Run { gaps, first, next: first, spans: Vec::new() };
    let mut bytes = 0;
    for span in spans {
        let follows = span.base <= run.next;
        if bytes >= max_bytes || !follows {
            break;
        }
        bytes += u64::from(span.position.len);
        run.next = span.next;
        run.spans.push(span);
    }
    run
}

fn push_gap(gaps: &mut Vec<Gap>, first: i64, next: i64, reason: GapReason) {
    if first < next {
        gaps.push(Gap { first, next, reason });
    }
}

#[cfg(test)]
mod tests;
