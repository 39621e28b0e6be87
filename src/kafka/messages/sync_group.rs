//! SyncGroup (key 14): the leader of a classic group hands in the assignment, and every member gets its part.
use bytes::Bytes;

use super::declare::messages;

messages! {
    /// Asks for an assignment; the leader brings all of them.
    struct SyncGroupRequest {
        /// Id of the group.
        group_id: String;
        /// Generation of the group.
        generation_id: i32;
        /// Id of the member.
        member_id: String;
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [3..];
        /// What the group is for; "consumer" for consumers.
        protocol_type: Option<String> [5..];
        /// The way of assigning that was chosen.
        protocol_name: Option<String> [5..];
        /// The assignment of every member; empty but for the leader.
        assignments: Vec<SyncGroupRequestAssignment>;
    }

    /// What one member gets.
    struct SyncGroupRequestAssignment {
        /// Id of the member.
        member_id: String;
        /// The assignment.
        assignment: Bytes;
    }

    /// The answer.
    struct SyncGroupResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// Error, or 0.
        error_code: i16;
        /// What the group is for; "consumer" for consumers.
        protocol_type: Option<String> [5..];
        /// The way of assigning that was chosen.
        protocol_name: Option<String> [5..];
        /// The assignment.
        assignment: Bytes;
    }
}
