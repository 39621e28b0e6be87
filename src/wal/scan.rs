//! Follows the chain of groups over all files, and judges what breaks it.
//!
//! The group after the last valid one, n, is *torn*, never acknowledged, if nothing shows that group n+1 was ever synced:
//! no byte of a group is written before the sync of the one before it returned. What shows it is a later group with an
//! intact directory, in this file or a higher one, or a higher file whose header counts it. Then the break is *damage*.
//! Under `durability = os` there is no such order within the newest file, and after a reboot the rest of it is cut.
use std::path::PathBuf;

use super::buffer::BLOCK;
use super::fs::FileSystem;
use super::group::{FLAG_CLOSED, FLAG_UNSYNCED, GroupHead};
use super::inventory::{Content, Item, Search, blocks, search};
use super::kept::Directory;
use super::window::{UNREADABLE, Window};
use super::{Damage, DamageKind, FileStat, Position, Torn, Visit, WalError};

/// Where a group lies.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub path: PathBuf,
    pub at: u64,
    pub len: u32,
}

/// A file after the scan.
#[derive(Debug, Clone)]
pub(crate) struct ScannedFile {
    pub stat: FileStat,
    pub path: PathBuf,
    /// What its groups carry.
    pub salt: u64,
    /// CRC of the group before its first.
    pub previous_crc: u32,
    /// CRC of its last group, or of the one before its first.
    pub last_crc: u32,
    /// The byte after its last group.
    pub end: u64,
}

/// What the scan found.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub files: Vec<ScannedFile>,
    pub damage: Vec<Damage>,
    pub torn: Option<Torn>,
    /// Blocks to be zeroed, so that nothing after the end is ever taken for a group: file and byte.
    pub cuts: Vec<(PathBuf, u64)>,
    /// The last valid group, if it lies in a WAL file.
    pub last: Option<Place>,
    pub last_head: Option<GroupHead>,
    /// Whether groups were cut that a reboot tore from a WAL that does not sync.
    pub reboot_cut: bool,
    /// What follows the end, where that is newer than it or cannot be read: as the damage that it is if the group at the end
    /// was acknowledged, of which nothing here tells.
    pub beyond: Option<Damage>,
    pub bytes: u64,
}

/// The state of a scan.
pub(crate) struct Scan<'a> {
    fs: &'a dyn FileSystem,
    items: &'a [Item],
    tag: [u8; 8],
    visit: &'a mut dyn FnMut(Visit<'_>),
    /// Whether unknown damage ends the scan with an error.
    stop: bool,
    /// The group expected next, and the CRC of the one before it.
    next: u64,
    crc: u32,
    out: Scanned,
}

/// What stands where a group is expected.
enum Found {
    Whole(GroupHead),
    BadPayload(GroupHead),
    Nothing,
}

/// A damaged range of one file.
struct Hole {
    kind: DamageKind,
    at: u64,
    end: u64,
    last_group: u64,
}

