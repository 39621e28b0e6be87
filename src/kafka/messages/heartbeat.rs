//! Heartbeat (key 12): a member of a classic group is alive.
use super::declare::messages;

messages! {
    /// A sign of life.
    struct HeartbeatRequest {
        /// Id of the group.
        group_id: String;
        /// Generation of the group.
        generation_id: i32;
        /// Id of the member.
        member_id: String;
        /// The member's own name for itself, or null (KIP-345).
        group_instance_id: Option<String> [3..];
    }

    /// The answer.
    struct HeartbeatResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// Error, or 0.
        error_code: i16;
    }
}
