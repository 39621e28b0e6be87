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
use super::hot::Span;
use super::mover::Mover;
use super::partition::Beginning;
use super::state::{self, Behind, StateLog};
use super::topics::Registry;
use super::transactions::Role;
use super::{Env, Log, OpenError, Options, StartReport, Waiting};
use crate::archive::bucket::OpenMode;
use crate::archive::collect::{CollectOptions, Collector};
use crate::archive::owner::{self, Claim, Disk, LockFile, OwnerError, WalPlan};
use crate::archive::start::Unloaded;
use crate::archive::state::State;
use crate::archive::{ArchiveError, Bucket, CommitError, Ownership, PartitionArchive, Survey};
use crate::base::Uuid;
use crate::record::{BatchHeader, EndMarker};
use crate::store::{Store, StoreError};
use crate::wal::fs::FileSystem;
use crate::wal::{
    self, Damage, FrameKind, FrameMeta, Identity, Position, Recovered, Surroundings, Visit, Wal, WalError,
};

/// Where the id of a WAL that is about to begin is kept between the claim and its first file, so that a broker that is
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
        std::fs::create_dir_all(&options.data_dir)
            .map_err(|e| OpenError::Refused(format!("{}: {e}; choose another --data", options.data_dir.display())))?;
        let store = Store::open(&url, store_options, &env.clock, &env.random, &env.metrics).map_err(store_error)?;
        Self::open_on(options, env, Arc::new(wal::fs::RealFs::new()), store).await
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
        let (recovered, mut found) = recover(&env, fs.clone(), &options).await?;
        let mut lines = found.lines(&recovered);
        let wait = Wait { url: store.display(), on: options.waiting.clone() };
        let bucket = wait.until(|| async {
            let mode = OpenMode::Serve { probe: options.probe };
            Bucket::open(store.clone(), mode, &env.limits).await.map_err(archive_error)
        });
        let bucket = bucket.await?;
        let wal_id_file = options.data_dir.join(WAL_ID_FILE);
        let lock = lock_of(&*fs, &options.wal.dir);
        let claim = claim_of(&options, &recovered, &found, &wal_id_file, lock, &env)?;
        let owned = wait.until(|| async {
            let survey = Survey::load(&bucket).await.map_err(archive_error)?;
            check_loaded(survey.unloaded())?;
            let ownership = owner::claim(&survey, &claim).await.map_err(owner_error)?;
            Ok((survey, ownership))
        });
        let (survey, ownership) = owned.await?;
        let fence = Fence::new(env.clock.clone(), ownership.looked_at());
        let entry = ownership.entry();
        found.uncertain_end |= entry.leaves_gap;
        let identity = identity_of(&bucket, &ownership, options.broker_id);
        let wal = start_wal(recovered, identity, fs, &options, &env, &fence)?;
        let _ = std::fs::remove_file(&wal_id_file); // the WAL's own header says it from now on
        let keep_wal = ownership.wal() == WalPlan::Continue;
        let archive = survey.adopt(&ownership).await.map_err(commit_error)?;
        check_loaded(&archive.unloaded)?;
        if ownership.lost_wal() {
            lines.push(
                "took the bucket over: what its last owner had not sealed is a recorded gap (wal-lost)".to_owned(),
            );
        }
        let collector = Collector::new(&archive, CollectOptions::default());
        let cold = ColdReader::new(store.clone(), &env.limits, &env.clock, env.tasks.clone(), &env.metrics);
        let mut found = if keep_wal { found } else { FromWal::default() };
        let state = found.state_behind(&archive.state.head(), identity.wal_id)?;
        // What the state version released stays released: a WAL that is full of sealed records takes appends at once.
        wal.release_below(released_below(&archive.state.head(), identity.wal_id));
        // Topics follow what was changed while the broker ran, from the first look at them.
        let changed = Changed::recover(&state.items(archive.state.head().items.clone()), options.broker_id);
        let defaults = Defaults::new(options.topic_defaults.clone(), changed.map_err(OpenError::Damaged)?);
        let core = Arc::new(Core::new(env, wal, cold, fence, state, ownership.clone()));
        let registry = Arc::new(Registry::new(core.clone(), archive.topics, defaults, options.num_partitions));
        registry.load(archive.partitions, |p| found.beginning(p, &mut lines)).await.map_err(archive_error)?;
        if entry.waits {
            wait_for_last_life(&core, &wait).await?;
        }
        let mover = Mover::new(core.clone(), registry.clone(), store, archive.state, identity.wal_id, collector);
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
#[derive(Default)]
struct FromWal {
    partitions: HashMap<(Uuid, i32), Collected>,
    state: Behind,
    /// Why a state frame cannot be used, with its group.
    state_damaged: Vec<(u64, String)>,
    /// Groups of accepted damage whose frames are unknown.
    unknown_loss_at: Option<u64>,
    os_tail_uncertain: bool,
    /// The disk may lack what was acknowledged last, whatever it says.
    uncertain_end: bool,
}

