//! Settings of the broker, altered while it runs: described in layers, in force at once, after a restart too.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::alter_configs;
use crate::kafka::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use crate::kafka::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::kafka::messages::init_producer_id::InitProducerIdRequest;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

impl Raw {
    async fn settings(&mut self, kind: i8, name: &str) -> Vec<DescribeConfigsResourceResult> {
        let resource =
            DescribeConfigsResource { resource_type: kind, resource_name: name.into(), configuration_keys: None };
        let request =
            DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: true };
        let result = self.call(4, &request).await.results.remove(0);
        assert_eq!(result.error_code, 0);
        result.configs
    }

    async fn setting(&mut self, kind: i8, name: &str, setting: &str) -> DescribeConfigsResourceResult {
        self.settings(kind, name).await.into_iter().find(|config| config.name == setting).unwrap()
    }

    async fn alter(
        &mut self,
        name: &str,
        changes: &[(&str, i8, Option<&str>)],
        validate_only: bool,
    ) -> (ErrorCode, String) {
        let config = |(name, operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
            name: (*name).to_owned(),
            config_operation: *operation,
            value: value.map(str::to_owned),
        };
        let configs = changes.iter().map(config).collect();
        let resource = AlterConfigsResource { resource_type: BROKER, resource_name: name.into(), configs };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only };
        let answer = self.call(1, &request).await.responses.remove(0);
        (ErrorCode::from_wire(answer.error_code), answer.error_message.unwrap_or_default())
    }

    async fn change_broker(&mut self, name: &str, setting: &str, value: Option<&str>) {
        let operation = if value.is_some() { SET } else { DELETE };
        assert_eq!(self.alter(name, &[(setting, operation, value)], false).await, (ErrorCode::None, String::new()));
    }

    /// What a producer that asks for a time-out of ten minutes is told.
    async fn ten_minutes(&mut self) -> ErrorCode {
        let request = InitProducerIdRequest {
            transactional_id: Some("t".into()),
            transaction_timeout_ms: 600_000,
            ..InitProducerIdRequest::default()
        };
        ErrorCode::from_wire(self.call(4, &request).await.error_code)
    }
}

/// Sources, names and values of the synonyms.
fn synonyms(config: &DescribeConfigsResourceResult) -> Vec<(i8, &str, &str)> {
    let told = config.synonyms.iter();
    told.map(|one| (one.source, one.name.as_str(), one.value.as_deref().unwrap_or("null"))).collect()
}

#[tokio::test]
async fn a_brokers_settings_are_in_force_at_once_and_after_a_restart() {
    let setup = Setup::new().await;
    setup.topic("t", 1).await;
    let mut raw = setup.raw().await;
    raw.change_broker("", "log.retention.ms", Some("5000")).await;
    raw.change_broker("1", "log.retention.ms", Some("6000")).await;
    raw.change_broker("1", "transaction.max.timeout.ms", Some("599999")).await;
    raw.change_broker("1", "group.consumer.heartbeat.interval.ms", Some("7000")).await;
    assert_eq!(raw.ten_minutes().await, ErrorCode::InvalidTransactionTimeout);
    assert_eq!(raw.interval("g").await, 7_000);

    let setup = setup.restart().await;
    let mut raw = setup.raw().await;
    assert_eq!(raw.ten_minutes().await, ErrorCode::InvalidTransactionTimeout);
    let broker = raw.setting(BROKER, "1", "log.retention.ms").await;
    assert_eq!((broker.value.as_deref(), broker.config_source, broker.read_only), (Some("6000"), 2, false));
    let name = "log.retention.ms";
    let of_broker = [(2, name, "6000"), (3, name, "5000"), (5, name, "-1")];
    assert_eq!(synonyms(&broker), of_broker);
    let topic = raw.setting(TOPIC, "t", "retention.ms").await;
    assert_eq!((topic.value.as_deref(), topic.config_source, synonyms(&topic)), (Some("6000"), 2, of_broker.to_vec()));
    let group = raw.setting(GROUP, "g", "consumer.heartbeat.interval.ms").await;
    let name = "group.consumer.heartbeat.interval.ms";
    assert_eq!((group.value.as_deref(), group.config_source), (Some("7000"), 2));
    assert_eq!(synonyms(&group), [(2, name, "7000"), (5, name, "5000")]);
    let clusters = raw.settings(BROKER, "").await;
    assert_eq!(
        clusters.iter().map(|one| (one.name.as_str(), one.config_source)).collect::<Vec<_>>(),
        [("log.retention.ms", 3)]
    );

    raw.change_broker("1", "log.retention.ms", None).await;
    raw.change_broker("1", "transaction.max.timeout.ms", None).await;
    assert_eq!(raw.ten_minutes().await, ErrorCode::None);
    let topic = raw.setting(TOPIC, "t", "retention.ms").await;
    assert_eq!((topic.value.as_deref(), topic.config_source), (Some("5000"), 3));
    let config = alter_configs::AlterableConfig { name: "esker.seal.ms".into(), value: Some("777".into()) };
    let resource =
        alter_configs::AlterConfigsResource { resource_type: BROKER, resource_name: "".into(), configs: vec![config] };
    let request = alter_configs::AlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(raw.call(2, &request).await.responses[0].error_code, 0);
    let clusters = raw.settings(BROKER, "").await;
    assert_eq!(clusters.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["esker.seal.ms"], "all is replaced");
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_as_kafka_does_and_all_of_the_request_with_it() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for (changes, code, why) in [
        (
            &[("log.retention.ms", SET, Some("x"))][..],
            ErrorCode::InvalidRequest,
            "Invalid value x for configuration log.retention.ms",
        ),
        (&[("group.max.size", SET, Some("5")), ("no.such", SET, Some("1"))], ErrorCode::InvalidConfig, "'no.such'"),
        (&[("group.max.size", APPEND, Some("5"))], ErrorCode::InvalidConfig, "not a list"),
        (&[("group.max.size", SET, None)], ErrorCode::InvalidRequest, "an operation and a value"),
        (
            &[("group.min.session.timeout.ms", SET, Some("9999999"))],
            ErrorCode::InvalidRequest,
            "is more than group.max",
        ),
    ] {
        for name in ["1", ""] {
            let (refused, words) = raw.alter(name, changes, false).await;
            assert_eq!(refused, code, "{words}");
            assert!(words.contains(why), "{words}");
        }
    }
    assert_eq!(raw.alter("9", &[("group.max.size", SET, Some("5"))], false).await.0, ErrorCode::InvalidRequest);
    assert_eq!(raw.alter("1", &[("no.such", DELETE, None)], false).await.0, ErrorCode::None, "it is not there");
    assert_eq!(raw.alter("1", &[("group.max.size", SET, Some("5"))], true).await.0, ErrorCode::None, "checked only");
    assert_eq!(synonyms(&raw.setting(BROKER, "1", "group.max.size").await), [(5, "group.max.size", "2147483647")]);
    assert_eq!(raw.alter("1", &[("log.cleanup.policy", APPEND, Some("compact"))], false).await.0, ErrorCode::None);
    assert_eq!(raw.setting(BROKER, "1", "log.cleanup.policy").await.value.as_deref(), Some("delete,compact"));
}
