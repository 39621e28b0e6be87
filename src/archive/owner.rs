//! Who owns the bucket: one chain of claims and releases. The number of a claim is the broker's epoch.
//!
//! The body of a version (kind `owner`, format 1): `event` (`claim` or `release`), `cluster_id`, `broker_id`, `wal_id`,
//! `born` (epoch of the first claim with this WAL id), `after_release` (whether that claim followed a release), `address`,
//! `lock` (`boot`, `device` and `inode` of the file that the broker locks in its data directory), `at_ms`. A release repeats
//! the claim that it ends. An event that is not known is a foreign claim, and so is whatever cannot be read.
//!
//! Whether a claim may be made, and how the life begins, is decided by [`decide`], which is pure.
//!
//! Every version of every chain that an owner writes goes through [`Ownership::commit`]: it is stamped there with the epoch
//! and with `wal`, the last group of the WAL that was synced (`id`, `group`, `crc32c`), from which a later start tells the
//! disk from an old copy of it.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

pub use self::decide::{Claim, Disk, Entry, WalPlan};
use self::decide::{DiskFacts, Newest, Place};
pub use self::error::{OwnerError, Short, Unsealed};
pub use self::version::{Event, LockFile, OwnerVersion, WalMark};
pub(super) use self::version::{OwnerHead, chain, read};
use super::error::{ArchiveError, CommitError};
use super::start::Survey;
use crate::store::chain::{Chain, Head, Outcome, Stamp};

use super::{Bucket, layout};

mod decide;
mod error;
mod version;

/// After a look that is this old the next one makes sure that its own claim is still there: versions are kept for days, so
/// after a shorter time the next claim is.
const SLEPT: Duration = Duration::from_secs(60 * 60);

/// What a look at the owner chain showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// This broker still owns the bucket.
    Ours,
    /// Another broker claimed it: stop at once.
    Foreign {
        /// Epoch of the other, as far as it is known.
        epoch: u32,
        /// Its claim; none: it cannot be read.
        by: Option<Box<OwnerVersion>>,
        /// Who it is, in words.
        who: String,
    },
}

/// Tells number and CRC of the last group of the WAL that was synced; none: there is none yet.
type LastSynced = Box<dyn Fn() -> Option<(u64, u32)> + Send + Sync>;

/// A bucket that was claimed; cheap to clone. Whoever writes to the bucket takes its epoch from here.
#[derive(Clone, Debug)]
pub struct Ownership(Arc<Owned>);

struct Owned {
    bucket: Bucket,
    chain: Chain,
    head: Head,
    claim: OwnerVersion,
    plan: WalPlan,
    previous: Option<OwnerVersion>,
    /// The greatest mark of the WAL that the bucket knew before the claim.
    known: Option<WalMark>,
    /// Where the WAL ended when it was recovered.
    recovered: Option<WalMark>,
    last_synced: OnceLock<LastSynced>,
    /// When the last look that showed us as the owner began, ms since the machine's boot.
    looked_ms: AtomicU64,
}

impl std::fmt::Debug for Owned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owned").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// How a commit of an owner ended.
#[derive(Clone, Debug)]
pub(super) enum Written {
    /// The version is the chain's newest. Its body is left out: the writer has it.
    Head(Box<Head>),
    /// Somebody of the same or a lower epoch came first: read the head again, and plan anew.
    Lost,
}

