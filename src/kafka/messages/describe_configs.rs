//! DescribeConfigs (key 32): settings of topics and brokers.
use super::declare::messages;

messages! {
    /// Asks for settings.
    struct DescribeConfigsRequest {
        /// Of these.
        resources: Vec<DescribeConfigsResource>;
        /// Whether to list where else a setting is set.
        include_synonyms: bool;
        /// Whether to explain each setting.
        include_documentation: bool [3..];
    }

    /// A topic or broker.
    struct DescribeConfigsResource {
        /// 2: topic, 4: broker.
        resource_type: i8;
        /// Name or id.
        resource_name: String;
        /// The settings, or null for all.
        configuration_keys: Option<Vec<String>> = Some(Vec::new());
    }

    /// The answer.
    struct DescribeConfigsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// One for each resource.
        results: Vec<DescribeConfigsResult>;
    }

    /// The settings of one resource.
    struct DescribeConfigsResult {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// 2: topic, 4: broker.
        resource_type: i8;
        /// Name or id.
        resource_name: String;
        /// The settings.
        configs: Vec<DescribeConfigsResourceResult>;
    }

    /// A setting.
    struct DescribeConfigsResourceResult {
        /// Its name.
        name: String;
        /// Its value.
        value: Option<String> = Some(String::new());
        /// Whether it cannot be changed.
        read_only: bool;
        /// Where the value comes from.
        config_source: i8 = -1;
        /// Whether the value is secret.
        is_sensitive: bool;
        /// Where else it is set.
        synonyms: Vec<DescribeConfigsSynonym>;
        /// Type of the value.
        config_type: i8 [3..];
        /// What it does.
        documentation: Option<String> [3..] = Some(String::new());
    }

    /// Another place where a setting is set.
    struct DescribeConfigsSynonym {
        /// Its name there.
        name: String;
        /// Its value there.
        value: Option<String> = Some(String::new());
        /// The place.
        source: i8;
    }
}
