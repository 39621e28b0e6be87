//! The collector: deletes old versions, removed segments, orphans, dead topics and abandoned uploads.
//!
//! Only the owner of the bucket deletes, having just looked ([`Licence`]); what it does not know it looks up in the bucket
//! first. What may be deleted is decided in `choice`, which is pure. The order that makes it safe while the mover works: an
//! object is listed first, then looked for among those in flight, then in the newest version. The mover lets go of a name
//! only after the version that names it is the head.
//!
//! Costs follow what changed: a round in which nothing is due makes a handful of requests however many partitions there are.
//! Versions are not asked for before they can be due, removed things are known from the manifests, and only the search for
//! what nobody names, once a day, lists folders: one listing serves all partitions of a topic.
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};

use super::error::{ArchiveError, CommitError};
use super::manifest::PartitionArchive;
use super::{Archive, Bucket, Ownership, StateChain, Topics, layout, owner, state};
use crate::base::Uuid;
use crate::store::chain::{Chain, Keep, Lowest};
use choice::ClockWatch;
use licence::Licence;

mod choice;
mod clocks;
mod leftovers;
mod licence;
mod orphans;
mod removed;
mod topics;

pub use choice::GRACE_MS as ORPHAN_GRACE_MS;

const HOUR_MS: i64 = 60 * 60 * 1000;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Versions of a chain that stay in any case.
const KEEP_VERSIONS: u64 = 16;
/// How long versions stay.
const KEEP_MS: i64 = 7 * 24 * HOUR_MS;
/// How long versions of the state stay at least.
const KEEP_STATE_MS: i64 = 24 * HOUR_MS;
/// Time between two searches for orphans: they list whole folders.
const ORPHANS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Partitions that are worked on side by side.
const AT_ONCE: usize = 32;

/// How long things are kept.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// `esker.removed.retention.ms`: how long a removed segment is kept. Default: 24 h.
    pub removed_retention_ms: i64,
    /// The same, of topics that say otherwise, by id.
    pub of_topics: HashMap<Uuid, i64>,
}

impl CollectOptions {
    fn kept_ms(&self, topic_id: Uuid) -> i64 {
        self.of_topics.get(&topic_id).copied().unwrap_or(self.removed_retention_ms)
    }

    fn longest_ms(&self) -> i64 {
        self.of_topics.values().copied().fold(self.removed_retention_ms, i64::max)
    }
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self { removed_retention_ms: 24 * HOUR_MS, of_topics: HashMap::new() }
    }
}

/// What one round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Versions of chains.
    pub versions: u64,
    /// Objects that a version had removed.
    pub removed: u64,
    /// Objects that nothing named.
    pub orphans: u64,
    /// Objects of deleted topics.
    pub dead: u64,
    /// Unfinished uploads.
    pub uploads: u64,
    /// Why nothing was deleted, if so.
    pub paused: Option<String>,
    /// What could not be done; the rest was.
    pub failures: Vec<String>,
}

/// Deletes what nothing names any more, one round at a time.
#[derive(Debug)]
pub struct Collector {
    bucket: Bucket,
    ownership: Ownership,
    topics: Topics,
    state: StateChain,
    options: CollectOptions,
    watch: ClockWatch,
    clocks: clocks::Clocks,
    memory: Memory,
}

/// What is remembered from round to round, so that nothing is asked for before it can be due. Forgetting it costs requests.
#[derive(Debug, Default)]
struct Memory {
    orphans_at: Option<Duration>,
    state_pages_at: Option<Duration>,
    /// Up to this version of the state pages were thinned out.
    thinned: u64,
    owner: Lowest,
    state: Lowest,
    names: HashMap<String, Lowest>,
    partitions: HashMap<(Uuid, i32), Lowest>,
    /// When the objects of dead topics were listed.
    dead: HashMap<Uuid, Duration>,
}

impl Collector {
    /// For an owned bucket; topics and partitions that are made later are seen too.
    pub fn new(archive: &Archive, options: CollectOptions) -> Self {
        Self {
            bucket: archive.bucket.clone(),
            ownership: archive.ownership.clone(),
            topics: archive.topics.clone(),
            state: archive.state.clone(),
            options,
            watch: ClockWatch::default(),
            clocks: clocks::Clocks::default(),
            memory: Memory::default(),
        }
    }

    /// From the next round on, things are kept for so long.
    pub fn set_options(&mut self, options: CollectOptions) {
        self.options = options;
    }

    /// One round over everything. What fails does not keep the rest from being done. Only a look that does not show this
    /// broker as the owner ends the round: then nothing more may be deleted.
    pub async fn run(&mut self) -> Result<Collected, CommitError> {
        let licence = Licence::new(&self.ownership, self.bucket.clock());
        licence.check().await?;
        self.ownership.check_collectable()?;
        self.state.check_collectable().await?;
        let clock = self.bucket.clock().clone();
        let paused = match self.watch.look(clock.now_ms(), clock.elapsed()) {
            Some(jumped) => Some(jumped),
            None => self.clocks.differ(&self.bucket).await?,
        };
        let done = Collected { paused, ..Collected::default() };
        if let Some(why) = &done.paused {
            tracing::warn!(%why, "collection pauses");
            return Ok(done);
        }
        let mut memory = std::mem::take(&mut self.memory);
        let (now_ms, elapsed) = (clock.now_ms(), clock.elapsed());
        let round = Round { at: self, licence, now_ms, elapsed, done: Mutex::new(done) };
        let ended = round.run(&mut memory).await;
        let done = round.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.memory = memory;
        ended.map(|()| done)
    }
}

