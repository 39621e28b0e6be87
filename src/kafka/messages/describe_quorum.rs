//! DescribeQuorum (key 55): the controllers and how far each has followed the leader.
use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// Asks for the controllers.
    struct DescribeQuorumRequest {
        /// The topics.
        topics: Vec<TopicData>;
    }

    /// Partitions of one topic.
    struct TopicData {
        /// Name.
        topic_name: String;
        /// The partitions.
        partitions: Vec<PartitionData>;
    }

    /// One partition.
    struct PartitionData {
        /// Number of the partition.
        partition_index: i32;
    }

    /// The answer.
    struct DescribeQuorumResponse {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> [2..] = Some(String::new());
        /// The topics.
        topics: Vec<TopicDataResponse>;
        /// The controllers.
        nodes: Vec<Node> [2..];
    }

    /// Partitions of one topic.
    struct TopicDataResponse {
        /// Name.
        topic_name: String;
        /// The partitions.
        partitions: Vec<PartitionDataResponse>;
    }

    /// One partition.
    struct PartitionDataResponse {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> [2..] = Some(String::new());
        /// Broker that leads it, or -1.
        leader_id: i32;
        /// Its leader epoch.
        leader_epoch: i32;
        /// High watermark.
        high_watermark: i64;
        /// The controllers that vote.
        current_voters: Vec<ReplicaState>;
        /// Those that only follow.
        observers: Vec<ReplicaState>;
    }

    /// How far one controller has come.
    struct ReplicaState {
        /// Its id.
        replica_id: i32;
        /// Its directory.
        replica_directory_id: Uuid [2..];
        /// End of its log, or -1.
        log_end_offset: i64;
        /// When it last fetched, in ms, or -1.
        last_fetch_timestamp: i64 [1..] = -1;
        /// When it was last in step, in ms, or -1.
        last_caught_up_timestamp: i64 [1..] = -1;
    }

    /// A controller.
    struct Node {
        /// Its id.
        node_id: i32 [2..];
        /// Its addresses.
        listeners: Vec<Listener> [2..];
    }

    /// An address of a controller.
    struct Listener {
        /// Its name.
        name: String [2..];
        /// Host name or address.
        host: String [2..];
        /// Port.
        port: u16 [2..];
    }
}
