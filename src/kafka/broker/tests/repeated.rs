//! What a request names twice, names wrongly or leaves out: each is answered once, and as Kafka answers it.
use super::*;
use crate::kafka::client::SettingChange;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::kafka::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::kafka::messages::delete_groups::DeleteGroupsRequest;
use crate::kafka::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::kafka::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest, TopicRequest};
use crate::kafka::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::kafka::messages::metadata::NO_OPERATIONS;
use crate::kafka::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

#[tokio::test]
async fn partitions_of_a_topic_are_added_once_in_a_request_and_where_they_can_be() {
    let setup = Setup::new().await;
    setup.topic("t", 2).await;
    let of = |name: &str, count, brokers: &[i32]| CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: (!brokers.is_empty())
            .then(|| brokers.iter().map(|id| CreatePartitionsAssignment { broker_ids: vec![*id] }).collect()),
    };
    let mut raw = setup.raw().await;
    for (topics, expected) in [
        (vec![of("t", 3, &[]), of("t", 4, &[])], ErrorCode::InvalidRequest),
        (vec![of("t", 4, &[1])], ErrorCode::InvalidReplicaAssignment),
        (vec![of("t", 3, &[2])], ErrorCode::InvalidReplicaAssignment),
        // What cannot be done at all is told first, whatever the assignment says.
        (vec![of("t", 2, &[2])], ErrorCode::InvalidPartitions),
        (vec![of("u", 2, &[2])], ErrorCode::UnknownTopicOrPartition),
        (vec![of("t", 3, &[1])], ErrorCode::None),
    ] {
        let request = CreatePartitionsRequest { topics, timeout_ms: 1000, validate_only: false };
        let results = raw.call(3, &request).await.results;
        let codes: Vec<_> = results.iter().map(|result| ErrorCode::from_wire(result.error_code)).collect();
        assert_eq!(codes, [expected], "{request:?}");
    }
    assert_eq!(setup.log.topic("t").unwrap().partitions, 3);
}

#[tokio::test]
async fn a_topic_that_is_only_checked_is_answered_with_the_settings_that_it_would_have() {
    let setup = Setup::new().await;
    let topic = CreatableTopic {
        configs: vec![crate::kafka::messages::create_topics::CreatableTopicConfig {
            name: "retention.ms".into(),
            value: Some("77".into()),
        }],
        name: "t".into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let mut raw = setup.raw().await;
    for validate_only in [true, false] {
        let request = CreateTopicsRequest { topics: vec![topic.clone()], timeout_ms: 1000, validate_only };
        let result = raw.call(7, &request).await.topics.remove(0);
        let configs = result.configs.unwrap();
        let own = configs.iter().find(|config| config.name == "retention.ms").unwrap();
        assert_eq!((result.error_code, own.value.as_deref(), own.config_source), (0, Some("77"), 1));
    }
}

#[tokio::test]
async fn a_group_that_is_named_twice_is_deleted_once() {
    let setup = Setup::new().await;
    let groups_names = ["g", "h", "g"].map(str::to_owned).into();
    let results = setup.raw().await.call(2, &DeleteGroupsRequest { groups_names }).await.results;
    let told: Vec<_> = results.iter().map(|r| (r.group_id.as_str(), ErrorCode::from_wire(r.error_code))).collect();
    assert_eq!(told, [("g", ErrorCode::GroupIdNotFound), ("h", ErrorCode::GroupIdNotFound)]);
}

#[tokio::test]
async fn topics_of_which_no_offset_was_to_be_deleted_are_left_out() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let place = crate::kafka::client::groups::Place { topic: topic.name.clone(), partition: 0 };
    setup.client().await.commit("g", None, &[(place, 5)].into()).await.unwrap();
    let of = |name: &str, partitions: &[i32]| OffsetDeleteRequestTopic {
        name: name.into(),
        partitions: partitions
            .iter()
            .map(|&partition_index| OffsetDeleteRequestPartition { partition_index })
            .collect(),
    };
    let request = OffsetDeleteRequest { group_id: "g".into(), topics: vec![of("t", &[0]), of("u", &[])] };
    let answer = setup.raw().await.call(0, &request).await;
    let told: Vec<_> = answer.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!((answer.error_code, told), (0, vec!["t"]));
}

