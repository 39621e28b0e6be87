//! The start of a WAL: makes safe what recovery found, decides how much disk it may use, and sets the machines going.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::buffer::{BLOCK, Pool};
use super::drive::{Driven, Part, Running, Signal};
use super::engine::{Handle, Shared};
use super::files::{Files, LiveFile, Spare, Table};
use super::fs::{FileSystem, Open, read_full, write_full};
use super::header::{Header, KeptPart, Kind};
use super::kept::{Directory, Loss, index};
use super::maker::{Filling, Maker};
use super::metrics::WalMetrics;
use super::patience::Patience;
use super::queue::{Queue, QueueLimits};
use super::reader::Reader;
use super::recovery::Rest;
use super::scan::{Place, ScannedFile};
use super::tail::Tail;
use super::writer::{Active, Phase, Writer};
use super::{DamageKind, Drive, FileStat, Identity, Recovered, Wal, WalError, WalOptions, names};
use crate::base::{Clock, Metrics, Random};

/// The very first file is small, so that an empty directory is ready at once; later ones are made ahead of need.
const FIRST_FILE_BYTES: u64 = 8 << 20;

/// What a WAL needs of its process.
#[derive(Clone)]
pub struct Surroundings {
    /// The file system that recovery used.
    pub fs: Arc<dyn FileSystem>,
    /// To measure syncs.
    pub clock: Clock,
    /// What moves it on.
    pub drive: Drive,
    /// For the salts of files.
    pub random: Random,
    /// Where its metrics go.
    pub metrics: Metrics,
    /// Called once, by a thread of the WAL, after the first error of a write or sync: the process must end, for nothing is
    /// known any more of what is on the disk.
    pub on_fatal: Arc<dyn Fn(WalError) + Send + Sync>,
}

impl Wal {
    /// Cuts the torn tail, writes the last valid group again, syncs, and goes on.
    ///
    /// # Errors
    /// Settings that cannot work, a disk too small for the budget, damage that was not accepted, and any error of the disk.
    pub fn start(
        recovered: Recovered,
        identity: Identity,
        options: &WalOptions,
        around: &Surroundings,
    ) -> Result<Self, WalError> {
        options.check()?;
        if let Some(damage) = recovered.damage.iter().find(|d| !d.accepted && d.kind.is_unknown()) {
            return Err(WalError::Damaged(Box::new(damage.clone())));
        }
        if let Some(old) = recovered.identity
            && (old.wal_id, old.cluster_id, old.broker_id) != (identity.wal_id, identity.cluster_id, identity.broker_id)
        {
            let what = format!("it belongs to WAL {} of broker {}", old.wal_id, old.broker_id);
            return Err(WalError::Foreign { path: options.dir.clone(), what });
        }
        let Recovered { identity: old, mut last_group, mut rest, .. } = recovered;
        let fs = &*around.fs;
        make_safe(fs, &rest)?;
        if let Some(above) = rest.above {
            note_jump(fs, options, identity, last_group, above, &mut rest)?;
            last_group = above;
        }
        let blanks = tidy(fs, options, &rest)?;
        let io = |e| WalError::io("ask for the free space of", &options.dir, &e);
        let space = fs.space(&options.dir).map_err(io)?;
        let budget = options.budget(rest.budget.filter(|_| old.is_some()), space)?;
        let files = Arc::new(Files {
            fs: around.fs.clone(),
            dir: options.dir.clone(),
            identity,
            file_bytes: options.file_bytes,
            budget,
            table: Mutex::new(table(&rest, blanks)),
            maker: Signal::default(),
            writer: Arc::default(),
        });
        let next = last_group + 1;
        let active = open_active(&files, &rest, next, &around.random)?;
        let shared = Arc::new(Shared::new(files, options, around, rest.lock, (last_group, rest.last_crc)));
        let writer = Writer {
            active,
            next,
            previous_crc: rest.last_crc,
            boot: fs.boot(),
            random: around.random.clone(),
            pool: shared.pool.clone(),
            frames: Vec::new(),
            done: Vec::new(),
            crowd: 0,
            last_sync: Duration::ZERO,
            patience: Patience::default(),
            alone: rest.last_has_frames,
            quiet_until: None,
            phase: Phase::Look,
            shared: shared.clone(),
        };
        let parts: Vec<Part<'_>> = vec![
            (Driven::new(Box::new(writer), &shared), &shared.files.writer, "wal", raise_priority),
            (Driven::new(Box::new(Maker::new(&shared)), &shared), &shared.files.maker, "wal-files", || ()),
        ];
        let io = |e| WalError::io("start a thread for", &options.dir, &e);
        let running = Running::start(&around.drive, &shared.timer, parts).map_err(io)?;
        Ok(Self(Arc::new(Handle { shared, running: Mutex::new(Some(running)) })))
    }
}

