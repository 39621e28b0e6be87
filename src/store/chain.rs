//! Chains: numbered objects written with create-if-absent only; the last one is the truth. Free of any domain.
//!
//! Objects are `<prefix>/<number, 20 digits>.json`, numbers from 1 without holes, each an envelope whose body is
//! `{"number":7,"nonce":"16 hex digits","epoch":3,"body":{…}}`. The nonce is fresh for every attempt to commit, so that
//! a writer whose request was applied but answered with an error recognizes its own success.
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::envelope::{EnvelopeError, Features, Schema};
use super::{Store, StoreError};

/// One version of a chain, as read or as committed. What a writer remembers to build upon.
#[derive(Clone, Debug)]
pub struct Head {
    /// From 1 up.
    pub number: u64,
    /// Tells this version from any other that was ever tried at this number.
    pub nonce: String,
    /// Epoch of the broker that wrote it.
    pub epoch: u32,
    /// What the version asks of readers and of its successor's writer.
    pub features: Features,
    /// The domain's body: one JSON value.
    pub body: Bytes,
}

/// How a commit ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The version is the chain's head, and nobody else's is.
    Committed(Head),
    /// Somebody of the same or a lower epoch took the number: plan anew on this head. (After an undecided commit it may be
    /// one's own earlier version.)
    Lost(Head),
    /// A higher epoch wrote, or the chain moved on so far that our place was collected: stop, keep the WAL.
    Fenced {
        /// The epoch that fenced us, where it is known.
        epoch: Option<u32>,
    },
}

/// Why a chain could not be read, or a commit not decided.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// A request failed for good, or the store did not answer in time while reading.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A version is damaged, or of a future format or feature.
    #[error("{path}: {source}")]
    Envelope {
        /// URL of the version.
        path: String,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// The store stopped answering before the commit was decided: it may have been applied, now or later. Read the head
    /// again before anything is planned.
    #[error("{path}: undecided, the store does not answer ({source}); the head has to be read again")]
    Undecided {
        /// URL of the version that was tried.
        path: String,
        /// The last answer.
        source: StoreError,
    },
}

/// A chain under a prefix. Cheap to clone; holds no state: the caller remembers the [`Head`].
#[derive(Clone, Debug)]
pub struct Chain {
    store: Store,
    schema: Schema,
    prefix: String,
}

impl Chain {
    /// The chain of `schema` under `prefix` (no slash at either end).
    pub fn new(store: Store, schema: Schema, prefix: impl Into<String>) -> Self {
        Self { store, schema, prefix: prefix.into() }
    }

    /// Where the chain lies, relative to the store's root.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The newest version. None: not one version exists, which for anything but creation is damage.
    pub async fn head(&self, remembered: Option<&Head>) -> Result<Option<Head>, ChainError> {
        let _ = remembered;
        unimplemented!()
    }

    /// Tries to make `body` the version after `on` (`None`: version 1).
    pub async fn commit(&self, on: Option<&Head>, epoch: u32, body: &impl Serialize) -> Result<Outcome, ChainError> {
        let _ = (on, epoch, body);
        unimplemented!()
    }

    /// One version, if it is there.
    pub async fn get(&self, number: u64) -> Result<Option<Head>, ChainError> {
        let _ = number;
        unimplemented!()
    }

    /// Numbers of the versions that a listing shows, ascending: for display, `--as-of` and checks, not for deciding.
    pub async fn versions(&self) -> Result<Vec<u64>, ChainError> {
        unimplemented!()
    }

    /// Deletes versions that were superseded more than `keep_ms` before `now_ms`, but never one of the `keep_newest`.
    /// Returns how many went; at most one page of a listing a call.
    pub async fn collect(&self, keep_newest: u64, keep_ms: i64, now_ms: i64) -> Result<u64, ChainError> {
        let _ = (keep_newest, keep_ms, now_ms);
        unimplemented!()
    }
}

impl Head {
    /// Parses the domain's body.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
