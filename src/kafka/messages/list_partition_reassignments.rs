//! ListPartitionReassignments (key 46): which partitions are being moved.
use super::declare::messages;

messages! {
    /// Asks for partitions that are being moved.
    struct ListPartitionReassignmentsRequest {
        /// How long the client is willing to wait.
        timeout_ms: i32 = 60_000;
        /// The topics; null for all.
        topics: Option<Vec<ListPartitionReassignmentsTopics>>;
    }

    /// Partitions of one topic.
    struct ListPartitionReassignmentsTopics {
        /// Name.
        name: String;
        /// The partitions.
        partition_indexes: Vec<i32>;
    }

    /// The answer.
    struct ListPartitionReassignmentsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// The topics.
        topics: Vec<OngoingTopicReassignment>;
    }

    /// Partitions of one topic.
    struct OngoingTopicReassignment {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<OngoingPartitionReassignment>;
    }

    /// A partition that is being moved.
    struct OngoingPartitionReassignment {
        /// Number of the partition.
        partition_index: i32;
        /// The brokers.
        replicas: Vec<i32>;
        /// The brokers that it moves to.
        adding_replicas: Vec<i32>;
        /// The brokers that it leaves.
        removing_replicas: Vec<i32>;
    }
}
