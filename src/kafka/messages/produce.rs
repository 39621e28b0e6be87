//! Produce (key 0): appends batches. Versions 0 to 2, which Kafka 4 dropped, are spoken because librdkafka turns
//! compression off where they are missing; record sets older than magic 2 are refused all the same.
use bytes::Bytes;

use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// Batches for partitions.
    struct ProduceRequest {
        /// Transactional id, or null.
        transactional_id: Option<String> [3..];
        /// 0: no answer is wanted; 1: written; -1: replicated.
        acks: i16;
        /// How long the client is willing to wait.
        timeout_ms: i32;
        /// The topics.
        topic_data: Vec<TopicProduceData>;
    }

    /// Batches for one topic.
    struct TopicProduceData {
        /// Name.
        name: String [..=12];
        /// Id.
        topic_id: Uuid [13..];
        /// The partitions.
        partition_data: Vec<PartitionProduceData>;
    }

    /// Batches for one partition.
    struct PartitionProduceData {
        /// Number of the partition.
        index: i32;
        /// One or more whole batches.
        records: Option<Bytes> = Some(Bytes::new());
    }

    /// The answer.
    struct ProduceResponse {
        /// The topics.
        responses: Vec<TopicProduceResponse>;
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// Addresses of the leaders named in errors.
        node_endpoints: Vec<NodeEndpoint> [tag 0, 10..];
    }

    /// The answer for one topic.
    struct TopicProduceResponse {
        /// Name.
        name: String [..=12];
        /// Id.
        topic_id: Uuid [13..];
        /// The partitions.
        partition_responses: Vec<PartitionProduceResponse>;
    }

    /// The answer for one partition.
    struct PartitionProduceResponse {
        /// Number of the partition.
        index: i32;
        /// Error, or 0.
        error_code: i16;
        /// Offset of the first record.
        base_offset: i64;
        /// Time of the append in ms if the topic's timestamps are append times, else -1.
        log_append_time_ms: i64 [2..] = -1;
        /// First offset that can be read.
        log_start_offset: i64 [5..] = -1;
        /// The records that were the reason of a refusal.
        record_errors: Vec<BatchIndexAndErrorMessage> [8..];
        /// Why it was refused.
        error_message: Option<String> [8..];
        /// The leader, if it is another.
        current_leader: LeaderIdAndEpoch [tag 0, 10..] = LeaderIdAndEpoch::default();
    }

    /// A record that was the reason of a refusal.
    struct BatchIndexAndErrorMessage {
        /// Number of the record in its batch.
        batch_index: i32 [8..];
        /// What is wrong with it.
        batch_index_error_message: Option<String> [8..];
    }

    /// A leader.
    struct LeaderIdAndEpoch {
        /// Broker, or -1.
        leader_id: i32 [10..] = -1;
        /// Epoch, or -1.
        leader_epoch: i32 [10..] = -1;
    }

    /// A broker's address.
    struct NodeEndpoint {
        /// Its id.
        node_id: i32 [10..];
        /// Host name or address.
        host: String [10..];
        /// Port.
        port: i32 [10..];
        /// Rack, if it has one.
        rack: Option<String> [10..];
    }
}
