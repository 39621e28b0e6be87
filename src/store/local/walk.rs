//! Listing of a folder as object stores list: by the whole path, ascending, page by page, staged files left out.
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use object_store::ObjectMeta;
use object_store::path::Path;

/// What failed, and where.
pub(super) type Failed = (PathBuf, io::Error);

/// Folders in folders beyond this are not looked at: a symbolic link may lead back up.
const DEPTH_MAX: usize = 32;

/// A file, its key and what the file system says of it.
struct Found {
    place: PathBuf,
    key: String,
    metadata: Metadata,
}

/// Up to `limit` objects under the folder `prefix` of `root` whose path is greater than `after`, ascending.
pub(super) fn page(root: &FsPath, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<ObjectMeta>, Failed> {
    let mut page = Vec::new();
    walk(root, prefix, after, &mut |found| {
        if !is_staged(&found.key)
            && let Ok(location) = Path::parse(&found.key)
        {
            let last_modified = modified(found)?.into();
            page.push(ObjectMeta { location, last_modified, size: found.metadata.len(), e_tag: None, version: None });
        }
        Ok(page.len() < limit)
    })?;
    Ok(page)
}

/// Staged files under `root` that were last written before `before_ms`.
pub(super) fn staged_before(root: &FsPath, before_ms: i64) -> Result<Vec<PathBuf>, Failed> {
    let before = UNIX_EPOCH + Duration::from_millis(u64::try_from(before_ms).unwrap_or(0));
    let mut staged = Vec::new();
    walk(root, "", None, &mut |found| {
        if is_staged(&found.key) && modified(found)? < before {
            staged.push(found.place.clone());
        }
        Ok(true)
    })?;
    Ok(staged)
}

/// Visits the files under `dir` (relative to `root`) in order of their keys until `visit` says false.
fn walk(
    root: &FsPath,
    dir: &str,
    after: Option<&str>,
    visit: &mut impl FnMut(&Found) -> io::Result<bool>,
) -> Result<bool, Failed> {
    if dir.split('/').count() > DEPTH_MAX {
        return Ok(true);
    }
    for found in entries(root, dir)? {
        let folder = found.key.strip_suffix('/');
        let passed = |after: &str| found.key.as_str() <= after && !(folder.is_some() && after.starts_with(&found.key));
        if after.is_some_and(passed) {
            continue;
        }
        let go_on = match folder {
            Some(folder) => walk(root, folder, after, visit)?,
            None => visit(&found).map_err(|e| (found.place.clone(), e))?,
        };
        if !go_on {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a folder holds, ascending by key; keys of folders end with a slash, as in the keys of what is in them.
fn entries(root: &FsPath, dir: &str) -> Result<Vec<Found>, Failed> {
    let folder = root.join(dir);
    let at = |e: io::Error| (folder.clone(), e);
    let listed = match fs::read_dir(&folder) {
        Ok(listed) => listed,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()), // a prefix without objects
        Err(e) => return Err(at(e)),
    };
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.map_err(at)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue }; // cannot be an object's
        let mut key = if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") };
        let place = entry.path();
        match fs::metadata(&place) {
            Ok(metadata) => {
                if metadata.is_dir() {
                    key.push('/');
                }
                entries.push(Found { place, key, metadata });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {} // deleted meanwhile, or a link to nothing
            Err(e) => return Err((place, e)),
        }
    }
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(entries)
}

fn modified(found: &Found) -> io::Result<SystemTime> {
    Ok(found.metadata.modified()?.max(UNIX_EPOCH))
}

/// Names `…#<digits>` are unfinished writes, here as in the `object_store` crate.
fn is_staged(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('#').is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}
