//! AlterConfigs (key 33): replaces all settings of a topic.
use super::declare::messages;

messages! {
    /// Settings to replace.
    struct AlterConfigsRequest {
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
        /// All its settings.
        configs: Vec<AlterableConfig>;
    }

    /// A setting.
    struct AlterableConfig {
        /// Its name.
        name: String;
        /// Its value.
        value: Option<String> = Some(String::new());
    }

    /// The answer.
    struct AlterConfigsResponse {
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
