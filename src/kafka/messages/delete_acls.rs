//! DeleteAcls (key 31): removes the rules of access that match filters.
use super::declare::messages;

messages! {
    /// Filters whose rules go.
    struct DeleteAclsRequest {
        /// The filters.
        filters: Vec<DeleteAclsFilter>;
    }

    /// A filter; null and 1 (any) match everything.
    struct DeleteAclsFilter {
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
    struct DeleteAclsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// What became of each.
        filter_results: Vec<DeleteAclsFilterResult>;
    }

    /// What became of one filter.
    struct DeleteAclsFilterResult {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// The rules that matched.
        matching_acls: Vec<DeleteAclsMatchingAcl>;
    }

    /// A rule that matched.
    struct DeleteAclsMatchingAcl {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// Type, as in DescribeConfigs.
        resource_type: i8;
        /// Name.
        resource_name: String;
        /// How the name is to be taken.
        pattern_type: i8 = 3;
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
