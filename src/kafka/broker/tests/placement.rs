//! What one broker says of a cluster: elections, moves, pages of partitions, its controller, and metrics of clients.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::alter_partition_reassignments::*;
use crate::kafka::messages::describe_quorum::{self, DescribeQuorumRequest};
use crate::kafka::messages::describe_topic_partitions::*;
use crate::kafka::messages::elect_leaders::*;
use crate::kafka::messages::get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest;
use crate::kafka::messages::list_config_resources::ListConfigResourcesRequest;
use crate::kafka::messages::list_partition_reassignments::ListPartitionReassignmentsRequest;
use crate::kafka::messages::push_telemetry::PushTelemetryRequest;

#[tokio::test]
async fn no_election_is_needed() {
    let setup = Setup::new().await;
    setup.topic("t", 2).await;
    let mut raw = setup.raw().await;
    let asked = |topic: &str| TopicPartitions { topic: topic.into(), partitions: vec![1, 2] };
    let request = ElectLeadersRequest { topic_partitions: Some(vec![asked("t"), asked("u")]), ..Default::default() };
    for version in 0..=2 {
        let topics = raw.call(version, &request).await.replica_election_results;
        let results = topics.iter().flat_map(|topic| &topic.partition_result);
        let codes: Vec<ErrorCode> = results.map(|result| ErrorCode::from_wire(result.error_code)).collect();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(codes, [ErrorCode::ElectionNotNeeded, unknown, unknown, unknown]);
        let all = ElectLeadersRequest { topic_partitions: None, ..Default::default() };
        assert_eq!(raw.call(version, &all).await, ElectLeadersResponse::default());
    }
    let odd = ElectLeadersRequest { election_type: 7, ..request };
    let answer = raw.call(2, &odd).await;
    let results = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    let codes: Vec<i16> = results.map(|result| result.error_code).chain([answer.error_code]).collect();
    assert_eq!(codes, [ErrorCode::InvalidRequest.code(); 5], "of each partition, and of the whole");
}

#[tokio::test]
async fn partitions_stay_where_they_are() {
    let setup = Setup::new().await;
    setup.topic("t", 2).await;
    let mut raw = setup.raw().await;
    let cases = [
        (0, Some(vec![1]), ErrorCode::None),
        (0, Some(vec![2]), ErrorCode::InvalidReplicaAssignment),
        (0, Some(vec![1, 2]), ErrorCode::InvalidReplicaAssignment),
        (0, Some(vec![]), ErrorCode::InvalidReplicaAssignment),
        (1, None, ErrorCode::NoReassignmentInProgress),
        (2, Some(vec![1]), ErrorCode::UnknownTopicOrPartition),
    ];
    let place = |(partition_index, replicas, _): &(i32, Option<Vec<i32>>, ErrorCode)| ReassignablePartition {
        partition_index: *partition_index,
        replicas: replicas.clone(),
    };
    let topic = ReassignableTopic { name: "t".into(), partitions: cases.iter().map(place).collect() };
    let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
    for version in 0..=1 {
        let answer = raw.call(version, &request).await;
        let codes = answer.responses[0].partitions.iter().map(|partition| ErrorCode::from_wire(partition.error_code));
        assert!(codes.eq(cases.iter().map(|case| case.2)), "{answer:?}");
    }
    assert_eq!(raw.call(0, &ListPartitionReassignmentsRequest::default()).await.topics, []);
}

