//! UpdateFeatures (key 57): sets the levels of the cluster's features.
use super::declare::messages;

messages! {
    /// Levels to set.
    struct UpdateFeaturesRequest {
        /// How long the client is willing to wait.
        timeout_ms: i32 = 60_000;
        /// The features.
        feature_updates: Vec<FeatureUpdateKey>;
        /// Whether to check only.
        validate_only: bool [1..];
    }

    /// One feature.
    struct FeatureUpdateKey {
        /// Name.
        feature: String;
        /// Level to set; below 1 removes the feature.
        max_version_level: i16;
        /// Whether the level may fall, in version 0.
        allow_downgrade: bool [..=0];
        /// 1: the level may rise, 2: it may fall if nothing is lost, 3: it may fall.
        upgrade_type: i8 [1..] = 1;
    }

    /// The answer.
    struct UpdateFeaturesResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// What became of each.
        results: Vec<UpdatableFeatureResult> [..=1];
    }

    /// What became of one feature.
    struct UpdatableFeatureResult {
        /// Name.
        feature: String;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
    }
}
