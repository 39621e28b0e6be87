//! Names of the files of a WAL directory.
//!
//! `<20 digits>.wal` holds groups, or waits to; `<20 digits>.kept` what is still needed of a condensed file; a `.tmp` is
//! half-made and goes at the next start; `.damaged` is what accept-loss put aside; `LOCK` is locked while in use.
use std::path::{Path, PathBuf};

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Wal(u64),
    Kept(u64),
    Temporary,
}

impl Name {
    /// `None` for names that are not the WAL's.
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, extension) = name.split_once('.')?;
        if stem.len() != 20 || !stem.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = stem.parse().ok()?;
        match extension {
            "wal" => Some(Self::Wal(number)),
            "kept" => Some(Self::Kept(number)),
            "kept.tmp" | "wal.tmp" => Some(Self::Temporary),
            _ => None,
        }
    }
}

pub(crate) fn wal(dir: &Path, file: u64) -> PathBuf {
    dir.join(format!("{file:020}.wal"))
}

pub(crate) fn wal_temporary(dir: &Path, file: u64) -> PathBuf {
    dir.join(format!("{file:020}.wal.tmp"))
}

pub(crate) fn kept(dir: &Path, file: u64) -> PathBuf {
    dir.join(format!("{file:020}.kept"))
}

pub(crate) fn kept_temporary(dir: &Path, file: u64) -> PathBuf {
    dir.join(format!("{file:020}.kept.tmp"))
}

pub(crate) fn damaged(dir: &Path, file: u64) -> PathBuf {
    dir.join(format!("{file:020}.damaged"))
}

/// The file that is locked while a WAL directory is in use.
pub fn lock(dir: &Path) -> PathBuf {
    dir.join("LOCK")
}
