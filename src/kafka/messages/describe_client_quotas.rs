//! DescribeClientQuotas (key 48): quotas by user, client id and address.
use super::declare::messages;

messages! {
    /// Asks for the quotas that match all components.
    struct DescribeClientQuotasRequest {
        /// The conditions.
        components: Vec<ComponentData>;
        /// Whether entities of further types are left out.
        strict: bool;
    }

    /// A condition on one type of entity.
    struct ComponentData {
        /// Type: "user", "client-id" or "ip".
        entity_type: String;
        /// 0: this name, 1: the default, 2: any name.
        match_type: i8;
        /// The name, or null.
        r#match: Option<String> = Some(String::new());
    }

    /// The answer.
    struct DescribeClientQuotasResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// The entities.
        entries: Option<Vec<EntryData>> = Some(Vec::new());
    }

    /// The quotas of one entity.
    struct EntryData {
        /// The entity.
        entity: Vec<EntityData>;
        /// The quotas.
        values: Vec<ValueData>;
    }

    /// One part of an entity.
    struct EntityData {
        /// Type: "user", "client-id" or "ip".
        entity_type: String;
        /// Name, or null for the default.
        entity_name: Option<String> = Some(String::new());
    }

    /// A quota.
    struct ValueData {
        /// Name of the quota.
        key: String;
        /// Its value.
        value: f64;
    }
}
