//! AlterClientQuotas (key 49): sets and removes quotas.
use super::declare::messages;

messages! {
    /// Quotas to change.
    struct AlterClientQuotasRequest {
        /// The entities.
        entries: Vec<EntryData>;
        /// Whether to check only.
        validate_only: bool;
    }

    /// Changes for one entity.
    struct EntryData {
        /// The entity.
        entity: Vec<EntityData>;
        /// The changes.
        ops: Vec<OpData>;
    }

    /// One part of an entity.
    struct EntityData {
        /// Type: "user", "client-id" or "ip".
        entity_type: String;
        /// Name, or null for the default.
        entity_name: Option<String> = Some(String::new());
    }

    /// A quota to set or remove.
    struct OpData {
        /// Name of the quota.
        key: String;
        /// Its value.
        value: f64;
        /// Whether to remove it.
        remove: bool;
    }

    /// The answer.
    struct AlterClientQuotasResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// The entities.
        entries: Vec<EntryDataResponse>;
    }

    /// What became of one entity.
    struct EntryDataResponse {
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// The entity.
        entity: Vec<EntityData>;
    }
}
