//! CreateTopics, DeleteTopics and CreatePartitions.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;

use super::{Call, Endpoint};
use crate::base::Uuid;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use crate::kafka::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use crate::kafka::messages::delete_topics::{DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse};
use crate::log::{NewTopic, TopicError};

/// Topics that one request may have created at once: each takes several writes to the bucket.
const AT_ONCE: usize = 8;

/// A refusal with its reason in words.
struct Refusal {
    code: i16,
    message: String,
}

impl Endpoint {
    fn refusal(&self, code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code: self.refuse(code), message: message.into() }
    }

    /// By what a topic to delete is told from others: its name, if it has one.
    fn deletable(&self, (name, id): &(Option<String>, Uuid)) -> (Option<String>, Uuid) {
        match (name, self.shared.log.topic_by_id(*id)) {
            (Some(name), _) => (Some(name.clone()), Uuid::ZERO),
            (None, Some(topic)) => (Some(topic.name.clone()), Uuid::ZERO),
            (None, None) => (None, *id),
        }
    }

    fn failure(&self, call: Call, error: TopicError) -> Refusal {
        let message = error.to_string();
        Refusal { code: self.fail(call, error), message }
    }
}

/// Creates topics.
pub async fn create(endpoint: Arc<Endpoint>, call: Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let twice = named_twice(request.topics.iter().map(|topic| topic.name.clone()));
    let create = async |topic: CreatableTopic| {
        let name = topic.name.clone();
        let result = if twice.contains(&name) {
            Err(endpoint.refusal(ErrorCode::InvalidRequest, format!("topic '{name}' is named twice in the request")))
        } else {
            create_one(&endpoint, call, topic, request.validate_only).await
        };
        result.unwrap_or_else(|refusal| CreatableTopicResult {
            name,
            error_code: refusal.code,
            error_message: Some(refusal.message),
            ..CreatableTopicResult::default()
        })
    };
    // What is named twice is answered once.
    let mut answered = BTreeSet::new();
    let topics =
        request.topics.into_iter().filter(|topic| !twice.contains(&topic.name) || answered.insert(topic.name.clone()));
    let topics: Vec<_> = topics.collect();
    let topics = futures::stream::iter(topics).map(create).buffered(AT_ONCE).collect().await;
    CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
}

async fn create_one(
    endpoint: &Endpoint,
    call: Call,
    topic: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let partitions = partitions_of(endpoint, &topic)?;
    let mut settings = BTreeMap::new();
    for config in topic.configs {
        let name = config.name;
        let value = config.value.ok_or_else(|| {
            endpoint.refusal(ErrorCode::InvalidConfig, format!("{name}: null is not a value; leave the setting out"))
        })?;
        if settings.insert(name.clone(), value).is_some() {
            return Err(endpoint.refusal(ErrorCode::InvalidConfig, format!("{name} is set twice")));
        }
    }
    let log = &endpoint.shared.log;
    let configured = settings.clone();
    let new = NewTopic { name: topic.name.clone(), partitions, settings };
    let failure = |error| endpoint.failure(call, error);
    let (topic_id, num_partitions) = if validate_only {
        (Uuid::ZERO, log.check_new_topic(&new).map_err(failure)?)
    } else {
        let created = log.create_topic(new).await.map_err(failure)?;
        (created.id, created.partitions)
    };
    let configs = Some(settings_of(endpoint, &configured));
    Ok(CreatableTopicResult {
        name: topic.name,
        topic_id,
        error_message: None,
        num_partitions,
        replication_factor: 1,
        configs,
        ..CreatableTopicResult::default()
    })
}

/// How many partitions a topic is to have (`None`: the default). Any replication factor is accepted, and 1 is kept:
/// durability is the WAL's and the bucket's.
fn partitions_of(endpoint: &Endpoint, topic: &CreatableTopic) -> Result<Option<i32>, Refusal> {
    if topic.assignments.is_empty() {
        if topic.replication_factor == 0 || topic.replication_factor < -1 {
            let code = ErrorCode::InvalidReplicationFactor;
            return Err(endpoint.refusal(code, code.meaning()));
        }
        if topic.replication_factor > 1 && !endpoint.shared.replication_noted.swap(true, Ordering::Relaxed) {
            let (topic, asked) = (&topic.name, topic.replication_factor);
            tracing::info!(
                topic,
                asked,
                "a replication factor above 1 is accepted, and 1 reported: the bucket keeps the copies"
            );
        }
        return Ok(Some(topic.num_partitions).filter(|count| *count != -1));
    }
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "partitions and replication factor must be -1 where the assignment says them";
        return Err(endpoint.refusal(ErrorCode::InvalidRequest, message));
    }
    let numbers: BTreeSet<i32> = topic.assignments.iter().map(|a| a.partition_index).collect();
    let count = i32::try_from(topic.assignments.len()).unwrap_or(i32::MAX);
    let ours = |ids: &Vec<i32>| ids[..] == [endpoint.shared.log.broker_id()];
    if !numbers.iter().copied().eq(0..count) || !topic.assignments.iter().all(|a| ours(&a.broker_ids)) {
        return Err(bad_assignment(endpoint));
    }
    Ok(Some(count))
}

