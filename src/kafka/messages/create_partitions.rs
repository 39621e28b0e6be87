//! CreatePartitions (key 37): raises the number of partitions.
use super::declare::messages;

messages! {
    /// Topics to extend.
    struct CreatePartitionsRequest {
        /// The topics.
        topics: Vec<CreatePartitionsTopic>;
        /// How long the client is willing to wait.
        timeout_ms: i32;
        /// Whether to check only.
        validate_only: bool;
    }

    /// A topic to extend.
    struct CreatePartitionsTopic {
        /// Name.
        name: String;
        /// The new number of partitions.
        count: i32;
        /// Brokers for each new partition, or null.
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new());
    }

    /// Brokers for a new partition.
    struct CreatePartitionsAssignment {
        /// The brokers.
        broker_ids: Vec<i32>;
    }

    /// The answer.
    struct CreatePartitionsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        results: Vec<CreatePartitionsTopicResult>;
    }

    /// What became of a topic.
    struct CreatePartitionsTopicResult {
        /// Name.
        name: String;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String>;
    }
}
