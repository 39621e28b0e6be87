//! The check of a whole bucket against I5 (density) and I11 (accounting); it only reads.
use super::Bucket;
use super::error::ArchiveError;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort.
    pub kind: FindingKind,
    /// URL of the object, or of the chain.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

/// Sorts of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// It is there, but not as it should be.
    Wrong,
    /// Something names it, and it is not there.
    Missing,
    /// Nothing names it, and it is older than the grace.
    Nobodys,
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Live topics.
    pub topics: u64,
    /// Their partitions.
    pub partitions: u64,
    /// Live segments.
    pub segments: u64,
    /// Gaps.
    pub gaps: u64,
    /// Records in the segments.
    pub records: u64,
    /// Bytes of the segments.
    pub stored_bytes: u64,
    /// All objects of the bucket.
    pub objects: u64,
    /// Objects that wait to be deleted.
    pub waiting: u64,
    /// Objects that nothing names yet, younger than the grace.
    pub young: u64,
    /// Number of findings.
    pub findings: u64,
}

/// Checks the bucket; tells each finding as it is made.
pub async fn fsck(bucket: &Bucket, found: &mut (dyn FnMut(Finding) + Send)) -> Result<Checked, ArchiveError> {
    let _ = (bucket, found);
    unimplemented!()
}
