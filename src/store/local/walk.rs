//! Listing of a folder as object stores list: by the whole path, ascending, page by page, staged files left out.
//!
//! A page costs what it lists: of a folder with more names than a page has, the names are kept, in order, for the pages that
//! follow, until the folder changes; and only the files of the page are looked at.
use std::fs;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use object_store::ObjectMeta;
use object_store::path::Path;

/// What failed, and where.
pub(super) type Failed = (PathBuf, io::Error);

/// Folders in folders beyond this are not looked at: a symbolic link may lead back up.
const DEPTH_MAX: usize = 32;

/// The large folder that was listed last: the names in it, while it does not change.
#[derive(Debug, Default)]
pub(super) struct Listed(Mutex<Option<Folder>>);

#[derive(Clone, Debug)]
struct Folder {
    dir: String,
    changed: SystemTime,
    keys: Arc<Vec<String>>,
}

/// Up to `limit` objects under the folder `prefix` of `root` whose path is greater than `after`, ascending.
pub(super) fn page(
    root: &FsPath,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    listed: &Listed,
) -> Result<Vec<ObjectMeta>, Failed> {
    let mut page = Vec::new();
    let visit = &mut |key: &str, place: PathBuf| {
        if let Ok(location) = Path::parse(key)
            && !is_staged(key)
            && let Some(metadata) = metadata(&place)?
        {
            let last_modified = modified(&metadata)?.into();
            page.push(ObjectMeta { location, last_modified, size: metadata.len(), e_tag: None, version: None });
        }
        Ok(page.len() < limit)
    };
    walk(root, prefix, after, &Keep { listed, more_than: limit }, visit)?;
    Ok(page)
}

/// Staged files under `root` that were last written before `before_ms`.
pub(super) fn staged_before(root: &FsPath, before_ms: i64) -> Result<Vec<PathBuf>, Failed> {
    let before = UNIX_EPOCH + Duration::from_millis(u64::try_from(before_ms).unwrap_or(0));
    let mut staged = Vec::new();
    let keep = Keep { listed: &Listed::default(), more_than: usize::MAX };
    walk(root, "", None, &keep, &mut |key, place| {
        if is_staged(key)
            && let Some(metadata) = metadata(&place)?
            && modified(&metadata)? < before
        {
            staged.push(place);
        }
        Ok(true)
    })?;
    Ok(staged)
}

/// Of which folders the names are kept.
struct Keep<'a> {
    listed: &'a Listed,
    more_than: usize,
}

