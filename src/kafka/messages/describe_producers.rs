//! DescribeProducers (key 61): who writes to partitions.
use super::declare::messages;

messages! {
    /// Asks for partitions.
    struct DescribeProducersRequest {
        /// The topics.
        topics: Vec<TopicRequest>;
    }

    /// One topic.
    struct TopicRequest {
        /// Name.
        name: String;
        /// The partitions.
        partition_indexes: Vec<i32>;
    }

    /// The answer.
    struct DescribeProducersResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        topics: Vec<TopicResponse>;
    }

    /// Partitions of one topic.
    struct TopicResponse {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<PartitionResponse>;
    }

    /// One partition.
    struct PartitionResponse {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String>;
        /// The producers.
        active_producers: Vec<ProducerState>;
    }

    /// A producer.
    struct ProducerState {
        /// The producer.
        producer_id: i64;
        /// Its epoch.
        producer_epoch: i32;
        /// Sequence of its last record, or -1.
        last_sequence: i32 = -1;
        /// When it last wrote, in ms, or -1.
        last_timestamp: i64 = -1;
        /// Epoch of the coordinator.
        coordinator_epoch: i32;
        /// Where its open transaction begins, or -1.
        current_txn_start_offset: i64 = -1;
    }
}
