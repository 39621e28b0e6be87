//! Row 2: the object store. One client for a folder, S3, GCS and Azure, with time-outs, retries, bounds and counters
//! ([`Store`]); the envelope of every JSON object ([`envelope`]); chains ([`chain`]); the probe of a new bucket ([`probe`]).
//!
//! Three classes of requests have permits of their own, so that a backfill never makes a commit wait: small objects
//! (get, create, list, …), range reads, and uploads. Every request is one attempt of the backend's client; what is safe to
//! repeat is repeated here, with jitter, for a limited time ([`StoreOptions`]); [`Store::create`] is never repeated.
pub mod chain;
mod classify;
pub mod envelope;
mod error;
mod gate;
mod local;
mod objects;
mod open;
mod options;
mod patience;
pub mod probe;
mod requests;
#[doc(hidden)]
pub mod testing;
mod upload;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use object_store::path::Path;

use crate::base::{Clock, Metrics, Random};
use gate::Gate;

pub use error::{Kind, StoreError};
pub use objects::Objects;
pub use options::StoreOptions;
pub use upload::Upload;

/// Entries of one page of [`Store::list`].
pub const LIST_PAGE: usize = 1000;
/// Largest object that [`Store::get`] reads, in bytes.
pub const SMALL_BYTES_MAX: u64 = 64 << 20;

/// A bucket with a root prefix; cheap to clone. Paths are relative to the root, `/` between their parts.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    objects: Arc<dyn Objects>,
    root: Path,
    url: String,
    options: StoreOptions,
    clock: Clock,
    random: Random,
    gate: Gate,
    /// Whether the store ever answered: before that, silence of a credential service means that there are none.
    answered: AtomicBool,
}

/// How a create-if-absent ended.
#[derive(Clone, Debug)]
pub enum Create {
    /// The object is there, and it is ours.
    Created,
    /// The store says that something is there already. It may be ours, from a request that was answered with an error;
    /// and some stores say so when two creators collide and nothing is there.
    Exists,
    /// It may or may not have been applied, or be applied later.
    Unknown(StoreError),
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Path relative to the root.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// When it was written by the store's clock, in ms since 1970.
    pub modified_ms: i64,
}

impl Store {
    /// Opens `file:///dir`, a plain directory, `s3://bucket/prefix`, `gs://` or `az://`. Credentials and endpoint come from
    /// the standard variables. Makes no request: see [`Store::check`].
    pub fn open(
        url: &str,
        options: StoreOptions,
        clock: &Clock,
        random: &Random,
        metrics: &Metrics,
    ) -> Result<Self, StoreError> {
        let place = open::open(url, &options, random)?;
        Ok(Self::new(place, options, clock, random, metrics))
    }

    /// A store over any backend, rooted at its top and shown as `url`: for tests.
    pub fn over(
        objects: Arc<dyn Objects>,
        url: &str,
        options: StoreOptions,
        clock: &Clock,
        random: &Random,
        metrics: &Metrics,
    ) -> Self {
        let place = open::Place { objects, root: Path::default(), url: url.trim_end_matches('/').to_string() };
        Self::new(place, options, clock, random, metrics)
    }

    fn new(place: open::Place, options: StoreOptions, clock: &Clock, random: &Random, metrics: &Metrics) -> Self {
        let open::Place { objects, root, url } = place;
        let gate = Gate::new(&options, metrics);
        let (clock, random, answered) = (clock.clone(), random.clone(), AtomicBool::new(false));
        Self(Arc::new(Inner { objects, root, url, options, clock, random, gate, answered }))
    }

    /// URL of an object, as other tools take it: `file:///dir/path`, `s3://bucket/path`. "" is the root.
    pub fn url_of(&self, path: &str) -> String {
        let relative = path.trim_matches('/');
        if relative.is_empty() { self.0.url.clone() } else { format!("{}/{relative}", self.0.url) }
    }

    /// URL of the root.
    pub fn display(&self) -> String {
        self.0.url.clone()
    }

    /// The randomness given at opening (nonces, object names).
    pub fn random(&self) -> &Random {
        &self.0.random
    }

    /// The clock given at opening.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

#[cfg(test)]
mod tests;
