//! What lies in a WAL directory, judged by names and first blocks alone.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::buffer::BLOCK;
use super::fs::FileSystem;
use super::group::GroupHead;
use super::header::{Header, Kind, check_writable};
use super::kept::Directory;
use super::names::Name;
use super::window::Window;
use super::{Identity, WalError, names};

/// What a file is, by its first block.
pub(crate) enum Content {
    /// Groups may follow.
    Begun(Header),
    /// A condensed file.
    Kept(Directory),
    /// A condensed file whose directory cannot be read.
    KeptDamaged,
    /// Zeros, or what a recycled file held: another number stands in its header.
    Blank,
    /// No whole header. Its first group with an intact directory shows that it once had one.
    Headless(Option<(u64, GroupHead)>),
    /// Not there, though its number lies between others.
    Missing,
}

/// What the directory is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// To be shown.
    Read,
    /// To be written to, too.
    Write,
}

/// One number of the WAL.
pub(crate) struct Item {
    pub number: u64,
    pub path: PathBuf,
    pub len: u64,
    pub content: Content,
}

/// The whole directory.
pub(crate) struct Inventory {
    /// From the oldest to the newest that ever held a group, without holes.
    pub items: Vec<Item>,
    /// Files without content that can be used for new groups, and their lengths.
    pub blanks: Vec<(PathBuf, u64)>,
    /// Half-made files, to be removed.
    pub temporaries: Vec<PathBuf>,
    /// Who writes here; of the newest file.
    pub identity: Option<Identity>,
    /// The budget as the newest file remembers it.
    pub budget: Option<u64>,
}

/// The part of the WAL id that groups carry.
pub(crate) fn tag(identity: &Identity) -> [u8; 8] {
    super::frame::array(&identity.wal_id.0, 0)
}

impl Inventory {
    /// Lists the directory and reads every first block.
    pub fn take(fs: &dyn FileSystem, dir: &Path, to: To) -> Result<Self, WalError> {
        let mut found = BTreeMap::<u64, Item>::new();
        let mut taken = Self { items: vec![], blanks: vec![], temporaries: vec![], identity: None, budget: None };
        let mut names: Vec<_> = fs.list(dir).map_err(|e| WalError::io("list", dir, &e))?;
        // A condensed file comes after, and takes the place of, the file that it was made from.
        names.sort_by_key(|entry| Name::parse(&entry.name));
        for entry in names {
            let path = dir.join(&entry.name);
            let (number, content) = match Name::parse(&entry.name) {
                Some(Name::Wal(number)) => (number, wal_content(fs, &path, number, to)?),
                Some(Name::Kept(number)) => (number, kept_content(fs, &path, number, to)?),
                Some(Name::Temporary) => {
                    taken.temporaries.push(path);
                    continue;
                }
                None => continue,
            };
            if let Some(replaced) = found.insert(number, Item { number, path, len: entry.len, content }) {
                taken.blanks.push((replaced.path, replaced.len));
            }
        }
        taken.identify(found.values())?;
        taken.settle(fs, dir, found)?;
        Ok(taken)
    }

    /// Takes the identity from the headers, which must agree.
    fn identify<'a>(&mut self, items: impl Iterator<Item = &'a Item>) -> Result<(), WalError> {
        for item in items {
            let (Content::Begun(header) | Content::Kept(Directory { header, .. })) = &item.content else { continue };
            if let Some(other) = self.identity
                && (other.wal_id, other.cluster_id, other.broker_id)
                    != (header.identity.wal_id, header.identity.cluster_id, header.identity.broker_id)
            {
                let what = format!("it belongs to WAL {}, its neighbours to {}", header.identity.wal_id, other.wal_id);
                return Err(WalError::Foreign { path: item.path.clone(), what });
            }
            self.identity = Some(header.identity);
            self.budget = Some(header.budget).filter(|b| *b > 0).or(self.budget);
        }
        Ok(())
    }

    /// Looks into files without a header, puts blank ones aside, and closes the holes.
    fn settle(&mut self, fs: &dyn FileSystem, dir: &Path, mut found: BTreeMap<u64, Item>) -> Result<(), WalError> {
        for item in found.values_mut() {
            if let Content::Headless(first) = &mut item.content {
                *first = first_group(fs, item.number, &item.path, self.identity.as_ref())?;
            }
        }
        let held = |item: &Item| !matches!(item.content, Content::Blank | Content::Headless(None));
        let first = found.values().find(|i| held(i)).map_or(u64::MAX, |i| i.number);
        let last = found.values().rfind(|i| held(i)).map_or(0, |i| i.number);
        let mut next = first;
        for (number, item) in found {
            if number < first || number > last {
                self.blanks.push((item.path, item.len));
                continue;
            }
            while next < number {
                let path = names::wal(dir, next);
                self.items.push(Item { number: next, path, len: 0, content: Content::Missing });
                next += 1;
            }
            self.items.push(item);
            next += 1;
        }
        Ok(())
    }
}

