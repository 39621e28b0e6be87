//! The order of a start (DESIGN 4.4): recover the WAL, open and read the bucket, claim it, begin or go on with the WAL, adopt
//! what is in the bucket, then serve. Nothing is written before the claim.
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::cold::ColdReader;
use super::core::Core;
use super::defaults::{Changed, Defaults};
use super::fence::{Fence, STALE};
use super::mover::Mover;
use super::recovery::{Beginning, Doubts, Held, UnknownLoss};
use super::state::{self, Behind, StateLog};
use super::topics::Registry;
use super::{Env, Log, OpenError, Options, StartReport, Waiting};
use crate::archive::bucket::OpenMode;
use crate::archive::collect::{CollectOptions, Collector};
use crate::archive::manifest::Producers;
use crate::archive::owner::{self, Claim, Disk, LockFile, OwnerError, WalPlan};
use crate::archive::state::State;
use crate::archive::{ArchiveError, Bucket, CommitError, Ownership, PartitionArchive, Survey};
use crate::base::{Limits, Uuid};
use crate::store::{Store, StoreError};
use crate::wal::fs::FileSystem;
use crate::wal::{
    self, Damage, Drive, FrameKind, FrameMeta, Identity, Position, Recovered, Surroundings, Visit, Wal, WalError,
};

/// Where the id of a WAL that is about to begin is kept from before the claim until its first file, so that a broker that is
/// killed in between is recognised.
const WAL_ID_FILE: &str = "wal-id";
/// First and longest pause between two tries while the store does not answer at a start.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How long a start may wait for the store without a word.
const SILENCE_MAX: Duration = Duration::from_secs(2);

impl Log {
    /// Opens a log: recovers the WAL, opens and claims the bucket, loads topics and manifests, starts the mover. While the
    /// store does not answer it waits, and says so.
    ///
    /// # Errors
    /// [`OpenError`] with the thing, the place and the way out.
    pub async fn open(options: Options, env: Env) -> Result<Log, OpenError> {
        let url = options.store_url.clone().unwrap_or_else(|| options.data_dir.join("bucket").display().to_string());
        let mut store_options = options.store.clone();
        store_options.create_directory |= options.store_url.is_none();
        let fs = wal::fs::RealFs::new();
        fs.create_dir(&options.data_dir)
            .map_err(|e| OpenError::Refused(format!("{}: {e}; choose another --data", options.data_dir.display())))?;
        let store = Store::open(&url, store_options, &env.clock, &env.random, &env.metrics).map_err(store_error)?;
        Self::open_on(options, env, Arc::new(fs), store).await
    }

