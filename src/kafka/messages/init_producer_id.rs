//! InitProducerId (key 22): an id for an idempotent producer.
use super::declare::messages;

messages! {
    /// Asks for an id.
    struct InitProducerIdRequest {
        /// Transactional id, or null.
        transactional_id: Option<String> = Some(String::new());
        /// After which time a silent transaction is aborted.
        transaction_timeout_ms: i32;
        /// The id that the producer has, or -1.
        producer_id: i64 [3..] = -1;
        /// Its epoch, or -1.
        producer_epoch: i16 [3..] = -1;
    }

    /// The answer.
    struct InitProducerIdResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// The id.
        producer_id: i64 = -1;
        /// Its epoch.
        producer_epoch: i16;
    }
}
