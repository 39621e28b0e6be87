//! The consumer protocol (KIP-848), in bytes.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::api_versions::ApiVersionsRequest;
use crate::kafka::messages::consumer_group_describe::{self as described, ConsumerGroupDescribeRequest};
use crate::kafka::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use crate::kafka::messages::describe_groups::DescribeGroupsRequest;
use crate::kafka::messages::list_groups::ListGroupsRequest;
use crate::kafka::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::kafka::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_wire(code)
}

fn enter(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec!["t".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn alive(member: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        member_epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

async fn beat(raw: &mut Raw, request: &ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
    raw.call(1, request).await
}

/// Epoch and partitions of the only topic.
fn told(answer: ConsumerGroupHeartbeatResponse) -> (i32, Option<Vec<i32>>) {
    assert_eq!(code(answer.error_code), ErrorCode::None, "{:?}", answer.error_message);
    let partitions = |topics: Vec<TopicPartitions>| topics.into_iter().flat_map(|topic| topic.partitions).collect();
    (answer.member_epoch, answer.assignment.map(|assignment| partitions(assignment.topic_partitions)))
}

#[tokio::test]
async fn two_members_share_a_topic_commit_and_go_on_after_a_restart() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let mut raw = setup.raw().await;
    let answer = beat(&mut raw, &enter("a")).await;
    assert_eq!((answer.member_id.as_deref(), answer.heartbeat_interval_ms), (Some("a"), 5_000));
    assert_eq!(told(answer), (2, Some(vec![0, 1])));
    assert_eq!(told(beat(&mut raw, &enter("b")).await), (3, Some(vec![])));
    assert_eq!(told(beat(&mut raw, &alive("a", 2)).await), (2, Some(vec![0])));
    let owned = vec![TopicPartitions { topic_id: topic.id, partitions: vec![0] }];
    let acknowledged = ConsumerGroupHeartbeatRequest { topic_partitions: Some(owned), ..alive("a", 2) };
    assert_eq!(told(beat(&mut raw, &acknowledged).await), (3, None));
    assert_eq!(told(beat(&mut raw, &alive("b", 3)).await), (3, Some(vec![1])));

    let commit = |member: &str, epoch| OffsetCommitRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        generation_id_or_member_epoch: epoch,
        topics: vec![OffsetCommitRequestTopic {
            topic_id: topic.id,
            partitions: [0, 1]
                .map(|partition_index| OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: 5,
                    ..Default::default()
                })
                .into(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let fetch = |member: &str, member_epoch| {
        let topics =
            vec![OffsetFetchRequestTopics { topic_id: topic.id, partition_indexes: vec![0], ..Default::default() }];
        let group = OffsetFetchRequestGroup {
            group_id: "g".to_owned(),
            member_id: Some(member.to_owned()),
            member_epoch,
            topics: Some(topics),
        };
        OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() }
    };
    use ErrorCode::{StaleMemberEpoch, UnknownMemberId};
    // A late commit counts for what the member has had since then: "a" has had partition 0 and no more partition 1.
    for (member, epoch, committed, fetched) in [
        ("a", 3, [ErrorCode::None; 2], ErrorCode::None),
        ("a", 2, [ErrorCode::None, StaleMemberEpoch], StaleMemberEpoch),
        ("a", 1, [StaleMemberEpoch; 2], StaleMemberEpoch),
        ("a", 4, [StaleMemberEpoch; 2], StaleMemberEpoch),
        ("x", 3, [UnknownMemberId; 2], UnknownMemberId),
    ] {
        let answer = raw.call(10, &commit(member, epoch)).await;
        let codes: Vec<_> = answer.topics[0].partitions.iter().map(|partition| code(partition.error_code)).collect();
        assert_eq!(codes, committed, "{member} at {epoch}");
        let answer = raw.call(10, &fetch(member, epoch)).await;
        assert_eq!(code(answer.groups[0].error_code), fetched, "{member} at {epoch}");
    }
    let answer = raw.call(10, &fetch("a", 3)).await;
    assert_eq!(answer.groups[0].topics[0].partitions[0].committed_offset, 5);

    let setup = setup.again().await;
    let mut raw = setup.raw().await;
    assert_eq!(told(beat(&mut raw, &alive("a", 3)).await), (3, None));
    assert_eq!(told(beat(&mut raw, &alive("b", 3)).await), (3, None));
    assert_eq!(told(beat(&mut raw, &alive("b", -1)).await), (-1, None));
    assert_eq!(told(beat(&mut raw, &alive("a", 3)).await), (4, Some(vec![0, 1])));
}

impl Setup {
    async fn again(self) -> Self {
        self.stop.stop();
        self.serving.await.unwrap();
        self.log.stop().await;
        Self::on(self.folder.clone(), BrokerOptions::default(), GroupOptions::default()).await
    }
}

#[tokio::test]
async fn a_pattern_meets_topics_that_are_made_later() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let pattern = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("t.*".to_owned()),
        ..enter("a")
    };
    assert_eq!(told(beat(&mut raw, &pattern).await), (2, Some(vec![])));
    setup.topic("t", 1).await;
    setup.topic("u", 1).await;
    assert_eq!(told(beat(&mut raw, &alive("a", 2)).await), (3, Some(vec![0])));
    let bad = ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("(".to_owned()), ..alive("a", 3) };
    assert_eq!(code(beat(&mut raw, &bad).await.error_code), ErrorCode::InvalidRegularExpression);
}

