//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources: settings of topics, of groups, and of the broker:
//! by its number, or by an empty name for what holds for all brokers of the cluster.
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::coordinator::{GroupError, SettingError};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult,
};
use crate::kafka::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use crate::kafka::messages::{alter_configs, incremental_alter_configs};
use crate::log::{Scope, SettingKind, TopicError, TopicInfo};
use shown::Detail;

pub use shown::source;

/// `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
/// Types of `ConfigResource` that Kafka has and of which there are none here: loggers of brokers, metrics of clients.
const WITHOUT_ANY: [i8; 2] = [8, 16];
/// `AlterConfigOp.OpType`: deleting goes back to the default, lists are added to and taken from.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
/// Lists what has settings: topics, the broker, and groups that have some of their own. Version 0 asks for metrics of clients alone.
pub async fn list(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let types = request.resource_types;
    if types.iter().any(|kind| ![TOPIC, BROKER, GROUP].contains(kind) && !WITHOUT_ANY.contains(kind)) {
        let error_code = endpoint.refuse(ErrorCode::UnsupportedVersion);
        return ListConfigResourcesResponse { error_code, ..ListConfigResourcesResponse::default() };
    }
    let is_wanted = |kind| call.header.api_version > 0 && (types.is_empty() || types.contains(&kind));
    let log = &endpoint.shared.log;
    let mut config_resources = Vec::new();
    if is_wanted(TOPIC) {
        let topic = |topic: &Arc<TopicInfo>| ConfigResource { resource_name: topic.name.clone(), resource_type: TOPIC };
        config_resources.extend(log.topics().iter().map(topic));
    }
    if is_wanted(BROKER) {
        config_resources.push(ConfigResource { resource_name: log.broker_id().to_string(), resource_type: BROKER });
    }
    if is_wanted(GROUP) {
        let groups = endpoint.shared.coordinator.groups_with_settings().into_iter();
        config_resources.extend(groups.map(|group| ConfigResource { resource_name: group, resource_type: GROUP }));
    }
    ListConfigResourcesResponse { config_resources, ..ListConfigResourcesResponse::default() }
}

