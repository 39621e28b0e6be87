//! EndTxn (key 26): commits or aborts a transaction.
use super::declare::messages;

messages! {
    /// How to end it.
    struct EndTxnRequest {
        /// Transactional id.
        transactional_id: String;
        /// The producer.
        producer_id: i64;
        /// Its epoch.
        producer_epoch: i16;
        /// Whether to commit it; else it is aborted.
        committed: bool;
    }

    /// The answer.
    struct EndTxnResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// The producer for the next transaction, or -1.
        producer_id: i64 [5..] = -1;
        /// Its epoch.
        producer_epoch: i16 [5..] = -1;
    }
}
