//! OffsetForLeaderEpoch (key 23): where an epoch ends, so that a reader notices a history that was cut.
use super::declare::messages;

messages! {
    /// Asks for ends of epochs.
    struct OffsetForLeaderEpochRequest {
        /// Broker id of a follower, -1 for a consumer.
        replica_id: i32 [3..] = -2;
        /// The topics.
        topics: Vec<OffsetForLeaderTopic>;
    }

    /// Partitions of one topic.
    struct OffsetForLeaderTopic {
        /// Name.
        topic: String;
        /// The partitions.
        partitions: Vec<OffsetForLeaderPartition>;
    }

    /// One partition.
    struct OffsetForLeaderPartition {
        /// Number of the partition.
        partition: i32;
        /// Leader epoch that the client knows, or -1.
        current_leader_epoch: i32 = -1;
        /// The epoch whose end is wanted.
        leader_epoch: i32;
    }

    /// The answer.
    struct OffsetForLeaderEpochResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        topics: Vec<OffsetForLeaderTopicResult>;
    }

    /// Partitions of one topic.
    struct OffsetForLeaderTopicResult {
        /// Name.
        topic: String;
        /// The partitions.
        partitions: Vec<EpochEndOffset>;
    }

    /// One partition.
    struct EpochEndOffset {
        /// Error, or 0.
        error_code: i16;
        /// Number of the partition.
        partition: i32;
        /// The greatest epoch that is not above the one asked for, or -1.
        leader_epoch: i32 = -1;
        /// Where it ends, or -1.
        end_offset: i64 = -1;
    }
}
