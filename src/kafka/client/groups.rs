//! Consumer groups, as who looks after them sees them: which there are, who is in them, how far they have read.
//!
//! What a coordinator refuses for the moment only is asked again, for [`INSIST_FOR`] at most.
use std::collections::BTreeMap;
use std::time::Duration;

use super::{Client, ClientError};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::{
    Api, consumer_group_describe, consumer_protocol, delete_groups, describe_groups, find_coordinator, list_groups,
    metadata, offset_commit, offset_fetch,
};

/// For how long a call is put off that was refused for the moment.
const INSIST_FOR: Duration = Duration::from_secs(15);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(1);
/// The last version of OffsetCommit and OffsetFetch in which topics go by name, and the first one that knows several groups.
const OFFSETS_BY_NAME: i16 = 9;
const OFFSETS_OF_GROUPS: i16 = 8;
/// Type of the keys of FindCoordinator.
const GROUP: i8 = 0;
/// Generation of who commits and is no member.
const NO_GENERATION: i32 = -1;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
}

/// A group as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Group id.
    pub id: String,
    /// `classic`, `consumer`, ...
    pub kind: String,
    /// `Stable`, `Empty`, ...
    pub state: String,
    /// What it is for: `consumer` for consumers.
    pub protocol_type: String,
}

/// A group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `classic` or `consumer`.
    pub kind: &'static str,
    /// `Stable`, `Empty`, ...
    pub state: String,
    /// How partitions are assigned: `range`, `cooperative-sticky`, ...; empty without members.
    pub assignor: String,
    /// The members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Member id.
    pub id: String,
    /// The member's own name for itself.
    pub instance_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub host: String,
    /// What it has.
    pub assignment: Vec<Place>,
}

/// A member at a generation of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Group id.
    pub group: String,
    /// Member id.
    pub member: String,
    /// Generation.
    pub generation: i32,
}

impl Client {
    /// A connection of its own to the coordinator of a group.
    pub async fn coordinator(&self, group: &str) -> Result<Self, ClientError> {
        let (host, port) = self.insist(|| self.find_coordinator(group)).await?;
        // The only broker that there is has been found already, under an address that works from here.
        let brokers = self.call(&metadata::MetadataRequest { topics: Some(Vec::new()), ..Default::default() }).await?;
        let address = match brokers.brokers.len() {
            0 | 1 => self.connection.address().to_owned(),
            _ => format!("{host}:{port}"),
        };
        Self::connect(&address, self.connection.options().clone()).await
    }

    async fn find_coordinator(&self, group: &str) -> Result<(String, i32), ClientError> {
        let request = find_coordinator::FindCoordinatorRequest {
            key: group.to_owned(),
            key_type: GROUP,
            coordinator_keys: vec![group.to_owned()],
        };
        let answer = self.call(&request).await?;
        let what = || format!("the coordinator of group '{group}'");
        self.accept(answer.error_code, answer.error_message, what)?;
        let Some(found) = answer.coordinators.into_iter().next() else { return Ok((answer.host, answer.port)) };
        self.accept(found.error_code, found.error_message, what)?;
        Ok((found.host, found.port))
    }

    /// All groups.
    pub async fn groups(&self) -> Result<Vec<ListedGroup>, ClientError> {
        let list = async || {
            let answer = self.call(&list_groups::ListGroupsRequest::default()).await?;
            self.accept(answer.error_code, None, || "the list of groups".to_owned())?;
            Ok(answer.groups)
        };
        let listed = |group: list_groups::ListedGroup| ListedGroup {
            id: group.group_id,
            kind: group.group_type,
            state: group.group_state,
            protocol_type: group.protocol_type,
        };
        Ok(self.insist(list).await?.into_iter().map(listed).collect())
    }

    /// A group with its members; none if there is no such group.
    pub async fn group(&self, id: &str) -> Result<Option<Group>, ClientError> {
        match self.insist(|| self.classic_group(id)).await? {
            None if self.speaks(Api::ConsumerGroupDescribe) => self.insist(|| self.consumer_group(id)).await,
            found => Ok(found),
        }
    }

