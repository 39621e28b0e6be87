//! AddOffsetsToTxn (key 25): a group whose offsets a transaction will commit.
use super::declare::messages;

messages! {
    /// A group to add.
    struct AddOffsetsToTxnRequest {
        /// Transactional id.
        transactional_id: String;
        /// The producer.
        producer_id: i64;
        /// Its epoch.
        producer_epoch: i16;
        /// Id of the group.
        group_id: String;
    }

    /// The answer.
    struct AddOffsetsToTxnResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
    }
}
