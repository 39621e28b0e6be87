//! DescribeGroups (key 15): state and members of classic groups.
use bytes::Bytes;

use super::declare::messages;
use super::metadata::NO_OPERATIONS;

messages! {
    /// Asks for groups.
    struct DescribeGroupsRequest {
        /// Ids of the groups.
        groups: Vec<String>;
        /// Whether to say what the asker may do with it.
        include_authorized_operations: bool [3..];
    }

    /// The answer.
    struct DescribeGroupsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// The groups.
        groups: Vec<DescribedGroup>;
    }

    /// One group.
    struct DescribedGroup {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> [6..];
        /// Id of the group.
        group_id: String;
        /// State of the group.
        group_state: String;
        /// What the group is for; "consumer" for consumers.
        protocol_type: String;
        /// The way of assigning that was chosen.
        protocol_data: String;
        /// The members.
        members: Vec<DescribedGroupMember>;
        /// What the asker may do with it, a bit field.
        authorized_operations: i32 [3..] = NO_OPERATIONS;
    }

    /// A member.
    struct DescribedGroupMember {
        /// Id of the member.
        member_id: String;
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [4..];
        /// Id of the client.
        client_id: String;
        /// Address of the client.
        client_host: String;
        /// What the member said about itself for the chosen way of assigning.
        member_metadata: Bytes;
        /// What the leader gave to it.
        member_assignment: Bytes;
    }
}
