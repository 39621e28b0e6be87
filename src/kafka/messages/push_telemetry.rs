//! PushTelemetry (key 72): metrics of a client (KIP-714).
use bytes::Bytes;

use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// Metrics.
    struct PushTelemetryRequest {
        /// Id of the client.
        client_instance_id: Uuid;
        /// Number of the subscription.
        subscription_id: i32;
        /// Whether the client ends.
        terminating: bool;
        /// Codec of the metrics.
        compression_type: i8;
        /// The metrics, in OpenTelemetry's form.
        metrics: Bytes;
    }

    /// The answer.
    struct PushTelemetryResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
    }
}
