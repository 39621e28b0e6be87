//! A small Kafka client for the command line: one connection, requests pipelined, versions negotiated.
//!
//! It speaks to one broker, as an Esker cluster has one, and takes batches as bytes: making and reading them is the work
//! of [`crate::record`]. Its errors say what the broker answered, by name. It retries nothing but what a coordinator of
//! groups refuses for the moment ([`groups`]).
mod committed;
mod connection;
pub mod groups;
pub mod member;
mod range;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;

use super::errors::ErrorCode;
use super::messages::wire::{DecodeError, EncodeError};
use super::messages::{
    Api, Request, api_versions, create_partitions, create_topics, delete_topics, describe_configs, end_txn, fetch,
    incremental_alter_configs, init_producer_id, list_offsets, metadata, produce,
};
use crate::base::Uuid;
use connection::Connection;

pub use committed::committed;

pub use super::messages::list_offsets::{EARLIEST, EARLIEST_LOCAL, LATEST, LATEST_TIERED, MAX_TIMESTAMP};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error(
        "cannot connect to a broker at {address}: {source} (is `esker serve` running there? --broker names another)"
    )]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to {address} broke: {reason}")]
    Broken {
        /// Where.
        address: String,
        /// How.
        reason: String,
    },
    /// No answer in time.
    #[error("the broker at {address} did not answer {api} within {seconds} s")]
    TimedOut {
        /// Where.
        address: String,
        /// What was asked.
        api: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The broker does not speak an API in a version that this client speaks.
    #[error("the broker at {address} does not speak {api} in a version that this client speaks")]
    Unsupported {
        /// Where.
        address: String,
        /// What was asked.
        api: &'static str,
    },
    /// The answer is not what the protocol says.
    #[error("{api}: {source}")]
    Decode {
        /// What was asked.
        api: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
    /// The request cannot be written.
    #[error("{api}: {source}")]
    Encode {
        /// What was asked.
        api: &'static str,
        /// Why.
        source: EncodeError,
    },
    /// The broker refused.
    #[error("{what}: {message} ({code})")]
    Refused {
        /// Topic, partition or setting.
        what: String,
        /// The broker's code.
        code: ErrorCode,
        /// The broker's words, or the code's.
        message: String,
    },
}

/// How a client connects.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// What the broker's log calls this client.
    pub client_id: String,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { client_id: "esker".to_owned(), timeout: Duration::from_secs(30) }
    }
}

/// A connection to a broker; calls may overlap.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    /// Versions that both sides speak, by API.
    versions: BTreeMap<Api, RangeInclusive<i16>>,
}

/// A topic as the broker describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: String,
    /// Id.
    pub id: Uuid,
    /// Number of partitions.
    pub partitions: i32,
}

/// What was read from a partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Number of the partition.
    pub partition: i32,
    /// Whole batches, one after the other; the first may begin below the position. [`committed`] sorts out what counts for
    /// whom reads committed.
    pub records: Bytes,
    /// Of a read of what is committed: producer id and first offset of the aborted transactions that have records here.
    pub aborted: Vec<(i64, i64)>,
    /// End of what is visible.
    pub high_watermark: i64,
    /// First offset that can be read.
    pub log_start: i64,
}

/// An offset with its timestamp; -1 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Number of the partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Timestamp in ms.
    pub timestamp: i64,
}

/// A setting of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the topic sets it itself.
    pub is_topics_own: bool,
    /// What it does.
    pub documentation: String,
}

/// What becomes of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingChange {
    /// It gets a value.
    Set(String),
    /// It goes back to its default.
    Delete,
}

/// Limits of a fetch.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// Longest wait for the first byte.
    pub max_wait: Duration,
    /// Most bytes for each partition; the first batch always comes whole.
    pub partition_max_bytes: i32,
    /// Only what is decided (read committed).
    pub committed_only: bool,
}

impl Client {
    /// Connects to `address` (`host:port`) and asks which versions are spoken there.
    pub async fn connect(address: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let connection = Connection::open(address, options).await?;
        let ours = Self { versions: BTreeMap::from([(Api::ApiVersions, 0..=0)]), connection };
        let answer = ours.call(&api_versions::ApiVersionsRequest::default()).await?;
        ours.accept(answer.error_code, None, || "ApiVersions".to_owned())?;
        let versions = answer.api_keys.iter().filter_map(|theirs| {
            let api = Api::from_key(theirs.api_key)?;
            let both = both(&(theirs.min_version..=theirs.max_version), &api.versions());
            (!both.is_empty()).then_some((api, both))
        });
        Ok(Self { versions: versions.collect(), connection: ours.connection })
    }

