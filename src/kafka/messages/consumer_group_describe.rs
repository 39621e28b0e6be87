//! ConsumerGroupDescribe (key 69): state and members of groups of the consumer protocol (KIP-848).
use super::declare::messages;
use super::metadata::NO_OPERATIONS;
use crate::base::Uuid;

messages! {
    /// Asks for groups.
    struct ConsumerGroupDescribeRequest {
        /// Ids of the groups.
        group_ids: Vec<String>;
        /// Whether to say what the asker may do with it.
        include_authorized_operations: bool;
    }

    /// The answer.
    struct ConsumerGroupDescribeResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The groups.
        groups: Vec<DescribedGroup>;
    }

    /// One group.
    struct DescribedGroup {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String>;
        /// Id of the group.
        group_id: String;
        /// State of the group.
        group_state: String;
        /// Epoch of the group.
        group_epoch: i32;
        /// Epoch of the target assignment.
        assignment_epoch: i32;
        /// The way of assigning.
        assignor_name: String;
        /// The members.
        members: Vec<Member>;
        /// What the asker may do with it, a bit field.
        authorized_operations: i32 = NO_OPERATIONS;
    }

    /// A member.
    struct Member {
        /// Id of the member.
        member_id: String;
        /// The member's own name for itself, or null (KIP-345).
        instance_id: Option<String>;
        /// Rack of the member.
        rack_id: Option<String>;
        /// Epoch of the member.
        member_epoch: i32;
        /// Id of the client.
        client_id: String;
        /// Address of the client.
        client_host: String;
        /// Topics that it wants by name.
        subscribed_topic_names: Vec<String>;
        /// Pattern of the topics that it wants.
        subscribed_topic_regex: Option<String>;
        /// What it has.
        assignment: Assignment;
        /// What it will have.
        target_assignment: Assignment;
        /// 0: classic protocol, 1: consumer protocol, -1: unknown.
        member_type: i8 [1..] = -1;
    }

    /// What a member has or will have.
    struct Assignment {
        /// The partitions.
        topic_partitions: Vec<TopicPartitions>;
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// Id.
        topic_id: Uuid;
        /// Name.
        topic_name: String;
        /// The partitions.
        partitions: Vec<i32>;
    }
}