    async fn classic_group(&self, id: &str) -> Result<Option<Group>, ClientError> {
        let request = describe_groups::DescribeGroupsRequest {
            groups: vec![id.to_owned()],
            include_authorized_operations: false,
        };
        let group = self.call(&request).await?.groups.into_iter().next();
        let group = group.ok_or_else(|| self.connection.incomplete::<describe_groups::DescribeGroupsRequest>())?;
        // Before version 6 a group that is not there is one that is dead.
        let is_missing = ErrorCode::from_wire(group.error_code) == ErrorCode::GroupIdNotFound;
        if is_missing || (group.group_state == "Dead" && group.error_code == 0) {
            return Ok(None);
        }
        self.accept(group.error_code, group.error_message, || format!("group '{id}'"))?;
        let is_consumer = group.protocol_type == consumer_protocol::PROTOCOL_TYPE;
        let member = |member: describe_groups::DescribedGroupMember| GroupMember {
            assignment: if is_consumer { assigned(member.member_assignment) } else { Vec::new() },
            id: member.member_id,
            instance_id: member.group_instance_id,
            client_id: member.client_id,
            host: member.client_host,
        };
        Ok(Some(Group {
            kind: "classic",
            state: group.group_state,
            assignor: group.protocol_data,
            members: group.members.into_iter().map(member).collect(),
        }))
    }

    async fn consumer_group(&self, id: &str) -> Result<Option<Group>, ClientError> {
        let request = consumer_group_describe::ConsumerGroupDescribeRequest {
            group_ids: vec![id.to_owned()],
            include_authorized_operations: false,
        };
        let group = self.call(&request).await?.groups.into_iter().next();
        let missing = || self.connection.incomplete::<consumer_group_describe::ConsumerGroupDescribeRequest>();
        let group = group.ok_or_else(missing)?;
        if ErrorCode::from_wire(group.error_code) == ErrorCode::GroupIdNotFound {
            return Ok(None);
        }
        self.accept(group.error_code, group.error_message, || format!("group '{id}'"))?;
        let place = |topic: consumer_group_describe::TopicPartitions| {
            let name = topic.topic_name;
            topic.partitions.into_iter().map(move |partition| Place { topic: name.clone(), partition })
        };
        let member = |member: consumer_group_describe::Member| GroupMember {
            id: member.member_id,
            instance_id: member.instance_id,
            client_id: member.client_id,
            host: member.client_host,
            assignment: member.assignment.topic_partitions.into_iter().flat_map(place).collect(),
        };
        Ok(Some(Group {
            kind: "consumer",
            state: group.group_state,
            assignor: group.assignor_name,
            members: group.members.into_iter().map(member).collect(),
        }))
    }

    /// The committed offsets of a group, as of what is decided.
    pub async fn committed(&self, group: &str) -> Result<BTreeMap<Place, i64>, ClientError> {
        self.insist(|| self.fetch_committed(group)).await
    }