/// Visits the files under `dir` (relative to `root`) in order of their keys until `visit` says false.
fn walk(
    root: &FsPath,
    dir: &str,
    after: Option<&str>,
    keep: &Keep<'_>,
    visit: &mut impl FnMut(&str, PathBuf) -> io::Result<bool>,
) -> Result<bool, Failed> {
    if dir.split('/').count() > DEPTH_MAX {
        return Ok(true);
    }
    let keys = keys(root, dir, after.is_some(), keep)?;
    let passed = |key: &String| after.is_some_and(|after| key.as_str() <= after && !is_folder_of(key, after));
    for key in &keys[keys.partition_point(passed)..] {
        let go_on = match key.strip_suffix('/') {
            Some(folder) => walk(root, folder, after, keep, visit)?,
            None => {
                let place = root.join(key);
                visit(key, place.clone()).map_err(|e| (place, e))?
            }
        };
        if !go_on {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether `key` is that of a folder which `after` lies in.
fn is_folder_of(key: &str, after: &str) -> bool {
    key.ends_with('/') && after.starts_with(key)
}

/// The keys in a folder; kept ones, where a listing goes on and the folder did not change.
fn keys(root: &FsPath, dir: &str, goes_on: bool, keep: &Keep<'_>) -> Result<Arc<Vec<String>>, Failed> {
    let folder = root.join(dir);
    let Some(found) = metadata(&folder).map_err(|e| (folder.clone(), e))? else {
        return Ok(Arc::default()); // a prefix without objects
    };
    let changed = modified(&found).map_err(|e| (folder.clone(), e))?;
    let mut listed = keep.listed.0.lock().unwrap_or_else(PoisonError::into_inner);
    match &*listed {
        Some(kept) if kept.dir == dir && kept.changed == changed && goes_on => return Ok(kept.keys.clone()),
        Some(kept) if kept.dir == dir => *listed = None,
        _ => {}
    }
    drop(listed);
    let keys = Arc::new(read(&folder, dir)?);
    if keys.len() > keep.more_than {
        let kept = Folder { dir: dir.to_owned(), changed, keys: keys.clone() };
        *keep.listed.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
    Ok(keys)
}

/// What a folder holds, ascending by key; keys of folders end with a slash, as in the keys of what is in them.
fn read(folder: &FsPath, dir: &str) -> Result<Vec<String>, Failed> {
    #[cfg(test)]
    tests::READS.with(|reads| reads.set(reads.get() + 1));
    let at = |e: io::Error| (folder.to_owned(), e);
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(at(e)),
    };
    let mut keys = Vec::new();
    for entry in listed {
        let entry = entry.map_err(at)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue }; // cannot be an object's
        let kind = entry.file_type().map_err(at)?;
        let is_folder = match kind.is_symlink() {
            false => kind.is_dir(),
            // What it leads to; to nothing: it is passed over when it is looked at.
            true => metadata(&entry.path()).map_err(at)?.is_some_and(|found| found.is_dir()),
        };
        let slash = if is_folder { "/" } else { "" };
        keys.push(if dir.is_empty() { format!("{name}{slash}") } else { format!("{dir}/{name}{slash}") });
    }
    keys.sort_unstable();
    Ok(keys)
}

/// What the file system says of a place; none: it was deleted meanwhile, or is a link to nothing.
fn metadata(place: &FsPath) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(place) {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn modified(found: &fs::Metadata) -> io::Result<SystemTime> {
    Ok(found.modified()?.max(UNIX_EPOCH))
}

/// Names `…#<digits>` are unfinished writes, here as in the `object_store` crate.
fn is_staged(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('#').is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Folders that were read from one end to the other.
        pub static READS: Cell<usize> = const { Cell::new(0) };
    }

    fn all(root: &FsPath, listed: &Listed, mut between: impl FnMut(usize)) -> Vec<String> {
        let (mut seen, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let found = page(root, "big", after.as_deref(), 10, listed).unwrap();
            seen.extend(found.iter().map(|object| object.location.to_string()));
            match found.last() {
                Some(last) if found.len() == 10 => after = Some(last.location.to_string()),
                _ => return seen,
            }
            between(seen.len());
        }
    }

    #[test]
    fn the_pages_of_a_large_folder_read_it_once_unless_it_changes() {
        let root = tempfile::tempdir().unwrap();
        let big = root.path().join("big");
        fs::create_dir(&big).unwrap();
        let make = |n: usize| fs::write(big.join(format!("{n:05}")), b"x").unwrap();
        (0..200).for_each(make);
        let listed = Listed::default();
        READS.with(|reads| reads.set(0));
        assert_eq!(all(root.path(), &listed, |_| ()).len(), 200);
        assert_eq!(READS.with(Cell::get), 1);
        let seen = all(root.path(), &listed, |seen| {
            if seen == 50 {
                let changed = fs::metadata(&big).unwrap().modified().unwrap();
                make(500);
                while fs::metadata(&big).unwrap().modified().unwrap() == changed {
                    make(500);
                    fs::remove_file(big.join("00500")).unwrap();
                    make(500);
                }
            }
        });
        assert_eq!((seen.len(), seen.last().map(String::as_str)), (201, Some("big/00500")), "what came is seen");
        assert_eq!(READS.with(Cell::get), 3);
    }
}
