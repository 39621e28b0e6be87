//! OffsetCommit, OffsetFetch and OffsetDelete. Groups keep offsets by topic id: a topic that is created again under the same
//! name has none.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::base::Uuid;
use crate::coordinator::calls::MemberRef;
use crate::coordinator::items::{Committed, TopicPartition};
use crate::coordinator::{Commit, GroupError};
use crate::kafka::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::kafka::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::kafka::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};

/// Versions from which topics go by id, several groups may be asked for at once, a commit to an unknown group is told so, and
/// members of the consumer protocol can commit.
const TOPIC_IDS_FROM: i16 = 10;
const GROUPS_FROM: i16 = 8;
const GROUP_NOT_FOUND_FROM: i16 = 9;
const MEMBER_EPOCH_FROM: i16 = 9;

type FetchAnswer = Result<Option<Committed>, GroupError>;

impl Endpoint {
    /// The topic that a request names, or whose id it gives, with its number of partitions.
    fn topic_of(&self, name: &str, id: Uuid, by_id: bool) -> Result<(Uuid, i32), GroupError> {
        let log = &self.shared.log;
        let (found, error) = match by_id {
            true => (log.topic_by_id(id), GroupError::UnknownTopicId),
            false => (log.topic(name), GroupError::UnknownTopicOrPartition),
        };
        found.map(|topic| (topic.id, topic.partitions)).ok_or(error)
    }

    fn code(&self, call: Call, answer: Result<(), GroupError>) -> i16 {
        answer.map_or_else(|error| self.fail(call, error), |()| 0)
    }
}

/// The place of a partition, if its topic has it.
pub fn place_of((topic, partitions): (Uuid, i32), partition: i32) -> Result<TopicPartition, GroupError> {
    if !(0..partitions).contains(&partition) {
        return Err(GroupError::UnknownTopicOrPartition);
    }
    Ok(TopicPartition { topic, partition })
}

/// Commits offsets.
pub async fn commit(endpoint: Arc<Endpoint>, call: Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let version = call.header.api_version;
    let mut offsets = Vec::new();
    let mut answers = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let known = endpoint.topic_of(&topic.name, topic.topic_id, version >= TOPIC_IDS_FROM);
        let mut response =
            OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, ..Default::default() };
        for asked in topic.partitions {
            let place = known.clone().and_then(|topic| place_of(topic, asked.partition_index));
            response.partitions.push(OffsetCommitResponsePartition {
                partition_index: asked.partition_index,
                ..OffsetCommitResponsePartition::default()
            });
            answers.push(place.map(|place| {
                let commit = Commit {
                    offset: asked.committed_offset,
                    leader_epoch: asked.committed_leader_epoch,
                    metadata: asked.committed_metadata.unwrap_or_default(),
                };
                offsets.push((place, commit));
            }));
        }
        topics.push(response);
    }
    let member = MemberRef {
        id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id_or_member_epoch,
    };
    if !offsets.is_empty() {
        let retention_ms = Some(request.retention_time_ms).filter(|ms| *ms != -1);
        let count = offsets.len();
        let (coordinator, group) = (&endpoint.shared.coordinator, &request.group_id);
        let committed = match version < MEMBER_EPOCH_FROM && coordinator.has_epochs(group, &member.id) {
            true => Err(GroupError::NeedsEpochs),
            false => coordinator.commit(group, &member, retention_ms, offsets).await,
        };
        let committed = committed.unwrap_or_else(|error| match error {
            // Clients before version 9 do not know GROUP_ID_NOT_FOUND.
            GroupError::GroupNotFound(_) if version < GROUP_NOT_FOUND_FROM => {
                vec![Err(GroupError::IllegalGeneration); count]
            }
            error => vec![Err(error); count],
        });
        let mut committed = committed.into_iter();
        for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
            *answer = committed.next().unwrap_or(Ok(()));
        }
    }
    let places = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for (place, answer) in places.zip(answers) {
        place.error_code = endpoint.code(call, answer);
    }
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}

/// Tells committed offsets, of one group up to version 7 and of several from version 8.
pub async fn fetch(endpoint: Arc<Endpoint>, call: Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if call.header.api_version >= GROUPS_FROM {
        let fetch = |group| fetch_group(&endpoint, call, group, stable);
        let groups = request.groups.into_iter().map(fetch).collect();
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let topics = request.topics.map(|topics| {
        let topic = |topic: crate::kafka::messages::offset_fetch::OffsetFetchRequestTopic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        };
        topics.into_iter().map(topic).collect()
    });
    let group = OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() };
    let group = fetch_group(&endpoint, call, group, stable);
    let partition = |from: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: from.partition_index,
        committed_offset: from.committed_offset,
        committed_leader_epoch: from.committed_leader_epoch,
        metadata: from.metadata,
        error_code: from.error_code,
    };
    let topic = |from: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: from.name,
        partitions: from.partitions.into_iter().map(partition).collect(),
    };
    let topics = group.topics.into_iter().map(topic).collect();
    OffsetFetchResponse { topics, error_code: group.error_code, ..OffsetFetchResponse::default() }
}

