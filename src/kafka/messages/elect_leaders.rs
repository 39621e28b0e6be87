//! ElectLeaders (key 43): asks for other leaders of partitions.
use super::declare::messages;

messages! {
    /// Partitions that want another leader.
    struct ElectLeadersRequest {
        /// 0: the preferred replica, 1: any replica.
        election_type: i8 [1..];
        /// The topics; null for all.
        topic_partitions: Option<Vec<TopicPartitions>> = Some(Vec::new());
        /// How long the client is willing to wait.
        timeout_ms: i32 = 60_000;
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// Name.
        topic: String;
        /// The partitions.
        partitions: Vec<i32>;
    }

    /// The answer.
    struct ElectLeadersResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16 [1..];
        /// The topics.
        replica_election_results: Vec<ReplicaElectionResult>;
    }

    /// Partitions of one topic.
    struct ReplicaElectionResult {
        /// Name.
        topic: String;
        /// The partitions.
        partition_result: Vec<PartitionResult>;
    }

    /// What became of one partition.
    struct PartitionResult {
        /// Number of the partition.
        partition_id: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
    }
}
