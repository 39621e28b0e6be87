//! ApiVersions: the table of APIs, as far as they have a handler.
use std::sync::Arc;

use super::{Call, Endpoint, SPOKEN};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use crate::kafka::messages::{Api, RequestHeader};
use crate::kafka::server::connection::Answer;

/// Names every API that is spoken, with its versions.
pub async fn answer(_: Arc<Endpoint>, _: Call, _: ApiVersionsRequest) -> ApiVersionsResponse {
    table()
}

/// Answers a version of the request that is not spoken: in version 0, which every client can read, with the table, so
/// that the client may ask again.
pub fn refuse(endpoint: &Endpoint, call: Call) -> Answer {
    let error_code = endpoint.refuse(ErrorCode::UnsupportedVersion);
    let call = Call { header: RequestHeader { api_version: 0, ..call.header }, ..call };
    endpoint.finish::<ApiVersionsRequest>(call, &ApiVersionsResponse { error_code, ..table() }, None)
}

fn table() -> ApiVersionsResponse {
    let entry = |api: &Api| ApiVersion {
        api_key: *api as i16,
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    ApiVersionsResponse { api_keys: SPOKEN.iter().map(entry).collect(), ..ApiVersionsResponse::default() }
}