/// Decides a claim and makes it: the next number of the owner chain. A claim that collides with another is decided anew.
pub async fn claim(survey: &Survey, claim: &Claim) -> Result<Ownership, OwnerError> {
    let bucket = survey.bucket();
    let chain = chain(bucket);
    let mut newest = survey.owner().cloned();
    let facts = look_at_disk(survey, &claim.disk).await?;
    let place = Place { url: bucket.store().display(), cluster_id: bucket.cluster_id(), random: bucket.random() };
    loop {
        let known = newest.as_ref().map(|newest| Newest { epoch: newest.head.epoch, version: &newest.version });
        let decided = decide::decide(claim, &facts, known, &place)?;
        let remembered = newest.as_ref().map(|newest| {
            let mut head = newest.head.clone();
            head.features.join_names(&survey.features());
            head
        });
        let remembered = remembered.as_ref();
        let epoch = next_epoch(bucket, remembered)?;
        let version = OwnerVersion {
            event: Event::Claim,
            cluster_id: bucket.cluster_id(),
            broker_id: claim.broker_id,
            wal_id: decided.wal_id,
            born: decided.born.unwrap_or(epoch),
            after_release: decided.after_release,
            address: claim.address.clone(),
            lock: claim.lock.clone(),
            at_ms: bucket.clock().now_ms(),
            unknown: newest.as_ref().map(|newest| newest.version.unknown.clone()).unwrap_or_default(),
        };
        let recovered = match (&claim.disk, decided.plan) {
            (Disk::Wal { last_group, last_crc, .. }, WalPlan::Continue) if *last_group > 0 => {
                Some(WalMark::new(decided.wal_id, *last_group, *last_crc))
            }
            _ => None,
        };
        let stamp = Stamp { epoch, wal: recovered.as_ref().map(WalMark::to_json) };
        let looked_ms = AtomicU64::new(millis(bucket.clock().boottime()));
        match chain.commit(remembered, stamp, &version).await.map_err(ArchiveError::from)? {
            Outcome::Committed(head) => {
                return Ok(Ownership(Arc::new(Owned {
                    bucket: bucket.clone(),
                    chain,
                    head: Head { body: Bytes::new(), ..head },
                    looked_ms,
                    claim: version,
                    plan: decided.plan,
                    previous: newest.map(|newest| newest.version),
                    known: facts.known,
                    recovered,
                    last_synced: OnceLock::new(),
                })));
            }
            // Somebody claimed at the same moment: whether we still may is decided on what they wrote, if it can be read.
            Outcome::Lost(_) | Outcome::Fenced { .. } | Outcome::Unreadable(_) => newest = read(bucket).await?,
        }
    }
}

/// Whether a new WAL begins on the disk, if the claim is granted. Its id is kept on the disk before the claim is made, so that
/// a start which is cut off goes on.
pub fn begins_wal(survey: &Survey, claim: &Claim) -> bool {
    let known = match &claim.disk {
        Disk::Empty { .. } => None,
        Disk::Wal { wal_id, .. } => survey.greatest_mark(*wal_id),
    };
    let newest = survey.owner().map(|newest| Newest { epoch: newest.head.epoch, version: &newest.version });
    decide::begins(claim, known.as_ref(), newest)
}

