//! What administrators are told.
use std::collections::BTreeMap;

use super::*;
use crate::base::Uuid;
use crate::kafka::client::{ClientError, SettingChange};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResource, AlterableConfig};
use crate::kafka::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
};
use crate::kafka::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::kafka::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::kafka::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};

fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> ErrorCode {
    match result {
        Err(ClientError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

fn new(name: &str, num_partitions: i32) -> CreatableTopic {
    CreatableTopic { name: name.to_owned(), num_partitions, replication_factor: -1, ..CreatableTopic::default() }
}

async fn create(raw: &mut Raw, version: i16, topics: Vec<CreatableTopic>, check: bool) -> Vec<CreatableTopicResult> {
    raw.call(version, &CreateTopicsRequest { topics, timeout_ms: 1000, validate_only: check }).await.topics
}

#[tokio::test]
async fn topics_come_and_go_in_every_version() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for version in 2..=7 {
        let result = create(&mut raw, version, vec![new(&format!("t{version}"), 2)], false).await.remove(0);
        assert_eq!((result.error_code, result.error_message), (0, None));
        if version >= 5 {
            assert_eq!((result.num_partitions, result.replication_factor), (2, 1));
            assert!(result.configs.unwrap().iter().any(|config| config.name == "retention.ms"));
        }
    }
    for version in 1..=6 {
        let name = format!("t{}", version + 1);
        let topics = vec![DeleteTopicState { name: Some(name.clone()), ..DeleteTopicState::default() }];
        let request = DeleteTopicsRequest { topics, topic_names: vec![name.clone()], timeout_ms: 1000 };
        for expected in [ErrorCode::None, ErrorCode::UnknownTopicOrPartition] {
            let answer = raw.call(version, &request).await;
            assert_eq!(answer.responses.len(), 1);
            assert_eq!(answer.responses[0].name.as_ref(), Some(&name));
            assert_eq!(ErrorCode::from_wire(answer.responses[0].error_code), expected, "version {version}");
        }
    }
    assert!(setup.log.topics().is_empty());
}

#[tokio::test]
async fn topics_are_deleted_by_id_and_answered_with_their_name() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let topics = vec![DeleteTopicState { name: None, topic_id: topic.id }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 1000, ..DeleteTopicsRequest::default() };
    let mut raw = setup.raw().await;
    let answer = raw.call(6, &request).await.responses.remove(0);
    assert_eq!((answer.error_code, answer.name.as_deref(), answer.topic_id), (0, Some("t"), topic.id));
    let answer = raw.call(6, &request).await.responses.remove(0);
    assert_eq!((ErrorCode::from_wire(answer.error_code), answer.name), (ErrorCode::UnknownTopicId, None));
}

#[tokio::test]
async fn a_topic_is_deleted_by_its_name_or_its_id_and_once() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let id = setup.topic("t", 1).await.id;
    let named = DeleteTopicState { name: Some("t".into()), topic_id: Uuid::ZERO };
    let both = DeleteTopicState { name: Some("t".into()), topic_id: id };
    let none = DeleteTopicState { name: None, topic_id: Uuid::ZERO };
    let by_id = DeleteTopicState { name: None, topic_id: id };
    for topics in [vec![both], vec![none], vec![named.clone(), named.clone()], vec![named.clone(), by_id]] {
        let answer = raw.call(6, &DeleteTopicsRequest { topics, timeout_ms: 1000, ..Default::default() }).await;
        let codes: Vec<i16> = answer.responses.iter().map(|response| response.error_code).collect();
        assert_eq!(codes, [ErrorCode::InvalidRequest.code()]);
    }
    assert!(setup.log.topic("t").is_some());
}

