//! GetTelemetrySubscriptions (key 71): which of its metrics a client shall push (KIP-714).
use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// A client asks what to push.
    struct GetTelemetrySubscriptionsRequest {
        /// Id of the client, or zero if it has none.
        client_instance_id: Uuid;
    }

    /// The answer.
    struct GetTelemetrySubscriptionsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Id that was given to the client, or zero if it had one.
        client_instance_id: Uuid;
        /// Number of the subscription.
        subscription_id: i32;
        /// Codecs that are accepted, best first.
        accepted_compression_types: Vec<i8>;
        /// Time between pushes.
        push_interval_ms: i32;
        /// Most bytes of a push.
        telemetry_max_bytes: i32;
        /// Whether counters are pushed as differences.
        delta_temporality: bool;
        /// Prefixes of the metrics that are wanted; none for nothing, an empty one for all.
        requested_metrics: Vec<String>;
    }
}