#[derive(Default)]
struct Collected {
    beginning: Beginning,
    damaged: Vec<Damage>,
    last_group: u64,
}

impl FromWal {
    fn visit(&mut self, visit: Visit<'_>) {
        let Visit { meta, position, payload } = visit;
        if meta.kind == FrameKind::STATE {
            return self.visit_state(meta, position, payload);
        }
        let partition = self.partitions.entry((meta.topic_id, meta.partition)).or_default();
        match (meta.kind, payload) {
            (FrameKind::BATCH, Ok(batch)) => {
                partition.last_group = position.group;
                let begin = &mut partition.beginning;
                let header = BatchHeader::parse(batch).ok();
                let role = header.as_ref().map(Role::of).unwrap_or_default();
                begin.hot.push(Span {
                    base: meta.base_offset,
                    next: meta.last_offset + 1,
                    position,
                    max_timestamp: meta.max_timestamp,
                    append_time: meta.append_time,
                    role,
                });
                if begin.epochs.last().is_none_or(|(epoch, _)| *epoch < meta.epoch) {
                    begin.epochs.push((meta.epoch, meta.base_offset));
                }
                if let Some(header) = header {
                    begin.producers.observe(&header, meta.append_time);
                }
                match role {
                    Role::Plain => {}
                    Role::Part(producer_id) => begin.transactions.part(producer_id, meta.base_offset),
                    Role::Control => {
                        if let Ok(Some(marker)) = EndMarker::of_batch(batch) {
                            begin.transactions.ends(marker);
                            begin.transactions.durable(meta.last_offset + 1);
                        }
                    }
                }
            }
            (FrameKind::LOG_START, Ok(_)) => {
                let (to, group) = partition.beginning.log_start.unwrap_or((0, position.group));
                partition.beginning.log_start = Some((to.max(meta.base_offset), group));
            }
            (_, Err(damage)) if !damage.accepted => partition.damaged.push(damage.clone()),
            _ => {}
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
            None => Ok(StateLog::new(std::mem::take(&mut self.state), r, head.items.len())),
        }
    }

