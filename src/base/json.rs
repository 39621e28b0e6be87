//! A JSON value as text: for those who keep and hand on what only others understand.
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value as it was written, a tenth of the size of its parsed tree; cheap to clone. Values are equal when their texts
/// are. It can be read from JSON only, and not where serde has to look at a value twice (flattened or untagged).
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// The value of something whose maps have text keys.
    ///
    /// # Panics
    /// If a map has others.
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::value::to_raw_value(value).expect("maps have text keys").into())
    }

    /// Bytes of its text.
    pub fn len(&self) -> usize {
        self.0.get().len()
    }

    /// Whether there is no text, which no value has.
    pub fn is_empty(&self) -> bool {
        self.0.get().is_empty()
    }

    /// What it says.
    ///
    /// # Errors
    /// If it is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(|raw| Self(raw.into()))
    }
}
