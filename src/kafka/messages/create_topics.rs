//! CreateTopics (key 19).
use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// Topics to create.
    struct CreateTopicsRequest {
        /// The topics.
        topics: Vec<CreatableTopic>;
        /// How long the client is willing to wait.
        timeout_ms: i32 = 60_000;
        /// Whether to check only.
        validate_only: bool;
    }

    /// A topic to create.
    struct CreatableTopic {
        /// Name.
        name: String;
        /// Number of partitions, or -1 for the default or where `assignments` say it.
        num_partitions: i32;
        /// Number of copies, or -1.
        replication_factor: i16;
        /// Brokers for each partition, or nothing.
        assignments: Vec<CreatableReplicaAssignment>;
        /// Settings.
        configs: Vec<CreatableTopicConfig>;
    }

    /// Brokers for a partition.
    struct CreatableReplicaAssignment {
        /// Number of the partition.
        partition_index: i32;
        /// The brokers.
        broker_ids: Vec<i32>;
    }

    /// A setting.
    struct CreatableTopicConfig {
        /// Its name.
        name: String;
        /// Its value.
        value: Option<String> = Some(String::new());
    }

    /// The answer.
    struct CreateTopicsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        topics: Vec<CreatableTopicResult>;
    }

    /// What became of a topic.
    struct CreatableTopicResult {
        /// Name.
        name: String;
        /// Id.
        topic_id: Uuid [7..];
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// Why `configs` is null.
        topic_config_error_code: i16 [tag 0, 5..] = 0;
        /// Number of partitions.
        num_partitions: i32 [5..] = -1;
        /// Number of copies.
        replication_factor: i16 [5..] = -1;
        /// Settings.
        configs: Option<Vec<CreatableTopicConfigs>> [5..] = Some(Vec::new());
    }

    /// A setting of a topic that was created.
    struct CreatableTopicConfigs {
        /// Its name.
        name: String [5..];
        /// Its value.
        value: Option<String> [5..] = Some(String::new());
        /// Whether it cannot be changed.
        read_only: bool [5..];
        /// Where the value comes from.
        config_source: i8 [5..] = -1;
        /// Whether the value is secret.
        is_sensitive: bool [5..];
    }
}
