//! Whether a claim may be made, and what becomes of the disk. Pure.
use std::collections::BTreeMap;

use super::error::{OwnerError, Short, Unsealed};
use super::version::{Event, LockFile, OwnerVersion, WalMark};
use crate::base::{Random, Uuid};

/// Who wants the bucket.
#[derive(Clone, Debug)]
pub struct Claim {
    /// This broker's number.
    pub broker_id: i32,
    /// Where clients find it.
    pub address: String,
    /// What its disk holds.
    pub disk: Disk,
    /// The lock that it holds on its data directory; none where there is no such file.
    pub lock: Option<LockFile>,
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
        /// Number of its last group; 0: it has none.
        last_group: u64,
        /// CRC of its last group.
        last_crc: u32,
        /// Something other than zeros or older groups follows the last group, be it what looks like a torn tail.
        followed: bool,
        /// For each partition with batches in the WAL: the offset after the last one.
        ends: BTreeMap<(Uuid, i32), i64>,
        /// The id that the next WAL on this disk gets, should this one be of no use any more; kept as with [`Disk::Empty`].
        next_wal_id: Uuid,
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

/// How a life with the WAL of the last one begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Nothing is served for ten seconds after the claim: the last life may still run beside this one, on the disk that
    /// this one is a copy of, or on this one from another machine. It looks at the owner chain meanwhile, or falls silent.
    pub waits: bool,
    /// The disk may lack what was acknowledged last, as a copy by files does: every partition goes on at `reserved`, with a
    /// gap.
    pub leaves_gap: bool,
}

/// The bucket that is claimed.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub url: String,
    pub cluster_id: Uuid,
    pub random: &'a Random,
}

/// What the bucket says of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskFacts {
    /// The greatest mark of this WAL id.
    pub known: Option<WalMark>,
    /// The start that began the WAL which this disk is to get was finished: the broker served.
    pub served: bool,
    /// What only this WAL holds.
    pub unsealed: Vec<Unsealed>,
}

/// The newest version of the owner chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest<'a> {
    pub epoch: u32,
    pub version: &'a OwnerVersion,
}

/// What a decided claim comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub plan: WalPlan,
    pub wal_id: Uuid,
    /// Epoch in which the WAL began; none: the one that is being claimed.
    pub born: Option<u32>,
    pub after_release: bool,
}

/// Where a WAL ends, compared with what the bucket knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has all that was synced.
    Reaches,
    /// It does not, and is not cut off there either.
    Damaged(Short),
    /// It does not, or goes on otherwise than the bucket knows: another disk.
    OldCopy(Short),
}

/// Group numbers decide, for condensing and releasing change none of them.
pub(super) fn standing(last: (u64, u32), followed: bool, may_be_short: bool, known: Option<&WalMark>) -> Standing {
    let (group, crc) = last;
    let Some(known) = known.filter(|known| !may_be_short && known.group >= group) else { return Standing::Reaches };
    let short = Short { ends_at: group, known: known.group };
    match known.group == group {
        true if known.crc32c == WalMark::new(known.id, group, crc).crc32c => Standing::Reaches,
        false if followed => Standing::Damaged(short),
        _ => Standing::OldCopy(short),
    }
}

