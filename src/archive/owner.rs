//! Who owns the bucket: one chain of claims and releases. The number of a claim is the broker's epoch.
//!
//! The body of a version (kind `owner`, format 1): `event` (`claim` or `release`), `cluster_id`, `broker_id`, `wal_id`,
//! `born` (epoch of the first claim with this WAL id), `after_release` (whether that claim followed a release), `address`,
//! `at_ms`. A release repeats the claim that it ends.
//!
//! Whether a claim may be made is decided by [`decide`], which is pure.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, CommitError};
use super::start::Survey;
use crate::base::Uuid;
use crate::store::chain::{Chain, Head, Outcome};
use crate::store::envelope::{Schema, Unknown};

use super::{Bucket, layout};

const OWNER: Schema = Schema { kind: "owner", format: 1, features: &[] };

/// After a sleep this long a look makes sure that its own claim is still there: versions are kept for days, so after a
/// shorter one the next claim is.
const SLEPT_MS: u64 = 60 * 60 * 1000;

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
    /// No WAL. `wal_id` is the id that its WAL will get. A broker that writes it to its disk before the claim, and keeps it
    /// there until the WAL is, may be killed in between and still goes on.
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
    bucket: Bucket,
    chain: Chain,
    head: Head,
    claim: OwnerVersion,
    plan: WalPlan,
    previous: Option<OwnerVersion>,
    /// Wall time of the last look that showed us as the owner, ms since 1970.
    looked_ms: AtomicI64,
}

/// The owner chain as it was read.
#[derive(Clone, Debug)]
pub(super) struct OwnerHead {
    head: Head,
    version: OwnerVersion,
}

/// What a decided claim comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decided {
    plan: WalPlan,
    wal_id: Uuid,
    /// Epoch in which the WAL began; none: the one that is being claimed.
    born: Option<u32>,
    after_release: bool,
}

/// Decides a claim and makes it: the next number of the owner chain. A claim that collides with another is decided anew.
pub async fn claim(survey: &Survey, claim: &Claim) -> Result<Ownership, OwnerError> {
    let bucket = survey.bucket();
    let chain = chain(bucket);
    let mut newest = survey.owner().cloned();
    let disk = look_at_disk(survey, &claim.disk).await?;
    loop {
        let decided = decide(claim, &disk, newest.as_ref(), bucket)?;
        let remembered = newest.as_ref().map(|newest| &newest.head);
        let epoch = next_epoch(bucket, remembered)?;
        let version = OwnerVersion {
            event: Event::Claim,
            cluster_id: bucket.cluster_id(),
            broker_id: claim.broker_id,
            wal_id: decided.wal_id,
            born: decided.born.unwrap_or(epoch),
            after_release: decided.after_release,
            address: claim.address.clone(),
            at_ms: bucket.clock().now_ms(),
            unknown: newest.as_ref().map(|newest| newest.version.unknown.clone()).unwrap_or_default(),
        };
        match chain.commit(remembered, epoch, &version).await.map_err(ArchiveError::from)? {
            Outcome::Committed(head) => {
                return Ok(Ownership(Arc::new(Owned {
                    bucket: bucket.clone(),
                    chain,
                    head,
                    looked_ms: AtomicI64::new(version.at_ms),
                    claim: version,
                    plan: decided.plan,
                    previous: newest.map(|newest| newest.version),
                })));
            }
            // Somebody claimed at the same moment: whether we still may is decided on what they wrote.
            Outcome::Lost(_) | Outcome::Fenced { .. } => newest = read(bucket).await?,
        }
    }
}

/// What the bucket says of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DiskFacts {
    /// The WAL holds all that was not sealed under its id: it is no old copy.
    reaches: bool,
    /// The start that began this WAL id was finished: the broker served.
    served: bool,
    /// What only this WAL holds.
    unsealed: Vec<Unsealed>,
}

