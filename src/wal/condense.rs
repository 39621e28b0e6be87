//! Condensing: a file of which little is needed gives way to one with just that, so that one slow transaction or idle
//! partition does not hold 64 MiB.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::buffer::BLOCK;
use super::files::{Files, LiveFile, is_no_space};
use super::frame::ENTRY_LEN;
use super::group::GroupHead;
use super::header::{Header, KeptPart, Kind};
use super::inventory::tag;
use super::kept::{Directory, KeptFrame, index};
use super::window::Window;
use super::{Condensed, Damage, DamageKind, FrameMeta, WalError, names};

type Needed<'a> = &'a dyn Fn(&FrameMeta, u64) -> bool;

/// Replaces file `number` by a condensed one; see [`super::Wal::condense`].
pub(crate) fn condense(files: &Files, number: u64, needed: Needed<'_>) -> Result<Condensed, WalError> {
    let refuse = |why| WalError::NotCondensable { file: number, why };
    let live = {
        let mut table = files.lock();
        if table.files.keys().next_back() == Some(&number) {
            return Err(refuse("it is being written"));
        }
        let live = table.files.get(&number).cloned().ok_or_else(|| refuse("there is no such file"))?;
        table.busy = Some(number);
        live
    };
    let done = replace(files, &live, needed);
    let mut table = files.lock();
    table.busy = None;
    files.tell(table);
    done.map_err(|error| if is_no_space(&error) { WalError::DiskFull(files.dir.clone()) } else { error })
}

fn replace(files: &Files, live: &Arc<LiveFile>, needed: Needed<'_>) -> Result<Condensed, WalError> {
    let mut window = Window::open(&*files.fs, &live.path)?;
    let (mut directory, places) = match live.kept {
        Some(_) => of_kept(&mut window, live, needed)?,
        None => of_wal(files, &mut window, live, needed)?,
    };
    let payload: u64 = directory.frames.iter().map(|f| u64::from(f.entry.len)).sum();
    let bytes = directory.payload_at() + payload.next_multiple_of(BLOCK as u64);
    // Of a condensed file anything that frees a block is worth it.
    let max = if live.kept.is_some() { live.bytes - BLOCK as u64 } else { live.bytes / 2 };
    if bytes > max {
        return Ok(Condensed::TooMuch { needed: payload + (directory.frames.len() * ENTRY_LEN) as u64 });
    }
    let mut places = places.into_iter();
    let written = directory.write(&*files.fs, &files.dir, &mut |frame, put| {
        let at = places.next().unwrap_or(u64::MAX);
        let payload = window.get(at, frame.entry.len as usize)?;
        if crc32c::crc32c(payload) != frame.entry.crc {
            return Err(damaged(live, at, frame));
        }
        put(payload)
    });
    if written.is_err() {
        // What was begun would only keep room; if it cannot go now, it goes at the next start.
        let _ = files.fs.remove(&names::kept_temporary(&files.dir, live.number));
    }
    let kept = LiveFile {
        number: live.number,
        path: names::kept(&files.dir, live.number),
        bytes: written?,
        first_group: live.first_group,
        last_group: AtomicU64::new(live.last_group.load(Ordering::SeqCst)),
        kept: Some(index(&directory)),
        retired: AtomicBool::new(false),
    };
    let kept_bytes = kept.bytes;
    let mut table = files.lock();
    table.files.insert(live.number, Arc::new(kept));
    live.retired.store(true, Ordering::SeqCst);
    if live.kept.is_none() && live.bytes == files.file_bytes {
        table.blanks.push(live.path.clone());
    } else if live.kept.is_none() {
        drop(table);
        files.remove(&live.path)?;
    }
    Ok(Condensed::Done { kept: kept_bytes })
}

/// What is needed of a condensed file, and where it lies.
fn of_kept(window: &mut Window, live: &LiveFile, needed: Needed<'_>) -> Result<(Directory, Vec<u64>), WalError> {
    let unreadable = || WalError::NotCondensable { file: live.number, why: "its directory is damaged" };
    let mut directory = Directory::read(window, &live.path)?.ok_or_else(unreadable)?;
    let frames = index(&directory).into_iter().zip(std::mem::take(&mut directory.frames));
    let (places, frames) =
        frames.filter(|(_, f)| needed(&f.entry.meta, f.group)).map(|((_, here), f)| (here, f)).unzip();
    directory.frames = frames;
    Ok((directory, places))
}

/// What is needed of a file of groups, and where it lies.
fn of_wal(
    files: &Files,
    window: &mut Window,
    live: &LiveFile,
    needed: Needed<'_>,
) -> Result<(Directory, Vec<u64>), WalError> {
    let broken = || WalError::NotCondensable { file: live.number, why: "its groups cannot be read" };
    let begun = Header::decode(Kind::Wal, window.get(0, BLOCK)?, &live.path)?.ok_or_else(broken)?;
    let (last_group, mut last_crc) = (live.last_group.load(Ordering::SeqCst), begun.previous_crc);
    let (mut frames, mut places) = (Vec::new(), Vec::new());
    let mut at = BLOCK as u64;
    for number in live.first_group..=last_group {
        let head = GroupHead::peek(window.get(at, BLOCK)?, tag(&files.identity), live.number).ok_or_else(broken)?;
        if head.number != number || head.salt != begun.salt || !head.is_plausible(window.len() - at) {
            return Err(broken());
        }
        let bytes = window.get(at, head.directory_end())?;
        if !head.is_intact(bytes) {
            return Err(broken());
        }
        let mut byte = at + head.directory_end() as u64;
        for entry in head.entries(bytes) {
            if needed(&entry.meta, number) {
                frames.push(KeptFrame { group: number, at: byte, entry });
                places.push(byte);
            }
            byte += u64::from(entry.len);
        }
        last_crc = head.crc;
        at += u64::from(head.len);
    }
    let kept = KeptPart { last_group, last_crc, ..KeptPart::default() };
    let header = Header { kind: Kind::Kept, kept, ..begun };
    Ok((Directory { header, frames, losses: Vec::new() }, places))
}

fn damaged(live: &LiveFile, at: u64, frame: &KeptFrame) -> WalError {
    WalError::Damaged(Box::new(Damage {
        path: live.path.clone(),
        file: live.number,
        at,
        len: u64::from(frame.entry.len),
        groups: frame.group..=frame.group,
        frame: Some(frame.entry.meta),
        accepted: false,
        kind: DamageKind::Payload,
    }))
}
