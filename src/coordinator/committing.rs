//! The calls of those who commit offsets and ask for them.
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Coordinator;
use super::calls::{MemberRef, Now};
use super::error::GroupError;
use super::group::Group;
use super::items::{Changes, Committed, TopicPartition};
use super::journal::JournalError;
use super::membership::ended;
use super::offsets::Plan;
use super::shards::Finish;

/// An offset to commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// The offset that comes next.
    pub offset: i64,
    /// Leader epoch of the record before it, or -1.
    pub leader_epoch: i32,
    /// What the client wants to remember with it.
    pub metadata: String,
}

/// One answer for each offset, or one for all.
pub type CommitAnswer = Result<Vec<Result<(), GroupError>>, GroupError>;

impl Coordinator {
    /// A member, or a client without a group, commits offsets; answered when they are durable. `retention_ms`: how long they
    /// are kept, if the client says so. The commit is made when this returns, in the order of the calls.
    pub fn commit(
        &self,
        group: &str,
        member: &MemberRef,
        retention_ms: Option<i64>,
        offsets: Vec<(TopicPartition, Commit)>,
    ) -> impl Future<Output = CommitAnswer> + Send + use<> {
        self.commit_as(group, member, None, retention_ms, offsets)
    }

    /// The same within a producer's transaction: they count when it is committed. Whether the transaction is open is for
    /// the caller to know.
    pub fn commit_in_transaction(
        &self,
        group: &str,
        member: &MemberRef,
        producer_id: i64,
        offsets: Vec<(TopicPartition, Commit)>,
    ) -> impl Future<Output = CommitAnswer> + Send + use<> {
        self.commit_as(group, member, Some(producer_id), None, offsets)
    }

    fn commit_as(
        &self,
        group: &str,
        member: &MemberRef,
        producer_id: Option<i64>,
        retention_ms: Option<i64>,
        offsets: Vec<(TopicPartition, Commit)>,
    ) -> impl Future<Output = CommitAnswer> + Send + use<> {
        let most = self.0.options().metadata_max_bytes;
        let mut answers: Vec<_> = offsets.iter().map(|(_, commit)| check_metadata(&commit.metadata, most)).collect();
        let begun = self.begin_commit(group, member, producer_id, retention_ms, offsets, &mut answers);
        async move {
            if let Some(durable) = begun? {
                durable.await.unwrap_or_else(|_| Err(ended()))?;
            }
            Ok(answers)
        }
    }

    /// Commits those offsets whose answers are good so far, if the group lets the client commit them.
    fn begin_commit(
        &self,
        group: &str,
        member: &MemberRef,
        producer_id: Option<i64>,
        retention_ms: Option<i64>,
        offsets: Vec<(TopicPartition, Commit)>,
        answers: &mut [Result<(), GroupError>],
    ) -> Result<Option<oneshot::Receiver<Result<(), GroupError>>>, GroupError> {
        let shards = &self.0.shards;
        let mut shard = shards.lock(group);
        if shard.get(group).is_none() {
            // Nobody manages the group: whoever commits is on its own.
            if member.generation >= 0 {
                return Err(GroupError::GroupNotFound(group.to_owned()));
            }
            shard.add(group, self.0.options().max_groups)?;
        }
        let begun = shard.ask(group, |slot, cx| {
            slot.group.check_commit(member, producer_id.is_some(), cx.now)?;
            let places: Vec<TopicPartition> = offsets.iter().map(|(place, _)| *place).collect();
            let mut accepted = Vec::with_capacity(offsets.len());
            for ((place, commit), answer) in
                offsets.into_iter().zip(answers.iter_mut()).filter(|(_, answer)| answer.is_ok())
            {
                *answer = slot.group.check_place(member, place, producer_id.is_some());
                if answer.is_ok() {
                    accepted.push((place, committed(commit, retention_ms, cx.now)));
                }
            }
            let without_room = slot.offsets.without_room(&accepted, producer_id.is_some());
            if !without_room.is_empty() {
                for (place, answer) in places.iter().zip(answers).filter(|(place, _)| without_room.contains(place)) {
                    let length = accepted.iter().find(|(at, _)| at == place).map_or(0, |(_, c)| c.metadata.len());
                    *answer = answer.clone().and(Err(GroupError::MetadataTooLarge(length)));
                }
                accepted.retain(|(place, _)| !without_room.contains(place));
            }
            if accepted.is_empty() {
                return Ok(None);
            }
            let count = accepted.len() as u64;
            let (plan, durable);
            match producer_id {
                None => {
                    plan = slot.offsets.commit(group, accepted);
                    durable = shards.put_patiently(plan.changes.clone())?;
                }
                Some(producer_id) => {
                    plan = slot.offsets.commit_pending(group, producer_id, accepted);
                    durable = shards.put(plan.changes.clone())?;
                }
            }
            slot.offsets.begin(&plan);
            self.0.counts.commits.inc_by(count);
            let (tell, told) = oneshot::channel();
            shards.finish_later(durable, Finish::Offsets(vec![(group.into(), plan)], tell));
            Ok(Some(told))
        });
        begun.unwrap_or_else(|| Err(GroupError::GroupNotFound(group.to_owned())))
    }