/// Lists settings.
pub async fn describe(endpoint: Arc<Endpoint>, call: Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let detail = Detail { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = request.resources.into_iter().map(|resource| describe_one(&endpoint, call, resource, detail));
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

fn describe_one(
    endpoint: &Endpoint,
    call: Call,
    resource: DescribeConfigsResource,
    detail: Detail,
) -> DescribeConfigsResult {
    // No keys are all of them.
    let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
    let is_wanted = |name: &str| keys.is_none_or(|keys| keys.iter().any(|key| key == name));
    let (mut error_code, mut error_message, mut configs) = (0, None, Vec::new());
    match settings_of(endpoint, call, resource.resource_type, &resource.resource_name, detail) {
        Ok(settings) => {
            configs = settings.into_iter().filter(|setting| is_wanted(&setting.name)).collect();
        }
        Err((code, message)) => (error_code, error_message) = (code, Some(message)),
    }
    let DescribeConfigsResource { resource_type, resource_name, .. } = resource;
    DescribeConfigsResult { error_code, error_message, resource_type, resource_name, configs }
}

fn settings_of(
    endpoint: &Endpoint,
    call: Call,
    kind: i8,
    name: &str,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, (i16, String)> {
    let broker = &endpoint.shared.settings;
    match kind {
        TOPIC => {
            let settings = endpoint.shared.log.settings(name).map_err(|error| match endpoint.no_such_topic(name) {
                ErrorCode::InvalidTopic => {
                    (endpoint.refuse(ErrorCode::InvalidTopic), ErrorCode::InvalidTopic.meaning().to_owned())
                }
                _ => in_words(endpoint, call, error),
            })?;
            Ok(settings.iter().map(|setting| shown::topics(setting, detail)).collect())
        }
        GROUP => {
            check_group(endpoint, name)?;
            let settings = endpoint.shared.coordinator.settings(name);
            let all = broker.describe();
            let brokers = |name| all.iter().find(|one| one.name == name);
            Ok(settings.iter().map(|setting| shown::groups(setting, brokers(setting.broker_name), detail)).collect())
        }
        BROKER => {
            let settings = broker.describe();
            Ok(match scope_of(endpoint, name)? {
                Scope::Broker => settings.iter().map(|setting| shown::brokers(setting, detail)).collect(),
                Scope::Cluster => settings.into_iter().filter_map(|one| shown::clusters(one, detail)).collect(),
            })
        }
        _ => Err(no_such_kind(endpoint, kind)),
    }
}

/// Whose settings are meant: an empty name stands for all brokers.
fn scope_of(endpoint: &Endpoint, name: &str) -> Result<Scope, (i16, String)> {
    let id = endpoint.shared.log.broker_id();
    match name {
        "" => return Ok(Scope::Cluster),
        name if name.parse() == Ok(id) => return Ok(Scope::Broker),
        _ => {}
    }
    let message = format!("there is no broker '{name}'; this is broker {id}");
    Err((endpoint.refuse(ErrorCode::InvalidRequest), message))
}

fn check_group(endpoint: &Endpoint, name: &str) -> Result<(), (i16, String)> {
    match name {
        "" => Err((endpoint.refuse(ErrorCode::InvalidRequest), "the name of the group must not be empty".to_owned())),
        _ => Ok(()),
    }
}

fn no_such_kind(endpoint: &Endpoint, kind: i8) -> (i16, String) {
    let message = format!(
        "resources of type {kind} have no settings here; topics ({TOPIC}), brokers ({BROKER}) and groups ({GROUP}) have"
    );
    (endpoint.refuse(ErrorCode::InvalidRequest), message)
}

/// Replaces all settings of topics, groups and the broker.
pub async fn replace(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: alter_configs::AlterConfigsRequest,
) -> alter_configs::AlterConfigsResponse {
    let twice = named_twice(request.resources.iter().map(|r| (r.resource_type, &r.resource_name)));
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let sets = resource.configs.iter().map(|config| (config.name.as_str(), config.value.is_some()));
        let malformed = twice.contains(&(kind, name.clone())) || is_malformed(sets);
        let apply = move |settings: &mut BTreeMap<String, String>| {
            settings.clear();
            for config in resource.configs {
                settings.insert(config.name.clone(), given(config.name, config.value)?);
            }
            Ok(())
        };
        let validate_only = request.validate_only;
        let change = Change { kind, name: name.clone(), validate_only, malformed, apply };
        let (error_code, error_message) = alter(&endpoint, call, change).await;
        responses.push(alter_configs::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: kind,
            resource_name: name,
        });
    }
    alter_configs::AlterConfigsResponse { responses, ..Default::default() }
}

/// Changes single settings of topics, groups and the broker.
pub async fn change(
    endpoint: Arc<Endpoint>,
    call: Call,
    request: incremental_alter_configs::IncrementalAlterConfigsRequest,
) -> incremental_alter_configs::IncrementalAlterConfigsResponse {
    let twice = named_twice(request.resources.iter().map(|r| (r.resource_type, &r.resource_name)));
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let lists = lists(&endpoint, kind, &name);
        let sets = resource.configs.iter();
        let sets =
            sets.map(|config| (config.name.as_str(), config.value.is_some() || config.config_operation == DELETE));
        // Kafka says of a broker's setting that the request is wrong, where of others it says that the setting is.
        let has_none =
            |config: &incremental_alter_configs::AlterableConfig| !(SET..=SUBTRACT).contains(&config.config_operation);
        let without_operation = kind == BROKER && resource.configs.iter().any(has_none);
        let malformed = without_operation || twice.contains(&(kind, name.clone())) || is_malformed(sets);
        let apply = move |settings: &mut BTreeMap<String, String>| {
            resource.configs.into_iter().try_for_each(|config| apply(settings, &lists, config))
        };
        let validate_only = request.validate_only;
        let change = Change { kind, name: name.clone(), validate_only, malformed, apply };
        let (error_code, error_message) = alter(&endpoint, call, change).await;
        responses.push(incremental_alter_configs::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: kind,
            resource_name: name,
        });
    }
    incremental_alter_configs::IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

/// The settings that are lists, with their values in force: they can be added to.
fn lists(endpoint: &Endpoint, kind: i8, name: &str) -> BTreeMap<String, String> {
    let is_list = |kind: SettingKind| kind == SettingKind::List;
    match kind {
        TOPIC => {
            let settings = endpoint.shared.log.settings(name).unwrap_or_default().into_iter();
            settings.filter(|one| is_list(one.kind)).map(|one| (one.name.to_owned(), one.value)).collect()
        }
        BROKER => {
            let settings = endpoint.shared.settings.describe().into_iter().filter(|one| is_list(one.kind));
            settings.map(|one| (one.name.to_owned(), one.value().cloned().unwrap_or_default())).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Whether a change cannot be meant: to nothing, or of one setting twice.
fn is_malformed<'a>(mut sets: impl Iterator<Item = (&'a str, bool)>) -> bool {
    let mut once = BTreeSet::new();
    sets.any(|(name, has_value)| !has_value || !once.insert(name))
}

/// What a request names more than once: which of the changes counts could not be said.
fn named_twice<'a>(resources: impl Iterator<Item = (i8, &'a String)>) -> BTreeSet<(i8, String)> {
    let mut once = BTreeSet::new();
    resources.map(|(kind, name)| (kind, name.clone())).filter(|resource| !once.insert(resource.clone())).collect()
}

