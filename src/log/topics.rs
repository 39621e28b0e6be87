//! Topics of an open log: names and ids to partitions, and their creation, change and deletion.
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use futures::{StreamExt, TryStreamExt, stream};

use super::core::Core;
use super::defaults::Defaults;
use super::partition::{Closed, Partition};
use super::recovery::Beginning;
use super::settings::{self, TopicSettings, Values};
use super::{AppendError, NewTopic, TopicError, TopicInfo};
use crate::archive::collect::CollectOptions;
use crate::archive::manifest::Producers;
use crate::archive::start::Unloaded;
use crate::archive::topics::Settled;
use crate::archive::{self, ArchiveError, CommitError, PartitionArchive, Topics, layout};
use crate::base::{Current, Limits, Uuid};

/// Names that Kafka gives to state which is no topic here.
const RESERVED: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Most partitions of one topic.
const PARTITIONS_OF_TOPIC_MAX: i32 = 10_000;

/// Objects of producers that a start reads at the same time.
const READS_AT_ONCE: usize = 32;

/// A live topic.
#[derive(Clone, Debug)]
struct Live {
    info: Arc<TopicInfo>,
    partitions: Vec<Partition>,
}

/// All live topics.
pub(super) struct Registry {
    core: Arc<Core>,
    archive: Topics,
    pub(super) defaults: Current<Defaults>,
    default_partitions: i32,
    /// One change at a time: creation, deletion and settings are rare, and their order must be the bucket's.
    pub(super) changing: Arc<tokio::sync::Mutex<()>>,
    live: RwLock<Index>,
    strangers: RwLock<BTreeMap<(Uuid, i32), u64>>,
    /// Why topics are not served that the bucket has.
    unserved: RwLock<Vec<String>>,
}

#[derive(Default)]
struct Index {
    by_name: BTreeMap<String, Live>,
    by_id: HashMap<Uuid, String>,
    partitions: usize,
    version: u64,
}

impl Registry {
    pub fn new(core: Arc<Core>, archive: Topics, defaults: Defaults, default_partitions: i32) -> Self {
        let live = RwLock::default();
        let (defaults, changing) = (Current::new(defaults), Arc::default());
        Self {
            core,
            archive,
            defaults,
            default_partitions,
            changing,
            live,
            strangers: RwLock::default(),
            unserved: RwLock::default(),
        }
    }

    /// Adds the topics of the bucket at a start; `begin` says what a partition begins with, given its producers as of the
    /// manifest.
    pub async fn load(
        &self,
        partitions: BTreeMap<(Uuid, i32), PartitionArchive>,
        mut begin: impl FnMut(&PartitionArchive, &Producers) -> Beginning,
    ) -> Result<(), ArchiveError> {
        let read = stream::iter(partitions.values().cloned()).map(|archive| async move {
            let producers = archive.producers().await?;
            Ok::<_, ArchiveError>((archive, producers))
        });
        let mut read = read.buffered(READS_AT_ONCE);
        let mut made: BTreeMap<Uuid, Vec<(PartitionArchive, Beginning)>> = BTreeMap::new();
        while let Some((archive, producers)) = read.try_next().await? {
            let from_wal = begin(&archive, &producers);
            made.entry(archive.topic_id()).or_default().push((archive, from_wal));
        }
        for topic in self.archive.list() {
            let settings = self.in_force_or_defaults(&topic);
            let made = made.remove(&topic.id).unwrap_or_default();
            if i32::try_from(made.len()) != Ok(topic.partitions) {
                continue; // its other partitions could not be loaded: see `pin_unserved`
            }
            let of = |(archive, from_wal)| self.partition_of(&topic.name, &settings, archive, from_wal);
            let partitions = made.into_iter().map(of).collect();
            self.insert(&topic, partitions);
        }
        Ok(())
    }

    /// Records the offsets that this start leaves out, in every partition.
    ///
    /// # Errors
    /// When the WAL cannot take them.
    pub async fn record_gaps(&self) -> Result<(), AppendError> {
        let partitions = self.partitions(None).unwrap_or_default();
        let recorded = partitions.iter().map(Partition::record_gap);
        futures::future::try_join_all(recorded).await.map(drop)
    }

    pub fn list(&self) -> Vec<Arc<TopicInfo>> {
        self.read().by_name.values().map(|t| t.info.clone()).collect()
    }

    pub fn version(&self) -> u64 {
        self.read().version
    }

    pub fn get(&self, name: &str) -> Option<Arc<TopicInfo>> {
        self.read().by_name.get(name).map(|t| t.info.clone())
    }

    pub fn by_id(&self, id: Uuid) -> Option<Arc<TopicInfo>> {
        let live = self.read();
        live.by_id.get(&id).and_then(|name| live.by_name.get(name)).map(|t| t.info.clone())
    }

