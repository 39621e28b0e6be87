//! A version of the owner chain.
use serde::{Deserialize, Serialize};

use crate::archive::{ArchiveError, Bucket, layout};
use crate::base::{Json, Uuid};
use crate::store::chain::{Chain, Head};
use crate::store::envelope::{Schema, Unknown};

const OWNER: Schema = Schema { kind: "owner", format: 1, features: &[] };

/// A version of the owner chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnerVersion {
    /// Claim or release.
    pub event: Event,
    /// The bucket's id.
    pub cluster_id: Uuid,
    /// The broker's number.
    pub broker_id: i32,
    /// The WAL it owns the bucket with.
    pub wal_id: Uuid,
    /// Epoch of the first claim with this WAL id.
    pub born: u32,
    /// Whether that claim followed a release, or was the first of all.
    pub after_release: bool,
    /// Where clients find it: told to whoever is refused.
    pub address: String,
    /// The lock that it holds on its data directory; none where there is no such file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockFile>,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What a version of the owner chain says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A broker's life begins; the version's number is its epoch.
    Claim,
    /// It ended with everything sealed.
    Release,
    /// What a later build says: somebody else's claim, whatever it is.
    #[serde(other)]
    Unknown,
}

/// The file that a broker locks while it uses its data directory: tells a disk from its copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    /// Another after every boot of the machine.
    pub boot: String,
    /// Number of the device that it lies on.
    pub device: u64,
    /// Its number there: a copy by files has another.
    pub inode: u64,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl LockFile {
    /// The lock of this boot of the machine.
    pub fn new(boot: u64, device: u64, inode: u64) -> Self {
        Self { boot: format!("{boot:016x}"), device, inode, unknown: Unknown::new() }
    }
}

/// The last group of a WAL that was synced when a version was written: what the disk that goes on has to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalMark {
    /// Which WAL.
    pub id: Uuid,
    /// Number of the group.
    pub group: u64,
    /// Its CRC-32C, in eight hex digits.
    pub crc32c: String,
}

impl WalMark {
    /// The mark of a group.
    pub fn new(id: Uuid, group: u64, crc: u32) -> Self {
        Self { id, group, crc32c: format!("{crc:08x}") }
    }

    /// As a version carries it.
    pub(in crate::archive) fn to_json(&self) -> Json {
        Json::of(self)
    }
}

/// The owner chain as it was read.
#[derive(Clone, Debug)]
pub(in crate::archive) struct OwnerHead {
    pub head: Head,
    pub version: OwnerVersion,
}

pub(in crate::archive) fn chain(bucket: &Bucket) -> Chain {
    Chain::new(bucket.store().clone(), OWNER, layout::OWNER)
}

/// Reads the newest version of the owner chain; none before the first claim.
pub(in crate::archive) async fn read(bucket: &Bucket) -> Result<Option<OwnerHead>, ArchiveError> {
    let chain = chain(bucket);
    let Some(head) = chain.head(None).await? else { return Ok(None) };
    let version = parse(bucket, &chain, &head)?;
    Ok(Some(OwnerHead { head, version }))
}

/// What a version says, if it is of this bucket.
pub(super) fn parse(bucket: &Bucket, chain: &Chain, head: &Head) -> Result<OwnerVersion, ArchiveError> {
    let damaged =
        |reason: String| ArchiveError::Damaged { path: bucket.store().url_of(&chain.path_of(head.number)), reason };
    let version: OwnerVersion = head.parse().map_err(|e| damaged(e.to_string()))?;
    match version.cluster_id == bucket.cluster_id() {
        true => Ok(version),
        false => Err(damaged(format!("it is of cluster {}", version.cluster_id))),
    }
}
