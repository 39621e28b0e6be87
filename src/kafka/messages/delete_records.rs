//! DeleteRecords (key 21): moves the log start.
use super::declare::messages;

messages! {
    /// Log starts to move.
    struct DeleteRecordsRequest {
        /// The topics.
        topics: Vec<DeleteRecordsTopic>;
        /// How long the client is willing to wait.
        timeout_ms: i32;
    }

    /// Partitions of one topic.
    struct DeleteRecordsTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<DeleteRecordsPartition>;
    }

    /// One partition.
    struct DeleteRecordsPartition {
        /// Number of the partition.
        partition_index: i32;
        /// The new log start; -1 is the high watermark.
        offset: i64;
    }

    /// The answer.
    struct DeleteRecordsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        topics: Vec<DeleteRecordsTopicResult>;
    }

    /// Partitions of one topic.
    struct DeleteRecordsTopicResult {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<DeleteRecordsPartitionResult>;
    }

    /// One partition.
    struct DeleteRecordsPartitionResult {
        /// Number of the partition.
        partition_index: i32;
        /// The log start, or -1.
        low_watermark: i64;
        /// Error, or 0.
        error_code: i16;
    }
}