async fn look_at_disk(survey: &Survey, disk: &Disk) -> Result<DiskFacts, ArchiveError> {
    Ok(match disk {
        Disk::Empty { wal_id } => DiskFacts { served: survey.state_wal() == Some(*wal_id), ..DiskFacts::default() },
        Disk::Wal { wal_id, last_group, ends, may_be_short, .. } => DiskFacts {
            reaches: *may_be_short || survey.is_reached_by(*wal_id, *last_group, ends),
            served: survey.state_wal() == Some(*wal_id),
            unsealed: survey.unsealed(ends).await?,
        },
    })
}

/// Reads the newest version of the owner chain; none before the first claim.
pub(super) async fn read(bucket: &Bucket) -> Result<Option<OwnerHead>, ArchiveError> {
    let chain = chain(bucket);
    let Some(head) = chain.head(None).await? else { return Ok(None) };
    let version = parse(bucket, &chain, &head)?;
    Ok(Some(OwnerHead { head, version }))
}

#[cfg(test)]
impl OwnerHead {
    pub(super) fn version(&self) -> &OwnerVersion {
        &self.version
    }
}

pub(super) fn chain(bucket: &Bucket) -> Chain {
    Chain::new(bucket.store().clone(), OWNER, layout::OWNER)
}

fn parse(bucket: &Bucket, chain: &Chain, head: &Head) -> Result<OwnerVersion, ArchiveError> {
    let damaged =
        |reason: String| ArchiveError::Damaged { path: bucket.store().url_of(&chain.path_of(head.number)), reason };
    let version: OwnerVersion = head.parse().map_err(|e| damaged(e.to_string()))?;
    match version.cluster_id == bucket.cluster_id() {
        true => Ok(version),
        false => Err(damaged(format!("it is of cluster {}", version.cluster_id))),
    }
}

/// A claim's epoch is its number.
fn next_epoch(bucket: &Bucket, newest: Option<&Head>) -> Result<u32, ArchiveError> {
    let number = newest.map_or(0, |newest| newest.number) + 1;
    // Leader epochs are int32 in Kafka.
    i32::try_from(number).ok().and_then(|number| u32::try_from(number).ok()).ok_or_else(|| ArchiveError::Damaged {
        path: bucket.store().url_of(layout::OWNER),
        reason: format!("number {number} is beyond every epoch that a record can carry"),
    })
}

/// Whether a claim may be made, and what becomes of the disk. Pure.
fn decide(claim: &Claim, disk: &DiskFacts, newest: Option<&OwnerHead>, bucket: &Bucket) -> Result<Decided, OwnerError> {
    let url = || bucket.store().display();
    match &claim.disk {
        Disk::Empty { wal_id } => {
            match newest.map(|newest| &newest.version).filter(|newest| newest.wal_id == *wal_id) {
                // Killed between its claim and the first byte of its WAL: it goes on with that claim.
                Some(newest) if newest.event == Event::Claim && !disk.served => Ok(Decided {
                    plan: WalPlan::Begin { wal_id: *wal_id },
                    wal_id: *wal_id,
                    born: Some(newest.born),
                    after_release: newest.after_release,
                }),
                Some(_) => begin(claim, Uuid::random(bucket.random()), newest, url()),
                None => begin(claim, *wal_id, newest, url()),
            }
        }
        Disk::Wal { cluster_id, .. } if *cluster_id != bucket.cluster_id() => {
            Err(OwnerError::OtherBucket { disk: *cluster_id, bucket: bucket.cluster_id(), url: url() })
        }
        Disk::Wal { wal_id, born, broker_id, .. } => {
            let ours = (*wal_id, *broker_id, claim.broker_id);
            let same = newest.map(|n| &n.version).filter(|n| (n.wal_id, n.broker_id, n.broker_id) == ours);
            match same {
                Some(newest) if disk.reaches => Ok(Decided {
                    plan: WalPlan::Continue,
                    wal_id: *wal_id,
                    born: Some(*born),
                    after_release: newest.after_release,
                }),
                _ if !disk.unsealed.is_empty() => {
                    Err(OwnerError::TakenOver { url: url(), unsealed: disk.unsealed.clone() })
                }
                _ => begin(claim, Uuid::random(bucket.random()), newest, url()),
            }
        }
    }
}

