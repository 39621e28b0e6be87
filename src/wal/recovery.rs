//! Opens a WAL directory: locks it, follows its groups, hands out their frames, and says where writing goes on.
use std::path::PathBuf;
use std::sync::Arc;

use super::fs::FileSystem;
use super::inventory::{Content, Inventory, Item, To, tag};
use super::kept::Directory;
use super::scan::{Place, Scan, Scanned, ScannedFile};
use super::{Damage, FileStat, Identity, Torn, Visit, WalError, WalOptions, names};

/// What recovery found; owns the lock of the directory.
pub struct Recovered {
    /// Whose WAL it is; `None` for an empty directory.
    pub identity: Option<Identity>,
    /// The first group that is still there, 0 if none.
    pub first_group: u64,
    /// The last valid group, 0 if there never was one.
    pub last_group: u64,
    /// Its CRC.
    pub last_crc: u32,
    /// What follows the end, where that is newer than it or cannot be read; a copy from before has nothing there. It is damage
    /// if the group at the end was acknowledged, else it is what looks like a torn tail.
    pub beyond: Option<Damage>,
    /// A last group that was never acknowledged; [`super::Wal::start`] cuts it.
    pub torn: Option<Torn>,
    /// Damage that was accepted, or that leaves the directory of its group intact.
    pub damage: Vec<Damage>,
    /// Whether the machine was booted since `durability = os` wrote the last group: acknowledged groups may be missing.
    pub os_tail_uncertain: bool,
    /// Bytes of valid groups.
    pub bytes: u64,
    /// Files, oldest first.
    pub files: Vec<FileStat>,
    pub(crate) rest: Rest,
}

/// What the start needs to know beyond what others may.
pub(crate) struct Rest {
    pub lock: Box<dyn Send + Sync>,
    pub scanned: Vec<ScannedFile>,
    /// Directories of condensed files, by number.
    pub kept: Vec<(u64, Directory)>,
    pub cuts: Vec<(PathBuf, u64)>,
    pub last: Option<Place>,
    pub last_crc: u32,
    /// Whether the last group has frames: then it needs a successor.
    pub last_has_frames: bool,
    pub blanks: Vec<(PathBuf, u64)>,
    pub temporaries: Vec<PathBuf>,
    pub budget: Option<u64>,
    /// Groups up to this one are lost, and that is accepted.
    pub above: Option<u64>,
}

impl Recovered {
    /// Removes the files of this WAL, of which nobody needs anything any more, oldest first: what a crash leaves of it is
    /// whole up to its end. The directory stays locked, by the same file.
    ///
    /// # Errors
    /// Of the disk.
    pub fn discard(self, fs: &dyn FileSystem, options: &WalOptions) -> Result<Self, WalError> {
        let dir = &options.dir;
        let files = fs.list(dir).map_err(|e| WalError::io("list", dir, &e))?;
        let mut old: Vec<PathBuf> = files.iter().map(|file| dir.join(&file.name)).collect();
        old.retain(|path| *path != names::lock(dir));
        old.sort_unstable(); // names begin with the number
        for path in old {
            fs.remove(&path).map_err(|e| WalError::io("remove", path, &e))?;
        }
        fs.sync_dir(dir).map_err(|e| WalError::io("sync", dir, &e))?;
        read(fs, options, self.rest.lock, true, &mut |_| {})
    }

    /// Lets groups go on above this number, after a loss of the end was accepted: a file notes the jump, and every later
    /// recovery tells of it as of accepted damage. A number that the WAL has reached changes nothing.
    pub fn go_on_above(&mut self, group: u64) {
        self.rest.above = Some(group).filter(|group| *group > self.last_group);
    }
}

impl Recovered {
    /// The first file that holds `group` or a later one.
    pub fn file_of(&self, group: u64) -> u64 {
        let holds = self.files.iter().find(|file| file.first_group <= file.last_group && file.last_group >= group);
        holds.map_or(u64::MAX, |file| file.file)
    }
}

impl std::fmt::Debug for Recovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovered")
            .field("identity", &self.identity)
            .field("first_group", &self.first_group)
            .field("last_group", &self.last_group)
            .field("torn", &self.torn)
            .field("damage", &self.damage)
            .field("bytes", &self.bytes)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Reads a WAL directory, locks it, and hands every frame to `visit`, in the order of groups and, for each partition, of
