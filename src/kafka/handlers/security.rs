//! DescribeAcls, CreateAcls, DeleteAcls, DescribeUserScramCredentials, AlterUserScramCredentials, DescribeClientQuotas and
//! AlterClientQuotas: there are no rules of access, no users, and no quotas that they could have. The calls are answered, as by a
//! Kafka broker without an authorizer, so that tools can say so.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntryDataResponse,
};
use crate::kafka::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use crate::kafka::messages::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};
use crate::kafka::messages::delete_acls::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};
use crate::kafka::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use crate::kafka::messages::describe_client_quotas::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use crate::kafka::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};

/// Why there is nothing to know of quotas, and nothing to set.
const NO_QUOTAS: &str = "security is off: there are no users here, and no quotas";
/// `ScramMechanism`: SCRAM-SHA-256 and SCRAM-SHA-512.
const MECHANISMS: std::ops::RangeInclusive<i8> = 1..=2;

impl Endpoint {
    fn refusal_in_words(&self, code: ErrorCode) -> (i16, Option<String>) {
        (self.refuse(code), Some(code.meaning().to_owned()))
    }
}

/// Refuses to list rules.
pub async fn describe_acls(endpoint: Arc<Endpoint>, _: Call, _: DescribeAclsRequest) -> DescribeAclsResponse {
    let (error_code, error_message) = endpoint.refusal_in_words(ErrorCode::SecurityDisabled);
    DescribeAclsResponse { error_code, error_message, ..DescribeAclsResponse::default() }
}

/// Refuses each rule.
pub async fn create_acls(endpoint: Arc<Endpoint>, _: Call, request: CreateAclsRequest) -> CreateAclsResponse {
    let results = request.creations.iter().map(|_| {
        let (error_code, error_message) = endpoint.refusal_in_words(ErrorCode::SecurityDisabled);
        AclCreationResult { error_code, error_message }
    });
    CreateAclsResponse { results: results.collect(), ..CreateAclsResponse::default() }
}

/// Refuses each filter.
pub async fn delete_acls(endpoint: Arc<Endpoint>, _: Call, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let filter_results = request.filters.iter().map(|_| {
        let (error_code, error_message) = endpoint.refusal_in_words(ErrorCode::SecurityDisabled);
        DeleteAclsFilterResult { error_code, error_message, ..DeleteAclsFilterResult::default() }
    });
    DeleteAclsResponse { filter_results: filter_results.collect(), ..DeleteAclsResponse::default() }
}

/// Finds no user.
pub async fn describe_users(
    endpoint: Arc<Endpoint>,
    _: Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let mut users = BTreeMap::new();
    for user in request.users.into_iter().flatten() {
        users
            .entry(user.name)
            .and_modify(|code| *code = ErrorCode::DuplicateResource)
            .or_insert(ErrorCode::ResourceNotFound);
    }
    let results = users.into_iter().map(|(user, code)| {
        let (error_code, error_message) = endpoint.refusal_in_words(code);
        DescribeUserScramCredentialsResult { user, error_code, error_message, ..Default::default() }
    });
    DescribeUserScramCredentialsResponse { error_message: None, results: results.collect(), ..Default::default() }
}

/// Finds nothing to remove, and refuses to add.
pub async fn alter_users(
    endpoint: Arc<Endpoint>,
    _: Call,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let missing = |name: &str, mechanism| match mechanism {
        _ if name.is_empty() => ErrorCode::UnacceptableCredential,
        mechanism if MECHANISMS.contains(&mechanism) => ErrorCode::ResourceNotFound,
        _ => ErrorCode::UnsupportedSaslMechanism,
    };
    let removed = request.deletions.into_iter().map(|user| (missing(&user.name, user.mechanism), user.name));
    let removed = removed.map(|(code, name)| (name, code));
    let added = request.upsertions.into_iter().map(|user| (user.name, ErrorCode::SecurityDisabled));
    let results = removed.chain(added).map(|(user, code)| {
        let (error_code, error_message) = endpoint.refusal_in_words(code);
        AlterUserScramCredentialsResult { user, error_code, error_message }
    });
    AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }
}

/// Refuses to list quotas.
pub async fn describe_quotas(
    endpoint: Arc<Endpoint>,
    _: Call,
    _: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let error_code = endpoint.refuse(ErrorCode::SecurityDisabled);
    let error_message = Some(NO_QUOTAS.to_owned());
    DescribeClientQuotasResponse { error_code, error_message, entries: None, ..Default::default() }
}

/// Refuses each quota.
pub async fn alter_quotas(
    endpoint: Arc<Endpoint>,
    _: Call,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let entries = request.entries.into_iter().map(|entry| EntryDataResponse {
        error_code: endpoint.refuse(ErrorCode::SecurityDisabled),
        error_message: Some(NO_QUOTAS.to_owned()),
        entity: entry.entity,
    });
    AlterClientQuotasResponse { entries: entries.collect(), ..AlterClientQuotasResponse::default() }
}
