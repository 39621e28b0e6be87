//! What can go wrong in a cold read. Errors are cheap to clone: one failed fetch answers every reader that waited for it.
use std::sync::Arc;

/// Why a cold read got no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColdError {
    /// The manifest could not say what lies at an offset (a page of it is unreachable or damaged).
    #[error("cannot look up offset {offset} in the manifest of partition {partition}: {message}")]
    Lookup {
        /// The offset that was looked for.
        offset: i64,
        /// The partition's number.
        partition: i32,
        /// What the manifest's reader said.
        message: Arc<str>,
        /// Whether the same question may be answered later.
        retriable: bool,
    },
    /// The manifest names an object that is not in the bucket, also after the manifest was read again.
    #[error(
        "segment '{path}' is in the manifest but not in the bucket: its offsets cannot be read; restore the object, or run `esker fsck` to see what else is missing"
    )]
    Missing {
        /// Path of the object.
        path: Arc<str>,
    },
    /// Bytes of an object do not match their checksum, or do not say what the manifest says.
    #[error(
        "segment '{path}' is damaged: {message}; restore the object from a copy, or run `esker verify` to see the extent"
    )]
    Damaged {
        /// Path of the object.
        path: Arc<str>,
        /// What did not fit, and where.
        message: Arc<str>,
    },
    /// A later version wrote the segment, and says that this one must not read it.
    #[error("segment '{path}' needs {what}, which this version does not know: use a newer one")]
    Unsupported {
        /// Path of the object.
        path: Arc<str>,
        /// The format number or feature.
        what: Arc<str>,
    },
    /// The store did not answer, or refused.
    #[error("cannot read segment '{path}': {message}")]
    Store {
        /// Path of the object.
        path: Arc<str>,
        /// What the store's client said.
        message: Arc<str>,
        /// Whether the same read may succeed later.
        retriable: bool,
    },
    /// The fetch ended without an answer: its thread panicked or the process is about to stop.
    #[error(
        "the fetch of segment '{path}' ended without an answer (the process stops, or the log above says why); try again"
    )]
    Abandoned {
        /// Path of the object.
        path: Arc<str>,
    },
}

impl ColdError {
    /// Whether the same read may succeed later without anybody's help.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Lookup { retriable, .. } | Self::Store { retriable, .. } => *retriable,
            Self::Missing { .. } | Self::Damaged { .. } | Self::Unsupported { .. } => false,
            Self::Abandoned { .. } => true,
        }
    }
}
