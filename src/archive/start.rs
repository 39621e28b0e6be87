//! A start: what the bucket says is read before the claim, and written to only after it.
use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::error::{ArchiveError, CommitError};
use super::manifest::{Entry, GapReason, PartitionArchive, Place, View};
use super::owner::{self, OwnerHead, Unsealed, WalMark};
use super::state::{self, PartitionHeads, StateHead};
use super::topics::{self, AT_ONCE, Topic, TopicHead};
use super::{Bucket, Ownership, StateChain, Topics, layout};
use crate::base::{Json, Uuid};
use crate::store::chain::Head;
use crate::store::envelope::Features;

/// All that a start has to know of the bucket; nothing was written to read it.
#[derive(Debug)]
pub struct Survey {
    bucket: Bucket,
    owner: Option<OwnerHead>,
    topics: BTreeMap<String, TopicHead>,
    manifests: BTreeMap<(Uuid, i32), Found>,
    unloaded: BTreeMap<(Uuid, i32), Unloaded>,
    state: Option<StateHead>,
    /// For each WAL that a head speaks of: its greatest mark.
    marks: BTreeMap<Uuid, WalMark>,
}

/// A partition that a topic version names and that could not be loaded: it is like a damaged one. What the WAL holds of it
/// pins, nothing of it is an orphan, and no release is written; the rest goes on.
#[derive(Clone, Debug)]
pub struct Unloaded {
    /// Topic name.
    pub topic: String,
    /// What is wrong with its chain.
    pub error: ArchiveError,
}

#[derive(Debug)]
struct Found {
    place: Place,
    topic: String,
    head: Head,
    view: View,
}

/// A bucket that is owned: what the log writes to.
#[derive(Debug)]
pub struct Archive {
    /// The bucket.
    pub bucket: Bucket,
    /// The claim.
    pub ownership: Ownership,
    /// Its topics.
    pub topics: Topics,
    /// Every partition of every live topic, by topic id and number.
    pub partitions: BTreeMap<(Uuid, i32), PartitionArchive>,
    /// Partitions of live topics that could not be loaded.
    pub unloaded: BTreeMap<(Uuid, i32), Unloaded>,
    /// Its state.
    pub state: StateChain,
}