/// Whether so much time passed since `last`.
fn is_due(last: Option<Duration>, now: Duration, every: Duration) -> bool {
    last.is_none_or(|last| now.saturating_sub(last) >= every)
}

struct Round<'a> {
    at: &'a Collector,
    licence: Licence<'a>,
    now_ms: i64,
    elapsed: Duration,
    done: Mutex<Collected>,
}

impl Round<'_> {
    async fn run(&self, memory: &mut Memory) -> Result<(), CommitError> {
        let orphans = is_due(memory.orphans_at, self.elapsed, ORPHANS_EVERY);
        if orphans {
            // What a fenced writer left below the lowest version is found by a listing only.
            let (state_pages_at, thinned) = (memory.state_pages_at, memory.thinned);
            *memory = Memory { state_pages_at, thinned, ..Memory::default() };
        }
        self.at.topics.settle_all().await?;
        self.chains(memory).await?;
        self.partitions(memory).await?;
        self.topics(memory, orphans).await?;
        if is_due(memory.state_pages_at, self.elapsed, HOUR) {
            let gone = self.state_pages(&mut memory.thinned).await;
            self.count(|done| &mut done.orphans, gone)?;
            memory.state_pages_at = Some(self.elapsed);
        }
        if orphans {
            self.leftovers().await?;
            memory.orphans_at = Some(self.elapsed);
        }
        Ok(())
    }

    fn done(&self) -> MutexGuard<'_, Collected> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a failure; what ends the round is passed on.
    fn note<T>(&self, result: Result<T, CommitError>) -> Result<Option<T>, CommitError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e) if e.is_fenced() || self.licence.has_ended() => Err(e),
            Err(e) => {
                tracing::warn!(error = %e, "not collected; the next round tries again");
                self.done().failures.push(e.to_string());
                Ok(None)
            }
        }
    }

    /// Counts what went, or notes a failure.
    fn count(
        &self,
        which: impl Fn(&mut Collected) -> &mut u64,
        gone: Result<u64, CommitError>,
    ) -> Result<(), CommitError> {
        let gone = self.note(gone)?.unwrap_or(0);
        *which(&mut self.done()) += gone;
        Ok(())
    }

    /// Deletes one object; the only place that does.
    async fn delete(&self, path: &str) -> Result<(), CommitError> {
        self.licence.check().await?;
        Ok(self.at.bucket.store().delete(path).await?)
    }

    async fn delete_under(&self, root: &str, name: &str) -> Result<(), CommitError> {
        self.delete(&layout::under(root, name)).await
    }

    /// Deletes old versions of a chain whose head has this number.
    async fn versions(&self, chain: &Chain, head: u64, ms: i64, lowest: &mut Lowest) -> Result<(), CommitError> {
        let gone = async {
            let keep = Keep { newest: KEEP_VERSIONS, ms };
            let mut old = chain.old(head, keep, self.now_ms, lowest).await?;
            let mut gone = 0;
            while !old.is_empty() {
                self.licence.check().await?;
                old.remove_next().await?;
                gone += 1;
            }
            Ok(gone)
        };
        self.count(|done| &mut done.versions, gone.await)
    }

    async fn chains(&self, memory: &mut Memory) -> Result<(), CommitError> {
        let (bucket, at) = (&self.at.bucket, self.at);
        let owner_head = u64::from(at.ownership.epoch()); // nothing lies above it, as was just looked
        self.versions(&owner::chain(bucket), owner_head, KEEP_MS, &mut memory.owner).await?;
        let keep_ms = KEEP_STATE_MS.max(at.options.longest_ms());
        self.versions(&state::chain(bucket), at.state.number().await, keep_ms, &mut memory.state).await
    }

    async fn partitions(&self, memory: &mut Memory) -> Result<(), CommitError> {
        let known = &mut memory.partitions;
        let all = at_hand(self.at.topics.partitions(), known);
        let done: Vec<((Uuid, i32), Lowest)> = stream::iter(all)
            .map(|(partition, mut lowest)| async move {
                self.partition(&partition, &mut lowest).await?;
                Ok::<_, CommitError>(((partition.topic_id(), partition.partition()), lowest))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        *known = done.into_iter().collect();
        Ok(())
    }

    async fn partition(&self, partition: &PartitionArchive, lowest: &mut Lowest) -> Result<(), CommitError> {
        let settled = partition.settle().await;
        let Some(view) = self.note(settled)? else { return Ok(()) };
        let collectable = view.check_collectable().map_err(|e| {
            let path = self.at.bucket.store().url_of(partition.chain().prefix());
            ArchiveError::Refused { path, reason: e.to_string() }
        });
        // What a topic's chain asks for holds for its partitions.
        let collectable = collectable.and_then(|()| self.at.topics.check_collectable(partition.topic()));
        if self.note(collectable.map_err(CommitError::from))?.is_none() {
            return Ok(());
        }
        self.versions(partition.chain(), view.number(), KEEP_MS, lowest).await?;
        self.removed(partition, &view).await
    }
}

/// Partitions, each with what is remembered of it.
fn at_hand(partitions: Vec<PartitionArchive>, known: &HashMap<(Uuid, i32), Lowest>) -> Vec<(PartitionArchive, Lowest)> {
    let lowest = |p: &PartitionArchive| known.get(&(p.topic_id(), p.partition())).copied().unwrap_or_default();
    partitions.into_iter().map(|partition| (partition.clone(), lowest(&partition))).collect()
}

#[cfg(test)]
mod tests;
