//! ApiVersions (key 18): what this broker understands. The response never has a flexible header, so that a client that
//! asked in too new a version can read the refusal.
use super::declare::messages;

messages! {
    /// Asks for the versions that the broker speaks.
    struct ApiVersionsRequest {
        /// Name of the client library.
        client_software_name: String [3..];
        /// Version of the client library.
        client_software_version: String [3..];
    }

    /// The answer; in version 0 when the version asked for is unknown.
    struct ApiVersionsResponse {
        /// Error, or 0.
        error_code: i16;
        /// One entry for each API.
        api_keys: Vec<ApiVersion>;
        /// Always 0: there are no quotas.
        throttle_time_ms: i32 [1..];
        /// Features that the broker could turn on.
        supported_features: Vec<SupportedFeatureKey> [tag 0, 3..];
        /// Epoch of the finalized features; -1 is unknown.
        finalized_features_epoch: i64 [tag 1, 3..] = -1;
        /// Features that are on.
        finalized_features: Vec<FinalizedFeatureKey> [tag 2, 3..];
        /// Leftover of ZooKeeper.
        zk_migration_ready: bool [tag 3, 3..];
    }

    /// The versions of one API.
    struct ApiVersion {
        /// The API.
        api_key: i16;
        /// Lowest version.
        min_version: i16;
        /// Highest version.
        max_version: i16;
    }

    /// A feature that the broker could turn on.
    struct SupportedFeatureKey {
        /// Its name.
        name: String [3..];
        /// Lowest level.
        min_version: i16 [3..];
        /// Highest level.
        max_version: i16 [3..];
    }

    /// A feature that is on.
    struct FinalizedFeatureKey {
        /// Its name.
        name: String [3..];
        /// Highest level.
        max_version_level: i16 [3..];
        /// Lowest level.
        min_version_level: i16 [3..];
    }
}