impl<'a> Scan<'a> {
    /// Scans everything.
    pub fn run(
        fs: &'a dyn FileSystem,
        items: &'a [Item],
        tag: [u8; 8],
        stop: bool,
        visit: &'a mut dyn FnMut(Visit<'_>),
    ) -> Result<Scanned, WalError> {
        let (next, crc) = match items.first().map(|item| &item.content) {
            Some(Content::Headless(Some((_, head)))) => (head.number, head.previous_crc),
            _ => items.iter().find_map(first_of).unwrap_or((1, 0)),
        };
        let mut scan = Self { fs, items, tag, visit, stop, next, crc, out: Scanned::default() };
        for at in 0..items.len() {
            scan.file(at)?;
        }
        Ok(scan.out)
    }

    fn file(&mut self, index: usize) -> Result<(), WalError> {
        let item = &self.items[index];
        let kept = matches!(item.content, Content::Kept(_) | Content::KeptDamaged);
        self.meet_first(index)?;
        let stat = FileStat {
            file: item.number,
            first_group: self.next,
            last_group: self.next.saturating_sub(1),
            bytes: item.len,
            kept,
            released: false,
        };
        let salt = if let Content::Begun(header) = &item.content { header.salt } else { 0 };
        let (path, crc) = (item.path.clone(), self.crc);
        self.out.files.push(ScannedFile { stat, path, salt, previous_crc: crc, last_crc: crc, end: BLOCK as u64 });
        match &item.content {
            Content::Begun(header) => self.walk(index, header.salt)?,
            Content::Headless(Some((_, head))) => {
                let hole = Hole { kind: DamageKind::Header, at: 0, end: BLOCK as u64, last_group: self.next - 1 };
                self.damaged(index, &hole)?;
                self.walk(index, head.salt)?;
            }
            Content::Kept(directory) => self.kept(index, directory)?,
            Content::KeptDamaged => self.whole_file_lost(index, DamageKind::Kept)?,
            Content::Blank | Content::Headless(None) => self.whole_file_lost(index, DamageKind::Header)?,
            Content::Missing => self.whole_file_lost(index, DamageKind::Missing)?,
        }
        let (last, crc) = (self.next - 1, self.crc);
        if let Some(file) = self.out.files.last_mut() {
            (file.stat.last_group, file.last_crc) = (last, crc);
        }
        Ok(())
    }

    /// A file's own word on its first group must continue the chain. Too high a number was noticed at the end of the file
    /// before; what is left is a chain that does not fit.
    fn meet_first(&mut self, index: usize) -> Result<(), WalError> {
        let Some((first, crc)) = first_of(&self.items[index]) else { return Ok(()) };
        if (first, crc) != (self.next, self.crc) {
            let hole = Hole { kind: DamageKind::Header, at: 0, end: BLOCK as u64, last_group: first.saturating_sub(1) };
            self.damaged(index, &hole)?;
            (self.next, self.crc) = (first, crc);
        }
        Ok(())
    }

    /// Follows the groups of one file.
    fn walk(&mut self, index: usize, salt: u64) -> Result<(), WalError> {
        let item = &self.items[index];
        let mut window = Window::open(self.fs, &item.path)?;
        let mut at = BLOCK as u64;
        loop {
            let found = self.look(&mut window, item, at, salt)?;
            if let Found::Whole(head) = found {
                self.accept(&mut window, item, at, &head)?;
                at += u64::from(head.len);
                continue;
            }
            let what = Search {
                from: at + BLOCK as u64,
                tag: self.tag,
                file: item.number,
                salt: Some(salt),
                number_min: self.next + 1,
            };
            let later = search(&mut window, what)?;
            let follow = self.items[index + 1..].iter().find_map(follow_of);
            let rebooted = follow.is_none() && later.is_some_and(|(_, head)| self.torn_by_reboot(&head));
            match (found, later, follow) {
                (_, Some(_), None) if rebooted => {
                    self.out.reboot_cut = true;
                    return self.end(&mut window, item, at, salt);
                }
                (Found::BadPayload(head), Some(_), _) => at += self.accept_damaged(&mut window, item, at, &head),
                (Found::BadPayload(head), None, Some((first, _))) if first > self.next => {
                    at += self.accept_damaged(&mut window, item, at, &head);
                }
                (_, Some((end, head)), _) => {
                    let hole = Hole { kind: DamageKind::Directory, at, end, last_group: head.number - 1 };
                    self.damaged(index, &hole)?;
                    (self.next, self.crc, at) = (head.number, head.previous_crc, end);
                }
                (_, None, Some((first, crc))) => {
                    // A next file that cannot be read accounts for what is missing itself.
                    let readable = follow_of(&self.items[index + 1]).is_some();
                    if let Some(crc) = crc.filter(|_| readable && first > self.next) {
                        let hole = Hole { kind: DamageKind::Directory, at, end: window.len(), last_group: first - 1 };
                        self.damaged(index, &hole)?;
                        (self.next, self.crc) = (first, crc);
                    }
                    return Ok(());
                }
                (_, None, None) => return self.end(&mut window, item, at, salt),
            }
        }
    }

    /// What stands at a byte where the next group is expected.
    fn look(&self, window: &mut Window, item: &Item, at: u64, salt: u64) -> Result<Found, WalError> {
        let Some(head) = GroupHead::peek(window.get(at, BLOCK)?, self.tag, item.number) else {
            return Ok(Found::Nothing);
        };
        let fits = head.salt == salt && head.number == self.next && head.previous_crc == self.crc;
        if !fits || !head.is_plausible(window.len().saturating_sub(at)) {
            return Ok(Found::Nothing);
        }
        let bytes = window.get(at, head.len as usize)?;
        if !head.is_intact(bytes) {
            return Ok(Found::Nothing);
        }
        Ok(if head.payloads_match(bytes) { Found::Whole(head) } else { Found::BadPayload(head) })
    }

    /// Hands out the frames of a whole group.
    fn accept(&mut self, window: &mut Window, item: &Item, at: u64, head: &GroupHead) -> Result<(), WalError> {
        let bytes = window.get(at, head.len as usize)?;
        let mut byte = head.directory_end();
        for entry in head.entries(bytes) {
            let end = byte + entry.len as usize;
            let position = position(item.number, head.number, at + byte as u64, entry.len, entry.crc);
            (self.visit)(Visit { meta: &entry.meta, position, payload: Ok(&bytes[byte..end]) });
            byte = end;
        }
        self.advance(item, at, head);
        Ok(())
    }

    /// Hands out the frames of a group with an intact directory and damage below it; returns the group's length.
    fn accept_damaged(&mut self, window: &mut Window, item: &Item, at: u64, head: &GroupHead) -> u64 {
        let bytes = window.get(at, head.len as usize).unwrap_or_default();
        let mut byte = head.directory_end();
        for entry in head.entries(bytes) {
            let end = byte + entry.len as usize;
            let position = position(item.number, head.number, at + byte as u64, entry.len, entry.crc);
            if crc32c::crc32c(&bytes[byte..end]) == entry.crc {
                (self.visit)(Visit { meta: &entry.meta, position, payload: Ok(&bytes[byte..end]) });
            } else {
                let damage = Damage {
                    path: item.path.clone(),
                    file: item.number,
                    at: position.at,
                    len: u64::from(entry.len),
                    groups: head.number..=head.number,
                    frame: Some(entry.meta),
                    accepted: false,
                    kind: DamageKind::Payload,
                };
                (self.visit)(Visit { meta: &entry.meta, position, payload: Err(&damage) });
                self.out.damage.push(damage);
            }
            byte = end;
        }
        self.advance(item, at, head);
        u64::from(head.len)
    }

    fn advance(&mut self, item: &Item, at: u64, head: &GroupHead) {
        (self.next, self.crc) = (head.number + 1, head.crc);
        self.out.bytes += u64::from(head.len);
        self.out.last = Some(Place { path: item.path.clone(), at, len: head.len });
        self.out.last_head = Some(*head);
        if let Some(file) = self.out.files.last_mut() {
            file.end = at + u64::from(head.len);
        }
    }

    /// The WAL ends here: what is beyond goes.
    fn end(&mut self, window: &mut Window, item: &Item, at: u64, salt: u64) -> Result<(), WalError> {
        let mut newer_beyond = window.get(at, BLOCK)?.starts_with(UNREADABLE);
        for block in blocks(window).filter(|block| *block >= at) {
            let Some(head) = GroupHead::peek(window.get(block, BLOCK)?, self.tag, item.number) else { continue };
            if head.salt != salt {
                continue;
            }
            newer_beyond = true; // its groups rise, and what a recycled file held has another number
            self.out.cuts.push((item.path.clone(), block));
            if block == at {
                let bytes = u64::from(head.len).min(window.len() - at);
                self.out.torn = Some(Torn { path: item.path.clone(), at, group: self.next, bytes });
            }
        }
        self.out.beyond = newer_beyond.then(|| Damage {
            path: item.path.clone(),
            file: item.number,
            at,
            len: window.len() - at,
            groups: self.next..=self.next,
            frame: None,
            accepted: false,
            kind: DamageKind::Directory,
        });
        Ok(())
    }

    fn kept(&mut self, index: usize, directory: &Directory) -> Result<(), WalError> {
        let item = &self.items[index];
        let mut window = Window::open(self.fs, &item.path)?;
        let mut losses = directory.losses.iter().peekable();
        let mut byte = directory.payload_at();
        for frame in &directory.frames {
            while let Some(loss) = losses.next_if(|loss| loss.at < frame.at) {
                self.report_loss(item, loss);
            }
            let entry = &frame.entry;
            let position = position(item.number, frame.group, frame.at, entry.len, entry.crc);
            let bytes = window.get(byte, entry.len as usize)?;
            if bytes.len() == entry.len as usize && crc32c::crc32c(bytes) == entry.crc {
                (self.visit)(Visit { meta: &entry.meta, position, payload: Ok(bytes) });
            } else {
                let damage = Damage {
                    path: item.path.clone(),
                    file: item.number,
                    at: byte,
                    len: u64::from(entry.len),
                    groups: frame.group..=frame.group,
                    frame: Some(entry.meta),
                    accepted: false,
                    kind: DamageKind::Payload,
                };
                (self.visit)(Visit { meta: &entry.meta, position, payload: Err(&damage) });
                self.out.damage.push(damage);
            }
            byte += u64::from(entry.len);
        }
        for loss in losses {
            self.report_loss(item, loss);
        }
        (self.next, self.crc) = (directory.header.kept.last_group + 1, directory.header.kept.last_crc);
        self.out.bytes += item.len;
        (self.out.last, self.out.last_head) = (None, None);
        Ok(())
    }

    /// Tells of a loss that was accepted earlier.
    fn report_loss(&mut self, item: &Item, loss: &super::kept::Loss) {
        let damage = Damage {
            path: item.path.clone(),
            file: item.number,
            at: loss.at,
            len: loss.len,
            groups: loss.first_group..=loss.last_group,
            frame: loss.frame,
            accepted: true,
            kind: loss.kind,
        };
        if let Some(meta) = &loss.frame {
            let len = u32::try_from(loss.len).unwrap_or(u32::MAX);
            let position = position(item.number, loss.first_group, loss.at, len, 0);
            (self.visit)(Visit { meta, position, payload: Err(&damage) });
        }
        self.out.damage.push(damage);
    }

    /// Nothing of a file can be read: the next one that can says how many groups were in it.
    fn whole_file_lost(&mut self, index: usize, kind: DamageKind) -> Result<(), WalError> {
        let follow = self.items[index + 1..].iter().find_map(first_of);
        let (first, crc) = follow.unwrap_or((self.next, self.crc));
        let hole = Hole { kind, at: 0, end: self.items[index].len, last_group: first.max(self.next) - 1 };
        self.damaged(index, &hole)?;
        (self.next, self.crc) = (first.max(self.next), crc);
        Ok(())
    }

    /// Notes unknown damage, or ends with it.
    fn damaged(&mut self, index: usize, hole: &Hole) -> Result<(), WalError> {
        let item = &self.items[index];
        let damage = Damage {
            path: item.path.clone(),
            file: item.number,
            at: hole.at,
            len: hole.end - hole.at,
            groups: self.next..=hole.last_group,
            frame: None,
            accepted: false,
            kind: hole.kind,
        };
        if self.stop {
            return Err(WalError::Damaged(Box::new(damage)));
        }
        self.out.damage.push(damage);
        Ok(())
    }

    fn torn_by_reboot(&self, head: &GroupHead) -> bool {
        head.flags & FLAG_UNSYNCED != 0 && head.boot != self.fs.boot()
    }
}