async fn look_at_disk(survey: &Survey, disk: &Disk) -> Result<DiskFacts, ArchiveError> {
    let (Disk::Empty { wal_id: next } | Disk::Wal { next_wal_id: next, .. }) = disk;
    let served = survey.state_wal() == Some(*next);
    Ok(match disk {
        Disk::Empty { .. } => DiskFacts { served, ..DiskFacts::default() },
        Disk::Wal { wal_id, ends, .. } => {
            DiskFacts { known: survey.greatest_mark(*wal_id), served, unsealed: survey.unsealed(ends).await? }
        }
    })
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

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
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

    /// How this life begins: whether it waits before it serves, and whether it leaves a gap.
    pub fn entry(&self) -> Entry {
        decide::entry(self.0.previous.as_ref(), &self.0.claim)
    }

    /// The greatest group of this WAL that a version in the bucket said was synced. After an accepted loss the WAL may end
    /// below: its groups then go on above this one.
    pub fn known_group(&self) -> Option<u64> {
        self.0.known.as_ref().filter(|known| known.id == self.0.claim.wal_id).map(|known| known.group)
    }

    /// From now on every version that is written says of the WAL what `last_synced` tells: number and CRC of its last synced
    /// group. Until then it says what was recovered. Only the first call counts.
    pub fn tell_of_wal(&self, last_synced: impl Fn() -> Option<(u64, u32)> + Send + Sync + 'static) {
        let _ = self.0.last_synced.set(Box::new(last_synced));
    }

    /// The last synced group of the WAL, as far as it is known here.
    pub fn wal_mark(&self) -> Option<WalMark> {
        let told = self.0.last_synced.get().and_then(|last_synced| last_synced());
        told.map(|(group, crc)| WalMark::new(self.0.claim.wal_id, group, crc)).or_else(|| self.0.recovered.clone())
    }

    fn stamp(&self) -> Stamp {
        Stamp { epoch: self.epoch(), wal: self.wal_mark().as_ref().map(WalMark::to_json) }
    }

    /// When the last look that showed us as the owner began, since the machine's boot; at first, when the claim was made.
    pub fn looked_at(&self) -> Duration {
        Duration::from_millis(self.0.looked_ms.load(Ordering::SeqCst))
    }

    /// Refuses, by name, to delete anything because of the bucket or its owners.
    pub fn check_collectable(&self) -> Result<(), ArchiveError> {
        self.0.bucket.check_collectable()?;
        Ok(self.0.chain.check_collectable(&self.0.head)?)
    }

    /// Makes `body` the version after `on` of a chain of the bucket. An object that cannot be read at the number is judged by
    /// the owner chain: if that is not ours any more we are fenced, else the chain is damaged ([`CommitError::is_damage`]).
    pub(super) async fn commit(
        &self,
        chain: &Chain,
        on: Option<&Head>,
        body: &impl Serialize,
    ) -> Result<Written, CommitError> {
        let path = || self.0.bucket.store().url_of(chain.prefix());
        match chain.commit(on, self.stamp(), body).await? {
            Outcome::Committed(head) => Ok(Written::Head(Box::new(Head { body: Bytes::new(), ..head }))),
            Outcome::Lost(_) => Ok(Written::Lost),
            Outcome::Fenced { epoch } => Err(CommitError::Fenced { path: path(), epoch }),
            Outcome::Unreadable(e) => Err(self.judge(path(), e.into()).await),
        }
    }

    /// What it means that a version of the chain at `path` cannot be read: the bucket is another's, or the chain is damaged.
    pub(super) async fn judge(&self, path: String, unreadable: ArchiveError) -> CommitError {
        match self.look().await {
            Ok(Look::Foreign { epoch, .. }) => CommitError::Fenced { path, epoch: Some(epoch) },
            Ok(Look::Ours) => unreadable.into(),
            Err(e) => e.into(),
        }
    }

    /// Looks at the next number, which must be absent. An error means that nothing was seen: the store did not answer, or
    /// refused to.
    pub async fn look(&self) -> Result<Look, ArchiveError> {
        let Owned { bucket, chain, head, looked_ms, .. } = &*self.0;
        let began_ms = millis(bucket.clock().boottime());
        let slept = began_ms.saturating_sub(looked_ms.load(Ordering::SeqCst)) > millis(SLEPT);
        let next = match chain.get_twice(head.number + 1).await {
            Ok(None) if slept => match chain.get_twice(head.number).await {
                Ok(Some(found)) if found.nonce == head.nonce => None,
                // The next number was collected, and ours before it; or something else lies where our claim was.
                Ok(_) => Some(self.newest_other().await),
                Err(e) if e.is_unreadable() => Some(self.unreadable(e)),
                Err(e) => return Err(e.into()),
            },
            Ok(None) => None,
            Ok(Some(next)) => Some(self.foreign(&next)),
            Err(e) if e.is_unreadable() => Some(self.unreadable(e)),
            Err(e) => return Err(e.into()),
        };
        if next.is_none() {
            looked_ms.fetch_max(began_ms, Ordering::SeqCst);
        }
        Ok(next.unwrap_or(Look::Ours))
    }

    async fn newest_other(&self) -> Look {
        match self.0.chain.head(None).await {
            Ok(Some(newest)) if newest.nonce != self.0.head.nonce => self.foreign(&newest),
            Ok(_) => {
                let who = "somebody else: this broker's claim is not there any more".to_owned();
                Look::Foreign { epoch: self.epoch(), by: None, who }
            }
            Err(e) => self.unreadable(e),
        }
    }

    fn foreign(&self, next: &Head) -> Look {
        match version::parse(&self.0.bucket, &self.0.chain, next) {
            Ok(by) => {
                let who = format!("broker {} at {} (epoch {})", by.broker_id, by.address, next.epoch);
                Look::Foreign { epoch: next.epoch, by: Some(Box::new(by)), who }
            }
            Err(e) => {
                let who = format!("a claim that this version of Esker cannot read ({e})");
                Look::Foreign { epoch: next.epoch, by: None, who }
            }
        }
    }

    fn unreadable(&self, e: impl std::fmt::Display) -> Look {
        let who = format!("a claim that this version of Esker cannot read ({e})");
        Look::Foreign { epoch: self.epoch().saturating_add(1), by: None, who }
    }

    /// Ends this life with everything sealed: another disk may then go on without a take-over. Nothing may be written to
    /// the bucket afterwards.
    pub async fn release(&self) -> Result<(), CommitError> {
        let Owned { bucket, chain, head, claim, .. } = &*self.0;
        let fenced = |epoch| CommitError::Fenced { path: bucket.store().url_of(chain.prefix()), epoch };
        let release = OwnerVersion { event: Event::Release, at_ms: bucket.clock().now_ms(), ..claim.clone() };
        match chain.commit(Some(head), self.stamp(), &release).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Lost(other) if other.epoch == self.epoch() => Ok(()), // an earlier attempt that was not decided
            Outcome::Lost(other) => Err(fenced(Some(other.epoch))),
            Outcome::Fenced { epoch } => Err(fenced(epoch)),
            Outcome::Unreadable(_) => Err(fenced(None)),
        }
    }
}

#[cfg(test)]
mod tests;