    fn lines(&self, recovered: &Recovered) -> Vec<String> {
        let mut lines = Vec::new();
        if recovered.identity.is_some() {
            let batches: usize = self.partitions.values().map(|p| p.beginning.hot.len()).sum();
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
        self.partitions.iter().filter_map(|(key, p)| p.beginning.hot.end().map(|end| (*key, end))).collect()
    }

    fn may_be_short(&self) -> bool {
        self.os_tail_uncertain || self.unknown_loss_at.is_some()
    }

    /// What one partition begins with.
    fn beginning(&mut self, archive: &PartitionArchive, lines: &mut Vec<String>) -> Beginning {
        let head = archive.head();
        let found = self.partitions.remove(&(archive.topic_id(), archive.partition())).unwrap_or_default();
        let mut begin = found.beginning;
        for damage in &found.damaged {
            let frame_end = damage.frame.map_or(i64::MAX, |f| f.last_offset + 1);
            if frame_end > head.next {
                let text = format!(
                    "{}-{}: {damage}; these records are nowhere else. Restore the file, or record them as lost with \
                     `esker wal accept-loss`",
                    archive.topic(),
                    archive.partition()
                );
                lines.push(text.clone());
                begin.damaged = Some(text);
            }
        }
        let lost_behind = self.unknown_loss_at.is_some_and(|group| group > found.last_group);
        begin.uncertain_end = self.os_tail_uncertain || self.uncertain_end || lost_behind;
        begin.hot.begin_at_or_above(head.log_start);
        // What was compacted is read from the bucket, also where the WAL still has what gave way.
        begin.hot.forget_below(u64::MAX, head.cleaned.last().map_or(0, |clean| clean.0));
        begin
    }
}

/// The release point of the newest state version, as a group of this WAL: nothing below it is needed.
fn released_below(head: &State, wal_id: Uuid) -> u64 {
    if head.r.wal_id == wal_id { head.r.group } else { 0 }
}

async fn recover(env: &Env, fs: Arc<dyn FileSystem>, options: &Options) -> Result<(Recovered, FromWal), OpenError> {
    let wal_options = options.wal.clone();
    let work = move || {
        let mut found = FromWal::default();
        let recovered = wal::recover(fs, &wal_options, &mut |visit| found.visit(visit))?;
        found.os_tail_uncertain = recovered.os_tail_uncertain;
        found.unknown_loss_at =
            recovered.damage.iter().filter(|d| d.accepted && d.frame.is_none()).map(|d| *d.groups.end()).max();
        for frame in recovered.damage.iter().filter(|d| d.accepted).filter_map(|d| d.frame) {
            let partition = found.partitions.entry((frame.topic_id, frame.partition)).or_default();
            let end = &mut partition.beginning.end_at_least;
            *end = (*end).max(frame.last_offset + 1);
        }
        Ok((recovered, found))
    };
    let done = env.tasks.hot.spawn_blocking(work).await;
    done.map_err(|e| OpenError::Damaged(format!("recovery ended early: {e}")))?.map_err(wal_error)
}

fn claim_of(
    options: &Options,
    recovered: &Recovered,
    found: &FromWal,
    wal_id_file: &Path,
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
            followed: recovered.torn.is_some(),
            ends: found.ends(),
            may_be_short: found.may_be_short(),
        },
        None => Disk::Empty { wal_id: remembered_wal_id(wal_id_file, env)? },
    };
    let (broker_id, address, take_over) = (options.broker_id, options.address.clone(), options.take_over);
    Ok(Claim { broker_id, address, disk, lock, take_over })
}

/// A partition that cannot be read stops the start.
fn check_loaded(unloaded: &BTreeMap<(Uuid, i32), Unloaded>) -> Result<(), OpenError> {
    unloaded.values().next().map_or(Ok(()), |unloaded| Err(archive_error(unloaded.error.clone())))
}

/// The lock that recovery holds on the WAL's directory; none on a file system that has no such file.
fn lock_of(fs: &dyn FileSystem, dir: &Path) -> Option<LockFile> {
    use std::os::unix::fs::MetadataExt;
    let lock = std::fs::metadata(wal::lock_path(dir)).ok()?;
    Some(LockFile::new(fs.boot(), lock.dev(), lock.ino()))
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

/// The id that a WAL on this empty disk gets: the one that an earlier, cut start had chosen, or a new one.
fn remembered_wal_id(path: &Path, env: &Env) -> Result<Uuid, OpenError> {
    if let Some(id) = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(id);
    }
    let id = Uuid::random(&env.random);
    let write = || -> std::io::Result<()> {
        use std::io::Write;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::File::create(path)?;
        file.write_all(id.to_string().as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| OpenError::Refused(format!("{}: {e}; choose another --data", path.display())))?;
    Ok(id)
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
        random: env.random.clone(),
        metrics: env.metrics.clone(),
        on_fatal: Arc::new(move |error: WalError| fence.fail(error.to_string())),
    };
    let recovered = match &recovered.identity {
        Some(old) if old.wal_id != identity.wal_id => {
            drop(recovered); // its lock, too
            remove_old_wal(&*fs, &options.wal.dir)?;
            wal::recover(fs, &options.wal, &mut |_| {}).map_err(wal_error)?
        }
        _ => recovered,
    };
    Wal::start(recovered, identity, &options.wal, &around).map_err(wal_error)
}

/// Removes the files of a WAL whose records are all in the bucket and whose owner's place was taken.
fn remove_old_wal(fs: &dyn FileSystem, dir: &Path) -> Result<(), OpenError> {
    let remove = || -> std::io::Result<()> {
        for entry in fs.list(dir)? {
            fs.remove(&dir.join(&entry.name))?;
        }
        fs.sync_dir(dir)
    };
    remove().map_err(|e| OpenError::Refused(format!("{}: the old WAL cannot be removed: {e}", dir.display())))
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
