//! GetTelemetrySubscriptions and PushTelemetry (KIP-714): no metrics of clients are wanted. Clients are told so in the way
//! that keeps them quiet, and ask again every five minutes.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::base::Uuid;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use crate::kafka::messages::push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};

/// Number of the subscription to nothing.
const SUBSCRIPTION: i32 = 0;
const ASK_AGAIN_MS: i32 = 5 * 60 * 1000;
const BYTES_MAX: i32 = 1 << 20;
/// zstd, LZ4, gzip and Snappy, as Kafka has them.
const CODECS: [i8; 4] = [4, 3, 1, 2];
const NOBODY: Uuid = Uuid([0; 16]);

/// Wants nothing.
pub async fn subscriptions(
    endpoint: Arc<Endpoint>,
    _: Call,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let client_instance_id = match request.client_instance_id {
        NOBODY => Uuid::random(&endpoint.shared.random),
        id => id,
    };
    GetTelemetrySubscriptionsResponse {
        client_instance_id,
        subscription_id: SUBSCRIPTION,
        accepted_compression_types: CODECS.to_vec(),
        push_interval_ms: ASK_AGAIN_MS,
        telemetry_max_bytes: BYTES_MAX,
        delta_temporality: true,
        ..GetTelemetrySubscriptionsResponse::default()
    }
}

/// Drops what was pushed for the subscription to nothing; whoever has another one shall ask again.
pub async fn push(endpoint: Arc<Endpoint>, _: Call, request: PushTelemetryRequest) -> PushTelemetryResponse {
    let refusal = match request {
        PushTelemetryRequest { client_instance_id: NOBODY, .. } => Some(ErrorCode::InvalidRequest),
        PushTelemetryRequest { subscription_id, .. } if subscription_id != SUBSCRIPTION => {
            Some(ErrorCode::UnknownSubscriptionId)
        }
        _ => None,
    };
    let error_code = refusal.map_or(0, |code| endpoint.refuse(code));
    PushTelemetryResponse { error_code, ..PushTelemetryResponse::default() }
}
