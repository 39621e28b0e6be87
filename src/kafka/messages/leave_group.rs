//! LeaveGroup (key 13): members leave a classic group; one up to version 2, any number from version 3.
use super::declare::messages;

messages! {
    /// The members that leave.
    struct LeaveGroupRequest {
        /// Id of the group.
        group_id: String;
        /// Id of the member, up to version 2.
        member_id: String [..=2];
        /// The members, from version 3.
        members: Vec<MemberIdentity> [3..];
    }

    /// A member that leaves.
    struct MemberIdentity {
        /// Id of the member.
        member_id: String [3..];
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [3..];
        /// Why, for the log.
        reason: Option<String> [5..];
    }

    /// The answer.
    struct LeaveGroupResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// Error, or 0.
        error_code: i16;
        /// The members.
        members: Vec<MemberResponse> [3..];
    }

    /// What became of one member.
    struct MemberResponse {
        /// Id of the member.
        member_id: String [3..];
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [3..] = Some(String::new());
        /// Error, or 0.
        error_code: i16 [3..];
    }
}
