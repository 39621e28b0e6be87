//! AlterPartitionReassignments (key 45): moves partitions to other brokers.
use super::declare::messages;

messages! {
    /// Partitions to move.
    struct AlterPartitionReassignmentsRequest {
        /// How long the client is willing to wait.
        timeout_ms: i32 = 60_000;
        /// Whether the number of copies may change.
        allow_replication_factor_change: bool [1..] = true;
        /// The topics.
        topics: Vec<ReassignableTopic>;
    }

    /// Partitions of one topic.
    struct ReassignableTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<ReassignablePartition>;
    }

    /// Where a partition shall lie.
    struct ReassignablePartition {
        /// Number of the partition.
        partition_index: i32;
        /// The brokers, or null to stop a move.
        replicas: Option<Vec<i32>>;
    }

    /// The answer.
    struct AlterPartitionReassignmentsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Whether the number of copies may change.
        allow_replication_factor_change: bool [1..] = true;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// The topics.
        responses: Vec<ReassignableTopicResponse>;
    }

    /// Partitions of one topic.
    struct ReassignableTopicResponse {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<ReassignablePartitionResponse>;
    }

    /// What became of one partition.
    struct ReassignablePartitionResponse {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
    }
}
