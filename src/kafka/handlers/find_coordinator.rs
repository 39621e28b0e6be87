//! FindCoordinator: this broker, for every group and every transactional id.
//!
//! librdkafka takes this API for the sign of a broker that knows LZ4 (its feature table in `rdkafka_feature.c`), and turns
//! LZ4 off without a word where it is missing.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

const GROUP: i8 = 0;
const TRANSACTIONAL_ID: i8 = 1;
/// Versions from which several keys may be asked for at once.
const KEYS_FROM: i16 = 4;

/// Names this broker for every key; share groups are not served.
pub async fn answer(endpoint: Arc<Endpoint>, call: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let coordinator = |key: String| match request.key_type {
        GROUP | TRANSACTIONAL_ID => Coordinator {
            key,
            node_id: endpoint.shared.log.broker_id(),
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            error_code: 0,
            error_message: Some(String::new()),
        },
        _ => Coordinator {
            key,
            node_id: -1,
            host: String::new(),
            port: -1,
            error_code: endpoint.refuse(ErrorCode::InvalidRequest),
            error_message: Some("only groups and transactional ids have a coordinator here".to_owned()),
        },
    };
    if call.header.api_version >= KEYS_FROM {
        let coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } = coordinator(request.key);
    let error_message = if error_code == 0 { Some("NONE".to_owned()) } else { error_message };
    FindCoordinatorResponse { error_code, error_message, node_id, host, port, ..FindCoordinatorResponse::default() }
}
