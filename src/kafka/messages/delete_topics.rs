//! DeleteTopics (key 20).
use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// Topics to delete.
    struct DeleteTopicsRequest {
        /// By name or id.
        topics: Vec<DeleteTopicState> [6..];
        /// By name.
        topic_names: Vec<String> [..=5];
        /// How long the client is willing to wait.
        timeout_ms: i32;
    }

    /// A topic by name or by id.
    struct DeleteTopicState {
        /// Name, or null.
        name: Option<String> [6..];
        /// Id, or zero.
        topic_id: Uuid [6..];
    }

    /// The answer.
    struct DeleteTopicsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The topics.
        responses: Vec<DeletableTopicResult>;
    }

    /// What became of a topic.
    struct DeletableTopicResult {
        /// Name; null when an unknown id was asked for.
        name: Option<String> [.., null 6..] = Some(String::new());
        /// Id.
        topic_id: Uuid [6..];
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> [5..];
    }
}
