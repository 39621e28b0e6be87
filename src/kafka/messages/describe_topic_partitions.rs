//! DescribeTopicPartitions (key 75): topics and partitions, page by page.
use super::declare::messages;
use super::metadata::NO_OPERATIONS;
use crate::base::Uuid;

messages! {
    /// Asks for a page.
    struct DescribeTopicPartitionsRequest {
        /// The topics.
        topics: Vec<TopicRequest>;
        /// Most partitions in the answer.
        response_partition_limit: i32 = 2000;
        /// Where the page begins, or null for the start.
        cursor: Option<Cursor>;
    }

    /// One topic.
    struct TopicRequest {
        /// Name.
        name: String;
    }

    /// Where a page begins.
    struct Cursor {
        /// Name.
        topic_name: String;
        /// Number of the partition.
        partition_index: i32;
    }

    /// The answer.
    struct DescribeTopicPartitionsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        topics: Vec<DescribeTopicPartitionsResponseTopic>;
        /// Where the next page begins, or null for none.
        next_cursor: Option<Cursor>;
    }

    /// One topic.
    struct DescribeTopicPartitionsResponseTopic {
        /// Error, or 0.
        error_code: i16;
        /// Name.
        name: Option<String> = Some(String::new());
        /// Id.
        topic_id: Uuid;
        /// Whether it is internal.
        is_internal: bool;
        /// The partitions.
        partitions: Vec<DescribeTopicPartitionsResponsePartition>;
        /// What the asker may do with it, a bit field.
        topic_authorized_operations: i32 = NO_OPERATIONS;
    }

    /// One partition.
    struct DescribeTopicPartitionsResponsePartition {
        /// Error, or 0.
        error_code: i16;
        /// Number of the partition.
        partition_index: i32;
        /// Broker that leads it, or -1.
        leader_id: i32;
        /// Its leader epoch.
        leader_epoch: i32 = -1;
        /// Brokers that have it.
        replica_nodes: Vec<i32>;
        /// Brokers that are in step.
        isr_nodes: Vec<i32>;
        /// Brokers that could lead though out of step (KIP-966).
        eligible_leader_replicas: Option<Vec<i32>>;
        /// The last such brokers.
        last_known_elr: Option<Vec<i32>>;
        /// Brokers that are down.
        offline_replicas: Vec<i32>;
    }
}
