//! What a backend must be able to do, beyond the traits of the `object_store` crate.
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::azure::MicrosoftAzure;
use object_store::gcp::GoogleCloudStorage;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, Result};

/// A backend. What is provided here is right for every store that lists in the order of keys.
pub trait Objects: ObjectStore + MultipartStore {
    /// Up to `limit` objects under the folder `prefix` with keys greater than `after`, ascending.
    fn page<'a>(
        &'a self,
        prefix: &'a Path,
        after: Option<&'a Path>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectMeta>>> {
        let prefix = Some(prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let listing = match after {
            Some(after) => self.list_with_offset(prefix, after),
            None => self.list(prefix),
        };
        Box::pin(listing.take(limit).try_collect())
    }

    /// Aborts uploads under `root` that began before `before_ms`; None where they cannot be listed.
    fn abort_older<'a>(&'a self, root: &'a Path, before_ms: i64) -> BoxFuture<'a, Result<Option<u64>>> {
        let _ = (root, before_ms);
        Box::pin(async { Ok(None) })
    }
}

impl Objects for AmazonS3 {}
impl Objects for GoogleCloudStorage {}
impl Objects for MicrosoftAzure {}
impl Objects for InMemory {}
