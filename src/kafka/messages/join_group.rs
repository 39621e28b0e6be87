//! JoinGroup (key 11): a member enters a classic group, or enters its next generation.
use bytes::Bytes;

use super::declare::messages;

messages! {
    /// Asks to enter.
    struct JoinGroupRequest {
        /// Id of the group.
        group_id: String;
        /// After which silence the member is dead.
        session_timeout_ms: i32;
        /// How long the member may take to enter the next generation.
        rebalance_timeout_ms: i32 [1..] = -1;
        /// Id of the member; empty for one that has none yet.
        member_id: String;
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [5..];
        /// What the group is for; "consumer" for consumers.
        protocol_type: String;
        /// The ways of assigning that the member knows, best first.
        protocols: Vec<JoinGroupRequestProtocol>;
        /// Why, for the log.
        reason: Option<String> [8..];
    }

    /// A way of assigning that the member knows.
    struct JoinGroupRequestProtocol {
        /// Name.
        name: String;
        /// What the member says about itself in this way.
        metadata: Bytes;
    }

    /// The answer.
    struct JoinGroupResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [2..];
        /// Error, or 0.
        error_code: i16;
        /// Generation of the group.
        generation_id: i32 = -1;
        /// What the group is for; "consumer" for consumers.
        protocol_type: Option<String> [7..];
        /// The way of assigning that was chosen.
        protocol_name: Option<String> [.., null 7..] = Some(String::new());
        /// Member id of the leader.
        leader: String;
        /// Whether the leader shall leave the assignment as it is.
        skip_assignment: bool [9..];
        /// Id of the member.
        member_id: String;
        /// The members; empty but for the leader.
        members: Vec<JoinGroupResponseMember>;
    }

    /// A member, for the leader.
    struct JoinGroupResponseMember {
        /// Id of the member.
        member_id: String;
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [5..];
        /// What the member said about itself in the chosen way.
        metadata: Bytes;
    }
}
