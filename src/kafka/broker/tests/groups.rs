//! Groups and their offsets, in bytes: as clients see them, over restarts, and at the end of the broker.
use std::collections::BTreeMap;

use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::delete_groups::DeleteGroupsRequest;
use crate::kafka::messages::delete_topics::DeleteTopicsRequest;
use crate::kafka::messages::describe_groups::DescribeGroupsRequest;
use crate::kafka::messages::find_coordinator::FindCoordinatorRequest;
use crate::kafka::messages::heartbeat::HeartbeatRequest;
use crate::kafka::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use crate::kafka::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::kafka::messages::list_groups::ListGroupsRequest;
use crate::kafka::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::kafka::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::kafka::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use crate::kafka::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

async fn quick(folder: Arc<tempfile::TempDir>) -> Setup {
    let options =
        GroupOptions { initial_rebalance_delay_ms: 100, min_session_timeout_ms: 100, ..GroupOptions::default() };
    Setup::on(folder, BrokerOptions::default(), options).await
}

async fn fresh() -> Setup {
    quick(Arc::new(tempfile::tempdir().unwrap())).await
}

impl Setup {
    /// Ends this broker and starts another one on the same disk.
    pub(super) async fn restart(self) -> Self {
        self.stop.stop();
        self.serving.await.unwrap();
        self.log.stop().await;
        quick(self.folder.clone()).await
    }
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_wire(code)
}

fn join(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"\x00\x00\x00\x00\x00\x01\x00\x01t"),
        }],
        ..JoinGroupRequest::default()
    }
}

/// Joins as clients do: first without an id.
async fn enter(raw: &mut Raw) -> JoinGroupResponse {
    let first = raw.call(9, &join("")).await;
    assert_eq!((code(first.error_code), first.member_id.len()), (ErrorCode::MemberIdRequired, "test-".len() + 36));
    raw.call(9, &join(&first.member_id)).await
}

async fn sync(raw: &mut Raw, joined: &JoinGroupResponse) -> Bytes {
    let assignments = joined.members.iter().map(|member| SyncGroupRequestAssignment {
        member_id: member.member_id.clone(),
        assignment: Bytes::from(format!("for {}", member.member_id)),
    });
    let request = SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        assignments: assignments.collect(),
        ..SyncGroupRequest::default()
    };
    let answer = raw.call(5, &request).await;
    assert_eq!(code(answer.error_code), ErrorCode::None);
    answer.assignment
}

async fn heartbeat(raw: &mut Raw, member_id: &str, generation_id: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id,
        member_id: member_id.to_owned(),
        ..HeartbeatRequest::default()
    };
    code(raw.call(4, &request).await.error_code)
}

fn commit_of(offset: i64) -> OffsetCommitRequest {
    let partitions = [0, 7].map(|partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some(format!("m{offset}")),
    });
    let topic = OffsetCommitRequestTopic { name: "t".to_owned(), partitions: partitions.into(), ..Default::default() };
    OffsetCommitRequest { group_id: "g".to_owned(), topics: vec![topic], ..OffsetCommitRequest::default() }
}