#[tokio::test]
async fn a_setting_is_changed_once_in_a_request_and_to_a_value() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    let config =
        |name: &str, value: Option<&str>| AlterableConfig { name: name.into(), value: value.map(str::to_owned) };
    let resource = |configs| AlterConfigsResource { resource_type: 2, resource_name: "t".into(), configs };
    let good = resource(vec![config("retention.ms", Some("5"))]);
    for resources in [
        vec![resource(vec![config("retention.ms", None)])],
        vec![resource(vec![config("retention.ms", Some("1")), config("retention.ms", Some("2"))])],
        vec![AlterConfigsResource { resource_name: String::new(), ..good.clone() }],
        vec![good.clone(), good.clone()],
    ] {
        let answer = raw.call(2, &AlterConfigsRequest { resources, validate_only: false }).await;
        for response in answer.responses {
            assert_eq!(ErrorCode::from_wire(response.error_code), ErrorCode::InvalidRequest);
        }
    }
    let answer = raw.call(2, &AlterConfigsRequest { resources: vec![good], validate_only: false }).await;
    assert_eq!(answer.responses[0].error_code, 0);
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_by_name_and_checked_without_creating() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    assert_eq!(create(&mut raw, 7, vec![new("t", 1)], true).await[0].error_code, 0);
    assert!(setup.log.topics().is_empty());
    setup.topic("t", 1).await;
    let with = |name: &str, value: Option<&str>| CreatableTopic {
        configs: vec![CreatableTopicConfig { name: name.to_owned(), value: value.map(str::to_owned) }],
        ..new("u", 1)
    };
    let assigned = |broker, numbers: &[i32]| CreatableTopic {
        assignments: numbers
            .iter()
            .map(|&partition_index| CreatableReplicaAssignment { partition_index, broker_ids: vec![broker] })
            .collect(),
        ..new("u", -1)
    };
    let cases = [
        (new("t", 1), ErrorCode::TopicAlreadyExists),
        (new("a/b", 1), ErrorCode::InvalidTopic),
        (new("__consumer_offsets", 1), ErrorCode::InvalidTopic),
        (new("u", 0), ErrorCode::InvalidPartitions),
        (new("u", -7), ErrorCode::InvalidPartitions),
        (CreatableTopic { replication_factor: 0, ..new("u", 1) }, ErrorCode::InvalidReplicationFactor),
        (with("retention.mss", Some("1")), ErrorCode::InvalidConfig),
        (with("retention.ms", Some("soon")), ErrorCode::InvalidConfig),
        (with("retention.ms", None), ErrorCode::InvalidConfig),
        (assigned(2, &[0]), ErrorCode::InvalidReplicaAssignment),
        (assigned(1, &[0, 2]), ErrorCode::InvalidReplicaAssignment),
        (CreatableTopic { num_partitions: 2, ..assigned(1, &[0]) }, ErrorCode::InvalidRequest),
    ];
    for (topic, expected) in cases {
        for check in [true, false] {
            let result = create(&mut raw, 7, vec![topic.clone()], check).await.remove(0);
            assert_eq!(ErrorCode::from_wire(result.error_code), expected, "{topic:?}");
            assert!(!result.error_message.unwrap().is_empty());
        }
    }
    let twice = create(&mut raw, 7, vec![new("v", 1), new("w", 1), new("v", 2)], false).await;
    let codes: Vec<i16> = twice.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [42, 0], "what is named twice is answered once");
    let result = create(&mut raw, 7, vec![assigned(1, &[1, 0, 2])], false).await.remove(0);
    assert_eq!((result.error_code, result.num_partitions), (0, 3));
    let result =
        create(&mut raw, 7, vec![CreatableTopic { replication_factor: 3, ..new("x", 1) }], false).await.remove(0);
    assert_eq!((result.error_code, result.replication_factor), (0, 1));
}

#[tokio::test]
async fn partitions_are_added_and_never_taken_away() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    let client = setup.client().await;
    client.create_partitions("t", 4).await.unwrap();
    assert_eq!(client.topics(Some(&["t"]), false).await.unwrap()[0].partitions, 4);
    client.produce(&topic, 3, batch(&["new"])).await.unwrap();
    assert_eq!(code(client.create_partitions("t", 3).await), ErrorCode::InvalidPartitions);
    assert_eq!(code(client.create_partitions("nope", 3).await), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn settings_are_changed_one_by_one_and_all_at_once() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let client = setup.client().await;
    let own = async || -> BTreeMap<String, String> {
        let settings = client.settings("t").await.unwrap();
        settings.into_iter().filter(|s| s.is_topics_own).map(|s| (s.name, s.value)).collect()
    };
    let change = async |name: &str, change: SettingChange| {
        client.alter_settings("t", &BTreeMap::from([(name.to_owned(), change)])).await
    };
    change("retention.ms", SettingChange::Set("1000".into())).await.unwrap();
    change("esker.seal.ms", SettingChange::Set("5000".into())).await.unwrap();
    assert_eq!(own().await.len(), 2);
    change("retention.ms", SettingChange::Delete).await.unwrap();
    assert_eq!(own().await, BTreeMap::from([("esker.seal.ms".to_owned(), "5000".to_owned())]));
    assert_eq!(code(change("retention.ms", SettingChange::Set("x".into())).await), ErrorCode::InvalidConfig);
    assert_eq!(code(change("no.such", SettingChange::Set("x".into())).await), ErrorCode::InvalidConfig);

    let config = AlterableConfig { name: "retention.bytes".into(), value: Some("7".into()) };
    let replace = |resource_type, validate_only| AlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type,
            resource_name: if resource_type == 2 { "t".into() } else { "1".into() },
            configs: vec![config.clone()],
        }],
        validate_only,
    };
    let mut raw = setup.raw().await;
    for version in 0..=2 {
        assert_eq!(raw.call(version, &replace(2, true)).await.responses[0].error_code, 0);
        assert_eq!(own().await.len(), 1, "checked only");
    }
    assert_eq!(raw.call(2, &replace(2, false)).await.responses[0].error_code, 0);
    assert_eq!(own().await, BTreeMap::from([("retention.bytes".to_owned(), "7".to_owned())]));
    let refused = raw.call(2, &replace(4, false)).await.responses.remove(0);
    assert_eq!(ErrorCode::from_wire(refused.error_code), ErrorCode::InvalidConfig);
    assert!(refused.error_message.unwrap().contains("log.retention.bytes"), "the broker has another name for it");
}

