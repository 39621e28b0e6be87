//! The mover: it seals the WAL's oldest records into segments, commits them, and then releases WAL space.
//!
//! # Layout
//! Segments and manifests of a partition are written by one seal at a time; different partitions seal side by side, up to
//! [`JOBS_MAX`], and within the byte budget for seals.
//! # Order
//! PUT segment, manifest version, state version, release WAL below R. R is the group below which every record of every
//! partition is sealed and every log start is in a manifest; one place computes it ([`Mover::r`]). The coordinator's items are
//! folded up to it, so that no restored group is ahead of the data.
//! # Failure
//! A store that is away is tried again with growing pauses, per partition; nothing is lost but time, and the WAL fills up to
//! its budget. A commit that was fenced ends the service of this broker. A crash at any point leaves at most an object that
//! no manifest names, which the collector removes.
//! # Pressure
//! When more than half of the WAL's budget is pinned, whatever lies in the oldest pinned file is sealed at once; beyond 80 %
//! the file is condensed, so that one partition that cannot be sealed does not stop the others. So small batches are, when
//! the index of the WAL takes more than its share of memory.
mod memory;
pub(in crate::log) mod plan;
mod rewrite;
pub(in crate::log) mod seal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Notify, Semaphore};

use super::core::Core;
use super::partition::Partition;
use super::settings::TopicSettings;
use super::topics::Registry;
use crate::archive::collect::Collector;
use crate::archive::manifest::Change;
use crate::archive::manifest::Retention;
use crate::archive::manifest::model::RESERVE;
use crate::archive::state::{Items, PartitionHeads, WalPosition};
use crate::archive::{CommitError, StateChain};
use crate::base::{ByteBudget, Uuid};
use crate::store::Store;
use crate::wal::{Condensed, FrameKind, FrameMeta, Space};
use plan::Unsealed;
use seal::SealError;

/// Seals at the same time.
const JOBS_MAX: usize = 8;
/// Time between two rounds.
const ROUND: Duration = Duration::from_millis(200);
/// State versions are written at most this often, unless one frees a WAL file.
const STATE_EVERY_MS: i64 = 60_000;
/// Time between two looks at retention.
const RETENTION_EVERY_MS: i64 = 30_000;
/// Time between two rounds of the collector.
const COLLECT_EVERY_MS: i64 = 300_000;
/// Time between two looks at what could be compacted or merged, as Kafka's `log.cleaner.backoff.ms`.
const REWRITE_EVERY_MS: i64 = 15_000;
/// Entries that one look at retention may walk over in a partition.
const RETENTION_ENTRIES_MAX: usize = 10_000;
/// Time between two tries to condense: each reads the directories of some files.
const CONDENSE_EVERY_MS: i64 = 2_000;
/// Files that one try looks at, and how long one of which much is needed is left alone.
const CONDENSE_TRIES: usize = 8;
const CONDENSE_AGAIN: Duration = Duration::from_secs(30);
/// Time between two looks at what small batches and many producers take.
const MEMORY_EVERY_MS: i64 = 1_000;
/// A state version that frees a WAL file is written at most this often.
const STATE_AT_MOST_EVERY_MS: i64 = 10_000;
/// Longest that a log start waits for a seal that takes it along.
const LOG_START_WAITS_MAX_MS: i64 = 600_000;
/// Partitions that one task looks at, or commits to, at the same time.
const COMMITS_AT_ONCE: usize = 16;
/// First and longest pause after a failed seal.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The mover of one open log.
pub(super) struct Mover {
    core: Arc<Core>,
    registry: Arc<Registry>,
    store: Store,
    state: StateChain,
    wal_id: Uuid,
    budget: ByteBudget,
    jobs: Arc<Semaphore>,
    wake: Notify,
    /// Partitions that are being sealed, or that failed and wait.
    busy: Mutex<HashMap<(Uuid, i32), Busy>>,
    times: Mutex<Times>,
    collector: tokio::sync::Mutex<Collector>,
    /// Held while partitions are looked at for what could be compacted or merged.
    rewriting: tokio::sync::Mutex<rewrite::Known>,
    pub(in crate::log) releasing: Arc<tokio::sync::Mutex<()>>,
    condensing: Arc<tokio::sync::Mutex<()>>,
    retaining: Arc<tokio::sync::Mutex<()>>,
    /// WAL files of which much was needed, and when they were looked at.
    tried: Mutex<HashMap<u64, Duration>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    sealing: bool,
    pause: Duration,
    /// By the clock that never goes back.
    not_before: Duration,
}

