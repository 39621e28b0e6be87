//! There are no rules of access, no users and no quotas, and whoever asks is told so.
use super::*;
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::alter_client_quotas::{self, AlterClientQuotasRequest};
use crate::kafka::messages::alter_user_scram_credentials::*;
use crate::kafka::messages::create_acls::*;
use crate::kafka::messages::delete_acls::*;
use crate::kafka::messages::describe_acls::*;
use crate::kafka::messages::describe_client_quotas::DescribeClientQuotasRequest;
use crate::kafka::messages::describe_user_scram_credentials::*;

#[tokio::test]
async fn rules_of_access_are_refused() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for version in 1..=3 {
        let described = raw.call(version, &DescribeAclsRequest::default()).await;
        assert_eq!(ErrorCode::from_wire(described.error_code), ErrorCode::SecurityDisabled);
        let created = CreateAclsRequest { creations: vec![AclCreation::default(); 2] };
        let codes = raw.call(version, &created).await.results.iter().map(|r| r.error_code).collect::<Vec<_>>();
        assert_eq!(codes, [ErrorCode::SecurityDisabled.code(); 2]);
        let deleted = DeleteAclsRequest { filters: vec![DeleteAclsFilter::default()] };
        assert_eq!(raw.call(version, &deleted).await.filter_results[0].error_code, ErrorCode::SecurityDisabled.code());
    }
}

#[tokio::test]
async fn there_are_no_users() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    let everybody = DescribeUserScramCredentialsRequest { users: None };
    let answer = raw.call(0, &everybody).await;
    assert_eq!((answer.error_code, answer.results.len()), (0, 0));
    let users = ["u", "v", "u"].map(|name| UserName { name: name.into() });
    let results = raw.call(0, &DescribeUserScramCredentialsRequest { users: Some(users.to_vec()) }).await.results;
    let results = results.iter().map(|result| (result.user.as_str(), ErrorCode::from_wire(result.error_code)));
    assert_eq!(results.collect::<Vec<_>>(), [("u", ErrorCode::DuplicateResource), ("v", ErrorCode::ResourceNotFound)]);

    let deletions: &[(&str, i8, ErrorCode)] = &[
        ("a", 1, ErrorCode::ResourceNotFound),
        ("b", 2, ErrorCode::ResourceNotFound),
        ("c", 0, ErrorCode::UnsupportedSaslMechanism),
        ("d", 3, ErrorCode::UnsupportedSaslMechanism),
        ("", 1, ErrorCode::UnacceptableCredential),
    ];
    let deletion =
        |(name, mechanism, _): &(&str, i8, _)| ScramCredentialDeletion { name: (*name).into(), mechanism: *mechanism };
    let request = AlterUserScramCredentialsRequest {
        deletions: deletions.iter().map(deletion).collect(),
        upsertions: vec![ScramCredentialUpsertion { name: "v".into(), mechanism: 1, ..Default::default() }],
    };
    let results = raw.call(0, &request).await.results;
    let results = results.iter().map(|result| (result.user.as_str(), ErrorCode::from_wire(result.error_code)));
    let expected = deletions.iter().map(|(name, _, code)| (*name, *code)).chain([("v", ErrorCode::SecurityDisabled)]);
    assert_eq!(results.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn there_are_no_quotas() {
    let setup = Setup::new().await;
    let mut raw = setup.raw().await;
    for version in 0..=1 {
        let described = raw.call(version, &DescribeClientQuotasRequest::default()).await;
        assert_eq!(ErrorCode::from_wire(described.error_code), ErrorCode::SecurityDisabled);
        assert!(described.error_message.unwrap().contains("no quotas"));
        let entry = alter_client_quotas::EntryData {
            entity: vec![alter_client_quotas::EntityData { entity_type: "user".into(), entity_name: None }],
            ..Default::default()
        };
        let request = AlterClientQuotasRequest { entries: vec![entry.clone(), entry], validate_only: false };
        let codes = raw.call(version, &request).await.entries;
        let codes: Vec<_> = codes.iter().map(|entry| (entry.error_code, entry.entity.len())).collect();
        assert_eq!(codes, [(ErrorCode::SecurityDisabled.code(), 1); 2]);
    }
}