/// Names and partitions of the topics in an answer.
fn page(answer: &DescribeTopicPartitionsResponse) -> Vec<(&str, Vec<i32>)> {
    let topic = |topic: &DescribeTopicPartitionsResponseTopic| {
        topic.partitions.iter().map(|partition| partition.partition_index).collect()
    };
    answer.topics.iter().map(|t| (t.name.as_deref().unwrap(), topic(t))).collect()
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let setup = Setup::new().await;
    for (name, partitions) in [("b", 3), ("c", 1), ("a", 2)] {
        setup.topic(name, partitions).await;
    }
    let mut raw = setup.raw().await;
    let mut ask = async |topics: &[&str], cursor: Option<Cursor>, response_partition_limit| {
        let topics = topics.iter().map(|name| TopicRequest { name: (*name).to_owned() }).collect();
        raw.call(0, &DescribeTopicPartitionsRequest { topics, response_partition_limit, cursor }).await
    };
    let at = |name: &str, partition_index| Some(Cursor { topic_name: name.into(), partition_index });

    let first = ask(&[], None, 4).await;
    assert_eq!((page(&first), &first.next_cursor), (vec![("a", vec![0, 1]), ("b", vec![0, 1])], &at("b", 2)));
    let second = ask(&[], first.next_cursor, 1).await;
    assert_eq!((page(&second), &second.next_cursor), (vec![("b", vec![2])], &at("c", 0)));
    let third = ask(&[], second.next_cursor, 0).await;
    assert_eq!((page(&third), &third.next_cursor), (vec![("c", vec![0])], &None));
    let partition = &third.topics[0].partitions[0];
    assert_eq!((partition.leader_id, &partition.replica_nodes, &partition.isr_nodes), (1, &vec![1], &vec![1]));

    let named = ask(&["no/name", "c", "gone"], None, 100).await;
    let codes = named.topics.iter().map(|topic| ErrorCode::from_wire(topic.error_code)).collect::<Vec<_>>();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition, ErrorCode::InvalidTopic]);
    for cursor in [at("b", 0), at("c", -1)] {
        let refused = ask(&["c"], cursor, 100).await;
        assert_eq!(ErrorCode::from_wire(refused.topics[0].error_code), ErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn topics_and_the_broker_have_settings() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    let mut ask = async |version, types: &[i8]| {
        let answer = raw.call(version, &ListConfigResourcesRequest { resource_types: types.to_vec() }).await;
        let resources = answer.config_resources.into_iter().map(|found| (found.resource_type, found.resource_name));
        (ErrorCode::from_wire(answer.error_code), resources.collect::<Vec<_>>())
    };
    let (topic, broker) = ((2, "t".to_owned()), (4, "1".to_owned()));
    assert_eq!(ask(0, &[]).await, (ErrorCode::None, vec![]));
    assert_eq!(ask(1, &[]).await, (ErrorCode::None, vec![topic.clone(), broker]));
    assert_eq!(ask(1, &[2, 16]).await, (ErrorCode::None, vec![topic]));
    assert_eq!(ask(1, &[3]).await, (ErrorCode::UnsupportedVersion, vec![]));
}

#[tokio::test]
async fn the_only_controller_leads_and_nobody_is_behind() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let topic = |name: &str, numbers: &[i32]| describe_quorum::TopicData {
        topic_name: name.to_owned(),
        partitions: numbers.iter().map(|&partition_index| describe_quorum::PartitionData { partition_index }).collect(),
    };
    let request = DescribeQuorumRequest { topics: vec![topic("__cluster_metadata", &[0, 1]), topic("t", &[0])] };
    for version in 0..=2 {
        let answer = raw.call(version, &request).await;
        assert_eq!(answer.error_code, 0);
        let found: Vec<_> = answer.topics.iter().flat_map(|topic| &topic.partitions).collect();
        let codes: Vec<_> = found.iter().map(|found| ErrorCode::from_wire(found.error_code)).collect();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(codes, [ErrorCode::None, unknown, unknown]);
        let [voter] = &found[0].current_voters[..] else { panic!("{:?}", found[0]) };
        assert_eq!((found[0].leader_id, voter.replica_id), (1, 1));
        assert_eq!(voter.log_end_offset, found[0].high_watermark);
        let hosts: Vec<_> = answer.nodes.iter().flat_map(|node| &node.listeners).map(|at| at.host.as_str()).collect();
        assert_eq!(hosts, if version >= 2 { vec!["kafka.example"] } else { vec![] });
    }
}

#[tokio::test]
async fn no_metrics_of_clients_are_wanted() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let stranger = raw.call(0, &GetTelemetrySubscriptionsRequest::default()).await;
    assert_ne!(stranger.client_instance_id, crate::base::Uuid([0; 16]));
    assert!(stranger.error_code == 0 && stranger.requested_metrics.is_empty() && stranger.push_interval_ms > 0);
    let client_instance_id = stranger.client_instance_id;
    let again = raw.call(0, &GetTelemetrySubscriptionsRequest { client_instance_id }).await;
    assert_eq!(again.client_instance_id, client_instance_id);
    let push =
        PushTelemetryRequest { client_instance_id, subscription_id: again.subscription_id, ..Default::default() };
    for (push, expected) in [
        (push.clone(), ErrorCode::None),
        (PushTelemetryRequest { subscription_id: 77, ..push.clone() }, ErrorCode::UnknownSubscriptionId),
        (PushTelemetryRequest { client_instance_id: Default::default(), ..push }, ErrorCode::InvalidRequest),
    ] {
        assert_eq!(ErrorCode::from_wire(raw.call(0, &push).await.error_code), expected);
    }
}
