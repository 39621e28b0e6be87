//! Topics: one chain per *name* ([`version`]), which alone decides the topic's life.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};

pub(super) use self::version::{AT_ONCE, TopicHead, read, read_heads, read_new};
pub use self::version::{DeadTopic, Topic, TopicVersion, read_all};
use self::version::{TOPIC, bury, chain, live};
use super::error::{ArchiveError, CommitError};
use super::layout::{self, BadTopicName};
use super::manifest::{PartitionArchive, Place};
use super::owner::Written;
use super::{Bucket, Ownership};
use crate::base::Uuid;
use crate::store::chain::Chain;
use crate::store::envelope;

mod version;

/// Why a topic was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopicError {
    /// The name is not allowed.
    #[error(transparent)]
    BadName(#[from] BadTopicName),
    /// It is there already.
    #[error("topic '{0}' exists already")]
    Exists(String),
    /// It is not there.
    #[error("there is no topic '{0}'")]
    Unknown(String),
    /// Partitions only grow, and there is at least one.
    #[error("topic '{topic}' has {now} partitions and cannot have {asked}: partitions can only be added")]
    Partitions {
        /// The name.
        topic: String,
        /// As it is.
        now: i32,
        /// As it was asked for.
        asked: i32,
    },
    /// The bucket could not be read or written, or another broker owns it.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Times that a version is made anew because an earlier attempt of ours came first.
const ATTEMPTS_MAX: u32 = 16;

/// The topics of an owned bucket; cheap to clone. One change at a time.
///
/// If a commit is not decided because the store went away, or its call was given up, the same call made again finishes it,
/// and so does [`Topics::settle`]. Until then nothing that the version would name is taken for nobody's, and a topic that it
/// would end is not served.
#[derive(Clone, Debug)]
pub struct Topics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    ownership: Ownership,
    slots: Mutex<BTreeMap<String, Slot>>,
    /// Partitions of live topics.
    partitions: Mutex<BTreeMap<(Uuid, i32), PartitionArchive>>,
    /// Ids whose objects are being made, and that no version names yet.
    being_made: Mutex<BTreeSet<Uuid>>,
    changing: tokio::sync::Mutex<()>,
    /// What commits came to that had not been decided, until [`Topics::settle`] tells it.
    settled: Mutex<Vec<Settled>>,
}

#[derive(Clone, Debug)]
struct Slot {
    /// None: no version of this name was ever committed, as far as is known.
    newest: Option<TopicHead>,
    /// A commit of this version was not decided.
    undecided: Option<Attempt>,
}

impl Slot {
    /// Whether the newest version says that this life ended.
    fn is_dead(&self, id: Uuid) -> bool {
        self.newest.as_ref().is_some_and(|newest| newest.dead().iter().any(|dead| dead.topic_id == id))
    }

    /// The live topic, unless a version that may be there ends its life.
    fn live(&self) -> Option<Topic> {
        let topic = self.newest.as_ref()?.live()?;
        let ends = |attempt: &Attempt| attempt.version.topic_id != Some(topic.id);
        (!self.undecided.as_ref().is_some_and(ends)).then_some(topic)
    }
}

/// What a commit that had not been decided came to.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The name.
    pub name: String,
    /// Its live topic now.
    pub topic: Option<Topic>,
    /// The partitions that it got.
    pub made: Vec<PartitionArchive>,
}

#[derive(Clone, Debug)]
struct Attempt {
    version: TopicVersion,
    made: Vec<PartitionArchive>,
}

/// What makes the next version of a name out of the newest one; none: there is nothing to say.
type Step<'a> = dyn Fn(Option<&TopicVersion>) -> Result<Option<TopicVersion>, TopicError> + Sync + 'a;

impl Topics {
    /// Whether a chain says that this topic was deleted.
    pub fn is_dead(&self, id: Uuid) -> bool {
        let slots = self.slots();
        let versions = slots.values().filter_map(|slot| slot.newest.as_ref()).map(|head| &head.version);
        versions.flat_map(|version| &version.dead).any(|dead| dead.topic_id == id)
    }