impl Scanned {
    /// Whether groups that were acknowledged without a sync may be missing.
    pub fn os_tail_uncertain(&self, boot: u64) -> bool {
        let last = self
            .last_head
            .is_some_and(|h| h.flags & FLAG_UNSYNCED != 0 && h.flags & FLAG_CLOSED == 0 && h.boot != boot);
        self.reboot_cut || last
    }
}

fn position(file: u64, group: u64, at: u64, len: u32, crc: u32) -> Position {
    Position { file, group, at, len, crc }
}

/// The first group of a file and the CRC before it, by its header.
fn first_of(item: &Item) -> Option<(u64, u32)> {
    match &item.content {
        Content::Begun(header) | Content::Kept(Directory { header, .. }) => {
            Some((header.first_group, header.previous_crc))
        }
        _ => None,
    }
}

/// The lowest group that a file shows to have been begun; with the CRC before it when that is certain. A file without a
/// header shows only that its first intact group came after others.
fn follow_of(item: &Item) -> Option<(u64, Option<u32>)> {
    match &item.content {
        Content::Headless(Some((at, head))) => Some((head.number, (*at == BLOCK as u64).then_some(head.previous_crc))),
        Content::Missing | Content::KeptDamaged => None,
        _ => first_of(item).map(|(first, crc)| (first, Some(crc))),
    }
}
