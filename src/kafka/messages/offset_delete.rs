//! OffsetDelete (key 47): removes committed offsets. It has never had a flexible version.
use super::declare::messages;

messages! {
    /// Offsets to delete.
    struct OffsetDeleteRequest {
        /// Id of the group.
        group_id: String;
        /// The topics.
        topics: Vec<OffsetDeleteRequestTopic>;
    }

    /// Partitions of one topic.
    struct OffsetDeleteRequestTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<OffsetDeleteRequestPartition>;
    }

    /// One partition.
    struct OffsetDeleteRequestPartition {
        /// Number of the partition.
        partition_index: i32;
    }

    /// The answer.
    struct OffsetDeleteResponse {
        /// Error, or 0.
        error_code: i16;
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        topics: Vec<OffsetDeleteResponseTopic>;
    }

    /// Partitions of one topic.
    struct OffsetDeleteResponseTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<OffsetDeleteResponsePartition>;
    }

    /// What became of one partition.
    struct OffsetDeleteResponsePartition {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
    }
}
