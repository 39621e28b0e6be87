//! What can go wrong between the archive and the bucket, told by what the caller can do about it.
use crate::store::chain::ChainError;
use crate::store::{Kind, StoreError};

use super::manifest::Violation;

/// Why something could not be read from the bucket.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ArchiveError {
    /// A request failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chain could not be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An object is there but is not what it should be: nothing that it says is used.
    #[error("{path}: {reason}; what depends on it stops, the rest goes on: run `esker fsck`, and restore the object")]
    Damaged {
        /// URL of the object.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An object that something else names is not there.
    #[error("{path}: missing, though {named_by} names it; run `esker fsck`, and restore the object")]
    Missing {
        /// URL of the object.
        path: String,
        /// What names it.
        named_by: String,
    },
    /// An object asks for a feature that this build does not have.
    #[error("{path}: {reason}")]
    Refused {
        /// URL of the object.
        path: String,
        /// Which feature, and what to do.
        reason: String,
    },
    /// There is no Esker bucket at this place.
    #[error("{url}: no Esker bucket here (esker.json is missing); `esker serve --store` makes one")]
    NoEsker {
        /// URL of the root.
        url: String,
    },
}

/// Why a version was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Another broker owns the bucket: stop, keep the WAL.
    #[error("{path}: fenced by {}: another broker owns this bucket; this one stops and keeps its WAL", by(.epoch))]
    Fenced {
        /// URL of the chain.
        path: String,
        /// Epoch of the other broker, where it is known.
        epoch: Option<u32>,
    },
    /// The change does not fit the head (any more): plan it anew, or drop it.
    #[error("{path}: cancelled: {reason}")]
    Cancelled {
        /// URL of the chain.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// The version would have broken an invariant, and was not written: a defect of Esker.
    #[error("{path}: not written, for it would break an invariant: {violation}; please report this")]
    Invariant {
        /// URL of the chain.
        path: String,
        /// Which, and how.
        violation: Violation,
    },
    /// The bucket could not be read or written; whether the version was committed may be open. The same commit may be
    /// tried again: one that was applied is recognized.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Whether the rest of a path after a chain's prefix is one of its versions.
fn is_version(rest: &str) -> bool {
    let number = rest.strip_prefix('/').and_then(|rest| rest.strip_suffix(".json"));
    number.is_some_and(|number| number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit()))
}

fn by(epoch: &Option<u32>) -> String {
    epoch.map_or_else(|| "a later owner".to_string(), |epoch| format!("epoch {epoch}"))
}

impl ArchiveError {
    /// Whether the same request may succeed later without anybody's doing.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Store(e) | Self::Chain(ChainError::Store(e)) => e.is_retriable(),
            Self::Chain(ChainError::Undecided { .. }) => true,
            _ => false,
        }
    }

    /// Whether the store answered that it will not: the rights are missing, or the bucket is gone. It is there, unlike one that
    /// does not answer.
    pub fn is_denied(&self) -> bool {
        let (Self::Store(e) | Self::Chain(ChainError::Store(e) | ChainError::Undecided { source: e, .. })) = self
        else {
            return false;
        };
        matches!(e.kind, Kind::Denied | Kind::NoBucket)
    }

    /// Whether there is an object that is not what it should be, or none where one has to be: what depends on it stops, the
    /// rest goes on.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Missing { .. } | Self::Refused { .. } => true,
            Self::Chain(e) => e.is_unreadable(),
            Self::Store(_) | Self::NoEsker { .. } => false,
        }
    }

    /// Whether an object was not there: a reader re-reads the manifest once.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            Self::Store(e) | Self::Chain(ChainError::Store(e)) => e.is_not_found(),
            _ => false,
        }
    }
}

impl CommitError {
    /// Whether the same commit may succeed later without anybody's doing.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Archive(e) if e.is_retriable())
    }

    /// Whether the chain itself is damaged, or asks for what this build does not have: what depends on it refuses appends, by
    /// name, until somebody restores it.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Archive(e) if e.is_damage())
    }

    /// Whether it is the chain at `url` that is damaged, and not something that it names.
    pub(super) fn is_damage_of(&self, url: &str) -> bool {
        let path = match self {
            Self::Archive(ArchiveError::Damaged { path, .. } | ArchiveError::Missing { path, .. }) => path,
            Self::Archive(ArchiveError::Chain(ChainError::Envelope { path, .. })) => path,
            Self::Archive(ArchiveError::Chain(ChainError::Store(e))) if e.kind == Kind::Corrupt => &e.path,
            _ => return false,
        };
        path.strip_prefix(url).is_some_and(|rest| rest.is_empty() || is_version(rest))
    }

    /// Whether another broker owns the bucket.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Archive(error.into())
    }
}

impl From<ChainError> for CommitError {
    fn from(error: ChainError) -> Self {
        Self::Archive(error.into())
    }
}