    pub fn partition(&self, topic: &str, partition: i32) -> Option<Partition> {
        let index = usize::try_from(partition).ok()?;
        self.read().by_name.get(topic)?.partitions.get(index).cloned()
    }

    /// A partition by its topic's id.
    pub fn partition_by_id(&self, topic: Uuid, partition: i32) -> Option<Partition> {
        let index = usize::try_from(partition).ok()?;
        let live = self.read();
        live.by_name.get(live.by_id.get(&topic)?)?.partitions.get(index).cloned()
    }

    /// Whether the chain of its name says that a topic is gone. An id that no chain knows is not.
    pub fn is_gone(&self, topic: Uuid) -> bool {
        self.archive.is_dead(topic)
    }

    /// Takes note of topics of which a partition could not be loaded: they are not served, nothing of them is released, and the
    /// rest of the broker goes on. One line for each partition.
    pub fn pin_unserved(&self, unloaded: BTreeMap<(Uuid, i32), Unloaded>) -> Vec<String> {
        let line = |((_, number), unloaded): (&(Uuid, i32), &Unloaded)| {
            format!(
                "topic '{}' is not served, for partition {number} could not be loaded: {}",
                unloaded.topic, unloaded.error
            )
        };
        let lines: Vec<String> = unloaded.iter().map(line).collect();
        lines.iter().for_each(|line| tracing::error!("{line}"));
        self.unserved.write().unwrap_or_else(PoisonError::into_inner).clone_from(&lines);
        lines
    }

