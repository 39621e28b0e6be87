//! ListTransactions (key 66): which transactional ids there are.
use super::declare::messages;

messages! {
    /// Asks for all transactions, or some kinds.
    struct ListTransactionsRequest {
        /// States to list; empty for all.
        state_filters: Vec<String>;
        /// Producers to list; empty for all.
        producer_id_filters: Vec<i64>;
        /// Only those that have been open for longer than this many ms; negative for all.
        duration_filter: i64 [1..] = -1;
        /// Pattern of the transactional ids to list; null or empty for all.
        transactional_id_pattern: Option<String> [2..];
    }

    /// The answer.
    struct ListTransactionsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// States of the request that do not exist.
        unknown_state_filters: Vec<String>;
        /// The transactions.
        transaction_states: Vec<TransactionState>;
    }

    /// One transactional id.
    struct TransactionState {
        /// Transactional id.
        transactional_id: String;
        /// The producer.
        producer_id: i64;
        /// State of the transaction.
        transaction_state: String;
    }
}
