//! The calls of administrators, and what is cleaned up without anybody's asking.
use std::sync::Arc;

use tokio::sync::oneshot;

use super::calls::{Described, Listed};
use super::consumer::calls::DescribedConsumers;
use super::error::GroupError;
use super::group::Group;
use super::items::{TopicPartition, group_key, settings_key, value_of};
use super::membership::{check_id, ended};
use super::settings::{GroupSetting, Values};
use super::shards::{Finish, Locked};
use super::{Coordinator, Inner};
use crate::base::Uuid;

/// A call that has begun: when it is durable, or why it is not.
type Begun = Result<Option<oneshot::Receiver<Result<(), GroupError>>>, GroupError>;

impl Coordinator {
    /// A classic group with its members.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`].
    pub fn describe(&self, group: &str) -> Result<Described, GroupError> {
        let shard = self.0.shards.lock(group);
        match shard.get(group).map(|slot| &slot.group) {
            Some(Group::Classic(group)) => Ok(group.described()),
            _ => Err(GroupError::GroupNotFound(group.to_owned())),
        }
    }

    /// A group of the consumer protocol with its members.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`].
    pub fn describe_consumers(&self, group: &str) -> Result<DescribedConsumers, GroupError> {
        let shard = self.0.shards.lock(group);
        match shard.get(group).map(|slot| &slot.group) {
            Some(Group::Consumer(group)) => Ok(group.described(&self.0.options().consumers)),
            _ => Err(GroupError::GroupNotFound(group.to_owned())),
        }
    }

    /// All settings of a group, which need not be there.
    pub fn settings(&self, group: &str) -> Vec<GroupSetting> {
        self.0.settings.describe(group)
    }

    /// The groups that have settings of their own.
    pub fn groups_with_settings(&self) -> Vec<String> {
        self.0.settings.groups()
    }

    /// Changes the settings of a group, or only says whether they could be; answered when they are in force.
    ///
    /// # Errors
    /// [`GroupError::InvalidSetting`], and what `change` returns.
    pub async fn alter_settings(
        &self,
        group: &str,
        validate_only: bool,
        change: impl FnOnce(&mut Values) -> Result<(), GroupError>,
    ) -> Result<(), GroupError> {
        let put = |values: &Values| {
            if validate_only {
                return Ok(None);
            }
            let value = Some(value_of(values)).filter(|_| !values.is_empty());
            let durable = self.0.shards.put(vec![(settings_key(group), value)])?;
            let (tell, told) = oneshot::channel();
            let settings = self.0.settings.clone();
            self.0.shards.finish_later(durable, Finish::Settings(settings, group.to_owned(), values.clone(), tell));
            Ok(Some(told))
        };
        durable(self.0.settings.alter(group, change, put)).await
    }

    /// All groups, in the order of their names.
    pub fn list(&self) -> Vec<Listed> {
        let mut groups = Vec::new();
        for shard in self.0.shards.all() {
            groups.extend(shard.shard().slots.values().map(|slot| slot.group.listed()));
        }
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        groups
    }

    /// Deletes a group without members, with its offsets.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`], [`GroupError::NonEmptyGroup`].
    pub async fn delete(&self, group: &str) -> Result<(), GroupError> {
        let begun = self.0.begin_delete(&mut self.0.shards.lock(group), group);
        durable(begun).await
    }

    /// Deletes offsets. One answer for each partition.
    ///
    /// # Errors
    /// [`GroupError`] where none of them was looked at.
    pub async fn delete_offsets(
        &self,
        group: &str,
        places: &[TopicPartition],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        check_id(group)?;
        let not_found = || GroupError::GroupNotFound(group.to_owned());
        let (begun, answers) = {
            let mut shard = self.0.shards.lock(group);
            let slot = shard.get(group).ok_or_else(not_found)?;
            slot.group.check_delete_offsets()?;
            let answer = |place: &TopicPartition| match self.0.is_subscribed(&slot.group, place.topic) {
                true => Err(GroupError::SubscribedToTopic),
                false => Ok(()),
            };
            let answers: Vec<_> = places.iter().map(answer).collect();
            let chosen = places.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(place, _)| *place);
            let plan = slot.offsets.remove(group, chosen);
            (self.0.begin_plan(&mut shard, group, plan), answers)
        };
        durable(begun).await?;
        Ok(answers)
    }

    /// Removes the offsets of a topic that was deleted.
    pub fn topic_deleted(&self, topic: Uuid) {
        for mut shard in self.0.shards.all() {
            self.0.remove_topics(&mut shard, |id| id == topic);
        }
    }
}

