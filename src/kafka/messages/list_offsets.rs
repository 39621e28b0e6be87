//! ListOffsets (key 2): offsets by timestamp, and the special ones.
use super::declare::messages;

/// Asks for the end: the high watermark or, reading committed, the last stable offset.
pub const LATEST: i64 = -1;
/// Asks for the log start.
pub const EARLIEST: i64 = -2;
/// Asks for the first record with the greatest timestamp.
pub const MAX_TIMESTAMP: i64 = -3;
/// Asks for the first offset in the local tier.
pub const EARLIEST_LOCAL: i64 = -4;
/// Asks for the last offset in the remote tier.
pub const LATEST_TIERED: i64 = -5;
/// Asks for the first offset that is not yet in the remote tier.
pub const EARLIEST_PENDING_UPLOAD: i64 = -6;

messages! {
    /// Asks for offsets.
    struct ListOffsetsRequest {
        /// Broker id of a follower, -1 for a consumer.
        replica_id: i32;
        /// 0: read uncommitted, 1: read committed.
        isolation_level: i8 [2..];
        /// The topics.
        topics: Vec<ListOffsetsTopic>;
        /// How long the client is willing to wait.
        timeout_ms: i32 [10..];
    }

    /// Partitions of one topic.
    struct ListOffsetsTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<ListOffsetsPartition>;
    }

    /// One partition.
    struct ListOffsetsPartition {
        /// Number of the partition.
        partition_index: i32;
        /// Leader epoch that the client knows, or -1.
        current_leader_epoch: i32 [4..] = -1;
        /// A timestamp in ms, or one of the special ones.
        timestamp: i64;
    }

    /// The answer.
    struct ListOffsetsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [2..];
        /// The topics.
        topics: Vec<ListOffsetsTopicResponse>;
    }

    /// Partitions of one topic.
    struct ListOffsetsTopicResponse {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<ListOffsetsPartitionResponse>;
    }

    /// One partition.
    struct ListOffsetsPartitionResponse {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
        /// Timestamp of the record at the offset in ms, or -1.
        timestamp: i64 = -1;
        /// The offset, or -1.
        offset: i64 = -1;
        /// Leader epoch of the record at the offset, or -1.
        leader_epoch: i32 [4..] = -1;
    }
}