/// Whether a claim may be made, and what becomes of the disk.
pub(super) fn decide(
    claim: &Claim,
    facts: &DiskFacts,
    newest: Option<Newest<'_>>,
    place: &Place<'_>,
) -> Result<Decided, OwnerError> {
    let url = || place.url.clone();
    match &claim.disk {
        Disk::Empty { wal_id } => begin(claim, *wal_id, facts, newest, None, place),
        Disk::Wal { cluster_id, .. } if *cluster_id != place.cluster_id => {
            Err(OwnerError::OtherBucket { disk: *cluster_id, bucket: place.cluster_id, url: url() })
        }
        Disk::Wal { wal_id, born, next_wal_id, .. } => {
            let short = match continues(claim, facts.known.as_ref(), newest) {
                None => None,
                Some((newest, Standing::Reaches)) => {
                    return Ok(Decided {
                        plan: WalPlan::Continue,
                        wal_id: *wal_id,
                        born: Some(*born),
                        after_release: newest.after_release,
                    });
                }
                Some((_, Standing::Damaged(short))) => {
                    return Err(OwnerError::Damaged { url: url(), wal_id: *wal_id, short });
                }
                Some((_, Standing::OldCopy(short))) => Some(short),
            };
            match facts.unsealed.is_empty() {
                true => begin(claim, *next_wal_id, facts, newest, short, place),
                false => Err(OwnerError::TakenOver { url: url(), unsealed: facts.unsealed.clone() }),
            }
        }
    }
}

/// Whether a new WAL begins on the disk, if the claim is granted: its id is kept there first.
pub(super) fn begins(claim: &Claim, known: Option<&WalMark>, newest: Option<Newest<'_>>) -> bool {
    !matches!(continues(claim, known, newest), Some((_, Standing::Reaches)))
}

/// Where the WAL of the disk stands, if the newest claim or release is of this WAL.
fn continues<'a>(
    claim: &Claim,
    known: Option<&WalMark>,
    newest: Option<Newest<'a>>,
) -> Option<(&'a OwnerVersion, Standing)> {
    let Disk::Wal { wal_id, broker_id, last_group, last_crc, followed, may_be_short, .. } = &claim.disk else {
        return None;
    };
    let ours = (*wal_id, *broker_id, claim.broker_id);
    let is_same = |n: &&OwnerVersion| n.event != Event::Unknown && (n.wal_id, n.broker_id, n.broker_id) == ours;
    let newest = newest.map(|newest| newest.version).filter(is_same)?;
    Some((newest, standing((*last_group, *last_crc), *followed, *may_be_short, known)))
}

/// A new WAL, which the last owner has to have made way for, unless the claim for this very WAL was made already.
fn begin(
    claim: &Claim,
    wal_id: Uuid,
    facts: &DiskFacts,
    newest: Option<Newest<'_>>,
    short: Option<Short>,
    place: &Place<'_>,
) -> Result<Decided, OwnerError> {
    let held = newest.filter(|newest| newest.version.event != Event::Release);
    match newest.map(|newest| newest.version).filter(|newest| newest.wal_id == wal_id) {
        // Cut off between its claim and the first byte of its WAL: it goes on with that claim.
        Some(newest) if newest.event == Event::Claim && !facts.served => Ok(Decided {
            plan: WalPlan::Begin { wal_id },
            wal_id,
            born: Some(newest.born),
            after_release: newest.after_release,
        }),
        used => match held {
            Some(Newest { epoch, version }) if !claim.take_over => {
                Err(OwnerError::Owned { url: place.url.clone(), epoch, owner: Box::new(version.clone()), short })
            }
            _ => {
                let wal_id = if used.is_some() { Uuid::random(place.random) } else { wal_id };
                Ok(Decided { plan: WalPlan::Begin { wal_id }, wal_id, born: None, after_release: held.is_none() })
            }
        },
    }
}

/// How the life of the claim `ours` begins after `previous`. Where a lock is not known nothing is concluded from it.
pub(super) fn entry(previous: Option<&OwnerVersion>, ours: &OwnerVersion) -> Entry {
    let Some(previous) = previous.filter(|p| p.wal_id == ours.wal_id && p.event != Event::Release) else {
        return Entry::default();
    };
    let (Some(then), Some(now)) = (&previous.lock, &ours.lock) else { return Entry::default() };
    let same_boot = then.boot == now.boot;
    let same_device = then.device == now.device;
    Entry {
        waits: !(same_boot && same_device && then.inode == now.inode),
        // Devices are numbered anew at a boot; within one, another device means another disk.
        leaves_gap: then.inode != now.inode || same_boot && !same_device,
    }
}

#[cfg(test)]
mod tests;
