//! TxnOffsetCommit (key 28): offsets of a group that become visible when a transaction commits.
use super::declare::messages;

messages! {
    /// Offsets to commit.
    struct TxnOffsetCommitRequest {
        /// Transactional id.
        transactional_id: String;
        /// Id of the group.
        group_id: String;
        /// The producer.
        producer_id: i64;
        /// Its epoch.
        producer_epoch: i16;
        /// Generation of a classic group or the member's epoch, or -1 outside of a group.
        generation_id: i32 [3..] = -1;
        /// Id of the member.
        member_id: String [3..];
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [3..];
        /// The topics.
        topics: Vec<TxnOffsetCommitRequestTopic>;
    }

    /// Partitions of one topic.
    struct TxnOffsetCommitRequestTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<TxnOffsetCommitRequestPartition>;
    }

    /// An offset to commit.
    struct TxnOffsetCommitRequestPartition {
        /// Number of the partition.
        partition_index: i32;
        /// Offset to go on from.
        committed_offset: i64;
        /// Leader epoch of the last record that was read, or -1.
        committed_leader_epoch: i32 [2..] = -1;
        /// Text of the client's.
        committed_metadata: Option<String> = Some(String::new());
    }

    /// The answer.
    struct TxnOffsetCommitResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        topics: Vec<TxnOffsetCommitResponseTopic>;
    }

    /// Partitions of one topic.
    struct TxnOffsetCommitResponseTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<TxnOffsetCommitResponsePartition>;
    }

    /// What became of one offset.
    struct TxnOffsetCommitResponsePartition {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
    }
}