/// offsets. It changes nothing: cutting the torn tail is [`super::Wal::start`]'s.
///
/// # Errors
/// Damage of which it is unknown what it hit stops with [`WalError::Damaged`]; see [`super::accept_loss`]. A damaged payload
/// under an intact directory is visited as such, and goes on.
pub fn recover(
    fs: Arc<dyn FileSystem>,
    options: &WalOptions,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<Recovered, WalError> {
    open(&*fs, options, true, visit)
}

/// Reads like [`recover`] but goes on after damage of any kind and reports it: for `esker wal export`, and to show what
/// [`super::accept_loss`] would accept.
pub fn survey(
    fs: Arc<dyn FileSystem>,
    options: &WalOptions,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<Recovered, WalError> {
    open(&*fs, options, false, visit)
}

/// Hands out again, in the same order, the frames of the files from number `file` on: for who could not keep them all, while it
/// holds the lock. What stopped [`recover`] stops this.
pub fn visit_from(
    fs: &dyn FileSystem,
    options: &WalOptions,
    file: u64,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<(), WalError> {
    let mut inventory = Inventory::take(fs, &options.dir, To::Write)?;
    inventory.items.retain(|item| item.number >= file);
    scan(fs, &inventory, true, visit).map(drop)
}

/// Locks the directory, which is made if it is missing.
pub(crate) fn lock(fs: &dyn FileSystem, options: &WalOptions) -> Result<Box<dyn Send + Sync>, WalError> {
    fs.create_dir(&options.dir).map_err(|e| WalError::io("create", &options.dir, &e))?;
    let path = names::lock(&options.dir);
    fs.lock(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => WalError::Locked(options.dir.clone()),
        _ => WalError::io("lock", path, &e),
    })
}

/// Scans the files of an inventory.
pub(crate) fn scan(
    fs: &dyn FileSystem,
    inventory: &Inventory,
    stop: bool,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<Scanned, WalError> {
    match (&inventory.identity, inventory.items.first()) {
        (Some(identity), _) => Scan::run(fs, &inventory.items, tag(identity), stop, visit),
        (None, None) => Ok(Scanned::default()),
        (None, Some(item)) => Err(WalError::Foreign {
            path: item.path.clone(),
            what: "it is damaged, and no other file says whose it is".into(),
        }),
    }
}

fn open(
    fs: &dyn FileSystem,
    options: &WalOptions,
    stop: bool,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<Recovered, WalError> {
    read(fs, options, lock(fs, options)?, stop, visit)
}

fn read(
    fs: &dyn FileSystem,
    options: &WalOptions,
    lock: Box<dyn Send + Sync>,
    stop: bool,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<Recovered, WalError> {
    let inventory = Inventory::take(fs, &options.dir, if stop { To::Write } else { To::Read })?;
    let scanned = scan(fs, &inventory, stop, visit)?;
    let last_file = scanned.files.last();
    let last_crc = last_file.map_or(0, |f| f.last_crc);
    let rest = Rest {
        lock,
        last_crc,
        last_has_frames: scanned.last_head.is_some_and(|head| head.frames > 0),
        kept: inventory.items.into_iter().filter_map(kept_directory).collect(),
        cuts: scanned.cuts.clone(),
        last: scanned.last.clone(),
        blanks: inventory.blanks,
        temporaries: inventory.temporaries,
        budget: inventory.budget,
        above: None,
        scanned: scanned.files.clone(),
    };
    let mut identity = inventory.identity;
    if let (Some(identity), Some(head)) = (&mut identity, &scanned.last_head) {
        identity.epoch = identity.epoch.max(head.epoch);
    }
    Ok(Recovered {
        identity,
        first_group: scanned
            .files
            .iter()
            .map(|f| &f.stat)
            .find(|s| s.first_group <= s.last_group)
            .map_or(0, |s| s.first_group),
        last_group: last_file.map_or(0, |f| f.stat.last_group),
        last_crc,
        os_tail_uncertain: scanned.os_tail_uncertain(fs.boot()),
        bytes: scanned.bytes,
        files: scanned.files.into_iter().map(|f| f.stat).collect(),
        beyond: scanned.beyond,
        torn: scanned.torn,
        damage: scanned.damage,
        rest,
    })
}

fn kept_directory(item: Item) -> Option<(u64, Directory)> {
    match item.content {
        Content::Kept(directory) => Some((item.number, directory)),
        _ => None,
    }
}