#[derive(Debug, Default)]
struct Times {
    state_ms: i64,
    retention_ms: i64,
    collect_ms: i64,
    rewrite_ms: i64,
    expire_ms: i64,
    condense_ms: i64,
    memory_ms: i64,
    /// Groups that should be sealed for want of memory, as of `memory_ms`.
    no_room_below: Option<u64>,
}

impl Mover {
    pub fn new(
        core: Arc<Core>,
        registry: Arc<Registry>,
        store: Store,
        state: StateChain,
        wal_id: Uuid,
        collector: Collector,
    ) -> Self {
        let now = core.env.clock.now_ms();
        let budget = ByteBudget::new("seal", core.env.limits.seal_bytes());
        Self {
            core,
            registry,
            store,
            state,
            wal_id,
            budget,
            jobs: Arc::new(Semaphore::new(JOBS_MAX)),
            wake: Notify::new(),
            busy: Mutex::default(),
            times: Mutex::new(Times {
                state_ms: now,
                retention_ms: now,
                collect_ms: now,
                rewrite_ms: now,
                expire_ms: now,
                condense_ms: 0,
                memory_ms: 0,
                no_room_below: None,
            }),
            collector: tokio::sync::Mutex::new(collector),
            rewriting: tokio::sync::Mutex::default(),
            releasing: Arc::default(),
            condensing: Arc::default(),
            retaining: Arc::default(),
            tried: Mutex::default(),
        }
    }

    /// The coordinator's items as of R.
    pub fn state_items(&self) -> Items {
        self.state.head().items.clone()
    }

