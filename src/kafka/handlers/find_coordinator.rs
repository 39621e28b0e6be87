//! FindCoordinator: there is no coordinator yet, and every key is told so.
//!
//! It is advertised all the same, because librdkafka takes it for the sign of a broker that knows LZ4 (its feature table in
//! `rdkafka_feature.c`), and turns LZ4 off without a word where it is missing. A group gets COORDINATOR_NOT_AVAILABLE: every
//! consumer of librdkafka that has a `group.id` asks, also when it assigns its partitions itself, and any other error would
//! reach its program as a failure. A transactional id gets INVALID_REQUEST, which ends its producer at once, with the text.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

const TRANSACTIONAL_ID: i8 = 1;

/// Refuses every key.
pub async fn answer(endpoint: Arc<Endpoint>, _: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (code, text) = match request.key_type {
        TRANSACTIONAL_ID => {
            (ErrorCode::InvalidRequest, "there are no transactions in this version; leave transactional.id out")
        }
        _ => (
            ErrorCode::CoordinatorNotAvailable,
            "there are no consumer groups in this version; assign partitions instead",
        ),
    };
    tracing::debug!("asked for a coordinator: {text}");
    let error_code = endpoint.refuse(code);
    let error_message = Some(text.to_owned());
    let refused = |key: String| Coordinator {
        key,
        node_id: -1,
        host: String::new(),
        port: -1,
        error_code,
        error_message: error_message.clone(),
    };
    FindCoordinatorResponse {
        throttle_time_ms: 0,
        error_code,
        error_message: error_message.clone(),
        node_id: -1,
        host: String::new(),
        port: -1,
        coordinators: request.coordinator_keys.into_iter().map(refused).collect(),
    }
}
