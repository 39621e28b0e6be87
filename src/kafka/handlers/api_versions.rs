//! ApiVersions: the table of APIs, as far as they have a handler.
use std::sync::Arc;

use super::{Call, Endpoint, features};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use crate::kafka::messages::{Api, RequestHeader};
use crate::kafka::server::connection::Answer;

/// The version from which a client says what it is.
const NAMES_FROM: i16 = 3;

/// Names every API that is spoken, with its versions, and the features that are on.
/// A client with a name that nobody could show in a list is told so.
pub async fn answer(endpoint: Arc<Endpoint>, call: Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let names = [&request.client_software_name, &request.client_software_version];
    if call.header.api_version >= NAMES_FROM && !names.into_iter().all(|name| is_plain(name)) {
        let error_code = endpoint.refuse(ErrorCode::InvalidRequest);
        return ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() };
    }
    table(&endpoint, call)
}

/// Letters, digits, dots and dashes, the first and the last one a letter or a digit.
fn is_plain(name: &str) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let ends = [name.bytes().next(), name.bytes().last()];
    ends.into_iter().all(|byte| byte.is_some_and(|byte| byte.is_ascii_alphanumeric()))
        && name.as_bytes().iter().all(is_inner)
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
