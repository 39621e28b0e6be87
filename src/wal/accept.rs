//! Accepting a loss: each damaged file becomes a condensed one that holds every valid frame and remembers what is gone.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::frame::Entry;
use super::fs::FileSystem;
use super::header::{Header, KeptPart, Kind};
use super::inventory::{Inventory, Item, To};
use super::kept::{Directory, KeptFrame, Loss};
use super::recovery::{lock, scan};
use super::scan::ScannedFile;
use super::{Damage, Identity, WalError, WalOptions, names};

/// What is valid in one damaged file.
#[derive(Default)]
struct Remains {
    frames: Vec<KeptFrame>,
    payloads: Vec<Vec<u8>>,
    losses: Vec<Loss>,
}

/// Accepts all damage that [`super::survey`] reports, or, if there is none, what follows the end and looks like a torn tail,
/// which only the bucket can tell from damage: each damaged file is replaced by a condensed one with every valid
/// frame and a note of what was lost, which every later recovery reports as accepted. The damaged file stays beside it as
/// `<number>.damaged`. Returns what was accepted now.
///
/// # Errors
/// Those of reading and writing; a repeated call goes on where one was cut off.
pub fn accept_loss(fs: Arc<dyn FileSystem>, options: &WalOptions) -> Result<Vec<Damage>, WalError> {
    let fs = &*fs;
    let _lock = lock(fs, options)?;
    let inventory = Inventory::take(fs, &options.dir, To::Write)?;
    let mut found = scan(fs, &inventory, false, &mut |_| {})?;
    if found.damage.iter().all(|damage| damage.accepted) {
        found.damage.extend(found.beyond.take());
    }
    let (Some(identity), true) = (inventory.identity, found.damage.iter().any(|d| !d.accepted)) else {
        return Ok(Vec::new());
    };
    let mut remains: BTreeMap<u64, Remains> =
        found.damage.iter().filter(|d| !d.accepted).map(|d| (d.file, Remains::default())).collect();
    for damage in &found.damage {
        if let Some(remains) = remains.get_mut(&damage.file) {
            remains.losses.push(Loss::of(damage));
        }
    }
    scan(fs, &inventory, false, &mut |visit| {
        if let (Some(remains), Ok(payload)) = (remains.get_mut(&visit.position.file), visit.payload) {
            let entry = Entry { meta: *visit.meta, len: visit.position.len, crc: visit.position.crc };
            remains.frames.push(KeptFrame { group: visit.position.group, at: visit.position.at, entry });
            remains.payloads.push(payload.to_vec());
        }
    })?;
    let mut ends = BTreeMap::new();
    for (number, mut remains) in remains {
        remains.losses.sort_by_key(|loss| loss.at);
        let at = inventory.items.iter().position(|item| item.number == number);
        let at = at.expect("damage was found in a file of the inventory");
        let budget = inventory.budget.unwrap_or(0);
        let before = at.checked_sub(1).and_then(|before| found.files.get(before));
        let before =
            before.map(|file| ends.get(&file.stat.file).copied().unwrap_or((file.stat.last_group, file.last_crc)));
        let mut header = header(&identity, budget, before, &found.files[at], found.files.get(at + 1));
        let lost_to = remains.losses.iter().map(|loss| loss.last_group).max().unwrap_or(0);
        if at + 1 == found.files.len() && lost_to > header.kept.last_group {
            // Nobody knows the group at the end; the next one comes after it.
            (header.kept.last_group, header.kept.last_crc) = (lost_to, 0);
        }
        ends.insert(number, (header.kept.last_group, header.kept.last_crc));
        replace(fs, options, &inventory.items[at], header, remains)?;
    }
    Ok(found.damage.into_iter().filter(|d| !d.accepted).collect())
}

/// The header that fits between the neighbours: behind the end `before` it, whatever the file itself said it was behind.
fn header(
    identity: &Identity,
    budget: u64,
    before: Option<(u64, u32)>,
    file: &ScannedFile,
    next: Option<&ScannedFile>,
) -> Header {
    let (before, previous_crc) = before.unwrap_or((file.stat.first_group - 1, file.previous_crc));
    let (last_group, last_crc) = match next {
        Some(next) if next.stat.first_group > before => (next.stat.first_group - 1, next.previous_crc),
        Some(_) => (before, previous_crc),
        None => (file.stat.last_group.max(before), file.last_crc),
    };
    Header {
        kind: Kind::Kept,
        identity: *identity,
        file: file.stat.file,
        salt: 0,
        budget,
        first_group: before + 1,
        previous_crc,
        kept: KeptPart { last_group, last_crc, ..KeptPart::default() },
    }
}

fn replace(
    fs: &dyn FileSystem,
    options: &WalOptions,
    item: &Item,
    header: Header,
    remains: Remains,
) -> Result<(), WalError> {
    let aside = names::damaged(&options.dir, item.number);
    let put_aside = |path| match fs.rename(path, &aside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(WalError::io("rename", path, &e)),
        _ => Ok(()),
    };
    let kept = names::kept(&options.dir, item.number);
    if item.path == kept {
        put_aside(&kept)?;
    }
    let mut payloads = remains.payloads.into_iter();
    let mut directory = Directory { header, frames: remains.frames, losses: remains.losses };
    directory.write(fs, &options.dir, &mut |_, put| put(&payloads.next().unwrap_or_default()))?;
    if item.path != kept {
        put_aside(&item.path)?;
    }
    fs.sync_dir(&options.dir).map_err(|e| WalError::io("sync", &options.dir, &e))
}

impl Loss {
    fn of(damage: &Damage) -> Self {
        Self {
            at: damage.at,
            len: damage.len,
            first_group: *damage.groups.start(),
            last_group: *damage.groups.end(),
            kind: damage.kind,
            frame: damage.frame,
        }
    }
}