impl Survey {
    /// Reads owner, topics, manifests and state. Refuses, by name, a bucket whose owner or state asks for what this build does
    /// not have to write to it. A partition whose chain is damaged stops nobody else.
    pub async fn load(bucket: &Bucket) -> Result<Self, ArchiveError> {
        let (owner, state) = tokio::try_join!(owner::read(bucket), state::read(bucket))?;
        if let Some(owner) = &owner {
            owner::chain(bucket).check_writable(&owner.head)?;
        }
        if let Some(state) = &state {
            state.check_writable(bucket)?;
        }
        let topics = topics::read_heads(bucket).await?;
        if let (None, Some(name)) = (&state, topics.keys().next()) {
            let path = bucket.store().url_of(layout::STATE);
            return Err(ArchiveError::Missing {
                path,
                named_by: format!("topic '{name}' (topics come after the state)"),
            });
        }
        let live: Vec<Topic> = topics.values().filter_map(TopicHead::live).collect();
        let hints = state.as_ref().map(|head| head.state().partitions.clone()).unwrap_or_default();
        let (manifests, unloaded) = read_manifests(bucket, &live, &hints).await?;
        let said = owner.as_ref().and_then(|owner| owner.head.wal.as_ref());
        let said = said.into_iter().chain(state.as_ref().and_then(StateHead::wal));
        let said = said.chain(manifests.values().filter_map(|found| found.head.wal.as_ref()));
        let marks = greatest_marks(said).map_err(|e| ArchiveError::Damaged {
            path: bucket.store().url_of(""),
            reason: format!("the head of a chain says of its writer's WAL what is no such thing: {e}"),
        })?;
        Ok(Self { bucket: bucket.clone(), owner, topics, manifests, unloaded, state, marks })
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Partitions of live topics that could not be loaded.
    pub fn unloaded(&self) -> &BTreeMap<(Uuid, i32), Unloaded> {
        &self.unloaded
    }

    /// The newest version of the owner chain.
    pub(super) fn owner(&self) -> Option<&OwnerHead> {
        self.owner.as_ref()
    }

    /// What the state asks for: features of the bucket that began after the last claim.
    pub(super) fn features(&self) -> Features {
        self.state.as_ref().map(|head| head.features().clone()).unwrap_or_default()
    }

    /// The WAL that the state's R is in.
    pub(super) fn state_wal(&self) -> Option<Uuid> {
        self.state.as_ref().map(|head| head.state().r.wal_id)
    }

    /// Up to where each partition is sealed.
    pub fn sealed_ends(&self) -> BTreeMap<(Uuid, i32), i64> {
        self.manifests.iter().map(|(key, found)| (*key, found.view.next())).collect()
    }

    /// The release point of the newest state version, as a group of this WAL: nothing below it is needed.
    pub fn released_below(&self, wal_id: Uuid) -> u64 {
        let r = self.state.as_ref().map(|head| head.state().r);
        r.filter(|r| r.wal_id == wal_id).map_or(0, |r| r.group)
    }

    /// The greatest group that the head of a chain of the owner, of state or of a partition says was synced to this WAL.
    pub(super) fn greatest_mark(&self, wal_id: Uuid) -> Option<WalMark> {
        self.marks.get(&wal_id).cloned()
    }

    /// What a WAL holds that is not in the bucket: above the sealed range, or below it in a `wal-lost` gap that a later owner
    /// had to record.
    pub(super) async fn unsealed(&self, ends: &BTreeMap<(Uuid, i32), i64>) -> Result<Vec<Unsealed>, ArchiveError> {
        let mut unsealed = Vec::new();
        for (key, found) in &self.manifests {
            let Some(next) = ends.get(key).copied().filter(|end| *end > 0) else { continue };
            let sealed = found.view.next();
            let first = if next > sealed {
                Some(sealed)
            } else {
                match found.view.find(next - 1).await? {
                    Some(Entry::Gap(gap)) if gap.reason == GapReason::WalLost => Some(gap.first),
                    _ => None,
                }
            };
            if let Some(first) = first {
                unsealed.push(Unsealed { topic: found.topic.clone(), partition: key.1, first, next });
            }
        }
        Ok(unsealed)
    }

    /// Gives every chain whose newest epoch is below the WAL's `born` a version, and hands out what can be written now.
    /// Partitions first, state last: the state says that the start was finished.
    pub async fn adopt(self, ownership: &Ownership) -> Result<Archive, CommitError> {
        let Self { bucket, mut topics, manifests, mut unloaded, state, .. } = self;
        // The old owner may have created topics between the survey and the claim.
        topics.extend(topics::read_new(&bucket, &topics).await?);
        let topics = Topics::adopt(&bucket, ownership, topics).await?;
        let live: Vec<Topic> = topics.list();
        let (born, lost_wal) = (ownership.claim().born, ownership.began_after_loss());
        // Or it may have added partitions, or deleted and created again.
        let missing: Vec<Topic> =
            live.iter().filter(|t| !manifests.contains_key(&(t.id, t.partitions - 1))).cloned().collect();
        let mut found = manifests;
        let (more, broken) = read_manifests(&bucket, &missing, &PartitionHeads::new()).await?;
        found.extend(more);
        unloaded.extend(broken);
        let is_live = |id: &Uuid| live.iter().any(|topic| topic.id == *id);
        found.retain(|(id, _), _| is_live(id));
        unloaded.retain(|key, _| is_live(&key.0) && !found.contains_key(key));
        let refused: &BTreeMap<String, String> = &topics.refused().into_iter().collect();
        let partitions: BTreeMap<(Uuid, i32), PartitionArchive> = stream::iter(found)
            .map(|(key, Found { place, topic, head, view })| async move {
                let partition = PartitionArchive::over(place, ownership, head, view);
                if let Some(reason) = refused.get(&topic) {
                    partition.refuse_of_topic(reason.clone());
                }
                partition.check_producers().await;
                match partition.refusal() {
                    Some(_) => {} // it stays as it is, and nothing is appended to it
                    None => match partition.adopt(born, lost_wal).await {
                        Err(e) if partition.refusal().is_none() => return Err(e),
                        _ => {}
                    },
                }
                Ok::<_, CommitError>((key, partition))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        topics.register(partitions.values());
        let heads = partitions.iter().map(|(key, partition)| (*key, partition.view().hint().clone()));
        let state = StateChain::adopt(&bucket, ownership, state, &heads.collect()).await?;
        Ok(Archive { bucket, ownership: ownership.clone(), topics, partitions, unloaded, state })
    }
}

/// For each WAL that versions speak of, its greatest mark.
fn greatest_marks<'a>(said: impl Iterator<Item = &'a Json>) -> Result<BTreeMap<Uuid, WalMark>, serde_json::Error> {
    let mut greatest: BTreeMap<Uuid, WalMark> = BTreeMap::new();
    for said in said {
        let mark: WalMark = said.read()?;
        if greatest.get(&mark.id).is_none_or(|known| known.group < mark.group) {
            greatest.insert(mark.id, mark);
        }
    }
    Ok(greatest)
}

type Manifests = (BTreeMap<(Uuid, i32), Found>, BTreeMap<(Uuid, i32), Unloaded>);

/// Those that can be read, and those that are damaged or missing.
async fn read_manifests(bucket: &Bucket, live: &[Topic], hints: &PartitionHeads) -> Result<Manifests, ArchiveError> {
    let partitions = live.iter().flat_map(|topic| (0..topic.partitions).map(move |number| (topic, number)));
    let mut read = stream::iter(partitions)
        .map(|(topic, number)| async move {
            let place = Place::new(bucket, &topic.name, topic.id, number);
            let read = place.read(hints.get(&(topic.id, number))).await;
            (topic, number, read.map(|(head, view)| Found { place, topic: topic.name.clone(), head, view }))
        })
        .buffer_unordered(AT_ONCE);
    let (mut found, mut unloaded) = (BTreeMap::new(), BTreeMap::new());
    while let Some((topic, number, read)) = read.next().await {
        match read {
            Ok(one) => drop(found.insert((topic.id, number), one)),
            Err(error) if error.is_damage() => {
                unloaded.insert((topic.id, number), Unloaded { topic: topic.name.clone(), error });
            }
            Err(error) => return Err(error),
        }
    }
    drop(read);
    Ok((found, unloaded))
}

#[cfg(test)]
mod tests;
