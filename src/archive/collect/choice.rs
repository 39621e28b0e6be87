//! What may be deleted, and when not at all; pure.
use std::time::Duration;

use crate::archive::layout::Named;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How old an object that nothing names has to be before it is taken for an orphan: whoever wrote it had that long to
/// commit it.
pub const GRACE_MS: i64 = DAY_MS;
/// How long the objects of a dead topic have to stay gone before it is forgotten.
pub const EMPTY_MS: i64 = DAY_MS;

/// Notices that the wall clock jumped: then nothing can be said to be old.
#[derive(Debug, Default)]
pub struct ClockWatch {
    last: Option<(i64, Duration)>,
    paused_until: Option<Duration>,
}

impl ClockWatch {
    /// Whether collection has to pause, given the wall time and the time that truly passed. It pauses for a day after the
    /// clock moved by more than a day against that.
    pub fn look(&mut self, now_ms: i64, elapsed: Duration) -> Option<String> {
        let passed = |since: Duration| i64::try_from(elapsed.saturating_sub(since).as_millis()).unwrap_or(i64::MAX);
        if let Some((last_ms, last)) = self.last {
            let jump = now_ms.saturating_sub(last_ms).saturating_sub(passed(last));
            if jump.saturating_abs() > DAY_MS {
                self.paused_until = Some(elapsed + Duration::from_millis(DAY_MS.unsigned_abs()));
            }
        }
        self.last = Some((now_ms, elapsed));
        self.paused_until = self.paused_until.filter(|until| elapsed < *until);
        self.paused_until.map(|_| "the clock jumped by more than a day: nothing is deleted for a day".to_owned())
    }
}

/// Whether this clock and the store's differ by so much that ages cannot be told.
pub fn clocks_differ(claimed_ms: i64, stored_ms: i64) -> Option<String> {
    (claimed_ms.abs_diff(stored_ms) > DAY_MS.unsigned_abs()).then(|| {
        let hours = claimed_ms.abs_diff(stored_ms) / 3_600_000;
        format!("this machine's clock and the store's differ by {hours} hours: nothing is deleted; set the clock")
    })
}

/// Whether an object of a partition's folders that no version names may go.
pub fn is_orphan(named: &Named, age_ms: i64, owner_epoch: u32, is_in_flight: bool) -> bool {
    named.epoch().is_some_and(|epoch| epoch <= owner_epoch) && age_ms >= GRACE_MS && !is_in_flight
}

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Of the older versions of the state, one in so much time keeps its pages.
const STATE_EVERY_MS: i64 = 10 * 60 * 1000;

/// Which versions of the state keep their pages, of those that there are (number and time, ascending): all that are younger
/// than an hour, the `newest`, and of the older ones the last in ten minutes. The second list: those that do not.
pub fn state_pages(versions: &[(u64, i64)], newest: u64, now_ms: i64) -> (Vec<u64>, Vec<u64>) {
    let many = usize::try_from(newest).unwrap_or(usize::MAX);
    let stays = |at: usize| {
        let (_, written_ms) = versions[at];
        let span = |ms: i64| ms.div_euclid(STATE_EVERY_MS);
        let is_last = versions.get(at + 1).is_none_or(|(_, next_ms)| span(*next_ms) != span(written_ms));
        at + many >= versions.len() || now_ms.saturating_sub(written_ms) < HOUR_MS || is_last
    };
    let (keep, thin): (Vec<usize>, Vec<usize>) = (0..versions.len()).partition(|at| stays(*at));
    let numbers = |at: Vec<usize>| at.into_iter().map(|at| versions[at].0).collect();
    (numbers(keep), numbers(thin))
}
