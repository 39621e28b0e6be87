//! InitProducerId: an id that was never given out before.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

/// Gives out an id for an idempotent producer; a transactional one is refused for good, so that its client says so
/// instead of trying again for ever.
pub async fn answer(endpoint: Arc<Endpoint>, _: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    if request.transactional_id.is_some() {
        let error_code = endpoint.refuse(ErrorCode::InvalidRequest);
        return InitProducerIdResponse { error_code, producer_epoch: -1, ..InitProducerIdResponse::default() };
    }
    InitProducerIdResponse { producer_id: endpoint.shared.log.new_producer_id(), ..InitProducerIdResponse::default() }
}
