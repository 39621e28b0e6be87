//! Metadata: topics by name, by id or all of them; unknown names are created where both sides want it.
use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;

use super::{Call, Endpoint};
use crate::base::Uuid;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic, NO_OPERATIONS,
};
use crate::log::{NewTopic, TopicError, TopicInfo};

/// Everything that can be done with a topic: read, write, create, delete, alter, describe, describe and alter configs.
pub const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// Everything that can be done with a cluster: create, alter, describe, cluster action, describe and alter configs,
/// idempotent write.
pub const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// Topics that one request may have created at once.
const CREATE_AT_ONCE: usize = 8;

/// Describes brokers and topics.
pub async fn answer(endpoint: Arc<Endpoint>, call: Call, request: MetadataRequest) -> MetadataResponse {
    let log = &endpoint.shared.log;
    let describe = Describe {
        create: request.allow_auto_topic_creation && endpoint.shared.auto_create_topics,
        operations: request.include_topic_authorized_operations,
        endpoint: &endpoint,
        call,
    };
    let topics = match request.topics {
        Some(mut topics) if call.header.api_version > 0 || !topics.is_empty() => {
            // What is asked for twice is told once.
            let mut told = BTreeSet::new();
            topics.retain(|topic| told.insert((topic.name.clone(), topic.topic_id)));
            let described = futures::stream::iter(topics).map(|topic| describe.asked(topic));
            described.buffered(CREATE_AT_ONCE).collect().await
        }
        _ => log.topics().iter().map(|topic| describe.known(topic)).collect(),
    };
    let operations = request.include_cluster_authorized_operations;
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: log.broker_id(),
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: None,
        }],
        cluster_id: Some(log.cluster_id().to_string()),
        controller_id: log.broker_id(),
        topics,
        cluster_authorized_operations: if operations { CLUSTER_OPERATIONS } else { NO_OPERATIONS },
        ..MetadataResponse::default()
    }
}

struct Describe<'a> {
    endpoint: &'a Endpoint,
    call: Call,
    create: bool,
    operations: bool,
}

impl Describe<'_> {
    async fn asked(&self, topic: MetadataRequestTopic) -> MetadataResponseTopic {
        let log = &self.endpoint.shared.log;
        let Some(name) = topic.name else {
            return log.topic_by_id(topic.topic_id).map_or_else(
                || self.unknown(None, topic.topic_id, self.endpoint.refuse(ErrorCode::UnknownTopicId)),
                |topic| self.known(&topic),
            );
        };
        match (log.topic(&name), self.create) {
            (Some(topic), _) => self.known(&topic),
            (None, true) => match self.create(&name).await {
                Ok(topic) => self.known(&topic),
                Err(error_code) => self.unknown(Some(name), Uuid::ZERO, error_code),
            },
            (None, false) => {
                let code = self.endpoint.no_such_topic(&name);
                self.unknown(Some(name), Uuid::ZERO, self.endpoint.refuse(code))
            }
        }
    }

    async fn create(&self, name: &str) -> Result<Arc<TopicInfo>, i16> {
        let log = &self.endpoint.shared.log;
        match log.create_topic(new_topic(name)).await {
            Ok(topic) => Ok(topic),
            // Somebody else was faster.
            Err(error @ TopicError::Exists(_)) => log.topic(name).ok_or_else(|| self.endpoint.fail(self.call, error)),
            // The client shall ask again.
            Err(error @ (TopicError::Storage(_) | TopicError::NotServing(_))) => {
                tracing::warn!(topic = name, %error, "a topic could not be created on first use");
                Err(self.endpoint.refuse(ErrorCode::LeaderNotAvailable))
            }
            Err(error) => Err(self.endpoint.fail(self.call, error)),
        }
    }

    fn known(&self, topic: &TopicInfo) -> MetadataResponseTopic {
        let leader = self.endpoint.shared.log.broker_id();
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: leader,
            leader_epoch: self.endpoint.leader_epoch(),
            replica_nodes: vec![leader],
            isr_nodes: vec![leader],
            ..MetadataResponsePartition::default()
        };
        MetadataResponseTopic {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            partitions: (0..topic.partitions).map(partition).collect(),
            topic_authorized_operations: self.operations(),
            ..MetadataResponseTopic::default()
        }
    }

    fn unknown(&self, name: Option<String>, topic_id: Uuid, error_code: i16) -> MetadataResponseTopic {
        // Before version 12 a name is never null, and an id is asked for from version 10 on.
        let name = if self.call.header.api_version < 12 { Some(name.unwrap_or_default()) } else { name };
        let topic_authorized_operations = self.operations();
        MetadataResponseTopic { error_code, name, topic_id, topic_authorized_operations, ..Default::default() }
    }

    fn operations(&self) -> i32 {
        if self.operations { TOPIC_OPERATIONS } else { NO_OPERATIONS }
    }
}

fn new_topic(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions: None, settings: std::collections::BTreeMap::new() }
}