fn fetch_group(
    endpoint: &Endpoint,
    call: Call,
    group: OffsetFetchRequestGroup,
    stable: bool,
) -> OffsetFetchResponseGroup {
    let OffsetFetchRequestGroup { group_id, topics, member_id, member_epoch, .. } = group;
    if let Err(error) = endpoint.shared.coordinator.check_fetch(&group_id, member_id.as_deref(), member_epoch) {
        let error_code = endpoint.fail(call, error);
        return OffsetFetchResponseGroup { group_id, error_code, ..OffsetFetchResponseGroup::default() };
    }
    let topics = match topics {
        None => fetch_all(endpoint, call, &group_id, stable),
        Some(topics) => topics.into_iter().map(|topic| fetch_topic(endpoint, call, &group_id, topic, stable)).collect(),
    };
    OffsetFetchResponseGroup { group_id, topics, ..OffsetFetchResponseGroup::default() }
}

fn fetch_topic(
    endpoint: &Endpoint,
    call: Call,
    group: &str,
    asked: OffsetFetchRequestTopics,
    stable: bool,
) -> OffsetFetchResponseTopics {
    let by_id = call.header.api_version >= TOPIC_IDS_FROM;
    let answers: Vec<FetchAnswer> = match endpoint.topic_of(&asked.name, asked.topic_id, by_id) {
        Ok((topic, _)) => {
            let places = asked.partition_indexes.iter().map(|&partition| TopicPartition { topic, partition });
            endpoint.shared.coordinator.fetch(group, &places.collect::<Vec<_>>(), stable)
        }
        // Of a topic that is not there nothing is committed; only an id that nobody knows is an error.
        Err(_) if !by_id => vec![Ok(None); asked.partition_indexes.len()],
        Err(error) => vec![Err(error); asked.partition_indexes.len()],
    };
    let answers = asked.partition_indexes.into_iter().zip(answers);
    let partitions = answers.map(|(number, answer)| fetched(endpoint, call, number, answer)).collect();
    OffsetFetchResponseTopics { name: asked.name, topic_id: asked.topic_id, partitions }
}

fn fetch_all(endpoint: &Endpoint, call: Call, group: &str, stable: bool) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: BTreeMap<Uuid, OffsetFetchResponseTopics> = BTreeMap::new();
    for (place, answer) in endpoint.shared.coordinator.fetch_all(group, stable) {
        // One that was deleted a moment ago may still have offsets.
        let Some(info) = endpoint.shared.log.topic_by_id(place.topic) else { continue };
        let topic = topics.entry(place.topic).or_insert_with(|| OffsetFetchResponseTopics {
            name: info.name.clone(),
            topic_id: place.topic,
            partitions: Vec::new(),
        });
        topic.partitions.push(fetched(endpoint, call, place.partition, answer.map(Some)));
    }
    topics.into_values().collect()
}

fn fetched(endpoint: &Endpoint, call: Call, number: i32, answer: FetchAnswer) -> OffsetFetchResponsePartitions {
    let none = OffsetFetchResponsePartitions {
        partition_index: number,
        committed_offset: -1,
        ..OffsetFetchResponsePartitions::default()
    };
    match answer {
        Ok(Some(committed)) => OffsetFetchResponsePartitions {
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            metadata: Some(committed.metadata),
            ..none
        },
        Ok(None) => none,
        Err(error) => OffsetFetchResponsePartitions { error_code: endpoint.fail(call, error), ..none },
    }
}

/// Deletes offsets.
pub async fn delete(endpoint: Arc<Endpoint>, call: Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let mut places = Vec::new();
    let mut answers = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let known = endpoint.topic_of(&topic.name, Uuid::ZERO, false);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let place = known.clone().and_then(|topic| place_of(topic, asked.partition_index));
            partitions.push(OffsetDeleteResponsePartition { partition_index: asked.partition_index, error_code: 0 });
            answers.push(place.map(|place| places.push(place)));
        }
        if !partitions.is_empty() {
            topics.push(OffsetDeleteResponseTopic { name: topic.name, partitions });
        }
    }
    let deleted = match endpoint.shared.coordinator.delete_offsets(&request.group_id, &places).await {
        Ok(deleted) => deleted,
        Err(error) => {
            return OffsetDeleteResponse { error_code: endpoint.fail(call, error), ..OffsetDeleteResponse::default() };
        }
    };
    let mut deleted = deleted.into_iter();
    for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
        *answer = deleted.next().unwrap_or(Ok(()));
    }
    let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for (partition, answer) in partitions.zip(answers) {
        partition.error_code = endpoint.code(call, answer);
    }
    OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() }
}
