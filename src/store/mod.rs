//! Row 2: the object store. One client for a folder, S3, GCS and Azure, with time-outs, retries, bounds and counters
//! ([`Store`]); the envelope of every JSON object ([`envelope`]); chains ([`chain`]); the probe of a new bucket ([`probe`]).
//!
//! Three classes of requests have permits of their own, so that a backfill never makes a commit wait: small objects
//! (get, create, list, …), range reads, and uploads.
pub mod chain;
pub mod envelope;
mod error;
mod options;
pub mod probe;
#[doc(hidden)]
pub mod testing;
mod upload;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::multipart::MultipartStore;

use crate::base::{Clock, Metrics, Random};

pub use error::{Kind, StoreError};
pub use options::StoreOptions;
pub use upload::Upload;

/// Entries of one page of [`Store::list`].
pub const LIST_PAGE: usize = 1000;

/// What a backend must be able to do.
pub trait Objects: ObjectStore + MultipartStore {}
impl<T: ObjectStore + MultipartStore> Objects for T {}

/// A bucket with a root prefix; cheap to clone. Paths are relative to the root, `/` between their parts.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {}

/// How a create-if-absent ended.
#[derive(Clone, Debug)]
pub enum Create {
    /// The object is there, and it is ours.
    Created,
    /// The store says that something is there already; it may be ours from a request that was answered with an error,
    /// and some stores say so when two creators collide and nothing is there.
    Exists,
    /// It may or may not have been applied.
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
    /// the standard variables. Makes no request.
    pub fn open(
        url: &str,
        options: StoreOptions,
        clock: &Clock,
        random: &Random,
        metrics: &Metrics,
    ) -> Result<Self, StoreError> {
        let _ = (url, options, clock, random, metrics);
        unimplemented!()
    }

    /// A store over any backend, shown as `url`: for tests.
    pub fn over(
        objects: Arc<dyn Objects>,
        url: &str,
        options: StoreOptions,
        clock: &Clock,
        random: &Random,
        metrics: &Metrics,
    ) -> Result<Self, StoreError> {
        let _ = (objects, url, options, clock, random, metrics);
        unimplemented!()
    }

    /// A whole small object (at most 64 MiB; a larger one is [`Kind::Corrupt`]).
    pub async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        let _ = path;
        unimplemented!()
    }

    /// Exactly the bytes of `range`; an object that ends before is [`Kind::Corrupt`].
    pub async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let _ = (path, range);
        unimplemented!()
    }

    /// Exactly the bytes of each range; ranges that lie close together share a request.
    pub async fn get_ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        let _ = (path, ranges);
        unimplemented!()
    }

    /// Size and time of an object.
    pub async fn stat(&self, path: &str) -> Result<Listed, StoreError> {
        let _ = path;
        unimplemented!()
    }

    /// Size of an object in bytes.
    pub async fn size(&self, path: &str) -> Result<u64, StoreError> {
        self.stat(path).await.map(|object| object.size)
    }

    /// Writes a small object, whatever was there: only for what nobody trusts (Iceberg's version hint).
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let _ = (path, bytes);
        unimplemented!()
    }

    /// Creates a small object if nothing is there. One attempt, never repeated. An `Err` is a request that was refused and
    /// not applied.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let _ = (path, bytes);
        unimplemented!()
    }

    /// Begins to write an object of any size under a name that was never used.
    pub async fn upload(&self, path: &str) -> Result<Upload, StoreError> {
        let _ = path;
        unimplemented!()
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let _ = path;
        unimplemented!()
    }

    /// Objects under the folder `prefix` (at any depth, "" for all), ascending by path, beginning after `start_after` (a
    /// full path). At most [`LIST_PAGE`]; a shorter page is the last one.
    pub async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        let _ = (prefix, start_after);
        unimplemented!()
    }

    /// Names of the folders directly under `prefix`, ascending, without slashes.
    pub async fn list_dirs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let _ = prefix;
        unimplemented!()
    }

    /// Aborts unfinished uploads under the root that began before `before_ms`. Returns how many went; None where the store
    /// has no way to list them and a lifecycle rule of the bucket has to do it.
    pub async fn abort_uploads_older_than(&self, before_ms: i64) -> Result<Option<u64>, StoreError> {
        let _ = before_ms;
        unimplemented!()
    }

    /// URL of an object, as other tools take it: `file:///dir/path`, `s3://bucket/path`.
    pub fn url_of(&self, path: &str) -> String {
        let _ = path;
        unimplemented!()
    }

    /// URL of the root.
    pub fn display(&self) -> String {
        unimplemented!()
    }

    /// The randomness given at opening (nonces, object names).
    pub fn random(&self) -> &Random {
        unimplemented!()
    }

    /// The clock given at opening.
    pub fn clock(&self) -> &Clock {
        unimplemented!()
    }
}
