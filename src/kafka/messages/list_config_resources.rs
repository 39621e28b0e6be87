//! ListConfigResources (key 74): what has settings. In version 0 it was called ListClientMetricsResources, and lists
//! only those.
use super::declare::messages;

messages! {
    /// Asks for resources of some types.
    struct ListConfigResourcesRequest {
        /// Types of the resources; empty for all.
        resource_types: Vec<i8> [1..];
    }

    /// The answer.
    struct ListConfigResourcesResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// The resources.
        config_resources: Vec<ConfigResource>;
    }

    /// What has settings.
    struct ConfigResource {
        /// Name.
        resource_name: String;
        /// Type, as in DescribeConfigs.
        resource_type: i8 [1..] = 16;
    }
}