#[tokio::test]
async fn a_setting_that_changes_step_by_step_is_named_once_and_given_a_value_unless_it_goes() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let change = |operation: i8, value: Option<&str>| AlterableConfig {
        name: "retention.ms".into(),
        config_operation: operation,
        value: value.map(str::to_owned),
    };
    let of = |kind, name: &str, configs: &[&AlterableConfig]| AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: configs.iter().map(|&config| config.clone()).collect(),
    };
    let (set, other, gone) = (change(0, Some("5")), change(0, Some("6")), change(1, None));
    let mut raw = setup.raw().await;
    for (resources, expected) in [
        (vec![of(2, "t", &[&change(0, None)])], ErrorCode::InvalidRequest),
        (vec![of(2, "t", &[&set, &other])], ErrorCode::InvalidRequest),
        (vec![of(2, "t", &[&set]), of(2, "t", &[&other])], ErrorCode::InvalidRequest),
        (vec![of(2, "", &[&set])], ErrorCode::InvalidRequest),
        (vec![of(4, "7", &[&gone])], ErrorCode::InvalidRequest),
        (vec![of(4, "x", &[&gone])], ErrorCode::InvalidRequest),
        (vec![of(2, "t", &[&set])], ErrorCode::None),
        (vec![of(2, "t", &[&gone])], ErrorCode::None),
    ] {
        let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
        for response in raw.call(1, &request).await.responses {
            assert_eq!(ErrorCode::from_wire(response.error_code), expected, "{request:?}");
        }
    }
}

#[tokio::test]
async fn no_names_of_settings_are_all_and_a_name_that_no_topic_can_have_is_told_as_such() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    setup
        .client()
        .await
        .alter_settings("t", &[("retention.ms".to_owned(), SettingChange::Delete)].into())
        .await
        .unwrap();
    let mut raw = setup.raw().await;
    let mut ask = async |name: &str, keys: Option<&[&str]>| {
        let resources = vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: name.into(),
            configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
        }];
        let request = DescribeConfigsRequest { resources, include_synonyms: false, include_documentation: false };
        let result = raw.call(4, &request).await.results.remove(0);
        (ErrorCode::from_wire(result.error_code), result.configs.len())
    };
    let all = ask("t", None).await;
    assert!(all.1 > 20);
    assert_eq!(ask("t", Some(&[])).await, all);
    assert_eq!(ask("t", Some(&["retention.ms", "no.such"])).await, (ErrorCode::None, 1));
    assert_eq!(ask("u", None).await, (ErrorCode::UnknownTopicOrPartition, 0));
    for name in ["", "no/name", ".."] {
        assert_eq!(ask(name, None).await, (ErrorCode::InvalidTopic, 0), "'{name}'");
    }
}

#[tokio::test]
async fn what_may_be_done_with_a_topic_that_there_is_not_is_told_unless_the_request_makes_no_sense() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let mut ask = async |cursor: Option<Cursor>| {
        let topics = vec![TopicRequest { name: "u".into() }];
        let request = DescribeTopicPartitionsRequest { topics, response_partition_limit: 10, cursor };
        let topic = raw.call(0, &request).await.topics.remove(0);
        (ErrorCode::from_wire(topic.error_code), topic.topic_authorized_operations)
    };
    let (code, operations) = ask(None).await;
    assert_eq!((code, operations > 0), (ErrorCode::UnknownTopicOrPartition, true));
    let before = Some(Cursor { topic_name: "u".into(), partition_index: -1 });
    assert_eq!(ask(before).await, (ErrorCode::InvalidRequest, NO_OPERATIONS));
}