    /// Ends what a producer has committed to `groups` within its transaction. `put` writes the changes that this makes,
    /// together with whatever else ends the transaction. Told when that is durable and, if it was a `commit`, visible.
    ///
    /// # Errors
    /// Those of `put`; then nothing has changed.
    pub fn end_transaction<'a>(
        &self,
        producer_id: i64,
        groups: impl Iterator<Item = &'a String> + Clone,
        commit: bool,
        put: impl FnOnce(Changes) -> Result<oneshot::Receiver<()>, JournalError>,
    ) -> Result<oneshot::Receiver<Result<(), GroupError>>, JournalError> {
        let shards = &self.0.shards;
        let mut locked = shards.lock_many(groups.clone().map(String::as_str));
        let mut plans: Vec<(Arc<str>, Plan)> = Vec::new();
        let mut changes = Changes::new();
        for group in groups {
            let at = shards.index(group);
            let slot = locked.iter().find(|(index, _)| *index == at).and_then(|(_, shard)| shard.get(group));
            if let Some(slot) = slot {
                let plan = slot.offsets.end(group, producer_id, commit);
                changes.extend(plan.changes.iter().cloned());
                plans.push((group.as_str().into(), plan));
            }
        }
        let durable = put(changes)?;
        for (group, plan) in &plans {
            let at = shards.index(group);
            if let Some((_, shard)) = locked.iter_mut().find(|(index, _)| *index == at) {
                shard.ask(group, |slot, _| slot.offsets.begin(plan));
            }
        }
        let (tell, told) = oneshot::channel();
        shards.finish_later(durable, Finish::Offsets(plans, tell));
        Ok(told)
    }

    /// Whether somebody is a member that uses the consumer protocol.
    pub fn has_epochs(&self, group: &str, member: &str) -> bool {
        let shard = self.0.shards.lock(group);
        matches!(shard.get(group).map(|slot| &slot.group), Some(Group::Consumer(group)) if group.has_epochs(member))
    }

    /// Whether a member may ask for offsets; whoever does not say that it is one, may.
    ///
    /// # Errors
    /// [`GroupError::UnknownMember`], [`GroupError::StaleMemberEpoch`] of a member of the consumer protocol.
    pub fn check_fetch(&self, group: &str, member: Option<&str>, epoch: i32) -> Result<(), GroupError> {
        match self.0.shards.lock(group).get(group).map(|slot| &slot.group) {
            Some(Group::Consumer(group)) if member.is_some() || epoch >= 0 => {
                group.check_epoch(member.unwrap_or_default(), epoch)
            }
            _ => Ok(()),
        }
    }

    /// Offsets of a group, as of what is durable: one answer for each partition that was asked for. `stable`: refuse those
    /// that a transaction which is not decided has committed.
    pub fn fetch(
        &self,
        group: &str,
        places: &[TopicPartition],
        stable: bool,
    ) -> Vec<Result<Option<Committed>, GroupError>> {
        let shard = self.0.shards.lock(group);
        let Some(slot) = shard.get(group) else { return vec![Ok(None); places.len()] };
        places.iter().map(|place| slot.offsets.get(*place, stable).map(Option::<&_>::cloned)).collect()
    }

    /// All offsets of a group.
    pub fn fetch_all(&self, group: &str, stable: bool) -> Vec<(TopicPartition, Result<Committed, GroupError>)> {
        let shard = self.0.shards.lock(group);
        let Some(slot) = shard.get(group) else { return Vec::new() };
        let get = |place| match slot.offsets.get(place, stable) {
            Ok(found) => found.map(|committed| (place, Ok(committed.clone()))),
            Err(error) => Some((place, Err(error))),
        };
        slot.offsets.places().filter_map(get).collect()
    }
}

/// Kafka counts in UTF-16, of which there are never more units than bytes of UTF-8.
fn check_metadata(metadata: &str, most: usize) -> Result<(), GroupError> {
    if metadata.len() <= most || metadata.encode_utf16().count() <= most {
        return Ok(());
    }
    Err(GroupError::MetadataTooLarge(metadata.len()))
}

fn committed(commit: Commit, retention_ms: Option<i64>, now: Now) -> Committed {
    Committed {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: commit.metadata,
        commit_ms: now.wall_ms,
        expire_ms: retention_ms.map(|ms| now.wall_ms.saturating_add(ms)),
    }
}