    /// [`Log::open`] on a given file system and store: for tests, and for stores of one's own.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn open_on(
        mut options: Options,
        env: Env,
        fs: Arc<dyn FileSystem>,
        store: Store,
    ) -> Result<Log, OpenError> {
        options.wal.dir = options.data_dir.join("wal");
        options.wal.tail_bytes = env.limits.tail_bytes();
        super::settings::check(&options.topic_defaults).map_err(|e| OpenError::Refused(e.to_string()))?;
        let (mut recovered, mut found) = recover(&env, fs.clone(), &options).await?;
        let mut lines = found.lines(&recovered);
        let wait = Wait { url: store.display(), on: options.waiting.clone() };
        let bucket = wait.until(|| async {
            let mode = OpenMode::Serve { probe: options.probe };
            Bucket::open(store.clone(), mode, &env.limits).await.map_err(archive_error)
        });
        let bucket = bucket.await?;
        let lock = lock_of(&*fs, &options.wal.dir);
        let claim = claim_of(&options, &recovered, &found, &*fs, lock, &env)?;
        let owned = wait.until(|| async {
            let survey = Survey::load(&bucket).await.map_err(archive_error)?;
            if owner::begins_wal(&survey, &claim) {
                remember_wal_id(&*fs, &options.data_dir, &claim.disk)?;
            }
            let ownership = owner::claim(&survey, &claim).await.map_err(owner_error)?;
            Ok((survey, ownership))
        });
        let (survey, ownership) = owned.await?;
        if let Some(known) = ownership.known_group().filter(|known| *known > recovered.last_group) {
            recovered.go_on_above(known); // after an accepted loss: no group number is used twice
        }
        let fence = Fence::new(env.clock.clone(), ownership.looked_at());
        let entry = ownership.entry();
        found.doubts.end_is_uncertain |= entry.leaves_gap;
        let keep_wal = ownership.wal() == WalPlan::Continue;
        if keep_wal && found.lacks_batches() {
            found = hold_unsealed(&env, fs.clone(), &options, &recovered, found, &survey).await?;
        }
        let identity = identity_of(&bucket, &ownership, options.broker_id);
        let wal = start_wal(recovered, identity, fs.clone(), &options, &env, &fence)?;
        let _ = fs.remove(&options.data_dir.join(WAL_ID_FILE)); // the WAL's own header says it from now on
        let told = wal.clone();
        ownership.tell_of_wal(move || Some(told.last_synced()));
        let archive = survey.adopt(&ownership).await.map_err(commit_error)?;
        if ownership.lost_wal() {
            lines.push(
                "took the bucket over: what its last owner had not sealed is a recorded gap (wal-lost)".to_owned(),
            );
        }
        let collector = Collector::new(&archive, CollectOptions::default());
        let cold = ColdReader::new(store.clone(), &env.limits, &env.clock, env.tasks.clone(), &env.metrics);
        let mut found = if keep_wal { found } else { FromWal::new(&env.limits) };
        let state = found.state_behind(&archive.state.head(), identity.wal_id)?;
        // What the state version released stays released: a WAL that is full of sealed records takes appends at once.
        wal.release_below(released_below(&archive.state.head(), identity.wal_id));
        // Topics follow what was changed while the broker ran, from the first look at them.
        let changed = Changed::recover(&state.items(archive.state.head().items.clone()), options.broker_id);
        let defaults = Defaults::new(options.topic_defaults.clone(), changed.map_err(OpenError::Damaged)?);
        let core = Arc::new(Core::new(env, wal, cold, fence, state, ownership.clone()));
        let registry = Arc::new(Registry::new(core.clone(), archive.topics, defaults, options.num_partitions));
        let loaded = registry.load(archive.partitions, |p, known| found.beginning(p, known, &mut lines));
        loaded.await.map_err(archive_error)?;
        lines.extend(registry.pin_unserved(archive.unloaded));
        registry.pin_strangers(found.strangers(released_below(&archive.state.head(), identity.wal_id)));
        lines.extend(registry.strangers().iter().map(|(topic, partition)| {
            format!("the WAL holds records of partition {partition} of topic id {topic}, which no topic names: they stay in it")
        }));
        registry.record_gaps().await.map_err(|e| OpenError::Refused(e.to_string()))?;
        if entry.waits {
            wait_for_last_life(&core, &wait).await?;
        }
        let mover = Mover::new(core.clone(), registry.clone(), store, archive.state, identity.wal_id, collector);
        mover.raise_reservations().await.map_err(commit_error)?;
        let report = StartReport { cluster_id: bucket.cluster_id(), epoch: ownership.epoch(), lines };
        Ok(Log::start(core, registry, Arc::new(mover), report, options))
    }
}

/// Tries again while the store does not answer, and tells whoever watches.
struct Wait {
    url: String,
    on: Option<Waiting>,
}