async fn committed(raw: &mut Raw) -> Option<i64> {
    let topic = OffsetFetchRequestTopics { name: "t".to_owned(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: "g".to_owned(), topics: Some(vec![topic]), ..Default::default() };
    let answer = raw.call(9, &OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
    let partition = &answer.groups[0].topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    Some(partition.committed_offset).filter(|offset| *offset >= 0)
}

/// Two members of generation 1, the leader first.
async fn two(setup: &Setup) -> [(Raw, JoinGroupResponse); 2] {
    let (mut a, mut b) = (setup.raw().await, setup.raw().await);
    let (joined_a, joined_b) = tokio::join!(enter(&mut a), enter(&mut b));
    let mut both = [(a, joined_a), (b, joined_b)];
    both.sort_by_key(|(_, joined)| joined.members.is_empty());
    let [(leader, leads), (other, follows)] = &mut both;
    assert_eq!((leads.generation_id, follows.generation_id, leads.members.len()), (1, 1, 2));
    assert_eq!(leads.leader, leads.member_id);
    let (for_leader, for_other) = tokio::join!(sync(leader, leads), sync(other, follows));
    assert_eq!(for_leader, format!("for {}", leads.member_id));
    assert_eq!(for_other, format!("for {}", follows.member_id));
    both
}

#[tokio::test]
async fn members_share_go_on_after_a_restart_and_leave() {
    let setup = fresh().await;
    setup.topic("t", 1).await;
    let [(mut a, leads), (_, follows)] = two(&setup).await;
    let commit =
        OffsetCommitRequest { generation_id_or_member_epoch: 1, member_id: leads.member_id.clone(), ..commit_of(5) };
    let answer = a.call(9, &commit).await;
    let codes: Vec<_> = answer.topics[0].partitions.iter().map(|partition| code(partition.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);

    let setup = setup.restart().await;
    let mut raw = setup.raw().await;
    assert_eq!(committed(&mut raw).await, Some(5));
    for member in [&leads.member_id, &follows.member_id] {
        assert_eq!(heartbeat(&mut raw, member, 1).await, ErrorCode::None);
    }
    assert_eq!(code(raw.call(9, &commit).await.topics[0].partitions[0].error_code), ErrorCode::None);
    assert_eq!(heartbeat(&mut raw, &leads.member_id, 2).await, ErrorCode::IllegalGeneration);

    let leaving = |id: &str| MemberIdentity { member_id: id.to_owned(), ..MemberIdentity::default() };
    let members = vec![leaving(&leads.member_id), leaving("stranger")];
    let request = LeaveGroupRequest { group_id: "g".to_owned(), members, ..LeaveGroupRequest::default() };
    let codes: Vec<_> = raw.call(5, &request).await.members.iter().map(|member| code(member.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownMemberId]);
    assert_eq!(heartbeat(&mut raw, &follows.member_id, 1).await, ErrorCode::RebalanceInProgress);
    let again = raw.call(9, &join(&follows.member_id)).await;
    assert_eq!((again.error_code, again.generation_id, again.members.len()), (0, 2, 1));
    let old = LeaveGroupRequest { member_id: follows.member_id.clone(), ..request };
    assert_eq!(raw.call(0, &old).await.error_code, 0);
    assert_eq!(code(raw.call(0, &old).await.error_code), ErrorCode::UnknownMemberId);
}

#[tokio::test]
async fn a_member_that_vanishes_is_replaced_and_cannot_commit() {
    let setup = fresh().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    let short = |id: &str| JoinGroupRequest { session_timeout_ms: 300, ..join(id) };
    let id = raw.call(9, &short("")).await.member_id;
    let joined = raw.call(9, &short(&id)).await;
    sync(&mut raw, &joined).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(heartbeat(&mut raw, &id, 1).await, ErrorCode::UnknownMemberId);
    let commit = OffsetCommitRequest { generation_id_or_member_epoch: 1, member_id: id, ..commit_of(5) };
    let answer = raw.call(9, &commit).await;
    assert_eq!(code(answer.topics[0].partitions[0].error_code), ErrorCode::UnknownMemberId);
    assert_eq!(committed(&mut raw).await, None);
}

#[tokio::test]
async fn a_join_that_waits_ends_with_the_broker() {
    let setup = fresh().await;
    let [(mut a, leads), _] = two(&setup).await;
    a.send(9, &join(&leads.member_id)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    setup.stop.stop();
    let answer = a.answer::<JoinGroupRequest>(9).await;
    assert_eq!(code(answer.error_code), ErrorCode::NotCoordinator);
    tokio::time::timeout(Duration::from_secs(2), setup.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_join_that_waits_ends_with_its_connection_and_the_group_goes_on() {
    let setup = fresh().await;
    let [(mut a, leads), (mut b, follows)] = two(&setup).await;
    a.send(9, &join(&leads.member_id)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(a);
    let (mut again, mut c) = (setup.raw().await, setup.raw().await);
    let list = ListGroupsRequest::default();
    let (first, second) = (join(&leads.member_id), join(&follows.member_id));
    let (leader, other, groups) = tokio::join!(again.call(9, &first), b.call(9, &second), c.call(0, &list));
    assert_eq!(groups.groups.len(), 1);
    assert_eq!((leader.generation_id, other.generation_id, leader.members.len()), (2, 2, 2));
}

#[tokio::test]
async fn offsets_are_committed_and_told_in_every_version() {
    let setup = fresh().await;
    let topic = setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    for version in OffsetCommitRequest::API.versions() {
        let mut request = commit_of(100 + i64::from(version));
        request.topics[0].topic_id = topic.id;
        let answer = raw.call(version, &request).await;
        let codes: Vec<_> = answer.topics[0].partitions.iter().map(|partition| code(partition.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition], "{version}");
        assert_eq!(committed(&mut raw).await, Some(100 + i64::from(version)));
    }
    for version in OffsetFetchRequest::API.versions() {
        let one = vec![0, 7];
        for all in [false, true] {
            let topics = OffsetFetchRequestTopic { name: "t".to_owned(), partition_indexes: one.clone() };
            let by_id =
                OffsetFetchRequestTopics { name: "t".to_owned(), topic_id: topic.id, partition_indexes: one.clone() };
            if all && version < 2 {
                continue;
            }
            let group = OffsetFetchRequestGroup {
                group_id: "g".to_owned(),
                topics: (!all).then(|| vec![by_id]),
                ..Default::default()
            };
            let unknown = OffsetFetchRequestGroup { group_id: "nobody".to_owned(), ..group.clone() };
            let request = OffsetFetchRequest {
                group_id: "g".to_owned(),
                topics: (!all).then(|| vec![topics]),
                groups: vec![group, unknown],
                require_stable: version >= 7,
            };
            let answer = raw.call(version, &request).await;
            let found: Vec<(i32, i64, Option<String>)> = if version < 8 {
                let partitions = answer.topics[0].partitions.iter();
                partitions.map(|one| (one.partition_index, one.committed_offset, one.metadata.clone())).collect()
            } else {
                assert_eq!(answer.groups[1].topics.is_empty(), all);
                let partitions = answer.groups[0].topics[0].partitions.iter();
                partitions.map(|one| (one.partition_index, one.committed_offset, one.metadata.clone())).collect()
            };
            let mut expected = vec![(0, 110, Some("m110".to_owned())), (7, -1, Some(String::new()))];
            expected.truncate(if all { 1 } else { 2 });
            assert_eq!(found, expected, "{version}");
        }
    }
}

#[tokio::test]
async fn commits_that_cannot_be_are_refused() {
    let setup = fresh().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    let long = |length: usize| {
        let mut request = commit_of(1);
        request.topics[0].partitions[0].committed_metadata = Some("x".repeat(length));
        request
    };
    let member = OffsetCommitRequest { generation_id_or_member_epoch: 1, member_id: "m".to_owned(), ..commit_of(1) };
    let group = |id: &str| OffsetCommitRequest { group_id: id.to_owned(), ..commit_of(1) };
    for (version, request, expected) in [
        (9, long(4096), ErrorCode::None),
        (9, long(4097), ErrorCode::OffsetMetadataTooLarge),
        (9, member.clone(), ErrorCode::UnknownMemberId),
        (9, OffsetCommitRequest { group_id: "n".to_owned(), ..member.clone() }, ErrorCode::GroupIdNotFound),
        (8, OffsetCommitRequest { group_id: "n".to_owned(), ..member }, ErrorCode::IllegalGeneration),
        (10, commit_of(1), ErrorCode::UnknownTopicId),
        (9, group(""), ErrorCode::None),
    ] {
        let answer = raw.call(version, &request).await;
        assert_eq!(code(answer.topics[0].partitions[0].error_code), expected, "{request:?}");
    }
}

#[tokio::test]
async fn a_topic_that_is_created_again_has_no_offsets() {
    let setup = fresh().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    raw.call(9, &commit_of(5)).await;
    let delete = DeleteTopicsRequest { topic_names: vec!["t".to_owned()], ..DeleteTopicsRequest::default() };
    assert_eq!(raw.call(5, &delete).await.responses[0].error_code, 0);
    setup.topic("t", 1).await;
    assert_eq!(committed(&mut raw).await, None);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(setup.coordinator.list().is_empty(), "a group that has nothing left is gone");
    assert!(setup.log.state_items().is_empty(), "{:?}", setup.log.state_items());
}

#[tokio::test]
async fn groups_are_listed_described_and_deleted() {
    let setup = fresh().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    raw.call(9, &OffsetCommitRequest { group_id: "simple".to_owned(), ..commit_of(5) }).await;
    let [(mut a, leads), _] = two(&setup).await;
    let list = async |raw: &mut Raw, states: &[&str], types: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let request = ListGroupsRequest { states_filter: texts(states), types_filter: texts(types) };
        let groups = raw.call(5, &request).await.groups;
        groups.into_iter().map(|group| (group.group_id, group.group_state)).collect::<BTreeMap<_, _>>()
    };
    let both = BTreeMap::from([("g".into(), "Stable".into()), ("simple".into(), "Empty".into())]);
    assert_eq!(list(&mut raw, &[], &[]).await, both);
    assert_eq!(list(&mut raw, &["stable "], &["Classic"]).await.len(), 1);
    assert_eq!(list(&mut raw, &["Dead"], &[]).await.len(), 0);
    assert_eq!(list(&mut raw, &[], &["consumer"]).await.len(), 0);

    for version in 0..=6 {
        let groups = vec!["g".to_owned(), "simple".to_owned(), "nobody".to_owned()];
        let described = raw.call(version, &DescribeGroupsRequest { groups, ..Default::default() }).await.groups;
        assert_eq!((described[0].group_state.as_str(), described[0].protocol_data.as_str()), ("Stable", "range"));
        let member = described[0].members.iter().find(|member| member.member_id == leads.member_id).unwrap();
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("test", "/127.0.0.1"));
        assert_eq!(member.member_assignment, format!("for {}", leads.member_id));
        assert_eq!((described[1].group_state.as_str(), described[1].protocol_type.as_str()), ("Empty", ""));
        let expected = if version < 6 { ErrorCode::None } else { ErrorCode::GroupIdNotFound };
        assert_eq!((described[2].group_state.as_str(), code(described[2].error_code)), ("Dead", expected));
    }

    let offsets = |group: &str, topic: &str| OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetDeleteRequestTopic {
            name: topic.to_owned(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    let subscribed = raw.call(0, &offsets("g", "t")).await;
    assert_eq!(code(subscribed.topics[0].partitions[0].error_code), ErrorCode::GroupSubscribedToTopic);
    assert_eq!(code(raw.call(0, &offsets("nobody", "t")).await.error_code), ErrorCode::GroupIdNotFound);
    let unknown = raw.call(0, &offsets("g", "u")).await;
    assert_eq!(code(unknown.topics[0].partitions[0].error_code), ErrorCode::UnknownTopicOrPartition);
    let names = |names: &[&str]| DeleteGroupsRequest { groups_names: names.iter().map(|n| (*n).to_owned()).collect() };
    let deleted = raw.call(2, &names(&["g", "simple", "nobody"])).await.results;
    let codes: Vec<_> = deleted.iter().map(|result| code(result.error_code)).collect();
    assert_eq!(codes, [ErrorCode::NonEmptyGroup, ErrorCode::None, ErrorCode::GroupIdNotFound]);
    assert_eq!(heartbeat(&mut a, &leads.member_id, 1).await, ErrorCode::None);
    let setup = setup.restart().await;
    assert_eq!(list(&mut setup.raw().await, &[], &[]).await, BTreeMap::from([("g".into(), "Stable".into())]));
}

#[tokio::test]
async fn this_broker_coordinates_every_group_and_every_transactional_id() {
    let setup = fresh().await;
    let mut raw = setup.raw().await;
    for version in 0..=6 {
        for key_type in [0, 1, 2] {
            let request = FindCoordinatorRequest {
                key: "k".to_owned(),
                key_type,
                coordinator_keys: vec!["k".to_owned(), "l".to_owned()],
            };
            let answer = raw.call(version, &request).await;
            let found = match version {
                0..4 => (answer.error_code, answer.node_id, answer.host, answer.port),
                _ => {
                    assert_eq!((answer.coordinators.len(), answer.coordinators[1].key.as_str()), (2, "l"));
                    let first = answer.coordinators[0].clone();
                    (first.error_code, first.node_id, first.host, first.port)
                }
            };
            // Version 0 knows groups only.
            let expected = match (version, key_type) {
                (1.., 2) => (ErrorCode::InvalidRequest.code(), -1, String::new(), -1),
                _ => (0, 1, "kafka.example".to_owned(), 9092),
            };
            assert_eq!(found, expected, "{version} {key_type}");
        }
    }
}
