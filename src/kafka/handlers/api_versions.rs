//! ApiVersions: the table of APIs, as far as they have a handler.
use std::sync::Arc;

use super::{Call, Endpoint, features};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use crate::kafka::messages::{Api, RequestHeader};
use crate::kafka::server::connection::Answer;

/// Names every API that is spoken, with its versions, and the features that are on.
pub async fn answer(endpoint: Arc<Endpoint>, call: Call, _: ApiVersionsRequest) -> ApiVersionsResponse {
    table(&endpoint, call)
}

/// Answers a version of the request that is not spoken: in version 0, which every client can read, with the table, so
/// that the client may ask again.
pub fn refuse(endpoint: &Endpoint, call: Call) -> Answer {
    let error_code = endpoint.refuse(ErrorCode::UnsupportedVersion);
    let call = Call { header: RequestHeader { api_version: 0, ..call.header }, ..call };
    endpoint.finish::<ApiVersionsRequest>(call, &ApiVersionsResponse { error_code, ..table(endpoint, call) }, None)
}

fn table(endpoint: &Endpoint, call: Call) -> ApiVersionsResponse {
    let entry = |api: &Api| ApiVersion {
        api_key: *api as i16,
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    ApiVersionsResponse {
        api_keys: Api::ALL.iter().map(entry).collect(),
        supported_features: features::supported(call.header.api_version),
        // Levels can only change with the program, so each life of the broker has an epoch of its own.
        finalized_features_epoch: i64::from(endpoint.shared.log.epoch()),
        finalized_features: features::finalized(),
        ..ApiVersionsResponse::default()
    }
}
