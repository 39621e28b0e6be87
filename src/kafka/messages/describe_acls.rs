//! DescribeAcls (key 29): rules of access that match a filter.
use super::declare::messages;

messages! {
    /// A filter; null and 1 (any) match everything.
    struct DescribeAclsRequest {
        /// Type of the resource.
        resource_type_filter: i8;
        /// Its name.
        resource_name_filter: Option<String> = Some(String::new());
        /// How the name is to be taken.
        pattern_type_filter: i8 = 3;
        /// Who.
        principal_filter: Option<String> = Some(String::new());
        /// From where.
        host_filter: Option<String> = Some(String::new());
        /// What.
        operation: i8;
        /// 1: any, 2: denied, 3: allowed.
        permission_type: i8;
    }

    /// The answer.
    struct DescribeAclsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// The resources.
        resources: Vec<DescribeAclsResource>;
    }

    /// Rules for one resource.
    struct DescribeAclsResource {
        /// Type, as in DescribeConfigs.
        resource_type: i8;
        /// Name.
        resource_name: String;
        /// How the name is to be taken.
        pattern_type: i8 = 3;
        /// The rules.
        acls: Vec<AclDescription>;
    }

    /// A rule.
    struct AclDescription {
        /// Who.
        principal: String;
        /// Host name or address.
        host: String;
        /// What.
        operation: i8;
        /// 2: denied, 3: allowed.
        permission_type: i8;
    }
}