    async fn fetch_committed(&self, group: &str) -> Result<BTreeMap<Place, i64>, ClientError> {
        let asked =
            offset_fetch::OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..Default::default() };
        let request =
            offset_fetch::OffsetFetchRequest { groups: vec![asked], require_stable: true, ..Default::default() };
        let answer = self.call_between(OFFSETS_OF_GROUPS..=OFFSETS_BY_NAME, &request).await?;
        let mut committed = BTreeMap::new();
        for found in answer.groups {
            self.accept(found.error_code, None, || format!("group '{group}'"))?;
            for topic in found.topics {
                for partition in topic.partitions {
                    let place = Place { topic: topic.name.clone(), partition: partition.partition_index };
                    self.accept(partition.error_code, None, || of(group, &place))?;
                    if partition.committed_offset >= 0 {
                        committed.insert(place, partition.committed_offset);
                    }
                }
            }
        }
        Ok(committed)
    }

    /// Commits offsets, as a member or, with no seat, for a group that has no members.
    pub async fn commit(
        &self,
        group: &str,
        seat: Option<&Seat>,
        offsets: &BTreeMap<Place, i64>,
    ) -> Result<(), ClientError> {
        self.insist(|| self.commit_once(group, seat, offsets)).await
    }

    async fn commit_once(
        &self,
        group: &str,
        seat: Option<&Seat>,
        offsets: &BTreeMap<Place, i64>,
    ) -> Result<(), ClientError> {
        let mut topics: BTreeMap<&str, Vec<offset_commit::OffsetCommitRequestPartition>> = BTreeMap::new();
        for (place, offset) in offsets {
            topics.entry(&place.topic).or_default().push(offset_commit::OffsetCommitRequestPartition {
                partition_index: place.partition,
                committed_offset: *offset,
                ..Default::default()
            });
        }
        let topic = |(name, partitions): (&str, _)| offset_commit::OffsetCommitRequestTopic {
            name: name.to_owned(),
            partitions,
            ..Default::default()
        };
        let request = offset_commit::OffsetCommitRequest {
            group_id: group.to_owned(),
            generation_id_or_member_epoch: seat.map_or(NO_GENERATION, |seat| seat.generation),
            member_id: seat.map(|seat| seat.member.clone()).unwrap_or_default(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        let answer = self.call_between(0..=OFFSETS_BY_NAME, &request).await?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let place = Place { topic: topic.name.clone(), partition: partition.partition_index };
                self.accept(partition.error_code, None, || of(group, &place))?;
            }
        }
        Ok(())
    }

    /// Deletes a group without members, with its offsets.
    pub async fn delete_group(&self, id: &str) -> Result<(), ClientError> {
        let delete = async || {
            let request = delete_groups::DeleteGroupsRequest { groups_names: vec![id.to_owned()] };
            let result = self.call(&request).await?.results.into_iter().next();
            let result = result.ok_or_else(|| self.connection.incomplete::<delete_groups::DeleteGroupsRequest>())?;
            self.accept(result.error_code, None, || format!("group '{id}'"))
        };
        self.insist(delete).await
    }

    /// Asks again while the coordinator refuses for the moment.
    pub(super) async fn insist<T>(&self, ask: impl AsyncFn() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let (mut pause, mut waited) = (PAUSE_FIRST, Duration::ZERO);
        loop {
            match ask().await {
                Err(error) if error.is_for_the_moment() && waited < INSIST_FOR => {
                    tokio::time::sleep(pause).await;
                    waited += pause;
                    pause = (pause * 2).min(PAUSE_MOST);
                }
                answer => return answer,
            }
        }
    }
}

impl ClientError {
    /// The broker's code, if it answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    pub(super) fn is_for_the_moment(&self) -> bool {
        use ErrorCode::{
            CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator, RequestTimedOut, UnstableOffsetCommit,
        };
        self.code().is_some_and(|code| {
            matches!(
                code,
                CoordinatorLoadInProgress
                    | CoordinatorNotAvailable
                    | NotCoordinator
                    | RequestTimedOut
                    | UnstableOffsetCommit
            )
        })
    }
}

fn of(group: &str, place: &Place) -> String {
    format!("group '{group}', topic '{}' partition {}", place.topic, place.partition)
}

/// The partitions in an assignment; none in one that cannot be read, which is not ours to judge.
pub(super) fn assigned(bytes: bytes::Bytes) -> Vec<Place> {
    // A member that has not synced yet has no assignment at all.
    let read = match bytes.is_empty() {
        true => return Vec::new(),
        false => consumer_protocol::decode::<consumer_protocol::ConsumerProtocolAssignment>(bytes),
    };
    let topics = read.map(|(_, assignment)| assignment.assigned_partitions).unwrap_or_default();
    let place = |topic: consumer_protocol::TopicPartition| {
        let name = topic.topic;
        topic.partitions.into_iter().map(move |partition| Place { topic: name.clone(), partition })
    };
    topics.into_iter().flat_map(place).collect()
}
