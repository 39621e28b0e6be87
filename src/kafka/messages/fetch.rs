//! Fetch (key 1): reads batches, with or without a session (KIP-227).
use super::declare::messages;
use super::wire::Records;
use crate::base::Uuid;

messages! {
    /// Asks for batches of partitions.
    struct FetchRequest {
        /// Id of the cluster; followers only.
        cluster_id: Option<String> [tag 0, 12..];
        /// Broker id of a follower, -1 for a consumer.
        replica_id: i32 [..=14] = -1;
        /// The follower.
        replica_state: ReplicaState [tag 1, 15..] = ReplicaState::default();
        /// Longest wait for `min_bytes`.
        max_wait_ms: i32;
        /// Bytes to wait for.
        min_bytes: i32;
        /// Most bytes in the answer, save that the first batch always goes.
        max_bytes: i32 = i32::MAX;
        /// 0: read uncommitted, 1: read committed.
        isolation_level: i8;
        /// The session, or 0.
        session_id: i32 [7..];
        /// Number of this request in the session; 0 begins one, -1 is without one.
        session_epoch: i32 [7..] = -1;
        /// The partitions; in a session only those that changed.
        topics: Vec<FetchTopic>;
        /// The partitions that leave the session.
        forgotten_topics_data: Vec<ForgottenTopic> [7..];
        /// Rack of the consumer.
        rack_id: String [11..];
    }

    /// A follower; consumers leave it out.
    struct ReplicaState {
        /// Broker id, or -1.
        replica_id: i32 [15..] = -1;
        /// Its epoch, or -1.
        replica_epoch: i64 [15..] = -1;
    }

    /// Partitions of one topic.
    struct FetchTopic {
        /// Name.
        topic: String [..=12];
        /// Id.
        topic_id: Uuid [13..];
        /// The partitions.
        partitions: Vec<FetchPartition>;
    }

    /// One partition.
    struct FetchPartition {
        /// Number of the partition.
        partition: i32;
        /// Leader epoch that the client knows, or -1.
        current_leader_epoch: i32 [9..] = -1;
        /// Offset to read from.
        fetch_offset: i64;
        /// Epoch of the last record that was read, or -1.
        last_fetched_epoch: i32 [12..] = -1;
        /// The follower's log start.
        log_start_offset: i64 [5..] = -1;
        /// Most bytes for this partition.
        partition_max_bytes: i32;
        /// The follower's directory.
        replica_directory_id: Uuid [tag 0, 17..] = Uuid::ZERO;
        /// The follower's high watermark.
        high_watermark: i64 [tag 1, 18..] = i64::MAX;
    }

    /// Partitions that leave a session.
    struct ForgottenTopic {
        /// Name.
        topic: String [7..=12];
        /// Id.
        topic_id: Uuid [13..];
        /// The partitions.
        partitions: Vec<i32> [7..];
    }

    /// The answer.
    struct FetchResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error of the whole, or 0.
        error_code: i16 [7..];
        /// The session, or 0.
        session_id: i32 [7..];
        /// The topics.
        responses: Vec<FetchableTopicResponse>;
        /// Addresses of the leaders named in errors.
        node_endpoints: Vec<NodeEndpoint> [tag 0, 16..];
    }

    /// Partitions of one topic.
    struct FetchableTopicResponse {
        /// Name.
        topic: String [..=12];
        /// Id.
        topic_id: Uuid [13..];
        /// The partitions.
        partitions: Vec<PartitionData>;
    }

    /// One partition.
    struct PartitionData {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
        /// High watermark.
        high_watermark: i64;
        /// Last stable offset.
        last_stable_offset: i64 = -1;
        /// Log start.
        log_start_offset: i64 [5..] = -1;
        /// Where the reader's history parts from this one.
        diverging_epoch: EpochEndOffset [tag 0, 12..] = EpochEndOffset::default();
        /// The leader, if it is another.
        current_leader: LeaderIdAndEpoch [tag 1, 12..] = LeaderIdAndEpoch::default();
        /// Snapshot to fetch instead; controllers only.
        snapshot_id: SnapshotId [tag 2, 12..] = SnapshotId::default();
        /// Aborted transactions in what was read; null when reading uncommitted.
        aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new());
        /// Broker to read from instead, or -1.
        preferred_read_replica: i32 [11..] = -1;
        /// The batches.
        records: Option<Records> = Some(Records::default());
    }

    /// An aborted transaction.
    struct AbortedTransaction {
        /// The producer.
        producer_id: i64;
        /// Where it begins.
        first_offset: i64;
    }

    /// An epoch and where it ends.
    struct EpochEndOffset {
        /// Epoch, or -1.
        epoch: i32 [12..] = -1;
        /// End, or -1.
        end_offset: i64 [12..] = -1;
    }

    /// A leader.
    struct LeaderIdAndEpoch {
        /// Broker, or -1.
        leader_id: i32 [12..] = -1;
        /// Epoch, or -1.
        leader_epoch: i32 [12..] = -1;
    }

    /// A controller's snapshot.
    struct SnapshotId {
        /// End, or -1.
        end_offset: i64 = -1;
        /// Epoch, or -1.
        epoch: i32 = -1;
    }

    /// A broker's address.
    struct NodeEndpoint {
        /// Its id.
        node_id: i32 [16..];
        /// Host name or address.
        host: String [16..];
        /// Port.
        port: i32 [16..];
        /// Rack, if it has one.
        rack: Option<String> [16..];
    }
}
