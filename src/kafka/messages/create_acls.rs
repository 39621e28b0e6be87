//! CreateAcls (key 30): adds rules of access.
use super::declare::messages;

messages! {
    /// Rules to add.
    struct CreateAclsRequest {
        /// The rules.
        creations: Vec<AclCreation>;
    }

    /// A rule to add.
    struct AclCreation {
        /// Type, as in DescribeConfigs.
        resource_type: i8;
        /// Name.
        resource_name: String;
        /// How the name is to be taken.
        resource_pattern_type: i8 = 3;
        /// Who.
        principal: String;
        /// Host name or address.
        host: String;
        /// What.
        operation: i8;
        /// 2: denied, 3: allowed.
        permission_type: i8;
    }

    /// The answer.
    struct CreateAclsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// What became of each.
        results: Vec<AclCreationResult>;
    }

    /// What became of one rule.
    struct AclCreationResult {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
    }
}