impl Shared {
    fn new(
        files: Arc<Files>,
        options: &WalOptions,
        around: &Surroundings,
        lock: Box<dyn Send + Sync>,
        (last_group, last_crc): (u64, u32),
    ) -> Self {
        let limits = QueueLimits {
            file_bytes: options.file_bytes,
            group_max_bytes: options.group_max_bytes,
            reserve: files.reserve(),
            budget: files.budget,
            dir: options.dir.clone(),
        };
        let group_max = usize::try_from(options.group_max_bytes).unwrap_or(usize::MAX / 4);
        let shared = Self {
            options: options.clone(),
            queue: Queue::new(limits, files.writer.clone()),
            tail: Tail::new(options.tail_bytes, (last_group, last_crc)),
            durable: AtomicU64::new(last_group),
            metrics: WalMetrics::new(&around.metrics),
            clock: around.clock.clone(),
            timer: around.drive.timer(),
            reader: Reader::new(files.clone(), around.drive.clone()),
            pool: Pool::new(4, group_max),
            on_fatal: around.on_fatal.clone(),
            files,
            lock: Mutex::new(Some(lock.into())),
        };
        shared.tell_room();
        shared
    }
}

/// On a busy machine a thread of ordinary priority waits milliseconds for its turn after each sync. Where it is not allowed
/// to ask for more, it goes on without.
fn raise_priority() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(-5);
}

/// Zeroes what is beyond the end, and writes the last group again: it may have been valid in the page cache only.
fn make_safe(fs: &dyn FileSystem, rest: &Rest) -> Result<(), WalError> {
    let mut cuts = BTreeMap::<&PathBuf, Vec<u64>>::new();
    for (path, at) in &rest.cuts {
        cuts.entry(path).or_default().push(*at);
    }
    let pool = Pool::new(0, BLOCK);
    let mut zeros = pool.take(BLOCK);
    zeros.bytes_mut().fill(0);
    for (path, blocks) in cuts {
        let file = fs.open(path, Open::Write).map_err(|e| WalError::io("open", path, &e))?;
        for at in blocks {
            write_full(&*file, &zeros.bytes()[..BLOCK], at).map_err(|e| WalError::io("write", path, &e))?;
        }
        file.sync().map_err(|e| WalError::io("sync", path, &e))?;
    }
    if let Some(Place { path, at, len }) = &rest.last {
        let file = fs.open(path, Open::Write).map_err(|e| WalError::io("open", path, &e))?;
        let mut group = pool.take(*len as usize);
        let bytes = &mut group.bytes_mut()[..*len as usize];
        let reader = fs.open(path, Open::Read).map_err(|e| WalError::io("open", path, &e))?;
        read_full(&*reader, bytes, *at).map_err(|e| WalError::io("read", path, &e))?;
        write_full(&*file, bytes, *at).map_err(|e| WalError::io("write", path, &e))?;
        file.sync().map_err(|e| WalError::io("sync", path, &e))?;
    }
    Ok(())
}

