//! InitProducerId: an id that was never given out before, or the one of a transactional id.
use std::sync::Arc;

use super::transactions::fenced_as;
use super::{Call, Endpoint};
use crate::coordinator::TxnError;
use crate::coordinator::transactions::Identity;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

/// The version from which clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 4;

/// Gives out an id, with epoch 0 for an idempotent producer; a transactional one gets the next epoch of its transactional id.
pub async fn answer(endpoint: Arc<Endpoint>, call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let Some(name) = &request.transactional_id else {
        if expected(&request).is_err() {
            let error_code = endpoint.refuse(ErrorCode::InvalidRequest);
            return InitProducerIdResponse { error_code, producer_epoch: -1, ..InitProducerIdResponse::default() };
        }
        let producer_id = endpoint.shared.log.new_producer_id();
        return InitProducerIdResponse { producer_id, ..InitProducerIdResponse::default() };
    };
    let given = match expected(&request) {
        Ok(expected) => endpoint.shared.transactions.init(name, request.transaction_timeout_ms, expected).await,
        Err(error) => Err(error),
    };
    match given {
        Ok(Identity { id: producer_id, epoch: producer_epoch }) => {
            InitProducerIdResponse { producer_id, producer_epoch, ..InitProducerIdResponse::default() }
        }
        Err(error) => {
            let code = fenced_as(ErrorCode::from(&error), call, FENCED_FROM);
            tracing::debug!(transactional_id = name, %error, "no producer id");
            let error_code = endpoint.refuse(code);
            InitProducerIdResponse { error_code, producer_epoch: -1, ..InitProducerIdResponse::default() }
        }
    }
}

/// Who the producer believes to be.
fn expected(request: &InitProducerIdRequest) -> Result<Option<Identity>, TxnError> {
    match (request.producer_id, request.producer_epoch) {
        (-1, -1) => Ok(None),
        (-1, _) | (_, -1) => Err(TxnError::InvalidRequest("a producer id without its epoch, or the other way round")),
        (id, epoch) => Ok(Some(Identity { id, epoch })),
    }
}