    /// Where segments go.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Raises reservations of which half is used: after a start that leaves offsets out, before anybody appends.
    pub async fn raise_reservations(&self) -> Result<(), CommitError> {
        let partitions = self.registry.partitions(None).unwrap_or_default();
        let due = partitions.iter().filter_map(|p| Some((p, p.state().reserve_due()?)));
        stream::iter(due)
            .map(|(partition, to)| commit_all(partition, vec![Change::Reserve { to }]))
            .buffer_unordered(COMMITS_AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    /// Works until the service ends.
    pub async fn run(self: Arc<Self>) {
        while self.core.fence.reason().is_none() {
            let _ = tokio::time::timeout(ROUND, self.wake.notified()).await;
            self.round();
        }
    }

    /// One round: it decides and starts tasks, and waits for none of them.
    pub fn round(self: &Arc<Self>) {
        let now = self.core.env.clock.now_ms();
        let space = self.core.wal.space();
        let partitions = self.registry.partitions(None).unwrap_or_default();
        let wanted_below = wanted_below(&space).max(self.bound_memory(&partitions, now));
        let (mut unsealed_bytes, mut oldest) = (0, now);
        for partition in &partitions {
            let settings = partition.settings();
            let upkeep = partition.upkeep(&settings, now, wanted_below);
            let unsealed = partition.unsealed();
            if let Some(u) = &unsealed {
                unsealed_bytes += u.bytes;
                oldest = oldest.min(u.oldest_ms);
            }
            let due = unsealed.and_then(|u| plan::choose(&u, &settings, now, wanted_below)).is_some();
            if (due || !upkeep.is_empty()) && self.claim(partition) {
                self.spawn(partition.clone(), due);
            }
        }
        self.observe(&space, unsealed_bytes, now - oldest);
        self.begin_release();
        self.begin_condense(&space);
        self.seldom(&partitions, now);
    }

    fn observe(&self, space: &Space, unsealed_bytes: u64, oldest_ms: i64) {
        let metrics = &self.core.metrics;
        metrics.unsealed_bytes.set(i64::try_from(unsealed_bytes).unwrap_or(i64::MAX));
        metrics.oldest_unsealed_ms.set(oldest_ms);
        metrics.pinned_bytes.set(i64::try_from(space.pinned).unwrap_or(i64::MAX));
        metrics.store_away.set(i64::from(self.core.fence.store_is_away()));
    }

    fn lock_busy(&self) -> std::sync::MutexGuard<'_, HashMap<(Uuid, i32), Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a partition as being worked on, unless it is already or has to wait.
    fn claim(&self, partition: &Partition) -> bool {
        let now = self.core.env.clock.elapsed();
        let mut busy = self.lock_busy();
        let entry = busy.entry(key(partition)).or_default();
        if entry.sealing || entry.not_before > now {
            return false;
        }
        entry.sealing = true;
        true
    }

    /// Ends the claim; after a failure the next one has to wait, longer each time.
    fn unclaim(&self, partition: &Partition, failed: bool) {
        let now = self.core.env.clock.elapsed();
        let mut busy = self.lock_busy();
        if failed {
            let entry = busy.entry(key(partition)).or_default();
            let pause = (entry.pause * 2).clamp(PAUSE.0, PAUSE.1);
            *entry = Busy { sealing: false, pause, not_before: now + pause };
        } else {
            busy.remove(&key(partition));
        }
    }

    fn spawn(self: &Arc<Self>, partition: Partition, seal: bool) {
        let (mover, jobs) = (self.clone(), self.jobs.clone());
        self.core.env.tasks.cold.spawn(async move {
            let mut claim = Claim { mover: &mover, partition: &partition, failed: true };
            let Ok(_job) = jobs.acquire_owned().await else { return };
            let done = mover.work(&partition, seal).await;
            if let Err(error) = &done {
                mover.failed(&partition, error);
            }
            claim.failed = done.is_err();
            drop(claim);
            mover.wake.notify_one();
        });
    }

    async fn work(&self, partition: &Partition, seal: bool) -> Result<(), SealError> {
        if seal {
            let until = partition.state().decided_end();
            self.seal_once(partition, until).await?;
        }
        let wanted_below = wanted_below(&self.core.wal.space());
        let due = partition.upkeep(&partition.settings(), self.core.env.clock.now_ms(), wanted_below);
        Ok(commit_all(partition, due).await?)
    }

    /// Seals one run and counts it; returns where the sealed range ends.
    async fn seal_once(&self, partition: &Partition, until: i64) -> Result<i64, SealError> {
        let began = self.core.env.clock.elapsed();
        let sealed = seal::seal_next(partition, &self.store, &self.budget, until).await?;
        if sealed.records > 0 {
            let metrics = &self.core.metrics;
            metrics.seals.inc();
            metrics.sealed_records.inc_by(sealed.records);
            metrics.sealed_payload.inc_by(sealed.payload_bytes);
            metrics.sealed_stored.inc_by(sealed.stored_bytes);
            metrics.seal_seconds.observe((self.core.env.clock.elapsed() - began).as_secs_f64());
        }
        Ok(sealed.end)
    }

    fn failed(&self, partition: &Partition, error: &SealError) {
        self.core.metrics.seal_failures.inc();
        let (topic, number) = (partition.topic(), partition.number());
        if error.is_fenced() {
            self.core.fence.fail(error.to_string());
        } else if error.is_store_away() {
            tracing::warn!(topic, partition = number, %error, "not sealed: the store does not answer; trying again");
        } else {
            tracing::error!(topic, partition = number, %error, "not sealed; the records stay in the WAL; trying again");
        }
    }

    /// Seals everything of these partitions that is decided now, side by side, and moves R.
    pub async fn seal_now(self: &Arc<Self>, partitions: &[Partition]) -> Result<(), SealError> {
        let mut running = tokio::task::JoinSet::new();
        for partition in partitions {
            let (mover, jobs, partition) = (self.clone(), self.jobs.clone(), partition.clone());
            let work = async move {
                let _job = jobs.acquire_owned().await.map_err(|e| SealError::Thread(e.to_string()))?;
                let until = partition.state().decided_end();
                // Until nothing is left of what is decided now: a batch that the end cuts is not.
                let mut from = i64::MIN;
                loop {
                    let end = mover.seal_once(&partition, until).await?;
                    if end >= until || end == from {
                        break;
                    }
                    from = end;
                }
                commit_all(&partition, partition.upkeep_at_once()).await?;
                Ok::<(), SealError>(())
            };
            running.spawn_on(work, &self.core.env.tasks.cold);
        }
        let mut first_error = None;
        while let Some(done) = running.join_next().await {
            let done = done.unwrap_or_else(|e| Err(SealError::Thread(e.to_string())));
            if let Err(error) = done {
                first_error.get_or_insert(error);
            }
        }
        if let Err(error) = self.release().await {
            first_error.get_or_insert(error.into());
        }
        first_error.map_or(Ok(()), |error| {
            if error.is_fenced() {
                self.core.fence.fail(error.to_string());
            }
            Err(error)
        })
    }

    /// R: the first group that is still needed by a record, a lost range or a log start; and the head of each partition's manifest. What
    /// is durable is read first, and only then who exists: whatever becomes durable later lies above, also of a partition that
    /// is made meanwhile.
    fn r(&self) -> (u64, PartitionHeads) {
        let durable = self.core.wal.durable_group() + 1;
        let partitions = self.registry.partitions(None).unwrap_or_default();
        let pinned = partitions.iter().filter_map(|partition| partition.state().pinned_group());
        let r = pinned.chain(self.registry.pinned_by_strangers()).fold(durable, u64::min);
        let heads = partitions.iter().map(|p| (key(p), p.0.archive.view().hint().clone()));
        (r, heads.collect())
    }

    /// Starts a state version if one may be due and none is under way.
    fn begin_release(self: &Arc<Self>) {
        let since = self.core.env.clock.now_ms() - self.times().state_ms;
        if (0..STATE_AT_MOST_EVERY_MS).contains(&since) {
            return;
        }
        let Ok(one) = self.releasing.clone().try_lock_owned() else { return };
        let mover = self.clone();
        self.core.env.tasks.cold.spawn(async move {
            let (r, ends) = mover.r();
            let r = mover.core.state.behind().boundary(r);
            let frees = mover.frees(r);
            if frees || !(0..STATE_EVERY_MS).contains(&since) {
                let _ = mover.release_to(r, ends).await; // it is logged, and tried again
            }
            drop(one);
        });
    }

    /// Whether a state version at `r` would free a WAL file; the newest one is written to, and is not free whatever R is.
    fn frees(&self, r: u64) -> bool {
        let (files, last) = (self.core.wal.space().files, self.released_below());
        files.iter().rev().skip(1).any(|f| !f.released && f.last_group < r && f.last_group >= last)
    }

    /// Where the newest state version says that R is.
    pub(in crate::log) fn released_below(&self) -> u64 {
        let head = self.state.head();
        if head.r.wal_id == self.wal_id { head.r.group } else { 0 }
    }

    /// Writes a state version as of now, and releases the WAL below it.
    pub async fn release(&self) -> Result<(), CommitError> {
        let _one = self.releasing.lock().await;
        let (r, ends) = self.r();
        let r = self.core.state.behind().boundary(r);
        self.release_to(r, ends).await
    }

    async fn release_to(&self, r: u64, ends: PartitionHeads) -> Result<(), CommitError> {
        if self.core.state.behind().lags() {
            tracing::warn!(
                "changes of groups and offsets take more than their share of memory: the WAL is released later than it could be"
            );
        }
        if r <= self.released_below() {
            return Ok(());
        }
        let fold = |_, items: &mut Items| self.core.state.behind().fold(r, items);
        let written = self.state.commit(WalPosition { wal_id: self.wal_id, group: r }, ends, fold).await;
        self.times().state_ms = self.core.env.clock.now_ms();
        match &written {
            Ok(state) => {
                self.core.state.folded(state.r.group);
                self.core.wal.release_below(state.r.group);
            }
            Err(error) if error.is_fenced() => self.core.fence.fail(error.to_string()),
            Err(error) => tracing::warn!(%error, "state not written; trying again"),
        }
        written.map(drop)
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to condense pinned files, oldest first, when the WAL is nearly full and the store answers.
    fn begin_condense(self: &Arc<Self>, space: &Space) {
        if space.pinned < space.capacity() / 5 * 4 || self.core.fence.store_is_away() {
            return;
        }
        let Ok(one) = self.condensing.clone().try_lock_owned() else { return };
        if due(&mut self.times().condense_ms, self.core.env.clock.now_ms(), CONDENSE_EVERY_MS) {
            let (mover, files) = (self.clone(), condensable(space));
            self.core.env.tasks.cold.spawn(async move {
                mover.condense(files).await;
                drop(one);
            });
        }
    }

    /// Condenses the first of these files of which little is needed. One of which much is needed is passed over, and not asked
    /// again soon: what it needs falls with the seals only.
    pub(in crate::log) async fn condense(&self, files: Vec<u64>) {
        let now = self.core.env.clock.elapsed();
        let files: Vec<u64> = {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            tried.retain(|_, at| now.saturating_sub(*at) < CONDENSE_AGAIN);
            files.into_iter().filter(|file| !tried.contains_key(file)).take(CONDENSE_TRIES).collect()
        };
        for file in files {
            match self.core.wal.condense_beside(&self.core.env.tasks, file, self.needed()).await {
                Ok(Condensed::Done { kept }) => {
                    tracing::info!(file, kept, "condensed a WAL file");
                    return;
                }
                Ok(Condensed::TooMuch { needed }) => {
                    tracing::debug!(file, needed, "most of a WAL file is still needed");
                }
                Err(error) => tracing::warn!(file, %error, "a WAL file was not condensed"),
            }
            self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(file, now);
        }
    }

    /// Which frames of the WAL are needed: what is not sealed, and changes of state that no version holds, unless each of their
    /// items has a later value in the WAL. Of a partition that is
    /// not known all are, unless the chain of its topic says that it is gone.
    fn needed(&self) -> impl Fn(&FrameMeta, u64) -> bool + Send + 'static {
        let r = self.released_below();
        let (newest, known) = self.core.state.behind().newest_groups();
        let registry = self.registry.clone();
        move |meta, group| {
            if meta.kind == FrameKind::STATE {
                return group >= r && (group > known || newest.contains(&group));
            }
            let Some(partition) = registry.partition_by_id(meta.topic_id, meta.partition) else {
                return !registry.is_gone(meta.topic_id);
            };
            let state = partition.state();
            match meta.kind {
                FrameKind::BATCH | FrameKind::GAP => meta.last_offset >= state.sealed_end,
                FrameKind::LOG_START => state.log_start_move.is_some_and(|moved| group >= moved.group),
                _ => true,
            }
        }
    }

    /// What need not happen in every round: retention, forgetting silent producers, collecting, compacting and merging.
    fn seldom(self: &Arc<Self>, partitions: &[Partition], now: i64) {
        let (retention_due, expire, collect, rewrite) = {
            let mut times = self.times();
            (
                due(&mut times.retention_ms, now, RETENTION_EVERY_MS),
                due(&mut times.expire_ms, now, RETENTION_EVERY_MS),
                due(&mut times.collect_ms, now, COLLECT_EVERY_MS),
                due(&mut times.rewrite_ms, now, REWRITE_EVERY_MS),
            )
        };
        if expire {
            for partition in partitions {
                partition.expire_producers(now - seal::PRODUCER_EXPIRATION_MS);
                partition.forget_recycled();
            }
            let partitions = partitions.to_vec();
            self.core.env.tasks.cold.spawn(async move { partitions.iter().for_each(|p| p.0.archive.cool()) });
        }
        if let (true, Ok(one)) = (retention_due, self.retaining.clone().try_lock_owned()) {
            let partitions = partitions.to_vec();
            self.core.env.tasks.cold.spawn(async move {
                retain(&partitions, now).await;
                drop(one);
            });
        }
        if expire {
            let (registry, fence) = (self.registry.clone(), self.core.fence.clone());
            self.core.env.tasks.cold.spawn(async move {
                if let Err(error) = registry.settle().await {
                    fence.fail(error.to_string());
                }
            });
        }
        if collect {
            let mover = self.clone();
            self.core.env.tasks.cold.spawn(async move { mover.collect().await });
        }
        if rewrite {
            let mover = self.clone();
            self.core.env.tasks.cold.spawn(async move { mover.rewrite_all().await });
        }
    }

    async fn collect(&self) {
        let Ok(mut collector) = self.collector.try_lock() else { return };
        collector.set_options(self.registry.collect_options());
        match collector.run().await {
            Ok(done) => tracing::debug!(?done, "collected"),
            Err(error) if error.is_fenced() => self.core.fence.fail(error.to_string()),
            Err(error) => tracing::warn!(%error, "collecting ended early; trying again"),
        }
    }
}

impl Partition {
    /// What of it is in the WAL only.
    pub(super) fn unsealed(&self) -> Option<Unsealed> {
        let state = self.state();
        let (from, _) = state.unsealed()?;
        let first = state.hot.from(from).next();
        Some(Unsealed {
            bytes: state.unsealed_bytes,
            payload: state.expansion.payload_of(state.unsealed_bytes),
            oldest_ms: first.map_or(0, |s| s.append_time),
            group: first.map_or(0, |s| s.position.group),
        })
    }

    /// What its manifest should say now, seal or no seal: a reservation half of which is used, and a log start that no seal took
    /// along for as long as one might have.
    fn upkeep(&self, settings: &TopicSettings, now: i64, wanted_below: Option<u64>) -> Vec<Change> {
        let state = self.state();
        let patience = i64::try_from(settings.seal_ms).unwrap_or(i64::MAX).min(LOG_START_WAITS_MAX_MS);
        let waits = |since: i64| (0..patience).contains(&(now - since));
        let moved = state.log_start_move;
        let moved_due = moved.is_some_and(|m| !waits(m.since_ms) || wanted_below.is_some_and(|below| m.group < below));
        let retained_due = state.retained_to.is_some_and(|(_, since)| !waits(since));
        let due = moved_due || retained_due;
        changes(state.reserve_due(), if due { state.log_starts_to_write() } else { Vec::new() })
    }

    /// The same when nothing may wait.
    fn upkeep_at_once(&self) -> Vec<Change> {
        let state = self.state();
        changes(state.reserve_due(), state.log_starts_to_write())
    }

    /// Forgets producers that were silent since `before_ms`.
    fn expire_producers(&self, before_ms: i64) {
        let state = &mut *self.state();
        let transactions = &state.transactions;
        state.producers.expire(before_ms, |id| transactions.open_from(id).is_some());
    }
}

impl super::partition::State {
    /// Up to where offsets should be reserved, if half of what is reserved is used.
    fn reserve_due(&self) -> Option<i64> {
        (self.reserved - self.log_end < RESERVE / 2).then_some(self.log_end + RESERVE)
    }
}

/// Gives a partition back when its task ends, however it ends.
struct Claim<'a> {
    mover: &'a Mover,
    partition: &'a Partition,
    failed: bool,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.mover.unclaim(self.partition, self.failed);
    }
}