    /// Over heads that were read; those below `born` get a version of this epoch.
    pub(super) async fn adopt(
        bucket: &Bucket,
        ownership: &Ownership,
        heads: BTreeMap<String, TopicHead>,
    ) -> Result<Self, CommitError> {
        let slot = |(name, head)| (name, Slot { newest: Some(head), undecided: None });
        let topics = Self(Arc::new(Inner {
            bucket: bucket.clone(),
            ownership: ownership.clone(),
            slots: Mutex::new(heads.into_iter().map(slot).collect()),
            partitions: Mutex::default(),
            being_made: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            settled: Mutex::default(),
        }));
        let born = ownership.claim().born;
        let old: Vec<String> = {
            let slots = topics.slots();
            // One that asks for what this build does not have stays as it is: nothing is appended to its partitions.
            let is_old = |slot: &Slot| {
                slot.newest.as_ref().is_some_and(|newest| newest.head.epoch < born && newest.check_writable().is_ok())
            };
            slots.iter().filter(|(_, slot)| is_old(slot)).map(|(name, _)| name.clone()).collect()
        };
        let change = |version: Option<&TopicVersion>| Ok(version.cloned());
        stream::iter(&old)
            .map(|name| topics.commit(name, &change, &[]))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|e| match e {
                TopicError::Commit(e) => e,
                other => unexpected(bucket, &other),
            })?;
        Ok(topics)
    }

    /// Topics to whose partitions nothing may be appended, and why: their chains ask for what this build does not have.
    pub(super) fn refused(&self) -> Vec<(String, String)> {
        let slots = self.slots();
        let refused = slots.iter().filter_map(|(name, slot)| {
            let reason = slot.newest.as_ref()?.check_writable().err()?;
            Some((name.clone(), format!("{}: {reason}", self.url(name))))
        });
        refused.collect()
    }

    /// Live topics, ascending by name.
    pub fn list(&self) -> Vec<Topic> {
        self.slots().values().filter_map(Slot::live).collect()
    }

    /// A live topic.
    pub fn get(&self, name: &str) -> Option<Topic> {
        self.slots().get(name)?.live()
    }

    /// The newest version of a name, for the collector; refuses, by name, one because of which this build may delete nothing.
    pub(super) fn version_of(&self, name: &str) -> Result<Option<(u64, TopicVersion)>, ArchiveError> {
        self.check_collectable(name)?;
        let slots = self.slots();
        let newest = slots.get(name).and_then(|slot| slot.newest.as_ref());
        Ok(newest.map(|newest| (newest.head.number, newest.version.clone())))
    }

    /// Refuses, by name, to delete anything of a topic whose newest version asks for what this build does not have.
    pub(super) fn check_collectable(&self, name: &str) -> Result<(), ArchiveError> {
        let slots = self.slots();
        let Some(newest) = slots.get(name).and_then(|slot| slot.newest.as_ref()) else { return Ok(()) };
        envelope::check_collectable(&TOPIC, &newest.head.features)
            .map_err(|e| ArchiveError::Refused { path: self.url(name), reason: e.to_string() })
    }

    /// Every name that ever had a version, as far as is known.
    pub(super) fn names(&self) -> Vec<String> {
        self.slots().keys().cloned().collect()
    }

    /// Finds out what commits came to that had not been decided, as far as the store answers. Also told is what another call
    /// found out on its way, and may have returned.
    pub async fn settle(&self) -> Result<Vec<Settled>, CommitError> {
        self.settle_all().await?;
        Ok(std::mem::take(&mut *self.settled()))
    }

    /// The same; what it came to is told by the next [`Topics::settle`].
    pub(super) async fn settle_all(&self) -> Result<(), CommitError> {
        let undecided: Vec<String> = {
            let slots = self.slots();
            slots.iter().filter(|(_, slot)| slot.undecided.is_some()).map(|(name, _)| name.clone()).collect()
        };
        for name in undecided {
            match self.settle_name(&name).await {
                Ok(()) => {}
                Err(e) if e.is_fenced() => return Err(e),
                Err(error) => tracing::warn!(topic = name, %error, "a change of the topic is not decided yet"),
            }
        }
        Ok(())
    }

    /// The same of one name.
    pub(super) async fn settle_name(&self, name: &str) -> Result<(), CommitError> {
        if self.slots().get(name).is_none_or(|slot| slot.undecided.is_none()) {
            return Ok(());
        }
        let _changing = self.0.changing.lock().await;
        self.finish(name).await.map(drop)
    }

    fn settled(&self) -> MutexGuard<'_, Vec<Settled>> {
        self.0.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether objects of this id are being made, or a version that may be there names it.
    pub(super) fn is_being_made(&self, id: Uuid) -> bool {
        let named = |slot: &Slot| slot.undecided.as_ref().is_some_and(|a| a.version.topic_id == Some(id));
        self.0.being_made.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
            || self.slots().values().any(named)
    }

    /// The chain of a name, for the collector.
    pub(super) fn chain_of(&self, name: &str) -> Chain {
        chain(&self.0.bucket, name)
    }

    /// Creates a topic: version 1 of every partition's manifest first, then the version that names the new id.
    pub async fn create(
        &self,
        name: &str,
        partitions: i32,
        settings: BTreeMap<String, String>,
    ) -> Result<(Topic, Vec<PartitionArchive>), TopicError> {
        layout::check_topic_name(name)?;
        let _changing = self.0.changing.lock().await;
        if let Some(finished) = self.finish(name).await? {
            return Ok(finished);
        }
        if self.get(name).is_some() {
            return Err(TopicError::Exists(name.to_owned()));
        }
        if partitions < 1 {
            return Err(TopicError::Partitions { topic: name.to_owned(), now: 0, asked: partitions });
        }
        let topic_id = Uuid::random(self.0.bucket.random());
        let _mark = BeingMade::new(&self.0.being_made, topic_id);
        let made = self.make_partitions(name, topic_id, 0..partitions).await?;
        let now_ms = self.0.bucket.clock().now_ms();
        let change = |old: Option<&TopicVersion>| match old.filter(|old| old.topic_id.is_some()) {
            Some(_) => Err(TopicError::Exists(name.to_owned())),
            None => Ok(Some(TopicVersion {
                name: name.to_owned(),
                topic_id: Some(topic_id),
                partitions,
                settings: settings.clone(),
                created_ms: now_ms,
                changed_ms: now_ms,
                dead: old.map(|old| old.dead.clone()).unwrap_or_default(),
                unknown: old.map(|old| old.unknown.clone()).unwrap_or_default(),
            })),
        };
        let version = self.commit(name, &change, &made).await?;
        self.register(&made);
        live(&version).map(|topic| (topic, made)).ok_or_else(|| TopicError::Unknown(name.to_owned()))
    }

    /// Adds partitions up to `total`; returns the new ones.
    pub async fn add_partitions(&self, name: &str, total: i32) -> Result<(Topic, Vec<PartitionArchive>), TopicError> {
        let _changing = self.0.changing.lock().await;
        if let Some(finished) = self.finish(name).await? {
            return Ok(finished);
        }
        let topic = self.get(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        if total <= topic.partitions {
            return Err(TopicError::Partitions { topic: topic.name, now: topic.partitions, asked: total });
        }
        let made = self.make_partitions(name, topic.id, topic.partitions..total).await?;
        let change = |old: Option<&TopicVersion>| {
            let mut version = still_live(old, &topic)?;
            version.partitions = total;
            Ok(Some(version))
        };
        let version = self.commit(name, &change, &made).await?;
        self.register(&made);
        live(&version).map(|topic| (topic, made)).ok_or_else(|| TopicError::Unknown(name.to_owned()))
    }

    /// Replaces a topic's settings by what `change` makes of them; nothing is written where it changes nothing.
    pub async fn alter(
        &self,
        name: &str,
        change: impl Fn(&mut BTreeMap<String, String>) + Send + Sync,
    ) -> Result<Topic, TopicError> {
        let _changing = self.0.changing.lock().await;
        self.finish(name).await?;
        let topic = self.get(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        let change = |old: Option<&TopicVersion>| {
            let old = still_live(old, &topic)?;
            let mut version = old.clone();
            change(&mut version.settings);
            Ok((version != old).then_some(version))
        };
        let version = self.commit(name, &change, &[]).await?;
        live(&version).ok_or_else(|| TopicError::Unknown(name.to_owned()))
    }

    /// Deletes a topic. Its objects stay for `kept_ms`, then the collector takes them; at once if nothing was ever sealed.
    pub async fn delete(&self, name: &str, kept_ms: i64) -> Result<Topic, TopicError> {
        let _changing = self.0.changing.lock().await;
        if let Some(deleted) = self.finish_deletion(name).await? {
            return Ok(deleted);
        }
        let topic = self.get(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        let deleted_ms = self.0.bucket.clock().now_ms();
        let kept_ms = if self.was_never_sealed(&topic) { 0 } else { kept_ms };
        let change = |old: Option<&TopicVersion>| {
            if old.is_some_and(|old| old.dead.iter().any(|dead| dead.topic_id == topic.id)) {
                return Ok(None);
            }
            let mut version = still_live(old, &topic)?;
            version.topic_id = None;
            version.partitions = 0;
            version.settings.clear();
            let (topic_id, until_ms) = (topic.id, deleted_ms.saturating_add(kept_ms));
            let dead = DeadTopic { topic_id, deleted_ms, until_ms, empty_since_ms: None, unknown: Default::default() };
            if let Some(early) = bury(&mut version.dead, dead) {
                tracing::warn!(topic = name, id = %early, "too many deleted topics of this name wait: the oldest goes early");
            }
            Ok(Some(version))
        };
        self.commit(name, &change, &[]).await?;
        self.partitions_mut().retain(|(id, _), _| *id != topic.id);
        Ok(topic)
    }

    /// Whether no partition of it ever had a segment; false where that is not known.
    fn was_never_sealed(&self, topic: &Topic) -> bool {
        let partitions = self.partitions_mut();
        let is_empty = |p: &PartitionArchive| p.head().never_had_segments() && p.in_flight().is_empty();
        (0..topic.partitions).all(|number| partitions.get(&(topic.id, number)).is_some_and(is_empty))
    }

    /// If a deletion of this name was not decided: reads how it ended. Done: the topic that it deleted.
    async fn finish_deletion(&self, name: &str) -> Result<Option<Topic>, CommitError> {
        let before = self.slots().get(name).filter(|slot| slot.undecided.is_some()).and_then(|s| s.newest.clone());
        self.finish(name).await?;
        let Some(topic) = before.and_then(|newest| newest.live()) else { return Ok(None) };
        if !self.slots().get(name).is_some_and(|slot| slot.is_dead(topic.id)) {
            return Ok(None);
        }
        Ok(Some(topic))
    }

    /// Notes when the objects of a dead id were found gone (`Some`) or still there (`None`), or that it can be forgotten.
    pub(super) async fn note_dead(&self, name: &str, id: Uuid, note: DeadNote) -> Result<(), CommitError> {
        let _changing = self.0.changing.lock().await;
        let change = |old: Option<&TopicVersion>| {
            let Some(old) = old else { return Ok(None) };
            let mut version = old.clone();
            match note {
                DeadNote::Forget => version.dead.retain(|dead| dead.topic_id != id),
                DeadNote::EmptySince(since) => {
                    version.dead.iter_mut().filter(|d| d.topic_id == id).for_each(|d| d.empty_since_ms = since);
                }
            }
            Ok((version != *old).then_some(version))
        };
        match self.commit(name, &change, &[]).await {
            Ok(_) => Ok(()),
            Err(TopicError::Commit(e)) => Err(e),
            Err(other) => Err(unexpected(&self.0.bucket, &other)),
        }
    }

    async fn make_partitions(
        &self,
        name: &str,
        topic_id: Uuid,
        numbers: std::ops::Range<i32>,
    ) -> Result<Vec<PartitionArchive>, CommitError> {
        stream::iter(numbers)
            .map(|number| {
                PartitionArchive::create(Place::new(&self.0.bucket, name, topic_id, number), &self.0.ownership)
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// A partition of a live topic, for the collector.
    pub(super) fn partition(&self, id: Uuid, number: i32) -> Option<PartitionArchive> {
        self.partitions_mut().get(&(id, number)).cloned()
    }

    /// Partitions of live topics, for the collector.
    pub(super) fn partitions(&self) -> Vec<PartitionArchive> {
        self.partitions_mut().values().cloned().collect()
    }

    /// Notes the writers of partitions of a live topic.
    pub(super) fn register<'a>(&self, partitions: impl IntoIterator<Item = &'a PartitionArchive>) {
        let keyed = partitions.into_iter().map(|p| ((p.topic_id(), p.partition()), p.clone()));
        self.partitions_mut().extend(keyed);
    }

    fn partitions_mut(&self) -> MutexGuard<'_, BTreeMap<(Uuid, i32), PartitionArchive>> {
        self.0.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// If a commit of this name was not decided: reads how it ended. Done: what it would have returned.
    async fn finish(&self, name: &str) -> Result<Option<(Topic, Vec<PartitionArchive>)>, CommitError> {
        let Some(attempt) = self.slots().get(name).and_then(|slot| slot.undecided.clone()) else { return Ok(None) };
        self.reread(name).await?;
        let now = self
            .get(name)
            .filter(|now| (Some(now.id), now.partitions) == (attempt.version.topic_id, attempt.version.partitions));
        let done = now.filter(|_| !attempt.made.is_empty()).map(|now| (now, attempt.made));
        done.iter().for_each(|(_, made)| self.register(made));
        let dead = |id: Uuid| self.slots().get(name).is_some_and(|slot| slot.is_dead(id));
        self.partitions_mut().retain(|(id, _), _| !dead(*id));
        let made = done.as_ref().map(|(_, made)| made.clone()).unwrap_or_default();
        self.settled().push(Settled { name: name.to_owned(), topic: self.get(name), made });
        Ok(done)
    }

    async fn reread(&self, name: &str) -> Result<(), CommitError> {
        let newest = match read(&self.0.bucket, name).await {
            Err(e) if e.is_damage() => return Err(self.0.ownership.judge(self.url(name), e).await),
            newest => newest?,
        };
        let epoch = self.0.ownership.epoch();
        if let Some(other) = newest.as_ref().filter(|newest| newest.head.epoch > epoch) {
            return Err(CommitError::Fenced { path: self.url(name), epoch: Some(other.head.epoch) });
        }
        self.slots().insert(name.to_owned(), Slot { newest, undecided: None });
        Ok(())
    }

    /// Makes the next version of a name; `change` says it, or that there is nothing to say.
    async fn commit(
        &self,
        name: &str,
        change: &Step<'_>,
        made: &[PartitionArchive],
    ) -> Result<TopicVersion, TopicError> {
        for _ in 0..ATTEMPTS_MAX {
            self.finish(name).await?;
            let newest = self.slots().get(name).and_then(|slot| slot.newest.clone());
            let old = newest.as_ref().map(|newest| &newest.version);
            let Some(mut version) = change(old)? else {
                return old.cloned().ok_or_else(|| TopicError::Unknown(name.to_owned()));
            };
            version.changed_ms = self.0.bucket.clock().now_ms();
            let attempt = Attempt { version: version.clone(), made: made.to_vec() };
            let on = newest.as_ref().map(|newest| newest.head.clone());
            self.slots().insert(name.to_owned(), Slot { newest, undecided: Some(attempt) });
            match self.0.ownership.commit(&chain(&self.0.bucket, name), on.as_ref(), &version).await? {
                Written::Head(head) => {
                    let newest = Some(TopicHead { head: *head, version: version.clone() });
                    self.slots().insert(name.to_owned(), Slot { newest, undecided: None });
                    return Ok(version);
                }
                Written::Lost => {}
            }
        }
        let reason = format!("{ATTEMPTS_MAX} attempts lost against others");
        Err(CommitError::Cancelled { path: self.url(name), reason }.into())
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, name: &str) -> String {
        self.0.bucket.store().url_of(&layout::topic_chain(name))
    }
}

/// What the collector notes of a dead topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeadNote {
    /// Listings were empty since then; none: they were not.
    EmptySince(Option<i64>),
    /// They were empty for long enough.
    Forget,
}

/// A version to change, if the topic is still the one that the change was made for.
fn still_live(old: Option<&TopicVersion>, topic: &Topic) -> Result<TopicVersion, TopicError> {
    old.filter(|old| old.topic_id == Some(topic.id)).cloned().ok_or_else(|| TopicError::Unknown(topic.name.clone()))
}

fn unexpected(bucket: &Bucket, error: &TopicError) -> CommitError {
    let path = bucket.store().url_of(layout::TOPICS);
    CommitError::Cancelled { path, reason: error.to_string() }
}

/// Marks an id as being made, until it is dropped.
struct BeingMade<'a>(&'a Mutex<BTreeSet<Uuid>>, Uuid);

impl<'a> BeingMade<'a> {
    fn new(all: &'a Mutex<BTreeSet<Uuid>>, id: Uuid) -> Self {
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Self(all, id)
    }
}

impl Drop for BeingMade<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

#[cfg(test)]
mod tests;
