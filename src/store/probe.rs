//! The probe of a new bucket: create-if-absent must really refuse, also when sixteen try at once.
use super::{Store, StoreError};

/// What the probe found; kept in `esker.json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Probe {
    /// When, in ms since 1970.
    pub at_ms: i64,
    /// Rounds of sixteen creators at once that had exactly one winner.
    pub rounds: u32,
}

/// Probes `store` and removes its probe keys. A store that fails is [`super::Kind::Refused`], by name.
pub async fn probe(store: &Store) -> Result<Probe, StoreError> {
    let _ = store;
    unimplemented!()
}