    /// Sends a request in the highest version that both sides speak, and waits for the answer.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.call_between(0..=i16::MAX, request).await
    }

    /// Whether an API is spoken.
    fn speaks(&self, api: Api) -> bool {
        self.versions.contains_key(&api)
    }

    /// As [`Client::call`], in one of these versions.
    async fn call_between<R: Request>(
        &self,
        versions: RangeInclusive<i16>,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        // A long poll may use its whole wait before the answer starts.
        let timeout = self.connection.options().timeout + Duration::from_secs(5);
        self.connection.call(self.version::<R>(versions)?, request, timeout).await
    }

    /// As [`Client::call`], for calls that may take this long.
    async fn call_within<R: Request>(&self, timeout: Duration, request: &R) -> Result<R::Response, ClientError> {
        self.connection.call(self.version::<R>(0..=i16::MAX)?, request, timeout).await
    }

    /// The highest of these versions that both sides speak.
    fn version<R: Request>(&self, wanted: RangeInclusive<i16>) -> Result<i16, ClientError> {
        let spoken = self.versions.get(&R::API).map(|spoken| both(spoken, &wanted));
        let unsupported =
            || ClientError::Unsupported { address: self.connection.address().to_owned(), api: R::API.name() };
        spoken.filter(|spoken| !spoken.is_empty()).map(|spoken| *spoken.end()).ok_or_else(unsupported)
    }

    /// Describes topics; all of them if none is named. Creates unknown ones if `create` and the broker allows it.
    pub async fn topics(&self, names: Option<&[&str]>, create: bool) -> Result<Vec<Topic>, ClientError> {
        let topics = names.map(|names| {
            let by_name = |name: &&str| metadata::MetadataRequestTopic {
                name: Some((*name).to_owned()),
                ..metadata::MetadataRequestTopic::default()
            };
            names.iter().map(by_name).collect()
        });
        let request = metadata::MetadataRequest { topics, allow_auto_topic_creation: create, ..Default::default() };
        let answer = self.call(&request).await?;
        let described = answer.topics.into_iter().map(|topic| {
            let name = topic.name.unwrap_or_default();
            self.accept(topic.error_code, None, || format!("topic '{name}'"))?;
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            Ok(Topic { name, id: topic.topic_id, partitions })
        });
        described.collect()
    }

    /// An id for an idempotent producer, with its epoch.
    pub async fn new_producer_id(&self) -> Result<(i64, i16), ClientError> {
        let request = init_producer_id::InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        self.accept(answer.error_code, None, || "a producer id".to_owned())?;
        Ok((answer.producer_id, answer.producer_epoch))
    }

    /// An id for a transactional producer, with its epoch: every other producer of that transactional id is fenced, and what
    /// it had open is aborted; while that is under way the broker says CONCURRENT_TRANSACTIONS.
    pub async fn transactional_producer_id(&self, id: &str, timeout: Duration) -> Result<(i64, i16), ClientError> {
        let request = init_producer_id::InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            ..Default::default()
        };
        let answer = self.call(&request).await?;
        self.accept(answer.error_code, None, || format!("transactional id '{id}'"))?;
        Ok((answer.producer_id, answer.producer_epoch))
    }

    /// Ends the open transaction of a producer.
    pub async fn end_transaction(&self, id: &str, producer: (i64, i16), commit: bool) -> Result<(), ClientError> {
        let request = end_txn::EndTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            committed: commit,
        };
        let answer = self.call(&request).await?;
        self.accept(answer.error_code, None, || format!("the transaction of '{id}'"))
    }

    /// Appends one batch; resolves with its first offset when it is durable.
    pub async fn produce(&self, topic: &Topic, partition: i32, batch: Bytes) -> Result<i64, ClientError> {
        self.produce_in(topic, partition, batch, None).await
    }

    /// The same for a batch of the transaction of `transactional_id`, which takes the partition in by itself.
    pub async fn produce_in(
        &self,
        topic: &Topic,
        partition: i32,
        batch: Bytes,
        transactional_id: Option<&str>,
    ) -> Result<i64, ClientError> {
        let partition_data = vec![produce::PartitionProduceData { index: partition, records: Some(batch) }];
        let request = produce::ProduceRequest {
            transactional_id: transactional_id.map(str::to_owned),
            acks: -1,
            timeout_ms: self.connection.timeout_ms(),
            topic_data: vec![produce::TopicProduceData {
                name: topic.name.clone(),
                topic_id: topic.id,
                partition_data,
            }],
        };
        let answer = self.call(&request).await?;
        let what = || format!("topic '{}' partition {partition}", topic.name);
        let topics = answer.responses.into_iter();
        let mut partitions = topics.flat_map(|t| t.partition_responses).filter(|p| p.index == partition);
        let answer = partitions.next().ok_or_else(|| self.connection.incomplete::<produce::ProduceRequest>())?;
        self.accept(answer.error_code, answer.error_message, what)?;
        Ok(answer.base_offset)
    }

    /// Reads from positions (partition and offset) of a topic.
    pub async fn fetch(
        &self,
        topic: &Topic,
        positions: &[(i32, i64)],
        limits: FetchLimits,
    ) -> Result<Vec<Fetched>, ClientError> {
        let partition = |&(partition, fetch_offset): &(i32, i64)| fetch::FetchPartition {
            partition,
            fetch_offset,
            partition_max_bytes: limits.partition_max_bytes,
            ..fetch::FetchPartition::default()
        };
        let request = fetch::FetchRequest {
            max_wait_ms: i32::try_from(limits.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: 1,
            isolation_level: i8::from(limits.committed_only),
            topics: vec![fetch::FetchTopic {
                topic: topic.name.clone(),
                topic_id: topic.id,
                partitions: positions.iter().map(partition).collect(),
            }],
            ..fetch::FetchRequest::default()
        };
        let answer = self.call(&request).await?;
        self.accept(answer.error_code, None, || format!("topic '{}'", topic.name))?;
        let read = answer.responses.into_iter().flat_map(|t| t.partitions).map(|partition| {
            let number = partition.partition_index;
            self.accept(partition.error_code, None, || format!("topic '{}' partition {number}", topic.name))?;
            Ok(Fetched {
                partition: number,
                records: partition.records.unwrap_or_default().to_bytes(),
                aborted: aborted(partition.aborted_transactions),
                high_watermark: partition.high_watermark,
                log_start: partition.log_start_offset,
            })
        });
        read.collect()
    }

    /// Finds an offset in each of the partitions: by timestamp in ms, or one of the special ones ([`LATEST`], ...).
    pub async fn list_offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        timestamp: i64,
        committed_only: bool,
    ) -> Result<Vec<Found>, ClientError> {
        let partition = |&partition_index: &i32| list_offsets::ListOffsetsPartition {
            partition_index,
            timestamp,
            ..list_offsets::ListOffsetsPartition::default()
        };
        let request = list_offsets::ListOffsetsRequest {
            replica_id: -1,
            isolation_level: i8::from(committed_only),
            topics: vec![list_offsets::ListOffsetsTopic {
                name: topic.to_owned(),
                partitions: partitions.iter().map(partition).collect(),
            }],
            timeout_ms: self.connection.timeout_ms(),
        };
        let answer = self.call(&request).await?;
        let found = answer.topics.into_iter().flat_map(|t| t.partitions).map(|p| {
            self.accept(p.error_code, None, || format!("topic '{topic}' partition {}", p.partition_index))?;
            Ok(Found { partition: p.partition_index, offset: p.offset, timestamp: p.timestamp })
        });
        found.collect()
    }

    /// Creates a topic; `None`: as many partitions as the broker's default. Returns the number of partitions.
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: Option<i32>,
        settings: &BTreeMap<String, String>,
    ) -> Result<i32, ClientError> {
        let setting = |(name, value): (&String, &String)| create_topics::CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        };
        let topic = create_topics::CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions.unwrap_or(-1),
            replication_factor: -1,
            configs: settings.iter().map(setting).collect(),
            ..create_topics::CreatableTopic::default()
        };
        let request = create_topics::CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let answer = self.call(&request).await?;
        let topic = answer.topics.into_iter().next();
        let topic = topic.ok_or_else(|| self.connection.incomplete::<create_topics::CreateTopicsRequest>())?;
        self.accept(topic.error_code, topic.error_message, || format!("topic '{name}'"))?;
        Ok(topic.num_partitions)
    }

    /// Deletes a topic.
    pub async fn delete_topic(&self, topic: &Topic) -> Result<(), ClientError> {
        let by_name = delete_topics::DeleteTopicState { name: Some(topic.name.clone()), topic_id: Uuid::ZERO };
        let request = delete_topics::DeleteTopicsRequest {
            topics: vec![by_name],
            topic_names: vec![topic.name.clone()],
            timeout_ms: self.connection.timeout_ms(),
        };
        let answer = self.call(&request).await?;
        let result = answer.responses.into_iter().next();
        let result = result.ok_or_else(|| self.connection.incomplete::<delete_topics::DeleteTopicsRequest>())?;
        self.accept(result.error_code, result.error_message, || format!("topic '{}'", topic.name))
    }

    /// Raises the number of partitions of a topic to `total`.
    pub async fn create_partitions(&self, topic: &str, total: i32) -> Result<(), ClientError> {
        let request = create_partitions::CreatePartitionsRequest {
            topics: vec![create_partitions::CreatePartitionsTopic {
                name: topic.to_owned(),
                count: total,
                assignments: None,
            }],
            timeout_ms: self.connection.timeout_ms(),
            validate_only: false,
        };
        let answer = self.call(&request).await?;
        let result = answer.results.into_iter().next();
        let result =
            result.ok_or_else(|| self.connection.incomplete::<create_partitions::CreatePartitionsRequest>())?;
        self.accept(result.error_code, result.error_message, || format!("topic '{topic}'"))
    }

    /// The settings of a topic.
    pub async fn settings(&self, topic: &str) -> Result<Vec<Setting>, ClientError> {
        let resource = describe_configs::DescribeConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: topic.to_owned(),
            configuration_keys: None,
        };
        let request = describe_configs::DescribeConfigsRequest {
            resources: vec![resource],
            include_synonyms: false,
            include_documentation: true,
        };
        let answer = self.call(&request).await?;
        let result = answer.results.into_iter().next();
        let result = result.ok_or_else(|| self.connection.incomplete::<describe_configs::DescribeConfigsRequest>())?;
        self.accept(result.error_code, result.error_message, || format!("topic '{topic}'"))?;
        let setting = |config: describe_configs::DescribeConfigsResourceResult| Setting {
            name: config.name,
            value: config.value.unwrap_or_default(),
            is_topics_own: config.config_source == TOPICS_OWN,
            documentation: config.documentation.unwrap_or_default(),
        };
        Ok(result.configs.into_iter().map(setting).collect())
    }

    /// Changes settings of a topic.
    pub async fn alter_settings(
        &self,
        topic: &str,
        changes: &BTreeMap<String, SettingChange>,
    ) -> Result<(), ClientError> {
        let change = |(name, change): (&String, &SettingChange)| {
            let (config_operation, value) = match change {
                SettingChange::Set(value) => (0, Some(value.clone())),
                SettingChange::Delete => (1, None),
            };
            incremental_alter_configs::AlterableConfig { name: name.clone(), config_operation, value }
        };
        let resource = incremental_alter_configs::AlterConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: topic.to_owned(),
            configs: changes.iter().map(change).collect(),
        };
        let request = incremental_alter_configs::IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        };
        let answer = self.call(&request).await?;
        let results = answer.responses.into_iter();
        for result in results {
            self.accept(result.error_code, result.error_message, || format!("topic '{topic}'"))?;
        }
        Ok(())
    }

    /// An error code other than 0 becomes an error.
    fn accept(&self, code: i16, message: Option<String>, what: impl FnOnce() -> String) -> Result<(), ClientError> {
        let code = ErrorCode::from_wire(code);
        if code == ErrorCode::None {
            return Ok(());
        }
        let message = message.filter(|text| !text.is_empty()).unwrap_or_else(|| code.meaning().to_owned());
        Err(ClientError::Refused { what: what(), code, message })
    }
}

/// What is in both.
fn both(a: &RangeInclusive<i16>, b: &RangeInclusive<i16>) -> RangeInclusive<i16> {
    *a.start().max(b.start())..=*a.end().min(b.end())
}

/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;
/// `ConfigSource.DYNAMIC_TOPIC_CONFIG`.
const TOPICS_OWN: i8 = 1;

fn aborted(list: Option<Vec<fetch::AbortedTransaction>>) -> Vec<(i64, i64)> {
    list.unwrap_or_default().iter().map(|aborted| (aborted.producer_id, aborted.first_offset)).collect()
}