#[tokio::test]
async fn what_a_broker_does_not_have_can_be_taken_from_it_and_not_set() {
    use crate::kafka::messages::incremental_alter_configs::{
        AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    };
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let change = |config_operation, value: Option<&str>| IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 4,
            resource_name: "1".into(),
            configs: vec![AlterableConfig {
                name: "leader.replication.throttled.rate".into(),
                config_operation,
                value: value.map(str::to_owned),
            }],
        }],
        validate_only: false,
    };
    for (operation, value, expected) in
        [(1, None, ErrorCode::None), (0, Some("7"), ErrorCode::InvalidConfig), (2, Some("7"), ErrorCode::InvalidConfig)]
    {
        let answer = raw.call(1, &change(operation, value)).await.responses.remove(0);
        assert_eq!(ErrorCode::from_wire(answer.error_code), expected, "{answer:?}");
    }
}

#[tokio::test]
async fn settings_say_where_they_come_from() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let ask = |resource_type, resource_name: &str, keys: Option<&[&str]>| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name: resource_name.to_owned(),
            configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    let mut raw = setup.raw().await;
    for version in 1..=4 {
        let answer = raw.call(version, &ask(2, "t", Some(&["retention.ms"]))).await.results.remove(0);
        let config = &answer.configs[0];
        assert_eq!((answer.error_code, answer.configs.len(), config.value.as_deref()), (0, 1, Some("-1")));
        assert_eq!((config.config_source, config.read_only, config.synonyms.len()), (5, false, 1));
        if version >= 3 {
            assert_eq!(config.config_type, 5);
            assert!(config.documentation.as_ref().unwrap().contains("never"));
        }
    }
    let broker = raw.call(4, &ask(4, "1", None)).await.results.remove(0);
    assert_eq!(broker.error_code, 0);
    let of = |name: &str| broker.configs.iter().find(|config| config.name == name);
    assert!(["log.retention.ms", "group.max.size"].iter().all(|name| !of(name).unwrap().read_only));
    assert!(of("retention.ms").is_none(), "it is a topic's");
    for (kind, name, expected) in [
        (2, "nope", ErrorCode::UnknownTopicOrPartition),
        (4, "9", ErrorCode::InvalidRequest),
        (8, "1", ErrorCode::InvalidRequest),
    ] {
        let answer = raw.call(4, &ask(kind, name, None)).await.results.remove(0);
        assert_eq!(ErrorCode::from_wire(answer.error_code), expected);
        assert!(!answer.error_message.unwrap().is_empty());
    }
}

#[tokio::test]
async fn directories_name_sizes_of_the_partitions_that_were_asked_for() {
    let setup = Setup::new().await;
    let topic = setup.topic("t", 2).await;
    setup.topic("other", 1).await;
    setup.client().await.produce(&topic, 1, batch(&["some bytes"])).await.unwrap();
    let mut raw = setup.raw().await;
    for version in 1..=4 {
        let asked = DescribableLogDirTopic { topic: "t".into(), partitions: vec![1] };
        let answer = raw.call(version, &DescribeLogDirsRequest { topics: Some(vec![asked]) }).await;
        let directory = &answer.results[0];
        assert_eq!((directory.topics.len(), directory.topics[0].partitions.len()), (1, 1));
        assert!(directory.topics[0].partitions[0].partition_size > 60);
        let answer = raw.call(version, &DescribeLogDirsRequest { topics: None }).await;
        assert_eq!(answer.results[0].topics.len(), 2);
    }
}
