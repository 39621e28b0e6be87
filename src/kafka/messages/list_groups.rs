//! ListGroups (key 16): which groups there are.
use super::declare::messages;

messages! {
    /// Asks for all groups, or some kinds.
    struct ListGroupsRequest {
        /// States to list; empty for all.
        states_filter: Vec<String> [4..];
        /// Types to list; empty for all.
        types_filter: Vec<String> [5..];
    }

    /// The answer.
    struct ListGroupsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// Error, or 0.
        error_code: i16;
        /// The groups.
        groups: Vec<ListedGroup>;
    }

    /// One group.
    struct ListedGroup {
        /// Id of the group.
        group_id: String;
        /// What the group is for.
        protocol_type: String;
        /// State of the group.
        group_state: String [4..];
        /// "classic" or "consumer".
        group_type: String [5..];
    }
}