fn bad_assignment(endpoint: &Endpoint) -> Refusal {
    let broker = endpoint.shared.log.broker_id();
    let message = format!("the assignment must name each partition once, from 0 up, and broker {broker} alone");
    endpoint.refusal(ErrorCode::InvalidReplicaAssignment, message)
}

/// The settings in force of a topic that has these of its own.
fn settings_of(endpoint: &Endpoint, own: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
    let settings = endpoint.shared.log.settings_with(own);
    let config = |setting: crate::log::SettingInfo| CreatableTopicConfigs {
        config_source: super::configs::source(&setting),
        name: setting.name.to_owned(),
        value: Some(setting.value),
        ..CreatableTopicConfigs::default()
    };
    settings.into_iter().map(config).collect()
}

/// Deletes topics.
pub async fn delete(endpoint: Arc<Endpoint>, call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = request.topic_names.into_iter().map(|name| (Some(name), Uuid::ZERO));
    let topics = by_name.chain(request.topics.into_iter().map(|topic| (topic.name, topic.topic_id)));
    let mut responses = Vec::new();
    let topics: Vec<_> = topics.collect();
    let twice = named_twice(topics.iter().map(|topic| endpoint.deletable(topic)));
    let mut refused = BTreeSet::new();
    for (name, topic_id) in topics {
        let key = endpoint.deletable(&(name.clone(), topic_id));
        if name.is_some() == (topic_id != Uuid::ZERO) || twice.contains(&key) {
            if refused.insert(key) {
                responses.push(malformed(&endpoint, name, topic_id));
            }
            continue;
        }
        responses.push(delete_one(&endpoint, call, name, topic_id).await);
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

/// A topic must be named, or its id given, and not both, and once.
fn malformed(endpoint: &Endpoint, name: Option<String>, topic_id: Uuid) -> DeletableTopicResult {
    let error_message = Some("a topic is deleted by its name or by its id, and once".to_owned());
    DeletableTopicResult { name, topic_id, error_code: endpoint.refuse(ErrorCode::InvalidRequest), error_message }
}

async fn delete_one(endpoint: &Endpoint, call: Call, name: Option<String>, topic_id: Uuid) -> DeletableTopicResult {
    let log = &endpoint.shared.log;
    let by_id = name.is_none();
    let found = name.as_ref().map_or_else(|| log.topic_by_id(topic_id), |name| log.topic(name));
    let (name, topic_id) = found.as_ref().map_or((name, topic_id), |topic| (Some(topic.name.clone()), topic.id));
    let result = match found {
        Some(topic) => {
            let deleted = log.delete_topic(&topic.name).await;
            if deleted.is_ok() {
                endpoint.shared.coordinator.topic_deleted(topic.id);
            }
            deleted.map_err(|error| endpoint.failure(call, error))
        }
        None => {
            let code = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            Err(endpoint.refusal(code, code.meaning()))
        }
    };
    let (error_code, error_message) = result.map_or_else(|r| (r.code, Some(r.message)), |()| (0, None));
    DeletableTopicResult { name, topic_id, error_code, error_message }
}

/// Raises numbers of partitions.
pub async fn extend(endpoint: Arc<Endpoint>, call: Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let twice = named_twice(request.topics.iter().map(|topic| topic.name.clone()));
    let mut answered = BTreeSet::new();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let result = if twice.contains(&topic.name) {
            if !answered.insert(topic.name.clone()) {
                continue;
            }
            let message = format!("topic '{}' is named twice in the request", topic.name);
            Err(endpoint.refusal(ErrorCode::InvalidRequest, message))
        } else {
            extend_one(&endpoint, call, &topic, request.validate_only).await
        };
        let (error_code, error_message) = result.map_or_else(|r| (r.code, Some(r.message)), |()| (0, None));
        results.push(CreatePartitionsTopicResult { name: topic.name, error_code, error_message });
    }
    CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
}

async fn extend_one(
    endpoint: &Endpoint,
    call: Call,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let log = &endpoint.shared.log;
    let added = log.topic(&topic.name).map_or(0, |known| i64::from(topic.count) - i64::from(known.partitions));
    // What cannot be done at all is refused below, whatever the assignment says.
    if let Some(assignments) = topic.assignments.as_ref().filter(|_| added > 0) {
        let ours = assignments.iter().all(|a| a.broker_ids[..] == [log.broker_id()]);
        if !ours || i64::try_from(assignments.len()) != Ok(added) {
            return Err(bad_assignment(endpoint));
        }
    }
    let extended = log.create_partitions(&topic.name, topic.count, validate_only).await;
    extended.map_err(|error| endpoint.failure(call, error))
}

/// What occurs more than once.
fn named_twice<T: Ord + Clone>(names: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut once = BTreeSet::new();
    names.filter(|name| !once.insert(name.clone())).collect()
}
