//! Metadata (key 3): brokers, topics and partitions.
use super::declare::messages;
use crate::base::Uuid;

/// "Not asked for" in the authorized-operations fields.
pub const NO_OPERATIONS: i32 = i32::MIN;

messages! {
    /// Asks for topics.
    struct MetadataRequest {
        /// The topics; null is all of them, and in version 0 so is none.
        topics: Option<Vec<MetadataRequestTopic>> [.., null 1..] = Some(Vec::new());
        /// Whether topics that do not exist may be created.
        allow_auto_topic_creation: bool [4..] = true;
        /// Whether to say what the asker may do with the cluster.
        include_cluster_authorized_operations: bool [8..=10];
        /// Whether to say what the asker may do with each topic.
        include_topic_authorized_operations: bool [8..];
    }

    /// A topic by name or by id.
    struct MetadataRequestTopic {
        /// The id, or zero.
        topic_id: Uuid [10..];
        /// The name, or null.
        name: Option<String> [.., null 10..] = Some(String::new());
    }

    /// The answer.
    struct MetadataResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [3..];
        /// The brokers.
        brokers: Vec<MetadataResponseBroker>;
        /// Id of the cluster.
        cluster_id: Option<String> [2.., null 2..];
        /// Broker that does the controller's work.
        controller_id: i32 [1..] = -1;
        /// The topics.
        topics: Vec<MetadataResponseTopic>;
        /// What the asker may do with the cluster, a bit field.
        cluster_authorized_operations: i32 [8..=10] = NO_OPERATIONS;
        /// Error of the whole, or 0.
        error_code: i16 [13..];
    }

    /// A broker's address.
    struct MetadataResponseBroker {
        /// Its id.
        node_id: i32;
        /// Host name or address.
        host: String;
        /// Port.
        port: i32;
        /// Rack, if it has one.
        rack: Option<String> [1.., null 1..];
    }

    /// A topic.
    struct MetadataResponseTopic {
        /// Error, or 0.
        error_code: i16;
        /// Name; null when an unknown id was asked for.
        name: Option<String> [.., null 12..] = Some(String::new());
        /// Id; zero when an unknown name was asked for.
        topic_id: Uuid [10..];
        /// Whether it is a topic of the broker's own.
        is_internal: bool [1..];
        /// Its partitions.
        partitions: Vec<MetadataResponsePartition>;
        /// What the asker may do with it, a bit field.
        topic_authorized_operations: i32 [8..] = NO_OPERATIONS;
    }

    /// A partition.
    struct MetadataResponsePartition {
        /// Error, or 0.
        error_code: i16;
        /// Number of the partition.
        partition_index: i32;
        /// Leader.
        leader_id: i32;
        /// Leader epoch.
        leader_epoch: i32 [7..] = -1;
        /// Brokers that hold it.
        replica_nodes: Vec<i32>;
        /// Brokers that are in sync.
        isr_nodes: Vec<i32>;
        /// Brokers that are away.
        offline_replicas: Vec<i32> [5..];
    }
}
