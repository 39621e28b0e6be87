//! FindCoordinator (key 10): the broker that coordinates a group or a transactional id.
use super::declare::messages;

messages! {
    /// Asks for coordinators.
    struct FindCoordinatorRequest {
        /// The group or transactional id.
        key: String [..=3];
        /// 0: groups, 1: transactional ids, 2: share groups.
        key_type: i8 [1..];
        /// The groups or transactional ids.
        coordinator_keys: Vec<String> [4..];
    }

    /// The answer.
    struct FindCoordinatorResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// Error, or 0.
        error_code: i16 [..=3];
        /// Why it was refused.
        error_message: Option<String> [1..=3] = Some(String::new());
        /// The broker.
        node_id: i32 [..=3];
        /// Its host name or address.
        host: String [..=3];
        /// Its port.
        port: i32 [..=3];
        /// The coordinators, by key.
        coordinators: Vec<Coordinator> [4..];
    }

    /// One coordinator.
    struct Coordinator {
        /// The group or transactional id.
        key: String [4..];
        /// The broker.
        node_id: i32 [4..];
        /// Its host name or address.
        host: String [4..];
        /// Its port.
        port: i32 [4..];
        /// Error, or 0.
        error_code: i16 [4..];
        /// Why it was refused.
        error_message: Option<String> [4..] = Some(String::new());
    }
}
