//! DescribeTransactions (key 65): state of transactions.
use super::declare::messages;

messages! {
    /// Asks for transactions.
    struct DescribeTransactionsRequest {
        /// Transactional ids.
        transactional_ids: Vec<String>;
    }

    /// The answer.
    struct DescribeTransactionsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The transactions.
        transaction_states: Vec<TransactionState>;
    }

    /// One transaction.
    struct TransactionState {
        /// Error, or 0.
        error_code: i16;
        /// Transactional id.
        transactional_id: String;
        /// State of the transaction.
        transaction_state: String;
        /// After which silence it is aborted.
        transaction_timeout_ms: i32;
        /// When it began, in ms, or -1.
        transaction_start_time_ms: i64;
        /// The producer.
        producer_id: i64;
        /// Its epoch.
        producer_epoch: i16;
        /// The topics.
        topics: Vec<TopicData>;
    }

    /// Partitions of one topic.
    struct TopicData {
        /// Name.
        topic: String;
        /// The partitions.
        partitions: Vec<i32>;
    }
}