/// A new WAL, which the last owner has to have made way for.
fn begin(claim: &Claim, wal_id: Uuid, newest: Option<&OwnerHead>, url: String) -> Result<Decided, OwnerError> {
    let held = newest.filter(|newest| newest.version.event == Event::Claim);
    match held {
        Some(owner) if !claim.take_over => {
            Err(OwnerError::Owned { url, epoch: owner.head.epoch, owner: Box::new(owner.version.clone()) })
        }
        _ => Ok(Decided { plan: WalPlan::Begin { wal_id }, wal_id, born: None, after_release: held.is_none() }),
    }
}

impl Ownership {
    /// Number of this life of the broker.
    pub fn epoch(&self) -> u32 {
        self.0.head.epoch
    }

    /// The same, as records carry it.
    pub fn leader_epoch(&self) -> i32 {
        i32::try_from(self.epoch()).expect("no claim is made beyond i32::MAX")
    }

    /// A producer id that no other life of a broker gives: the epoch, then the counter.
    pub fn producer_id(&self, counter: u32) -> i64 {
        i64::from(self.leader_epoch()) << 32 | i64::from(counter)
    }

    /// The claim as it was written: `born` and `wal_id` go into the WAL's header.
    pub fn claim(&self) -> &OwnerVersion {
        &self.0.claim
    }

    /// What the chain said before: the claim or release of the last owner.
    pub fn previous(&self) -> Option<&OwnerVersion> {
        self.0.previous.as_ref()
    }

    /// The bucket.
    pub(super) fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    /// What to do with the disk.
    pub fn wal(&self) -> WalPlan {
        self.0.plan
    }

    /// Whether this start took over from an owner whose WAL, with what it had not sealed, is lost.
    pub fn lost_wal(&self) -> bool {
        self.0.plan != WalPlan::Continue && self.began_after_loss()
    }

    /// Whether the WAL began with the loss of the one before: chains older than it get a gap up to `reserved`.
    pub fn began_after_loss(&self) -> bool {
        !self.0.claim.after_release
    }

    /// Looks at the next number: at least every 10 s. An error means that the store did not answer.
    pub async fn look(&self) -> Result<Look, ArchiveError> {
        let Owned { bucket, chain, head, looked_ms, .. } = &*self.0;
        let now_ms = bucket.clock().now_ms();
        let slept = now_ms.abs_diff(looked_ms.load(Ordering::SeqCst)) > SLEPT_MS;
        let mut next = chain.get(head.number + 1).await?;
        if next.is_none() && slept && chain.get(head.number).await?.is_none_or(|found| found.nonce != head.nonce) {
            next = chain.head(None).await?; // the next number may have been collected, but ours before it
        }
        let Some(next) = next else {
            looked_ms.store(now_ms, Ordering::SeqCst);
            return Ok(Look::Ours);
        };
        let by = Box::new(parse(bucket, chain, &next)?);
        Ok(Look::Foreign { epoch: next.epoch, by })
    }

    /// Ends this life with everything sealed: another disk may then go on without a take-over. Nothing may be written to
    /// the bucket afterwards.
    pub async fn release(&self) -> Result<(), CommitError> {
        let Owned { bucket, chain, head, claim, .. } = &*self.0;
        let path = || bucket.store().url_of(chain.prefix());
        let release = OwnerVersion { event: Event::Release, at_ms: bucket.clock().now_ms(), ..claim.clone() };
        match chain.commit(Some(head), self.epoch(), &release).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Lost(other) if other.epoch == self.epoch() => Ok(()), // an earlier attempt that was not decided
            Outcome::Lost(other) => Err(CommitError::Fenced { path: path(), epoch: Some(other.epoch) }),
            Outcome::Fenced { epoch } => Err(CommitError::Fenced { path: path(), epoch }),
        }
    }
}

#[cfg(test)]
mod tests;
