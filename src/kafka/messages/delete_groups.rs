//! DeleteGroups (key 42): removes groups without members, with their offsets.
use super::declare::messages;

messages! {
    /// Groups to delete.
    struct DeleteGroupsRequest {
        /// Ids of the groups.
        groups_names: Vec<String>;
    }

    /// The answer.
    struct DeleteGroupsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// What became of each.
        results: Vec<DeletableGroupResult>;
    }

    /// What became of one group.
    struct DeletableGroupResult {
        /// Id of the group.
        group_id: String;
        /// Error, or 0.
        error_code: i16;
    }
}
