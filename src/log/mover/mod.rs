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
//! the file is condensed, so that one partition that cannot be sealed does not stop the others.
pub(in crate::log) mod plan;
mod rewrite;
pub(in crate::log) mod seal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::core::Core;
use super::partition::Partition;
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
/// Time between two tries to condense: each reads the directories of a file, and what it needs falls only with the seals.
const CONDENSE_EVERY_MS: i64 = 2_000;
/// First and longest pause after a failed seal.
const PAUSE_MS: (i64, i64) = (500, 30_000);

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
    /// One segment is rewritten at a time, as with Kafka's single cleaner thread.
    rewriting: tokio::sync::Mutex<()>,
    releasing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    sealing: bool,
    pause_ms: i64,
    not_before_ms: i64,
}

#[derive(Debug, Default)]
struct Times {
    state_ms: i64,
    retention_ms: i64,
    collect_ms: i64,
    rewrite_ms: i64,
    expire_ms: i64,
    condense_ms: i64,
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
            }),
            collector: tokio::sync::Mutex::new(collector),
            rewriting: tokio::sync::Mutex::default(),
            releasing: tokio::sync::Mutex::default(),
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

    /// Works until the service ends.
    pub async fn run(self: Arc<Self>) {
        while self.core.fence.reason().is_none() {
            let _ = tokio::time::timeout(ROUND, self.wake.notified()).await;
            self.round().await;
        }
    }

    async fn round(self: &Arc<Self>) {
        let now = self.core.env.clock.now_ms();
        let space = self.core.wal.space();
        let partitions = self.registry.partitions(None).unwrap_or_default();
        let wanted_below = wanted_below(&space);
        let (mut unsealed_bytes, mut oldest) = (0, now);
        for partition in &partitions {
            let upkeep = partition.needs_upkeep();
            let unsealed = partition.unsealed();
            if let Some(u) = &unsealed {
                unsealed_bytes += u.bytes;
                oldest = oldest.min(u.oldest_ms);
            }
            let due = unsealed.and_then(|u| plan::choose(&u, &partition.settings(), now, wanted_below));
            if (due.is_some() || upkeep) && self.claim(partition, now) {
                self.spawn(partition.clone(), due.is_some());
            }
        }
        self.observe(&space, unsealed_bytes, now - oldest);
        self.release(&partitions, now, false).await;
        self.condense(&space, &partitions).await;
        self.seldom(&partitions, now).await;
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
    fn claim(&self, partition: &Partition, now: i64) -> bool {
        let mut busy = self.lock_busy();
        let entry = busy.entry(key(partition)).or_default();
        if entry.sealing || entry.not_before_ms > now {
            return false;
        }
        entry.sealing = true;
        true
    }

    /// Ends the claim; after a failure the next one has to wait, longer each time.
    fn unclaim(&self, partition: &Partition, failed: bool) {
        let now = self.core.env.clock.now_ms();
        let mut busy = self.lock_busy();
        if failed {
            let entry = busy.entry(key(partition)).or_default();
            let pause_ms = (entry.pause_ms * 2).clamp(PAUSE_MS.0, PAUSE_MS.1);
            *entry = Busy { sealing: false, pause_ms, not_before_ms: now + pause_ms };
        } else {
            busy.remove(&key(partition));
        }
    }

    fn spawn(self: &Arc<Self>, partition: Partition, seal: bool) {
        let (mover, jobs) = (self.clone(), self.jobs.clone());
        self.core.env.tasks.cold.spawn(async move {
            let Ok(_job) = jobs.acquire_owned().await else { return };
            let done = mover.work(&partition, seal).await;
            if let Err(error) = &done {
                mover.failed(&partition, error);
            }
            mover.unclaim(&partition, done.is_err());
            mover.wake.notify_one();
        });
    }

    async fn work(&self, partition: &Partition, seal: bool) -> Result<(), SealError> {
        self.upkeep(partition).await?;
        if seal {
            let until = partition.ends().last_stable;
            self.seal_once(partition, until).await?;
        }
        Ok(())
    }

    /// Raises the reservation and writes a moved log start, where that is due.
    async fn upkeep(&self, partition: &Partition) -> Result<(), CommitError> {
        let (reserve, log_start) = {
            let state = partition.state();
            (state.reserve_due().then_some(state.log_end + RESERVE), state.log_start_group.map(|(to, _)| to))
        };
        let changes = [reserve.map(|to| Change::Reserve { to }), log_start.map(|to| Change::LogStart { to })];
        for change in changes.into_iter().flatten() {
            let manifest = partition.0.archive.commit(change).await?;
            partition.committed(&manifest);
        }
        Ok(())
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
                let until = partition.ends().last_stable;
                while mover.seal_once(&partition, until).await? < until {}
                mover.upkeep(&partition).await?;
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
        let all = self.registry.partitions(None).unwrap_or_default();
        self.release(&all, self.core.env.clock.now_ms(), true).await;
        first_error.map_or(Ok(()), |error| {
            if error.is_fenced() {
                self.core.fence.fail(error.to_string());
            }
            Err(error)
        })
    }

    /// R: the first group that is still needed by a record or a log start; and the head of each partition's manifest.
    fn r(&self, partitions: &[Partition]) -> (u64, PartitionHeads) {
        let durable = self.core.wal.durable_group() + 1; // read first: what becomes durable later lies above
        let r = partitions.iter().filter_map(Partition::pinned_group).fold(durable, u64::min);
        let heads = partitions.iter().map(|p| (key(p), p.0.archive.view().hint().clone()));
        (r, heads.collect())
    }

    /// Writes a state version if R moved far enough, and releases the WAL below it.
    async fn release(&self, partitions: &[Partition], now: i64, at_once: bool) {
        let _one = self.releasing.lock().await;
        let (r, ends) = self.r(partitions);
        let r = self.core.state.behind().boundary(r);
        let head = self.state.head();
        let last = if head.r.wal_id == self.wal_id { head.r.group } else { 0 };
        let files = self.core.wal.space().files;
        // The newest file is written to, and is not free whatever R is.
        let frees = files.iter().rev().skip(1).any(|f| !f.released && f.last_group < r && f.last_group >= last);
        let due = now - self.times().state_ms >= STATE_EVERY_MS;
        if r <= last || !(frees || due || at_once) {
            return;
        }
        let fold = |_, items: &mut Items| self.core.state.behind().fold(r, items);
        match self.state.commit(WalPosition { wal_id: self.wal_id, group: r }, ends, fold).await {
            Ok(state) => {
                self.times().state_ms = now;
                self.core.state.folded(state.r.group, state.items.len());
                self.core.wal.release_below(r);
            }
            Err(error) if error.is_fenced() => self.core.fence.fail(error.to_string()),
            Err(error) => {
                self.times().state_ms = now;
                tracing::warn!(%error, "state not written; trying again");
            }
        }
    }

    /// Writes a state version as of now.
    #[cfg(test)]
    pub async fn release_now(&self) {
        let all = self.registry.partitions(None).unwrap_or_default();
        self.release(&all, self.core.env.clock.now_ms(), true).await;
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Condenses the oldest pinned file when the WAL is nearly full and the store answers.
    async fn condense(&self, space: &Space, partitions: &[Partition]) {
        if space.pinned < space.budget / 5 * 4 || self.core.fence.store_is_away() {
            return;
        }
        let Some(file) = space.files.iter().find(|f| !f.released && !f.kept).map(|f| f.file) else { return };
        if !due(&mut self.times().condense_ms, self.core.env.clock.now_ms(), CONDENSE_EVERY_MS) {
            return;
        }
        let sealed: HashMap<(Uuid, i32), (i64, i64)> =
            partitions.iter().map(|p| (key(p), (p.state().sealed_end, p.0.archive.head().log_start))).collect();
        let r = self.state.head().r.group;
        let needed = move |meta: &FrameMeta, group: u64| {
            if meta.kind == FrameKind::STATE {
                return group >= r;
            }
            sealed.get(&(meta.topic_id, meta.partition)).is_some_and(|(sealed_end, log_start)| match meta.kind {
                FrameKind::BATCH => meta.last_offset >= *sealed_end,
                FrameKind::LOG_START => meta.base_offset > *log_start,
                _ => true,
            })
        };
        let wal = self.core.wal.clone();
        let done = self.core.env.tasks.cold.spawn_blocking(move || wal.condense(file, &needed)).await;
        match done {
            Ok(Ok(Condensed::Done { kept })) => tracing::info!(file, kept, "condensed a WAL file"),
            Ok(Ok(Condensed::TooMuch { needed })) => {
                tracing::debug!(file, needed, "most of a WAL file is still needed")
            }
            Ok(Err(error)) => tracing::warn!(file, %error, "a WAL file was not condensed"),
            Err(error) => tracing::warn!(file, %error, "condensing was cut off"),
        }
    }

    /// What need not happen in every round: retention, forgetting silent producers, collecting, compacting and merging.
    async fn seldom(self: &Arc<Self>, partitions: &[Partition], now: i64) {
        let (retain, expire, collect, rewrite) = {
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
                partition.state().producers.expire(now - seal::PRODUCER_EXPIRATION_MS);
                partition.forget_recycled();
            }
        }
        if retain {
            self.retain(partitions, now).await;
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

    async fn retain(&self, partitions: &[Partition], now: i64) {
        for partition in partitions {
            let settings = partition.settings();
            if !settings.deletes {
                continue;
            }
            let keep = Retention {
                before_ms: (settings.retention_ms >= 0).then(|| now.saturating_sub(settings.retention_ms)),
                keep_bytes: u64::try_from(settings.retention_bytes).ok(),
            };
            if keep == Retention::default() {
                continue;
            }
            if let Err(error) = self.retain_one(partition, keep).await {
                tracing::warn!(topic = partition.topic(), partition = partition.number(), %error, "retention not applied");
                if error.is_fenced() {
                    self.core.fence.fail(error.to_string());
                }
            }
        }
    }

    async fn retain_one(&self, partition: &Partition, keep: Retention) -> Result<(), CommitError> {
        let view = partition.0.archive.view();
        if let Some(to) = view.retention(keep, RETENTION_ENTRIES_MAX).await? {
            let manifest = partition.0.archive.commit(Change::LogStart { to }).await?;
            partition.committed(&manifest);
        }
        Ok(())
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
        let from = state.sealed_end;
        let until = state.ends().last_stable;
        if from >= until {
            return None;
        }
        let first = state.hot.from(from).next();
        Some(Unsealed {
            bytes: state.unsealed_bytes,
            oldest_ms: first.map_or(0, |s| s.append_time),
            group: first.map_or(0, |s| s.position.group),
        })
    }

    fn needs_upkeep(&self) -> bool {
        let state = self.state();
        state.reserve_due() || state.log_start_group.is_some()
    }

    /// The oldest group that this partition needs.
    pub(in crate::log) fn pinned_group(&self) -> Option<u64> {
        let state = self.state();
        let records = state.hot.from(state.sealed_end).next().map(|s| s.position.group);
        let log_start = state.log_start_group.map(|(_, group)| group);
        records.into_iter().chain(log_start).min()
    }
}

impl super::partition::State {
    /// Whether half of the reservation is used.
    fn reserve_due(&self) -> bool {
        self.reserved - self.log_end < RESERVE / 2
    }
}

/// The groups that the WAL wants back: those of its oldest pinned file, when more than half of the budget is pinned.
fn wanted_below(space: &Space) -> Option<u64> {
    if space.pinned <= space.budget / 2 {
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
