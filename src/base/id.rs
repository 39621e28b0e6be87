//! Identifiers of 128 bits, written as Kafka writes them: URL-safe base64 without padding, 22 characters.
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Random;

/// A topic id, cluster id or WAL id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uuid(pub [u8; 16]);

/// A text that is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id: expected 22 characters of URL-safe base64, as Kafka prints them")]
pub struct BadUuid(String);

impl Uuid {
    /// All zeros: Kafka's "no topic id".
    pub const ZERO: Self = Self([0; 16]);

    /// A fresh version 4 id whose text does not begin with `-`, so that it is never taken for an option.
    pub fn random(random: &Random) -> Self {
        loop {
            let mut bytes = random.bytes::<16>();
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            let id = Self(bytes);
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = BadUuid;
    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let bad = || BadUuid(text.chars().take(64).collect());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
        Ok(Self(bytes.try_into().map_err(|_| bad())?))
    }
}

impl TryFrom<String> for Uuid {
    type Error = BadUuid;
    fn try_from(text: String) -> Result<Self, BadUuid> {
        text.parse()
    }
}

impl From<Uuid> for String {
    fn from(id: Uuid) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_through_text_and_never_look_like_an_option() {
        let random = Random::seeded(1);
        for _ in 0..1000 {
            let id = Uuid::random(&random);
            assert_eq!(id.to_string().parse::<Uuid>(), Ok(id));
            assert_eq!(id.to_string().len(), 22);
            assert!(!id.to_string().starts_with('-'));
        }
        assert!("short".parse::<Uuid>().is_err());
    }
}