fn changes(reserve: Option<i64>, log_starts: Vec<Change>) -> Vec<Change> {
    reserve.map(|to| Change::Reserve { to }).into_iter().chain(log_starts).collect()
}

async fn commit_all(partition: &Partition, changes: Vec<Change>) -> Result<(), CommitError> {
    if !changes.is_empty() {
        let manifest = partition.0.archive.commit(Change::All(changes)).await?;
        partition.committed(&manifest);
    }
    Ok(())
}

/// Finds what retention asks for; it is written with the next seal, or by upkeep when none comes.
async fn retain(partitions: &[Partition], now: i64) {
    let with_retention = partitions.iter().filter_map(|partition| Some((partition, retention(partition, now)?)));
    let each = stream::iter(with_retention).for_each_concurrent(COMMITS_AT_ONCE, |(partition, keep)| async move {
        match partition.0.archive.view().retention(keep, RETENTION_ENTRIES_MAX).await {
            Ok(Some(to)) => partition.state().retain_from(to, now),
            Ok(None) => {}
            Err(error) => {
                let (topic, number) = (partition.topic(), partition.number());
                tracing::warn!(topic, partition = number, %error, "retention not applied");
            }
        }
    });
    each.await;
}

/// What retention keeps of a partition, if it has any.
fn retention(partition: &Partition, now: i64) -> Option<Retention> {
    let settings = partition.settings();
    let keep = Retention {
        before_ms: (settings.retention_ms >= 0).then(|| now.saturating_sub(settings.retention_ms)),
        keep_bytes: u64::try_from(settings.retention_bytes).ok(),
    };
    (settings.deletes && keep != Retention::default()).then_some(keep)
}

/// Pinned files that may be condensed, oldest first.
pub(super) fn condensable(space: &Space) -> Vec<u64> {
    space.files.iter().filter(|file| !file.released && !file.kept).map(|file| file.file).collect()
}

/// The groups that the WAL wants back: those of its oldest pinned file, when more than half of the budget is pinned.
fn wanted_below(space: &Space) -> Option<u64> {
    if space.pinned <= space.capacity() / 2 {
        return None;
    }
    let spare = space.files.len() / 4;
    space.files.iter().filter(|f| !f.released).nth(spare).map(|f| f.last_group + 1)
}

fn due(last: &mut i64, now: i64, every: i64) -> bool {
    let due = now - *last >= every || now < *last;
    if due {
        *last = now;
    }
    due
}

fn key(partition: &Partition) -> (Uuid, i32) {
    (partition.topic_id(), partition.number())
}