#[tokio::test]
async fn refusals_have_kafkas_codes() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    let of =
        |instance: &str, request| ConsumerGroupHeartbeatRequest { instance_id: Some(instance.to_owned()), ..request };
    told(beat(&mut raw, &of("i", enter("a"))).await);
    let group = |group: &str| ConsumerGroupHeartbeatRequest { group_id: group.to_owned(), ..enter("a") };
    let assignor = ConsumerGroupHeartbeatRequest { server_assignor: Some("none".to_owned()), ..enter("b") };
    for (request, expected) in [
        (group(""), ErrorCode::InvalidRequest),
        (enter(""), ErrorCode::InvalidRequest),
        (assignor, ErrorCode::UnsupportedAssignor),
        (alive("b", 1), ErrorCode::UnknownMemberId),
        (of("i", alive("a", 3)), ErrorCode::FencedMemberEpoch),
        (of("i", enter("b")), ErrorCode::UnreleasedInstanceId),
        (of("i", alive("b", 1)), ErrorCode::FencedInstanceId),
    ] {
        let answer = beat(&mut raw, &request).await;
        assert_eq!(code(answer.error_code), expected, "{request:?}");
        assert_eq!((answer.error_message.is_some(), answer.member_id, answer.member_epoch), (true, None, 0));
    }
    // A member of version 0 is given an id.
    let answer = raw.call(0, &enter("")).await;
    assert_eq!((answer.error_code, answer.member_id.map(|id| id.len())), (0, Some(22)));
}

#[tokio::test]
async fn administrators_see_the_group() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    told(beat(&mut raw, &enter("a")).await);
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec!["g".to_owned(), "none".to_owned()],
        include_authorized_operations: true,
    };
    let answer = raw.call(1, &request).await;
    let [group, none] = &answer.groups[..] else { panic!("{answer:?}") };
    assert_eq!((group.group_state.as_str(), group.group_epoch, group.assignment_epoch), ("Stable", 2, 2));
    assert_eq!((group.assignor_name.as_str(), group.members.len()), ("uniform", 1));
    let described::Member { member_id, member_epoch, client_id, assignment, member_type, .. } = &group.members[0];
    assert_eq!(group.members[0].subscribed_topic_regex.as_deref(), Some(""), "no pattern is an empty one");
    assert_eq!((member_id.as_str(), *member_epoch, client_id.as_str(), *member_type), ("a", 2, "test", 1));
    assert_eq!(assignment.topic_partitions[0].topic_name, "t");
    assert_eq!(&group.members[0].target_assignment, assignment);
    assert_eq!(code(none.error_code), ErrorCode::GroupIdNotFound);

    let listed = |kind: &str| ListGroupsRequest { types_filter: vec![kind.to_owned()], ..Default::default() };
    let groups = raw.call(5, &listed("Consumer")).await.groups;
    let group = &groups[0];
    assert_eq!(
        (group.group_id.as_str(), group.group_state.as_str(), group.group_type.as_str()),
        ("g", "Stable", "consumer")
    );
    assert!(raw.call(5, &listed("classic")).await.groups.is_empty());
    let request = DescribeGroupsRequest { groups: vec!["g".to_owned()], ..DescribeGroupsRequest::default() };
    assert_eq!(code(raw.call(6, &request).await.groups[0].error_code), ErrorCode::GroupIdNotFound);

    let asked = ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1.0".into() };
    let features = raw.call(4, &asked).await.finalized_features;
    let feature = features.iter().find(|feature| feature.name == "group.version").unwrap();
    assert_eq!((feature.min_version_level, feature.max_version_level), (1, 1));
}