impl Inner {
    fn is_subscribed(&self, group: &Group, topic: Uuid) -> bool {
        self.topics.topic(topic).is_some_and(|topic| group.is_subscribed(&topic))
    }

    fn begin_delete(&self, shard: &mut Locked<'_>, group: &str) -> Begun {
        let slot = shard.get(group).ok_or_else(|| GroupError::GroupNotFound(group.to_owned()))?;
        slot.group.check_delete()?;
        let plan = slot.offsets.remove_topics(group, |_| true);
        let mut changes = plan.changes.clone();
        changes.push((group_key(group), None));
        let durable = self.shards.put(changes)?;
        shard.ask(group, |slot, _| {
            slot.group.bury();
            slot.offsets.begin(&plan);
        });
        let (tell, told) = oneshot::channel();
        self.shards.finish_later(durable, Finish::Deleted(group.into(), tell));
        Ok(Some(told))
    }

    fn begin_plan(&self, shard: &mut Locked<'_>, group: &str, plan: super::offsets::Plan) -> Begun {
        if plan.is_empty() {
            return Ok(None);
        }
        let durable = self.shards.put(plan.changes.clone())?;
        shard.ask(group, |slot, _| slot.offsets.begin(&plan));
        let (tell, told) = oneshot::channel();
        self.shards.finish_later(durable, Finish::Offsets(vec![(group.into(), plan)], tell));
        Ok(Some(told))
    }

    fn remove_topics(&self, shard: &mut Locked<'_>, chosen: impl Fn(Uuid) -> bool) {
        let plans: Vec<_> = shard
            .shard()
            .slots
            .iter()
            .map(|(id, slot)| (id.clone(), slot.offsets.remove_topics(id, &chosen)))
            .filter(|(_, plan)| !plan.is_empty())
            .collect();
        for (id, plan) in plans {
            if let Err(error) = self.begin_plan(shard, &id, plan) {
                tracing::warn!(group = %id, %error, "offsets of a deleted topic stay until the next round");
            }
        }
    }

    /// Removes the offsets of topics that are gone.
    pub(super) fn forget_topics(&self) {
        for mut shard in self.shards.all() {
            self.remove_topics(&mut shard, |id| self.topics.topic(id).is_none());
        }
    }

    /// Removes offsets that nobody has used for long, those of topics that are gone, and groups that have nothing left.
    pub(super) fn clean(&self) {
        self.forget_topics();
        for mut shard in self.shards.all() {
            let ids: Vec<Arc<str>> = shard.shard().slots.keys().cloned().collect();
            ids.iter().for_each(|id| self.expire(&mut shard, id));
        }
    }

    /// Tells the metrics what there is.
    pub(super) fn count(&self) {
        let (mut members, mut offsets) = (0, 0);
        for shard in self.shards.all() {
            members += shard.shard().slots.values().map(|slot| slot.group.size()).sum::<usize>();
            offsets += shard.shard().slots.values().map(|slot| slot.offsets.len()).sum::<usize>();
        }
        let set = |gauge: &super::Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.counts.groups, self.shards.len());
        set(&self.counts.members, members);
        set(&self.counts.offsets, offsets);
    }

    fn expire(&self, shard: &mut Locked<'_>, id: &Arc<str>) {
        let Some(slot) = shard.get(id) else { return };
        let times = (self.shards.now().wall_ms, self.options().retention_ms());
        let subscribed = |topic| self.is_subscribed(&slot.group, topic);
        let plan = match slot.group.unused_since() {
            Some(since) => slot.offsets.expire(id, since, times, subscribed),
            None => return,
        };
        let expired = plan.len();
        let nothing_left = expired == slot.offsets.len() && !slot.offsets.has_pending();
        let begun = match nothing_left && slot.group.is_unused() {
            true => self.begin_delete(shard, id),
            false => self.begin_plan(shard, id, plan),
        };
        match begun {
            Ok(_) => self.counts.expired.inc_by(expired as u64),
            Err(GroupError::GroupNotFound(_)) => 0,
            Err(error) => {
                tracing::debug!(group = %id, %error, "what has expired stays until the next round");
                0
            }
        };
    }
}

async fn durable(begun: Begun) -> Result<(), GroupError> {
    match begun? {
        Some(told) => told.await.unwrap_or_else(|_| Err(ended())),
        None => Ok(()),
    }
}
