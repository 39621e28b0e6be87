//! The crate's store in memory, whose objects bear the time of a [`Clock`]: with a virtual one they age as everything else
//! does. Without one they bear the machine's.
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use crate::base::Clock;
use crate::store::Objects;

/// The store; see the module's header.
#[derive(Debug, Default)]
pub struct Memory {
    objects: InMemory,
    clock: Option<Clock>,
    /// When each object was written, in ms since 1970.
    written: Mutex<BTreeMap<Path, i64>>,
}

impl Memory {
    /// An empty store whose objects bear the time of `clock`.
    pub fn on(clock: &Clock) -> Self {
        Self { clock: Some(clock.clone()), ..Self::default() }
    }

    fn written(&self) -> MutexGuard<'_, BTreeMap<Path, i64>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self, path: &Path) {
        if let Some(clock) = &self.clock {
            self.written().insert(path.clone(), clock.now_ms());
        }
    }

    fn stamped(&self, mut meta: ObjectMeta) -> ObjectMeta {
        if let Some(ms) = self.written().get(&meta.location) {
            meta.last_modified = (UNIX_EPOCH + Duration::from_millis(u64::try_from(*ms).unwrap_or(0))).into();
        }
        meta
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let result = self.objects.put_opts(path, payload, options).await?;
        self.stamp(path);
        Ok(result)
    }

    async fn put_multipart_opts(&self, path: &Path, o: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(path, o).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.objects.get_opts(path, options).await?;
        Ok(GetResult { meta: self.stamped(found.meta.clone()), ..found })
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.objects.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let written = self.written().clone();
        let stamps = Self { written: Mutex::new(written), ..Self::default() };
        self.objects.list(prefix).map(move |meta| meta.map(|meta| stamps.stamped(meta))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.objects.list_with_delimiter(prefix).await?;
        found.objects = found.objects.into_iter().map(|meta| self.stamped(meta)).collect();
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await?;
        self.stamp(to);
        Ok(())
    }
}

/// Uploads are the caller's: the crate's store panics when parts come out of order.
impl Memory {
    /// Up to `limit` objects under the folder `prefix` with keys greater than `after`, ascending.
    pub async fn page(&self, prefix: &Path, after: Option<&Path>, limit: usize) -> Result<Vec<ObjectMeta>> {
        let found = self.objects.page(prefix, after, limit).await?;
        Ok(found.into_iter().map(|meta| self.stamped(meta)).collect())
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn objects_bear_the_time_of_the_clock_however_they_are_looked_at() {
        let clock = Clock::manual(5_000);
        let memory = Memory::on(&clock);
        let path = Path::from("folder/a");
        memory.put(&path, PutPayload::from_static(b"x")).await.unwrap();
        clock.advance(Duration::from_secs(60));
        let at = |meta: &ObjectMeta| meta.last_modified.timestamp_millis();
        assert_eq!(at(&memory.head(&path).await.unwrap()), 5_000);
        let folder = Path::from("folder");
        assert_eq!(at(&memory.page(&folder, None, 9).await.unwrap()[0]), 5_000);
        assert_eq!(at(&memory.list_with_delimiter(Some(&folder)).await.unwrap().objects[0]), 5_000);
        assert_eq!(at(&memory.list(None).next().await.unwrap().unwrap()), 5_000);
        memory.put(&path, PutPayload::from_static(b"y")).await.unwrap();
        assert_eq!(at(&memory.head(&path).await.unwrap()), 65_000, "written again");
    }
}
