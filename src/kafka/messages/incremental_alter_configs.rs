//! IncrementalAlterConfigs (key 44): changes single settings of a topic.
use super::declare::messages;

messages! {
    /// Settings to change.
    struct IncrementalAlterConfigsRequest {
        /// Of these.
        resources: Vec<AlterConfigsResource>;
        /// Whether to check only.
        validate_only: bool;
    }

    /// A topic or broker.
    struct AlterConfigsResource {
        /// 2: topic, 4: broker.
        resource_type: i8;
        /// Name or id.
        resource_name: String;
        /// The changes.
        configs: Vec<AlterableConfig>;
    }

    /// A change.
    struct AlterableConfig {
        /// Name of the setting.
        name: String;
        /// 0: set, 1: delete, 2: append to a list, 3: subtract from a list.
        config_operation: i8;
        /// The value.
        value: Option<String> = Some(String::new());
    }

    /// The answer.
    struct IncrementalAlterConfigsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// One for each resource.
        responses: Vec<AlterConfigsResourceResponse>;
    }

    /// What became of a resource.
    struct AlterConfigsResourceResponse {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// 2: topic, 4: broker.
        resource_type: i8;
        /// Name or id.
        resource_name: String;
    }
}