impl Wait {
    async fn until<T, F: Future<Output = Result<T, OpenError>>>(&self, once: impl Fn() -> F) -> Result<T, OpenError> {
        let (mut pause, mut said) = (PAUSE.0, false);
        let mut wait_for = |why: String| {
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(%why, "waiting for the object store");
            }
            self.tell(Some(why));
        };
        loop {
            let mut trying = std::pin::pin!(once());
            let done = match tokio::time::timeout(SILENCE_MAX, trying.as_mut()).await {
                Ok(done) => done,
                Err(_) => {
                    wait_for(format!("{} did not answer yet", self.url));
                    trying.await
                }
            };
            match done {
                Err(OpenError::Unavailable(why)) => wait_for(why),
                done => {
                    self.tell(None);
                    return done;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn tell(&self, why: Option<String>) {
        if let Some(on) = &self.on {
            on.send_replace(why);
        }
    }
}

/// What recovery collected of each partition, before anybody knows which of them live.
struct FromWal {
    partitions: HashMap<(Uuid, i32), Held>,
    /// Memory that the batches take, and how much they may take.
    batches_bytes: u64,
    batches_max: u64,
    state: Behind,
    /// Why a state frame cannot be used, with its group.
    state_damaged: Vec<(u64, String)>,
    doubts: Doubts,
}

impl FromWal {
    /// Nothing, with the room that these limits give.
    fn new(limits: &Limits) -> Self {
        Self {
            partitions: HashMap::new(),
            batches_bytes: 0,
            batches_max: limits.hot_index_bytes(),
            state: Behind::new(limits.state_changes_bytes()),
            state_damaged: Vec::new(),
            doubts: Doubts::default(),
        }
    }

    fn visit(&mut self, visit: Visit<'_>) {
        let Visit { meta, position, payload } = visit;
        if meta.kind == FrameKind::STATE {
            return self.visit_state(meta, position, payload);
        }
        let held = self.partitions.entry((meta.topic_id, meta.partition)).or_default();
        let before = held.memory();
        held.visit(meta, position, payload, self.batches_bytes <= self.batches_max);
        self.batches_bytes = self.batches_bytes + held.memory() - before;
        if self.batches_bytes > self.batches_max {
            self.partitions.values_mut().for_each(Held::forget_batches);
        }
    }

    /// Whether there were more batches than memory for them: none is held then.
    fn lacks_batches(&self) -> bool {
        self.batches_bytes > self.batches_max
    }

    /// Holds a batch of a second reading, unless it ends below `next` of its partition: it is sealed.
    fn visit_again(&mut self, visit: &Visit<'_>, next: &BTreeMap<(Uuid, i32), i64>) {
        let key = (visit.meta.topic_id, visit.meta.partition);
        if let (FrameKind::BATCH, Ok(batch)) = (visit.meta.kind, visit.payload)
            && next.get(&key).is_none_or(|next| visit.meta.last_offset >= *next)
            && let Some(held) = self.partitions.get_mut(&key)
        {
            held.hold(visit.meta, visit.position, batch);
        }
    }

    fn visit_state(&mut self, meta: &FrameMeta, position: Position, payload: Result<&[u8], &Damage>) {
        let why = match payload.map(state::decode) {
            Ok(Ok(changes)) => return self.state.record(position, meta.append_time, changes),
            Ok(Err(error)) => {
                format!("a change of groups or transactions in group {} of the WAL: {error}", position.group)
            }
            Err(damage) if damage.accepted => return,
            Err(damage) => format!("changes of groups or transactions: {damage}"),
        };
        self.state_damaged.push((position.group, why));
    }

    /// What groups and transactions did after the newest state version.
    fn state_behind(&mut self, head: &State, wal_id: Uuid) -> Result<StateLog, OpenError> {
        let r = released_below(head, wal_id);
        match self.state_damaged.iter().find(|(group, _)| *group >= r) {
            Some((_, why)) => Err(OpenError::Damaged(why.clone())),
            None => Ok(StateLog::new(std::mem::replace(&mut self.state, Behind::new(0)), r)),
        }
    }

    fn lines(&self, recovered: &Recovered) -> Vec<String> {
        let mut lines = Vec::new();
        if recovered.identity.is_some() {
            let batches: usize = self.partitions.values().map(Held::batches).sum();
            lines.push(format!(
                "recovered the WAL: {batches} batches in {} partitions, {} in {} files",
                self.partitions.len(),
                bytesize::ByteSize(recovered.bytes),
                recovered.files.len()
            ));
        }
        if let Some(torn) = &recovered.torn {
            lines.push(format!(
                "cut a torn tail of {} bytes, which was never acknowledged: {} at byte {}",
                torn.bytes,
                torn.path.display(),
                torn.at
            ));
        }
        for damage in &recovered.damage {
            lines.push(format!("damage: {damage}"));
        }
        lines
    }

    /// Ends of the partitions in the WAL, for the claim.
    fn ends(&self) -> BTreeMap<(Uuid, i32), i64> {
        self.partitions.iter().filter_map(|(key, held)| held.end().map(|end| (*key, end))).collect()
    }

    fn may_be_short(&self) -> bool {
        self.doubts.end_is_uncertain || !self.doubts.unknown_losses.is_empty()
    }

    /// What one partition begins with.
    fn beginning(&mut self, archive: &PartitionArchive, producers: &Producers, lines: &mut Vec<String>) -> Beginning {
        let held = self.partitions.remove(&(archive.topic_id(), archive.partition())).unwrap_or_default();
        let name = format!("{}-{}", archive.topic(), archive.partition());
        let begin = Beginning::new(&name, &archive.head(), producers, held, &self.doubts);
        lines.extend(begin.damaged.iter().map(|damaged| damaged.why.clone()));
        begin
    }
}

impl FromWal {
    /// What is left when every partition that is known has taken its own: topic id, partition and first group at or above `r`.
    fn strangers(&self, r: u64) -> Vec<(Uuid, i32, u64)> {
        let first = |((topic, number), held): (&(Uuid, i32), &Held)| Some((*topic, *number, held.first_group_from(r)?));
        self.partitions.iter().filter_map(first).collect()
    }
}

/// The release point of the newest state version, as a group of this WAL: nothing below it is needed.
fn released_below(head: &State, wal_id: Uuid) -> u64 {
    if head.r.wal_id == wal_id { head.r.group } else { 0 }
}

async fn recover(env: &Env, fs: Arc<dyn FileSystem>, options: &Options) -> Result<(Recovered, FromWal), OpenError> {
    let wal_options = options.wal.clone();
    let limits = env.limits.clone();
    let work = move || {
        let mut found = FromWal::new(&limits);
        let recovered = wal::recover(fs, &wal_options, &mut |visit| found.visit(visit))?;
        found.doubts.end_is_uncertain = recovered.os_tail_uncertain;
        for damage in recovered.damage.iter().filter(|damage| damage.accepted) {
            match &damage.frame {
                Some(meta) => {
                    let held = found.partitions.entry((meta.topic_id, meta.partition)).or_default();
                    held.lose(meta, *damage.groups.start());
                }
                None => {
                    let (first, last) = (*damage.groups.start(), *damage.groups.end());
                    found.doubts.unknown_losses.push(UnknownLoss { first, last });
                }
            }
        }
        Ok((recovered, found))
    };
    let done = env.tasks.blocking_hot(work).await;
    done.map_err(|e| OpenError::Damaged(format!("recovery ended early: {e}")))?.map_err(wal_error)
}

/// Reads the WAL a second time when it held more batches than memory for them: now that it is known what is sealed, the rest
/// is held. What is sealed is not, and is read from the bucket.
async fn hold_unsealed(
    env: &Env,
    fs: Arc<dyn FileSystem>,
    options: &Options,
    recovered: &Recovered,
    mut found: FromWal,
    survey: &Survey,
) -> Result<FromWal, OpenError> {
    let (options, next) = (options.wal.clone(), survey.sealed_ends());
    let released = recovered.identity.map_or(0, |identity| survey.released_below(identity.wal_id));
    let from = recovered.file_of(released);
    let work =
        move || wal::visit_from(&*fs, &options, from, &mut |visit| found.visit_again(&visit, &next)).map(|()| found);
    let done = env.tasks.blocking_hot(work).await;
    done.map_err(|e| OpenError::Damaged(format!("recovery ended early: {e}")))?.map_err(wal_error)
}

fn claim_of(
    options: &Options,
    recovered: &Recovered,
    found: &FromWal,
    fs: &dyn FileSystem,
    lock: Option<LockFile>,
    env: &Env,
) -> Result<Claim, OpenError> {
    let disk = match recovered.identity {
        Some(id) => Disk::Wal {
            cluster_id: id.cluster_id,
            broker_id: id.broker_id,
            wal_id: id.wal_id,
            born: id.born,
            last_group: recovered.last_group,
            last_crc: recovered.rest.last_crc,
            followed: recovered.torn.is_some() || recovered.beyond.is_some(),
            ends: found.ends(),
            next_wal_id: next_wal_id(fs, &options.data_dir, Some(id.wal_id), env),
            may_be_short: found.may_be_short(),
        },
        None => Disk::Empty { wal_id: next_wal_id(fs, &options.data_dir, None, env) },
    };
    let (broker_id, address, take_over) = (options.broker_id, options.address.clone(), options.take_over);
    Ok(Claim { broker_id, address, disk, lock, take_over })
}

/// The lock that recovery holds on the WAL's directory; none on a file system that has no such file.
fn lock_of(fs: &dyn FileSystem, dir: &Path) -> Option<LockFile> {
    let (device, inode) = fs.id(&wal::lock_path(dir)).ok()?;
    Some(LockFile::new(fs.boot(), device, inode))
}

/// The last life may still run, on this disk from another machine or on the one that this is a copy of: it has looked at the
/// owner chain, or fallen silent, when this returns.
async fn wait_for_last_life(core: &Core, wait: &Wait) -> Result<(), OpenError> {
    let rest = (core.ownership.looked_at() + STALE).saturating_sub(core.env.clock.boottime());
    tracing::info!(
        seconds = rest.as_secs(),
        "the last owner may still run on a copy of this disk: waiting until it has noticed"
    );
    tokio::time::sleep(rest).await;
    let found = wait.until(|| async {
        let began = core.env.clock.boottime();
        Ok((began, core.ownership.look().await.map_err(archive_error)?))
    });
    match found.await? {
        (began, owner::Look::Ours) => core.fence.looked(began, super::fence::Look::Ours),
        (_, owner::Look::Foreign { who, .. }) => {
            return Err(OpenError::Refused(format!("{who} took the bucket over while this broker started")));
        }
    }
    Ok(())
}

/// The id of the next WAL on this disk: the one that an earlier, cut start had chosen, or a new one.
fn next_wal_id(fs: &dyn FileSystem, data_dir: &Path, present: Option<Uuid>, env: &Env) -> Uuid {
    let kept = wal::fs::read_text(fs, &data_dir.join(WAL_ID_FILE)).ok().flatten();
    let chosen = kept.and_then(|text| text.parse().ok()).filter(|id| Some(*id) != present);
    chosen.unwrap_or_else(|| Uuid::random(&env.random))
}

/// Keeps the id of the WAL that is about to begin, until the WAL's own header says it.
fn remember_wal_id(fs: &dyn FileSystem, data_dir: &Path, disk: &Disk) -> Result<(), OpenError> {
    let (Disk::Empty { wal_id: next } | Disk::Wal { next_wal_id: next, .. }) = disk;
    let path = data_dir.join(WAL_ID_FILE);
    if wal::fs::read_text(fs, &path).ok().flatten().and_then(|text| text.parse().ok()) == Some(*next) {
        return Ok(());
    }
    let written = fs.create_dir(data_dir).and_then(|()| wal::fs::write_text(fs, &path, &next.to_string()));
    written.map_err(|e| OpenError::Refused(format!("{}: {e}; choose another --data", path.display())))
}

fn identity_of(bucket: &Bucket, ownership: &Ownership, broker_id: i32) -> Identity {
    let claim = ownership.claim();
    Identity {
        cluster_id: bucket.cluster_id(),
        broker_id,
        wal_id: claim.wal_id,
        born: claim.born,
        epoch: ownership.epoch(),
    }
}

fn start_wal(
    recovered: Recovered,
    identity: Identity,
    fs: Arc<dyn FileSystem>,
    options: &Options,
    env: &Env,
    fence: &Fence,
) -> Result<Wal, OpenError> {
    let fence = fence.clone();
    let around = Surroundings {
        fs: fs.clone(),
        clock: env.clock.clone(),
        drive: Drive::like(&env.tasks),
        random: env.random.clone(),
        metrics: env.metrics.clone(),
        on_fatal: Arc::new(move |error: WalError| fence.fail(error.to_string())),
    };
    let recovered = match &recovered.identity {
        // Its records are all in the bucket, and its owner's place was taken.
        Some(old) if old.wal_id != identity.wal_id => recovered.discard(&*fs, &options.wal).map_err(wal_error)?,
        _ => recovered,
    };
    Wal::start(recovered, identity, &options.wal, &around).map_err(wal_error)
}

fn store_error(error: StoreError) -> OpenError {
    if error.is_retriable() { OpenError::Unavailable(error.to_string()) } else { OpenError::Refused(error.to_string()) }
}

fn archive_error(error: ArchiveError) -> OpenError {
    match error {
        e if e.is_retriable() => OpenError::Unavailable(e.to_string()),
        e @ (ArchiveError::Damaged { .. } | ArchiveError::Missing { .. }) => OpenError::Damaged(e.to_string()),
        e => OpenError::Refused(e.to_string()),
    }
}

fn owner_error(error: OwnerError) -> OpenError {
    match error {
        OwnerError::Archive(e) => archive_error(e),
        e => OpenError::Refused(e.to_string()),
    }
}

fn commit_error(error: CommitError) -> OpenError {
    match error {
        CommitError::Archive(e) => archive_error(e),
        e => OpenError::Refused(e.to_string()),
    }
}

fn wal_error(error: WalError) -> OpenError {
    match error {
        e @ WalError::Damaged(_) => OpenError::Damaged(e.to_string()),
        e => OpenError::Refused(e.to_string()),
    }
}

/// The folder of the WAL.
pub(super) fn wal_dir(options: &Options) -> PathBuf {
    options.wal.dir.clone()
}
