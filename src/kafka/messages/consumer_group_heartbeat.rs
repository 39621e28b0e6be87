//! ConsumerGroupHeartbeat (key 68): the one call of the consumer protocol (KIP-848), by which members enter, tell what
//! changed, learn their partitions and leave.
use super::declare::messages;
use crate::base::Uuid;

messages! {
    /// What a member says; null and -1 are what did not change.
    struct ConsumerGroupHeartbeatRequest {
        /// Id of the group.
        group_id: String;
        /// Id of the member, which makes it up itself from version 1.
        member_id: String;
        /// Epoch that the member has; 0 to enter, -1 to leave, -2 to leave for a while (KIP-345).
        member_epoch: i32;
        /// The member's own name for itself, or null (KIP-345).
        instance_id: Option<String>;
        /// Rack of the member.
        rack_id: Option<String>;
        /// How long the member may take to enter the next generation.
        rebalance_timeout_ms: i32 = -1;
        /// Topics that it wants by name.
        subscribed_topic_names: Option<Vec<String>>;
        /// Pattern of the topics that it wants.
        subscribed_topic_regex: Option<String> [1..];
        /// The way of assigning that it wants.
        server_assignor: Option<String>;
        /// The partitions that it owns.
        topic_partitions: Option<Vec<TopicPartitions>>;
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// Id.
        topic_id: Uuid;
        /// The partitions.
        partitions: Vec<i32>;
    }

    /// The answer.
    struct ConsumerGroupHeartbeatResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String>;
        /// Id of the member.
        member_id: Option<String>;
        /// Epoch of the member.
        member_epoch: i32;
        /// When the next heartbeat is due.
        heartbeat_interval_ms: i32;
        /// What it may read, or null if that did not change.
        assignment: Option<Assignment>;
    }

    /// What a member may read.
    struct Assignment {
        /// The partitions.
        topic_partitions: Vec<TopicPartitions>;
    }
}