    /// Why topics are not served that the bucket has.
    pub fn unserved(&self) -> Vec<String> {
        self.unserved.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of partitions that the WAL holds something of that may be needed, and that no topic names: their first groups
    /// stay. Nothing is dead but what a chain says so of.
    pub fn pin_strangers(&self, strangers: Vec<(Uuid, i32, u64)>) {
        let unknown = strangers
            .into_iter()
            .filter(|(topic, number, _)| self.partition_by_id(*topic, *number).is_none() && !self.is_gone(*topic));
        *self.strangers.write().unwrap_or_else(PoisonError::into_inner) =
            unknown.map(|(topic, number, group)| ((topic, number), group)).collect();
    }

    /// Partitions that the WAL knows and nobody else: what it holds of them is pinned.
    pub fn strangers(&self) -> Vec<(Uuid, i32)> {
        self.strangers.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// The first groups that they need.
    pub fn pinned_by_strangers(&self) -> Option<u64> {
        let strangers = self.strangers.read().unwrap_or_else(PoisonError::into_inner);
        strangers.iter().filter(|((topic, _), _)| !self.is_gone(*topic)).map(|(_, group)| *group).min()
    }

    /// Partitions of one topic, or of all.
    pub fn partitions(&self, topic: Option<&str>) -> Result<Vec<Partition>, TopicError> {
        let live = self.read();
        match topic {
            None => Ok(live.by_name.values().flat_map(|t| t.partitions.iter().cloned()).collect()),
            Some(name) => match live.by_name.get(name) {
                Some(t) => Ok(t.partitions.clone()),
                None => Err(TopicError::Unknown(name.to_owned())),
            },
        }
    }

    /// All topics with their partitions.
    pub(super) fn topics_with_partitions(&self) -> Vec<(Arc<TopicInfo>, Vec<Partition>)> {
        self.read().by_name.values().map(|t| (t.info.clone(), t.partitions.clone())).collect()
    }

    /// Checks a topic without creating it; returns the number of partitions that it would get.
    pub fn check(&self, topic: &NewTopic) -> Result<i32, TopicError> {
        if let Err(bad) = layout::check_topic_name(&topic.name) {
            return Err(TopicError::BadName { name: topic.name.clone(), why: bad.reason });
        }
        if RESERVED.contains(&topic.name.as_str()) {
            let why = "it is reserved for the broker's own state";
            return Err(TopicError::BadName { name: topic.name.clone(), why });
        }
        let live = self.read();
        if live.by_name.contains_key(&topic.name) {
            return Err(TopicError::Exists(topic.name.clone()));
        }
        let partitions = topic.partitions.unwrap_or(self.default_partitions);
        check_partitions(partitions, live.partitions, 0)?;
        self.resolve(&topic.settings)?;
        Ok(partitions)
    }

    pub async fn create(&self, topic: NewTopic) -> Result<Arc<TopicInfo>, TopicError> {
        let _one = self.changing.lock().await;
        let partitions = self.check(&topic)?;
        let settings = Arc::new(self.resolve(&topic.settings)?);
        let (made, archives) =
            self.archive.create(&topic.name, partitions, topic.settings).await.map_err(|e| self.failed(e))?;
        let new = |a: PartitionArchive| self.partition_of(&made.name, &settings, a.clone(), Beginning::of(&a.head()));
        let partitions = archives.into_iter().map(new).collect();
        Ok(self.insert(&made, partitions))
    }

    pub async fn add_partitions(&self, name: &str, total: i32, validate_only: bool) -> Result<(), TopicError> {
        let _one = self.changing.lock().await;
        let (info, mut partitions, all) = {
            let live = self.read();
            let topic = live.by_name.get(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
            (topic.info.clone(), topic.partitions.clone(), live.partitions)
        };
        if total <= info.partitions {
            return Err(TopicError::BadPartitions(format!(
                "topic '{name}' has {} partitions and cannot have {total}: partitions can only be added",
                info.partitions
            )));
        }
        check_partitions(total, all, info.partitions)?;
        if validate_only {
            return Ok(());
        }
        let (made, archives) = self.archive.add_partitions(name, total).await.map_err(|e| self.failed(e))?;
        let settings = Arc::new(self.resolve(&made.settings)?);
        let new = |a: PartitionArchive| self.partition_of(name, &settings, a.clone(), Beginning::of(&a.head()));
        partitions.extend(archives.into_iter().map(new));
        self.insert(&made, partitions);
        Ok(())
    }

    pub async fn alter(
        &self,
        name: &str,
        validate_only: bool,
        change: impl FnOnce(&mut Values) -> Result<(), TopicError>,
    ) -> Result<(), TopicError> {
        let _one = self.changing.lock().await;
        let info = self.get(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        let mut values = info.settings.clone();
        change(&mut values)?;
        let settings = Arc::new(self.resolve(&values)?);
        if validate_only || values == info.settings {
            return Ok(());
        }
        let replace = |now: &mut Values| now.clone_from(&values);
        let made = self.archive.alter(name, replace).await.map_err(|e| self.failed(e))?;
        let partitions = self.partitions(Some(name))?;
        partitions.iter().for_each(|p| p.set_settings(settings.clone()));
        self.insert(&made, partitions);
        Ok(())
    }

    pub async fn delete(&self, name: &str) -> Result<(), TopicError> {
        let _one = self.changing.lock().await;
        if self.get(name).is_none() {
            return Err(TopicError::Unknown(name.to_owned()));
        }
        let settings = self.partition(name, 0).map(|partition| partition.settings());
        let kept_ms = settings.map_or(u64::MAX, |settings| settings.removed_retention_ms);
        let kept_ms = i64::try_from(kept_ms).unwrap_or(i64::MAX);
        self.archive.delete(name, kept_ms).await.map_err(|e| self.failed(e))?;
        self.forget(name);
        Ok(())
    }

    /// Brings what is served in line with what changes came to of which nobody knew: a topic that is there after all, or gone.
    ///
    /// # Errors
    /// When another broker owns the bucket.
    pub async fn settle(&self) -> Result<(), CommitError> {
        let _one = self.changing.lock().await;
        for Settled { name, topic, made } in self.archive.settle().await? {
            let Some(topic) = topic else {
                self.forget(&name);
                continue;
            };
            let known = self.get(&name).filter(|known| known.id == topic.id);
            let mut partitions = known.and_then(|_| self.partitions(Some(&name)).ok()).unwrap_or_default();
            let settings = self.in_force_or_defaults(&topic);
            partitions.iter().for_each(|partition| partition.set_settings(settings.clone()));
            let new = made.into_iter().filter(|a| usize::try_from(a.partition()).is_ok_and(|n| n >= partitions.len()));
            let new: Vec<Partition> =
                new.map(|a| self.partition_of(&name, &settings, a.clone(), Beginning::of(&a.head()))).collect();
            partitions.extend(new);
            if i32::try_from(partitions.len()) == Ok(topic.partitions) {
                tracing::info!(topic = name, "a change of the topic was committed after all");
                self.insert(&topic, partitions);
            }
        }
        Ok(())
    }

    /// Serves a topic no more.
    fn forget(&self, name: &str) {
        let gone = {
            let mut live = self.write();
            live.version += 1;
            let gone = live.by_name.remove(name);
            if let Some(topic) = &gone {
                live.by_id.remove(&topic.info.id);
                live.partitions -= topic.partitions.len();
            }
            self.count(&live);
            gone
        };
        gone.iter().flat_map(|t| &t.partitions).for_each(|p| p.close(Closed::Deleted));
    }

    pub fn describe(&self, topic: &str) -> Result<Vec<super::SettingInfo>, TopicError> {
        let info = self.get(topic).ok_or_else(|| TopicError::Unknown(topic.to_owned()))?;
        Ok(settings::describe(&self.defaults.get(), &info.settings))
    }

    pub fn describe_with(&self, own: &Values) -> Vec<super::SettingInfo> {
        settings::describe(&self.defaults.get(), own)
    }

    /// For how long the bucket keeps what was removed.
    pub fn collect_options(&self) -> CollectOptions {
        let kept_ms = |settings: &TopicSettings| i64::try_from(settings.removed_retention_ms).unwrap_or(i64::MAX);
        let defaults = self.resolve(&Values::new()).unwrap_or_else(|_| TopicSettings::built_in());
        let removed_retention_ms = kept_ms(&defaults);
        let live = self.read();
        let of_topics = live.by_name.values().filter_map(|live| {
            let own = kept_ms(&live.partitions.first()?.settings());
            (own != removed_retention_ms).then_some((live.info.id, own))
        });
        CollectOptions { removed_retention_ms, of_topics: of_topics.collect() }
    }

    fn resolve(&self, own: &Values) -> Result<TopicSettings, TopicError> {
        self.resolve_with(&self.defaults.get(), own)
    }

    pub(super) fn resolve_with(&self, defaults: &Defaults, own: &Values) -> Result<TopicSettings, TopicError> {
        let settings = TopicSettings::resolve(defaults.in_force(), own)?;
        let ceiling = self.core.env.limits.message_max_bytes_ceiling();
        if u64::from(settings.max_message_bytes) > ceiling {
            return Err(TopicError::BadSetting(format!(
                "max.message.bytes={}: with memory.bytes={} a batch may have at most {ceiling} bytes; raise memory.bytes",
                settings.max_message_bytes,
                self.core.env.limits.memory_bytes()
            )));
        }
        Ok(settings)
    }

    /// Settings that another version of Esker wrote may not be understood here; the topic is served all the same.
    fn in_force_or_defaults(&self, topic: &archive::topics::Topic) -> Arc<TopicSettings> {
        let resolved = self.resolve(&topic.settings).or_else(|error| {
            tracing::warn!(topic = topic.name, %error, "the topic's settings are not understood; the defaults are in force");
            self.resolve(&Values::new())
        });
        Arc::new(resolved.unwrap_or_else(|_| TopicSettings::built_in()))
    }

    fn partition_of(&self, name: &str, settings: &Arc<TopicSettings>, a: PartitionArchive, b: Beginning) -> Partition {
        Partition::new(self.core.clone(), name.into(), settings.clone(), a, b)
    }

    fn insert(&self, topic: &archive::topics::Topic, partitions: Vec<Partition>) -> Arc<TopicInfo> {
        let info = Arc::new(TopicInfo {
            name: topic.name.clone(),
            id: topic.id,
            partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
            settings: topic.settings.clone(),
        });
        let mut live = self.write();
        live.version += 1;
        live.partitions += partitions.len();
        live.by_id.insert(topic.id, topic.name.clone());
        if let Some(old) = live.by_name.insert(topic.name.clone(), Live { info: info.clone(), partitions }) {
            live.partitions -= old.partitions.len();
        }
        self.count(&live);
        info
    }

    fn count(&self, live: &Index) {
        self.core.metrics.partitions.set(i64::try_from(live.partitions).unwrap_or(i64::MAX));
    }

    fn failed(&self, error: archive::topics::TopicError) -> TopicError {
        use archive::topics::TopicError as E;
        match error {
            E::Exists(name) => TopicError::Exists(name),
            E::Unknown(name) => TopicError::Unknown(name),
            E::BadName(bad) => TopicError::BadName { name: bad.name, why: bad.reason },
            e @ E::Partitions { .. } => TopicError::BadPartitions(e.to_string()),
            E::Commit(e) if e.is_fenced() => {
                self.core.fence.fail(e.to_string());
                TopicError::NotServing(e.to_string())
            }
            E::Commit(e) => TopicError::Storage(e.to_string()),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a topic that has `own` of the `all` partitions of the broker may have `wanted`.
fn check_partitions(wanted: i32, all: usize, own: i32) -> Result<(), TopicError> {
    if !(1..=PARTITIONS_OF_TOPIC_MAX).contains(&wanted) {
        let bad = format!("a topic has 1 to {PARTITIONS_OF_TOPIC_MAX} partitions, not {wanted}");
        return Err(TopicError::BadPartitions(bad));
    }
    let total = all + usize::try_from(wanted - own).unwrap_or(0);
    if total > Limits::PARTITIONS_MAX {
        return Err(TopicError::BadPartitions(format!(
            "{total} partitions would be more than the {} that a broker serves",
            Limits::PARTITIONS_MAX
        )));
    }
    Ok(())
}
