//! OffsetCommit (key 8): how far a group has read. Topics go by name up to version 9 and by id from version 10.
use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// Offsets to commit.
    struct OffsetCommitRequest {
        /// Id of the group.
        group_id: String;
        /// Generation of a classic group or the member's epoch, or -1 outside of a group.
        generation_id_or_member_epoch: i32 = -1;
        /// Id of the member.
        member_id: String;
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [7..];
        /// How long to keep the offsets, or -1.
        retention_time_ms: i64 [..=4] = -1;
        /// The topics.
        topics: Vec<OffsetCommitRequestTopic>;
    }

    /// Partitions of one topic.
    struct OffsetCommitRequestTopic {
        /// Name.
        name: String [..=9];
        /// Id.
        topic_id: Uuid [10..];
        /// The partitions.
        partitions: Vec<OffsetCommitRequestPartition>;
    }

    /// An offset to commit.
    struct OffsetCommitRequestPartition {
        /// Number of the partition.
        partition_index: i32;
        /// Offset to go on from.
        committed_offset: i64;
        /// Leader epoch of the last record that was read, or -1.
        committed_leader_epoch: i32 [6..] = -1;
        /// Text of the client's.
        committed_metadata: Option<String> = Some(String::new());
    }

    /// The answer.
    struct OffsetCommitResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [3..];
        /// The topics.
        topics: Vec<OffsetCommitResponseTopic>;
    }

    /// Partitions of one topic.
    struct OffsetCommitResponseTopic {
        /// Name.
        name: String [..=9];
        /// Id.
        topic_id: Uuid [10..];
        /// The partitions.
        partitions: Vec<OffsetCommitResponsePartition>;
    }

    /// What became of one offset.
    struct OffsetCommitResponsePartition {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
    }
}
