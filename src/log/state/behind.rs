//! The changes of state between R and the end of the WAL, pure.
//!
//! R may stop before any group, so the changes are kept in runs of neighbouring groups: to move R to a run's begin is to apply
//! the runs below it. A run holds of each item the last change only, so few long runs take little memory and many short ones
//! let R stop often. Runs melt together only with runs of like age: those that are as old as they are long together, or older.
//! Then there are about two runs for each time that the age doubles, and the run that the oldest pin lies in is at most as
//! long as the pin is old: R is at most twice as old as what pins it, plus one run. Only when all changes cost more than
//! their share of the memory do the oldest melt whatever their age, so that R lags and the memory does not grow.
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::Changes;
use crate::archive::state::Items;
use crate::base::Json;
use crate::wal::Position;

/// A run ends when it holds so many entries, or is so old (ms), or where a file of the WAL ends.
pub const RUN_ENTRIES: usize = 1024;
pub const RUN_MS: i64 = 10_000;
/// What changes may always cost, bytes: below it nothing melts.
pub const FINE_BYTES: u64 = 2 << 20;
/// What an entry costs beside its key and its value: its place in the map.
const ENTRY_BYTES: usize = 96;

/// Changes of neighbouring groups.
#[derive(Debug)]
struct Run {
    first_group: u64,
    last_group: u64,
    file: u64,
    began_ms: i64,
    ended_ms: i64,
    /// The last change of each item, with the group that says so.
    changes: BTreeMap<String, (u64, Option<Json>)>,
    bytes: u64,
}

/// The changes behind R, in the order of the WAL.
#[derive(Debug)]
pub struct Behind {
    runs: VecDeque<Run>,
    bytes: u64,
    /// The latest time of a frame: a clock that goes back makes no run younger.
    now_ms: i64,
    most_bytes: u64,
    /// Whether runs had to melt whatever their age since this was asked last.
    lags: bool,
}

impl Behind {
    /// Nothing, with room for changes of about `most_bytes`.
    pub fn new(most_bytes: u64) -> Self {
        Self { runs: VecDeque::new(), bytes: 0, now_ms: i64::MIN, most_bytes: most_bytes.max(FINE_BYTES), lags: false }
    }

    /// Takes in the frame at `position`; they come in the order of the WAL.
    pub fn record(&mut self, position: Position, at_ms: i64, changes: Changes) {
        let group = position.group;
        self.now_ms = self.now_ms.max(at_ms);
        let now_ms = self.now_ms;
        let open = self.runs.back().is_some_and(|run| {
            // A run never ends within a group: R may stop before any group.
            let young = now_ms.saturating_sub(run.began_ms) < RUN_MS && run.changes.len() < RUN_ENTRIES;
            run.last_group == group || run.file == position.file && young
        });
        if !open {
            self.melt();
            self.runs.push_back(Run {
                first_group: group,
                last_group: group,
                file: position.file,
                began_ms: now_ms,
                ended_ms: now_ms,
                changes: BTreeMap::new(),
                bytes: 0,
            });
        }
        let Some(run) = self.runs.back_mut() else { return };
        (run.last_group, run.ended_ms) = (group, now_ms);
        self.bytes -= run.bytes;
        for (key, value) in changes {
            run.put(key, (group, value));
        }
        self.bytes += run.bytes;
    }

    /// Melts runs of like age when there are more changes than are fine, and the oldest ones when they cost too much.
    fn melt(&mut self) {
        let mut at = 0;
        while self.bytes > FINE_BYTES && at + 1 < self.runs.len() {
            let (older, younger) = (&self.runs[at], &self.runs[at + 1]);
            let length = younger.ended_ms.saturating_sub(older.began_ms);
            if length <= self.now_ms.saturating_sub(younger.ended_ms) {
                self.melt_pair(at);
            } else {
                at += 1;
            }
        }
        while self.bytes > self.most_bytes && self.runs.len() > 2 {
            self.melt_pair(0);
            self.lags = true;
        }
    }

    /// Takes the run behind the one at `at` into it.
    fn melt_pair(&mut self, at: usize) {
        let Some(later) = self.runs.remove(at + 1) else { return };
        let run = &mut self.runs[at];
        self.bytes -= run.bytes + later.bytes;
        later.changes.into_iter().for_each(|(key, change)| run.put(key, change));
        (run.last_group, run.ended_ms) = (later.last_group, later.ended_ms);
        self.bytes += run.bytes;
    }

    /// Whether R lags since this was asked last, because the changes cost more than their share.
    pub fn lags(&mut self) -> bool {
        std::mem::take(&mut self.lags)
    }

    /// The greatest position up to `r` to which the changes can be folded: below it, or at or above it, lies each run.
    pub fn boundary(&self, r: u64) -> u64 {
        self.runs.iter().find(|run| run.last_group >= r).map_or(r, |run| run.first_group.min(r))
    }

    /// The groups that say the last value of an item, and the last group of all that was taken in.
    pub fn newest_groups(&self) -> (BTreeSet<u64>, u64) {
        let newest: HashMap<&str, u64> = self
            .runs
            .iter()
            .flat_map(|run| run.changes.iter().map(|(key, (group, _))| (key.as_str(), *group)))
            .collect();
        (newest.into_values().collect(), self.runs.back().map_or(0, |run| run.last_group))
    }

    /// Whether every change is in a state version.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Applies all changes below `r`, which is a boundary.
    pub fn fold(&self, r: u64, items: &mut Items) {
        for run in self.runs.iter().take_while(|run| run.last_group < r) {
            run.apply(items);
        }
    }

    /// Applies all changes.
    pub fn apply(&self, items: &mut Items) {
        self.runs.iter().for_each(|run| run.apply(items));
    }

    /// Forgets the changes below `r`; a run is cut where it has some on both sides.
    pub fn forget_below(&mut self, r: u64) {
        while let Some(run) = self.runs.front_mut().filter(|run| run.first_group < r) {
            self.bytes -= run.bytes;
            run.changes.retain(|_, (group, _)| *group >= r);
            run.bytes = run.changes.iter().map(|(key, (_, value))| cost(key, value.as_ref())).sum();
            self.bytes += run.bytes;
            run.first_group = r;
            if !run.changes.is_empty() && run.last_group >= r {
                return;
            }
            self.runs.pop_front();
        }
    }
}

impl Run {
    fn put(&mut self, key: String, change: (u64, Option<Json>)) {
        self.bytes += cost(&key, change.1.as_ref());
        if let Some((_, old)) = self.changes.get(&key) {
            self.bytes -= cost(&key, old.as_ref());
        }
        self.changes.insert(key, change);
    }

    fn apply(&self, items: &mut Items) {
        for (key, (_, value)) in &self.changes {
            match value {
                Some(value) => drop(items.insert(key.clone(), value.clone())),
                None => drop(items.remove(key)),
            }
        }
    }
}

fn cost(key: &str, value: Option<&Json>) -> u64 {
    (ENTRY_BYTES + key.len() + value.map_or(0, Json::len)) as u64
}

#[cfg(test)]
mod tests;
