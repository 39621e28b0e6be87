//! The collector: deletes what nothing names any more.
use super::Archive;
use super::error::CommitError;

/// How long things are kept.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// `esker.removed.retention.ms`: how long a removed segment is kept. Default: 24 h.
    pub removed_retention_ms: i64,
}

/// What one round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Versions of chains.
    pub versions: u64,
    /// Objects that were removed from a manifest.
    pub removed: u64,
    /// Objects that nothing named.
    pub orphans: u64,
    /// Objects of deleted topics.
    pub dead: u64,
    /// Unfinished uploads.
    pub uploads: u64,
    /// Why nothing was done, if so.
    pub paused: Option<String>,
}

/// Deletes what nothing names any more, one round at a time.
#[derive(Debug)]
pub struct Collector {}

impl Collector {
    /// For an owned bucket.
    pub fn new(archive: &Archive, options: CollectOptions) -> Self {
        let _ = (archive, options);
        unimplemented!()
    }

    /// One round over everything. Errors of one partition do not keep it from the others; the first is returned.
    pub async fn run(&mut self) -> Result<Collected, CommitError> {
        unimplemented!()
    }
}
