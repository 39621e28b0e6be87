//! Settings of single groups: described, changed, listed, in force at once and after a restart.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use crate::kafka::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use crate::kafka::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::kafka::messages::list_config_resources::ListConfigResourcesRequest;
use crate::kafka::messages::{alter_configs, consumer_group_heartbeat};

const GROUP: i8 = 32;
const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";

impl Raw {
    async fn describe(&mut self, group: &str) -> DescribeConfigsResult {
        let resource =
            DescribeConfigsResource { resource_type: GROUP, resource_name: group.into(), configuration_keys: None };
        let request =
            DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: true };
        self.call(4, &request).await.results.remove(0)
    }

    async fn heartbeat_setting(&mut self, group: &str) -> DescribeConfigsResourceResult {
        self.describe(group).await.configs.into_iter().find(|config| config.name == HEARTBEAT).unwrap()
    }

    /// 0 sets, 1 deletes.
    async fn change(&mut self, group: &str, name: &str, value: Option<&str>, check: bool) -> (ErrorCode, String) {
        let config_operation = if value.is_some() { 0 } else { 1 };
        let config = AlterableConfig { name: name.into(), config_operation, value: value.map(str::to_owned) };
        let resource =
            AlterConfigsResource { resource_type: GROUP, resource_name: group.into(), configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: check };
        let answer = self.call(1, &request).await.responses.remove(0);
        (ErrorCode::from_wire(answer.error_code), answer.error_message.unwrap_or_default())
    }

    pub(super) async fn interval(&mut self, group: &str) -> i32 {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: group.into(),
            member_id: "m".into(),
            member_epoch: 0,
            rebalance_timeout_ms: 10_000,
            subscribed_topic_names: Some(vec!["t".into()]),
            topic_partitions: Some(Vec::<consumer_group_heartbeat::TopicPartitions>::new()),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        self.call(1, &request).await.heartbeat_interval_ms
    }
}

#[tokio::test]
async fn a_groups_own_settings_are_in_force_at_once_and_after_a_restart() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let before = raw.heartbeat_setting("g").await;
    assert_eq!((before.value.as_deref(), before.config_source, before.read_only), (Some("5000"), 5, false));
    assert!(before.documentation.is_some());
    assert_eq!(raw.change("g", HEARTBEAT, Some("6000"), true).await.0, ErrorCode::None);
    assert_eq!(raw.heartbeat_setting("g").await, before, "it was only checked");
    assert_eq!(raw.change("g", HEARTBEAT, Some("6000"), false).await.0, ErrorCode::None);

    let setup = setup.restart().await;
    let mut raw = setup.raw().await;
    let after = raw.heartbeat_setting("g").await;
    assert_eq!((after.value.as_deref(), after.config_source), (Some("6000"), 8));
    let synonyms: Vec<_> = after.synonyms.iter().map(|one| (one.name.as_str(), one.source)).collect();
    assert_eq!(synonyms, [(HEARTBEAT, 8), ("group.consumer.heartbeat.interval.ms", 5)]);
    assert_eq!((raw.interval("g").await, raw.interval("other").await), (6_000, 5_000));
    let list = raw.call(1, &ListConfigResourcesRequest { resource_types: vec![GROUP] }).await.config_resources;
    assert_eq!(list.iter().map(|one| one.resource_name.as_str()).collect::<Vec<_>>(), ["g"]);

    assert_eq!(raw.change("g", HEARTBEAT, None, false).await.0, ErrorCode::None);
    assert_eq!(raw.heartbeat_setting("g").await, before);
    let resource = alter_configs::AlterConfigsResource {
        resource_type: GROUP,
        resource_name: "g".into(),
        configs: vec![alter_configs::AlterableConfig { name: HEARTBEAT.into(), value: Some("7000".into()) }],
    };
    let request = alter_configs::AlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(raw.call(2, &request).await.responses[0].error_code, 0);
    assert_eq!(raw.interval("g").await, 7_000, "while it has members too");
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_in_words() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for (group, name, value, code, why) in [
        ("", HEARTBEAT, "6000", ErrorCode::InvalidRequest, "must not be empty"),
        ("g", "consumer.heartbeat", "6000", ErrorCode::InvalidConfig, "no group setting 'consumer.heartbeat'"),
        ("g", HEARTBEAT, "60000", ErrorCode::InvalidConfig, "from 5000 to 15000"),
        ("g", "share.heartbeat.interval.ms", "6000", ErrorCode::InvalidConfig, "share groups, which are not here"),
    ] {
        let (refused, words) = raw.change(group, name, Some(value), false).await;
        assert_eq!(refused, code);
        assert!(words.contains(why), "{words}");
    }
    assert_eq!(ErrorCode::from_wire(raw.describe("").await.error_code), ErrorCode::InvalidRequest);
}