/// Writes a file without frames that says that the groups up to `above` are lost; the next one begins behind them.
fn note_jump(
    fs: &dyn FileSystem,
    options: &WalOptions,
    identity: Identity,
    last_group: u64,
    above: u64,
    rest: &mut Rest,
) -> Result<(), WalError> {
    let file = rest.scanned.iter().map(|f| f.stat.file).max().unwrap_or(0) + 1;
    let loss =
        Loss { at: 0, len: 0, first_group: last_group + 1, last_group: above, kind: DamageKind::Missing, frame: None };
    let header = Header {
        kind: Kind::Kept,
        identity,
        file,
        salt: 0,
        budget: rest.budget.unwrap_or(0),
        first_group: last_group + 1,
        previous_crc: rest.last_crc,
        kept: KeptPart { last_group: above, ..KeptPart::default() },
    };
    // A blank file of that number gives way to it: it would be taken for the original.
    let blank = names::wal(&options.dir, file);
    match fs.remove(&blank) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(WalError::io("remove", blank, &e)),
        _ => rest.blanks.retain(|(path, _)| *path != blank),
    }
    let mut directory = Directory { header, frames: Vec::new(), losses: vec![loss] };
    let bytes = directory.write(fs, &options.dir, &mut |_, _| Ok(()))?;
    let stat = FileStat { file, first_group: last_group + 1, last_group: above, bytes, kept: true, released: false };
    let path = names::kept(&options.dir, file);
    rest.scanned.push(ScannedFile { stat, path, salt: 0, previous_crc: rest.last_crc, last_crc: 0, end: 0 });
    rest.kept.push((file, directory));
    (rest.last_crc, rest.last_has_frames) = (0, false);
    Ok(())
}

/// Removes what is half-made or of the wrong size; returns the blank files that can be used.
fn tidy(fs: &dyn FileSystem, options: &WalOptions, rest: &Rest) -> Result<Vec<PathBuf>, WalError> {
    let (blanks, odd): (Vec<_>, Vec<_>) = rest.blanks.iter().partition(|(_, len)| *len == options.file_bytes);
    for path in rest.temporaries.iter().chain(odd.iter().map(|(path, _)| path)) {
        match fs.remove(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(WalError::io("remove", path, &e)),
            _ => {}
        }
    }
    fs.sync_dir(&options.dir).map_err(|e| WalError::io("sync", &options.dir, &e))?;
    Ok(blanks.into_iter().map(|(path, _)| path.clone()).collect())
}

fn table(rest: &Rest, blanks: Vec<PathBuf>) -> Table {
    let live = |file: &ScannedFile| {
        let kept =
            rest.kept.iter().find(|(number, _)| *number == file.stat.file).map(|(_, directory)| index(directory));
        let live = LiveFile {
            number: file.stat.file,
            path: file.path.clone(),
            bytes: file.stat.bytes,
            first_group: file.stat.first_group,
            last_group: AtomicU64::new(file.stat.last_group),
            kept,
            retired: AtomicBool::new(false),
        };
        (file.stat.file, Arc::new(live))
    };
    let highest = rest.scanned.iter().map(|f| f.stat.file).max().unwrap_or(0);
    Table {
        files: rest.scanned.iter().map(live).collect(),
        spare: None,
        blanks,
        released_below: 0,
        next: highest + 1,
        disk_full: false,
        wanted: false,
        taken: 0,
        making: false,
        busy: None,
        closing: false,
        ended: false,
        failed: None,
    }
}

/// The file to go on with: the newest one, or a first one.
fn open_active(files: &Files, rest: &Rest, next: u64, random: &Random) -> Result<Active, WalError> {
    let begin = |spare: &Spare| {
        let salt = random.u64();
        let (file, live) = files.begin(spare, salt, next, rest.last_crc)?;
        Ok(Active { file, live, salt, at: BLOCK as u64 })
    };
    match rest.scanned.last().filter(|last| !last.stat.kept) {
        // Its header may have been valid in the page cache only: it is begun again.
        Some(last) if last.stat.last_group < last.stat.first_group => {
            begin(&Spare { number: last.stat.file, path: last.path.clone(), bytes: last.stat.bytes })
        }
        Some(last) => {
            let path = &last.path;
            let file = files.fs.open(path, Open::Write).map_err(|e| WalError::io("open", path, &e))?;
            file.sync().map_err(|e| WalError::io("sync", path, &e))?;
            let live = files.lock().files.get(&last.stat.file).cloned();
            let live = live.expect("the table was made of the scanned files");
            Ok(Active { file, live, salt: last.salt, at: last.end })
        }
        None => {
            let mut table = files.lock();
            let number = table.next;
            table.next += 1;
            let blank = table.take_blank(&names::wal(&files.dir, number));
            drop(table);
            match blank {
                Some(blank) => begin(&files.reuse(&blank, number)?),
                None => begin(&Filling::all(files, number, FIRST_FILE_BYTES.min(files.file_bytes))?),
            }
        }
    }
}
