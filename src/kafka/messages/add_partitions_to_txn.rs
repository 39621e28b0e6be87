//! AddPartitionsToTxn (key 24): partitions that a transaction will write to. Versions 4 and later come from brokers,
//! for any number of transactions.
use super::declare::messages;

messages! {
    /// Partitions to add.
    struct AddPartitionsToTxnRequest {
        /// The transactions.
        transactions: Vec<AddPartitionsToTxnTransaction> [4..];
        /// Transactional id.
        v3_and_below_transactional_id: String [..=3];
        /// The producer.
        v3_and_below_producer_id: i64 [..=3];
        /// Its epoch.
        v3_and_below_producer_epoch: i16 [..=3];
        /// The topics.
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic> [..=3];
    }

    /// One transaction, from version 4.
    struct AddPartitionsToTxnTransaction {
        /// Transactional id.
        transactional_id: String [4..];
        /// The producer.
        producer_id: i64 [4..];
        /// Its epoch.
        producer_epoch: i16 [4..];
        /// Whether to look only, and add nothing.
        verify_only: bool [4..];
        /// The topics.
        topics: Vec<AddPartitionsToTxnTopic> [4..];
    }

    /// Partitions of one topic.
    struct AddPartitionsToTxnTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<i32>;
    }

    /// The answer.
    struct AddPartitionsToTxnResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16 [4..];
        /// The transactions.
        results_by_transaction: Vec<AddPartitionsToTxnResult> [4..];
        /// The topics.
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> [..=3];
    }

    /// What became of one transaction, from version 4.
    struct AddPartitionsToTxnResult {
        /// Transactional id.
        transactional_id: String [4..];
        /// The topics.
        topic_results: Vec<AddPartitionsToTxnTopicResult> [4..];
    }

    /// Partitions of one topic.
    struct AddPartitionsToTxnTopicResult {
        /// Name.
        name: String;
        /// The partitions.
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>;
    }

    /// What became of one partition.
    struct AddPartitionsToTxnPartitionResult {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        partition_error_code: i16;
    }
}
