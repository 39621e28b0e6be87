//! What can go wrong with the store, told by what the caller should do about it.
use std::fmt;

/// What a failed request means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No object of that name.
    NotFound,
    /// The credentials are missing, wrong, or lack the right. Waiting does not help.
    Denied,
    /// The bucket (or the directory of a `file://` store) does not exist. Waiting does not help.
    NoBucket,
    /// Time-out, 5xx, 429, connection trouble: whether a write was applied is unknown. Try again later.
    Unavailable,
    /// What came back is not what was stored: too short, too long, wrong checksum.
    Corrupt,
    /// The store understood the request and will not do it; or the object asks for a feature that this build lacks.
    Refused,
    /// The path, URL or option is wrong: a mistake of the caller or in the configuration.
    Invalid,
}

impl Kind {
    /// Label of the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::NoBucket => "no_bucket",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
        }
    }
}

/// A failed request: what, where, why, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct StoreError {
    /// What it means.
    pub kind: Kind,
    /// The URL of the object, prefix or store.
    pub path: String,
    /// Why, and what to do.
    pub message: String,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl StoreError {
    /// An error of `kind` at `path`.
    pub fn new(kind: Kind, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, path: path.into(), message: message.into() }
    }

    /// Whether the same request may succeed later without anybody's doing.
    pub fn is_retriable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Whether the object is simply not there.
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }
}
