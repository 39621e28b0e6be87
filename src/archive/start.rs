//! A start: what the bucket says is read before the claim, and written to only after it.
use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::error::{ArchiveError, CommitError};
use super::manifest::{Entry, GapReason, Manifest, PartitionArchive, Place, View};
use super::owner::{self, OwnerHead, Unsealed};
use super::state::{self, PartitionEnd, PartitionEnds, StateHead};
use super::topics::{self, AT_ONCE, Topic, TopicHead};
use super::{Bucket, Ownership, StateChain, Topics, layout};
use crate::base::Uuid;
use crate::store::chain::Head;

/// All that a start has to know of the bucket; nothing was written to read it.
#[derive(Debug)]
pub struct Survey {
    bucket: Bucket,
    owner: Option<OwnerHead>,
    topics: BTreeMap<String, TopicHead>,
    manifests: BTreeMap<(Uuid, i32), Found>,
    state: Option<StateHead>,
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
    /// Its state.
    pub state: StateChain,
}

impl Survey {
    /// Reads owner, topics, manifests and state.
    pub async fn load(bucket: &Bucket) -> Result<Self, ArchiveError> {
        let (owner, state, topics) =
            tokio::try_join!(owner::read(bucket), state::read(bucket), topics::read_heads(bucket))?;
        if let (None, Some(name)) = (&state, topics.keys().next()) {
            let path = bucket.store().url_of(layout::STATE);
            return Err(ArchiveError::Missing {
                path,
                named_by: format!("topic '{name}' (topics come after the state)"),
            });
        }
        let live: Vec<Topic> = topics.values().filter_map(TopicHead::live).collect();
        let hints = state.as_ref().map(|head| head.state().partitions.clone()).unwrap_or_default();
        let manifests = read_manifests(bucket, &live, &hints).await?;
        Ok(Self { bucket: bucket.clone(), owner, topics, manifests, state })
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The newest version of the owner chain.
    pub(super) fn owner(&self) -> Option<&OwnerHead> {
        self.owner.as_ref()
    }

    /// The WAL that the state's R is in.
    pub(super) fn state_wal(&self) -> Option<Uuid> {
        self.state.as_ref().map(|head| head.state().r.wal_id)
    }

    /// Whether a WAL reaches R and every manifest's end; one that does not is an old copy. A partition without batches in
    /// the WAL ends where it ended at R: what was released lies below.
    pub(super) fn is_reached_by(&self, wal_id: Uuid, last_group: u64, ends: &BTreeMap<(Uuid, i32), i64>) -> bool {
        let Some(state) = self.state.as_ref().map(StateHead::state).filter(|state| state.r.wal_id == wal_id) else {
            return true; // the start that began this WAL was cut off: it never served
        };
        if last_group.saturating_add(1) < state.r.group {
            return false;
        }
        self.manifests.iter().all(|(key, found)| {
            let at_r = state.partitions.get(key).map_or(0, |end| end.log_end);
            let end = ends.get(key).copied().unwrap_or(0).max(at_r);
            sealed_end(found.view.manifest()) <= end
        })
    }

    /// What a WAL holds that is not in the bucket: above the sealed range, or below it in a `wal-lost` gap that a later owner
    /// had to record.
    pub(super) async fn unsealed(&self, ends: &BTreeMap<(Uuid, i32), i64>) -> Result<Vec<Unsealed>, ArchiveError> {
        let mut unsealed = Vec::new();
        for (key, found) in &self.manifests {
            let Some(next) = ends.get(key).copied().filter(|end| *end > 0) else { continue };
            let sealed = found.view.manifest().next;
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
        let Self { bucket, mut topics, manifests, state, .. } = self;
        // The old owner may have created topics between the survey and the claim.
        topics.extend(topics::read_new(&bucket, &topics).await?);
        let topics = Topics::adopt(&bucket, ownership, topics).await?;
        let live: Vec<Topic> = topics.list();
        let (born, lost_wal) = (ownership.claim().born, ownership.began_after_loss());
        // Or it may have added partitions, or deleted and created again.
        let missing: Vec<Topic> =
            live.iter().filter(|t| !manifests.contains_key(&(t.id, t.partitions - 1))).cloned().collect();
        let mut found = manifests;
        found.extend(read_manifests(&bucket, &missing, &PartitionEnds::new()).await?);
        found.retain(|(id, _), _| live.iter().any(|topic| topic.id == *id));
        let partitions: BTreeMap<(Uuid, i32), PartitionArchive> = stream::iter(found)
            .map(|(key, Found { place, head, view, .. })| async move {
                let partition = PartitionArchive::over(place, ownership.epoch(), head, view);
                partition.adopt(born, lost_wal).await?;
                Ok::<_, CommitError>((key, partition))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        topics.register(partitions.values());
        let ends = partitions.iter().map(|(key, partition)| {
            let view = partition.view();
            (*key, PartitionEnd { log_end: view.manifest().next, manifest: view.number() })
        });
        let state = StateChain::adopt(&bucket, ownership, state, &ends.collect()).await?;
        Ok(Archive { bucket, ownership: ownership.clone(), topics, partitions, state })
    }
}

/// Where the sealed range ends, a `wal-lost` gap at its end left out: no WAL reaches beyond that.
fn sealed_end(manifest: &Manifest) -> i64 {
    match manifest.entries.last() {
        Some(Entry::Gap(gap)) if gap.reason == GapReason::WalLost => gap.first,
        _ => manifest.next,
    }
}

async fn read_manifests(
    bucket: &Bucket,
    live: &[Topic],
    hints: &PartitionEnds,
) -> Result<BTreeMap<(Uuid, i32), Found>, ArchiveError> {
    let partitions = live.iter().flat_map(|topic| (0..topic.partitions).map(move |number| (topic, number)));
    stream::iter(partitions)
        .map(|(topic, number)| async move {
            let place = Place::new(bucket, &topic.name, topic.id, number);
            let hint = hints.get(&(topic.id, number)).map(|end| end.manifest);
            let (head, view) = place.read(hint).await?;
            Ok(((topic.id, number), Found { place, topic: topic.name.clone(), head, view }))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

#[cfg(test)]
mod tests;