/// A change of one resource.
struct Change<F> {
    kind: i8,
    name: String,
    validate_only: bool,
    malformed: bool,
    apply: F,
}

async fn alter<F>(endpoint: &Endpoint, call: Call, change: Change<F>) -> (i16, Option<String>)
where
    F: FnOnce(&mut BTreeMap<String, String>) -> Result<(), String> + Send,
{
    let Change { kind, name, validate_only, malformed, apply: change } = change;
    if malformed {
        let message =
            "a resource may be in the request once, and so may each setting, which needs an operation and a value";
        return (endpoint.refuse(ErrorCode::InvalidRequest), Some(message.to_owned()));
    }
    let altered = match kind {
        TOPIC => {
            let change = |settings: &mut _| change(settings).map_err(TopicError::BadSetting);
            let altered = endpoint.shared.log.alter_settings(&name, validate_only, change).await;
            altered.map_err(|error| match name.as_str() {
                "" => {
                    (endpoint.refuse(ErrorCode::InvalidRequest), "the name of the topic must not be empty".to_owned())
                }
                _ => in_words(endpoint, call, error),
            })
        }
        GROUP => match check_group(endpoint, &name) {
            Ok(()) => {
                let change = |settings: &mut _| change(settings).map_err(GroupError::InvalidSetting);
                let altered = endpoint.shared.coordinator.alter_settings(&name, validate_only, change).await;
                altered.map_err(|error| in_words(endpoint, call, error))
            }
            Err(refusal) => Err(refusal),
        },
        BROKER => match scope_of(endpoint, &name) {
            Ok(scope) => {
                let change = |settings: &mut _| change(settings).map_err(SettingError::Change);
                let altered = endpoint.shared.settings.alter(scope, validate_only, change).await;
                altered.map_err(|error| in_words(endpoint, call, error))
            }
            Err(refusal) => Err(refusal),
        },
        _ => Err(no_such_kind(endpoint, kind)),
    };
    altered.map_or_else(|(code, message)| (code, Some(message)), |()| (0, None))
}

fn in_words<E>(endpoint: &Endpoint, call: Call, error: E) -> (i16, String)
where
    E: std::fmt::Display,
    ErrorCode: for<'a> From<&'a E>,
{
    let message = error.to_string();
    (endpoint.fail(call, error), message)
}

/// One incremental change.
fn apply(
    settings: &mut BTreeMap<String, String>,
    lists: &BTreeMap<String, String>,
    config: incremental_alter_configs::AlterableConfig,
) -> Result<(), String> {
    let incremental_alter_configs::AlterableConfig { name, config_operation, value } = config;
    match config_operation {
        SET => {
            let value = given(name.clone(), value)?;
            settings.insert(name, value);
        }
        DELETE => {
            settings.remove(&name);
        }
        APPEND | SUBTRACT => {
            let Some(in_force) = lists.get(&name) else {
                return Err(format!("{name} is not a list: it can be set, not added to"));
            };
            let before = settings.get(&name).unwrap_or(in_force).clone();
            let changes = given(name.clone(), value)?;
            settings.insert(name, edit_list(&before, &changes, config_operation == APPEND));
        }
        other => return Err(format!("{name}: there is no operation {other}")),
    }
    Ok(())
}

/// A comma-separated list with the words of `changes` added or taken away.
fn edit_list(before: &str, changes: &str, add: bool) -> String {
    let words = |list| str::split(list, ',').map(str::trim).filter(|word: &&str| !word.is_empty());
    let mut list: Vec<&str> = words(before).filter(|word| add || !words(changes).any(|gone| gone == *word)).collect();
    if add {
        for word in words(changes) {
            if !list.contains(&word) {
                list.push(word);
            }
        }
    }
    list.join(",")
}

fn given(name: String, value: Option<String>) -> Result<String, String> {
    value.ok_or_else(|| format!("{name}: null is not a value; delete the setting instead"))
}

#[cfg(test)]
mod tests {
    use super::edit_list;

    #[test]
    fn lists_keep_their_order_and_hold_a_word_once() {
        assert_eq!(edit_list("a, b", "b,c", true), "a,b,c");
        assert_eq!(edit_list("", "x", true), "x");
        assert_eq!(edit_list("a,b,c", "b, a", false), "c");
        assert_eq!(edit_list("a", "a", false), "");
    }
}