fn wal_content(fs: &dyn FileSystem, path: &Path, number: u64, to: To) -> Result<Content, WalError> {
    let mut window = Window::peep(fs, path)?;
    let block = window.get(0, BLOCK)?;
    let header = Header::decode(Kind::Wal, block, path)?;
    if to == To::Write && header.is_some() {
        check_writable(block, path)?;
    }
    Ok(match header {
        Some(header) if header.file == number => Content::Begun(header),
        // It was begun if it has a group of its own all the same: then its header is not what was written.
        Some(_) if GroupHead::looks_like_one(window.get(BLOCK as u64, BLOCK)?, number) => Content::Headless(None),
        Some(_) => Content::Blank,
        None => Content::Headless(None),
    })
}

fn kept_content(fs: &dyn FileSystem, path: &Path, number: u64, to: To) -> Result<Content, WalError> {
    let mut window = Window::open(fs, path)?;
    let directory = Directory::read(&mut window, path)?;
    if to == To::Write && directory.is_some() {
        check_writable(window.get(0, BLOCK)?, path)?;
    }
    Ok(match directory {
        Some(directory) if directory.header.file == number => Content::Kept(directory),
        _ => Content::KeptDamaged,
    })
}

/// The first group with an intact directory in a file whose header cannot be read.
fn first_group(
    fs: &dyn FileSystem,
    number: u64,
    path: &Path,
    identity: Option<&Identity>,
) -> Result<Option<(u64, GroupHead)>, WalError> {
    let mut window = Window::open(fs, path)?;
    let Some(identity) = identity else {
        // Without any header there is no WAL yet, unless groups say otherwise.
        let found = blocks(&window).find_map(|at| match window.get(at, BLOCK) {
            Ok(block) => GroupHead::looks_like_one(block, number).then_some(Ok(at)),
            Err(e) => Some(Err(e)),
        });
        return match found.transpose()? {
            None => Ok(None),
            Some(at) => {
                let what =
                    format!("it has a group at byte {at} but no whole header, and no other file says whose it is");
                Err(WalError::Foreign { path: path.to_owned(), what })
            }
        };
    };
    search(&mut window, Search { from: 0, tag: tag(identity), file: number, salt: None, number_min: 0 })
}

/// What [`search`] looks for.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    pub from: u64,
    pub tag: [u8; 8],
    pub file: u64,
    pub salt: Option<u64>,
    pub number_min: u64,
}

/// The first group from a byte on, looking at every block, whose head and directory are intact.
pub(crate) fn search(window: &mut Window, what: Search) -> Result<Option<(u64, GroupHead)>, WalError> {
    for at in blocks(window).filter(|at| *at >= what.from) {
        let Some(head) = GroupHead::peek(window.get(at, BLOCK)?, what.tag, what.file) else { continue };
        let wanted = what.salt.is_none_or(|salt| salt == head.salt) && head.number >= what.number_min;
        if wanted && head.is_plausible(window.len() - at) && head.is_intact(window.get(at, head.directory_end())?) {
            return Ok(Some((at, head)));
        }
    }
    Ok(None)
}

/// The bytes at which a group may begin.
pub(crate) fn blocks(window: &Window) -> impl Iterator<Item = u64> + use<> {
    (BLOCK as u64..window.len().saturating_sub(BLOCK as u64 - 1)).step_by(BLOCK)
}
