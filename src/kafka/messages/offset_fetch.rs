//! OffsetFetch (key 9): how far groups have read. Versions 1 to 7 ask for one group, later ones for any number; topics
//! go by name up to version 9 and by id from version 10.
use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// Asks for committed offsets.
    struct OffsetFetchRequest {
        /// Id of the group, up to version 7.
        group_id: String [..=7];
        /// The topics, up to version 7; null for all.
        topics: Option<Vec<OffsetFetchRequestTopic>> [..=7, null 2..=7] = Some(Vec::new());
        /// The groups, from version 8.
        groups: Vec<OffsetFetchRequestGroup> [8..];
        /// Whether offsets with an undecided transaction are an error.
        require_stable: bool [7..];
    }

    /// Partitions of one topic, up to version 7.
    struct OffsetFetchRequestTopic {
        /// Name.
        name: String [..=7];
        /// The partitions.
        partition_indexes: Vec<i32> [..=7];
    }

    /// A group, from version 8.
    struct OffsetFetchRequestGroup {
        /// Id of the group.
        group_id: String [8..];
        /// Id of the member that asks, or null.
        member_id: Option<String> [9..];
        /// Its epoch, or -1.
        member_epoch: i32 [9..] = -1;
        /// The topics; null for all.
        topics: Option<Vec<OffsetFetchRequestTopics>> [8..] = Some(Vec::new());
    }

    /// Partitions of one topic, from version 8.
    struct OffsetFetchRequestTopics {
        /// Name.
        name: String [8..=9];
        /// Id.
        topic_id: Uuid [10..];
        /// The partitions.
        partition_indexes: Vec<i32> [8..];
    }

    /// The answer.
    struct OffsetFetchResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [3..];
        /// The topics, up to version 7.
        topics: Vec<OffsetFetchResponseTopic> [..=7];
        /// Error of the group, or 0, up to version 7.
        error_code: i16 [2..=7];
        /// The groups, from version 8.
        groups: Vec<OffsetFetchResponseGroup> [8..];
    }

    /// Partitions of one topic, up to version 7.
    struct OffsetFetchResponseTopic {
        /// Name.
        name: String [..=7];
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartition> [..=7];
    }

    /// One partition, up to version 7.
    struct OffsetFetchResponsePartition {
        /// Number of the partition.
        partition_index: i32 [..=7];
        /// Offset to go on from, or -1.
        committed_offset: i64 [..=7];
        /// Leader epoch of the last record that was read, or -1.
        committed_leader_epoch: i32 [5..=7] = -1;
        /// Text of the client's.
        metadata: Option<String> [..=7] = Some(String::new());
        /// Error, or 0.
        error_code: i16 [..=7];
    }

    /// A group, from version 8.
    struct OffsetFetchResponseGroup {
        /// Id of the group.
        group_id: String [8..];
        /// The topics.
        topics: Vec<OffsetFetchResponseTopics> [8..];
        /// Error, or 0.
        error_code: i16 [8..];
    }

    /// Partitions of one topic, from version 8.
    struct OffsetFetchResponseTopics {
        /// Name.
        name: String [8..=9];
        /// Id.
        topic_id: Uuid [10..];
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartitions> [8..];
    }

    /// One partition, from version 8.
    struct OffsetFetchResponsePartitions {
        /// Number of the partition.
        partition_index: i32 [8..];
        /// Offset to go on from, or -1.
        committed_offset: i64 [8..];
        /// Leader epoch of the last record that was read, or -1.
        committed_leader_epoch: i32 [8..] = -1;
        /// Text of the client's.
        metadata: Option<String> [8..] = Some(String::new());
        /// Error, or 0.
        error_code: i16 [8..];
    }
}
