//! Who owns the bucket: one chain of claims and releases. The number of a claim is the broker's epoch.
//!
//! The body of a version (kind `owner`, format 1): `event` (`claim` or `release`), `cluster_id`, `broker_id`, `wal_id`,
//! `born` (epoch of the first claim with this WAL id), `after_release` (whether that claim followed a release), `address`,
//! `at_ms`. A release repeats the claim that it ends.
//!
//! Whether a claim may be made is decided by [`decide`], which is pure.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, CommitError};
use super::start::Survey;
use crate::base::Uuid;
use crate::store::chain::{Chain, Head, Outcome};
use crate::store::envelope::{Schema, Unknown};

use super::{Bucket, layout};

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
}

/// Who wants the bucket.
#[derive(Clone, Debug)]
pub struct Claim {
    /// This broker's number.
    pub broker_id: i32,
    /// Where clients find it.
    pub address: String,
    /// What its disk holds.
    pub disk: Disk,
    /// Take the bucket over from an owner that did not release it.
    pub take_over: bool,
}

/// What the broker's disk holds.
#[derive(Clone, Debug)]
pub enum Disk {
    /// No WAL. `wal_id` is the id that its WAL will get; a broker that remembers it from before its claim may be killed
    /// between claim and WAL and still goes on.
    Empty {
        /// Id of the WAL to be.
        wal_id: Uuid,
    },
    /// A WAL that was recovered.
    Wal {
        /// From its header.
        cluster_id: Uuid,
        /// From its header.
        broker_id: i32,
        /// From its header.
        wal_id: Uuid,
        /// From its header.
        born: u32,
        /// Number of its last group.
        last_group: u64,
        /// For each partition with batches in the WAL: the offset after the last one.
        ends: BTreeMap<(Uuid, i32), i64>,
        /// The end may be missing without its being an old copy: after an unclean reboot under `durability = os`, or when
        /// the operator accepted a loss. The log then goes on at `reserved` with a gap.
        may_be_short: bool,
    },
}

/// What the broker has to do with its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalPlan {
    /// Go on with the WAL that is there.
    Continue,
    /// Begin a new WAL of this id; what the disk holds of an older one is of no use any more.
    Begin {
        /// Its id.
        wal_id: Uuid,
    },
}

/// Records in a WAL that are in nobody's bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// First offset that is not sealed.
    pub first: i64,
    /// Offset after the last one in the WAL.
    pub next: i64,
}

/// Why the bucket cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OwnerError {
    /// The data directory belongs to another bucket.
    #[error(
        "this data directory belongs to cluster {disk}, the bucket {url} is cluster {bucket}: use the right --store, or an empty --data directory"
    )]
    OtherBucket {
        /// Cluster id on the disk.
        disk: Uuid,
        /// Cluster id of the bucket.
        bucket: Uuid,
        /// URL of the bucket.
        url: String,
    },
    /// Another broker, or another disk, owns the bucket.
    #[error(
        "{url} is owned by broker {} at {} (epoch {epoch}, WAL {}), which did not release it: stop that broker, or give --take-over if its disk is lost (what it had not sealed becomes a recorded gap)",
        owner.broker_id, owner.address, owner.wal_id
    )]
    Owned {
        /// URL of the bucket.
        url: String,
        /// Epoch of the owner.
        epoch: u32,
        /// Its claim.
        owner: Box<OwnerVersion>,
    },
    /// This disk lost the bucket while it held records that are nowhere else.
    #[error(
        "this disk no longer owns {url}, and its WAL holds records that are not in the bucket: {}; save them with `esker wal export`, then start on an empty --data directory",
        ranges(.unsealed)
    )]
    TakenOver {
        /// URL of the bucket.
        url: String,
        /// What the WAL holds alone.
        unsealed: Vec<Unsealed>,
    },
    /// The bucket could not be read or written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

fn ranges(unsealed: &[Unsealed]) -> String {
    const SHOWN: usize = 10;
    let mut words: Vec<String> =
        unsealed.iter().take(SHOWN).map(|u| format!("{}-{} {}..{}", u.topic, u.partition, u.first, u.next)).collect();
    if unsealed.len() > SHOWN {
        words.push(format!("and {} more partitions", unsealed.len() - SHOWN));
    }
    words.join(", ")
}

impl OwnerError {
    /// Whether waiting may help: the store did not answer.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Archive(e) if e.is_retriable())
    }
}

/// What a look at the owner chain showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// This broker still owns the bucket.
    Ours,
    /// Another broker claimed it: stop at once.
    Foreign {
        /// Epoch of the other.
        epoch: u32,
        /// Its claim.
        by: Box<OwnerVersion>,
    },
}

/// A bucket that was claimed; cheap to clone. Whoever writes to the bucket takes its epoch from here.
#[derive(Clone, Debug)]
pub struct Ownership(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    chain: Chain,
    head: Head,
    claim: OwnerVersion,
    plan: WalPlan,
    lost_wal: bool,
}

/// Decides a claim and makes it: the next number of the owner chain. A claim that collides with another is decided anew.
pub async fn claim(survey: &Survey, claim: &Claim) -> Result<Ownership, OwnerError> {
    let _ = (survey, claim);
    unimplemented!()
}

impl Ownership {
    /// Number of this life of the broker.
    pub fn epoch(&self) -> u32 {
        self.0.head.epoch
    }

    /// The same, as records carry it.
    pub fn leader_epoch(&self) -> i32 {
        i32::try_from(self.epoch()).unwrap_or(i32::MAX)
    }

    /// The claim as it was written: `born` and `wal_id` go into the WAL's header.
    pub fn claim(&self) -> &OwnerVersion {
        &self.0.claim
    }

    /// What to do with the disk.
    pub fn wal(&self) -> WalPlan {
        self.0.plan
    }

    /// Whether the WAL before this one was lost: then every partition gets a gap up to `reserved`.
    pub fn lost_wal(&self) -> bool {
        self.0.lost_wal
    }

    /// Looks at the next number: at least every 10 s. An error means that the store did not answer.
    pub async fn look(&self) -> Result<Look, ArchiveError> {
        unimplemented!()
    }

    /// Ends this life with everything sealed: another disk may then go on without a take-over. Nothing may be written to
    /// the bucket afterwards.
    pub async fn release(&self) -> Result<(), CommitError> {
        unimplemented!()
    }
}
