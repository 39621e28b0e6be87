//! The cache of manifest pages, bounded by bytes: each is read once however many ask, and failures are not kept.
//!
//! A page is kept with what it asks for: one that asks for more than this build knows refuses what lies in its range, by
//! name, to readers or to whoever would write it anew or delete because of it.
use std::sync::Arc;

use bytes::Bytes;
use moka::future::Cache;
use serde::de::DeserializeOwned;

use super::invariants::check_page;
use super::model::{
    EPOCHS, EpochPage, EpochPageRef, EpochStart, ObjectRef, PAGE, PRODUCERS, Page, PageRef, REMOVED, RemovedPage,
    RemovedPageRef,
};
use super::producers::Producers;
use crate::archive::error::ArchiveError;
use crate::archive::layout;
use crate::base::Uuid;
use crate::store::Store;
use crate::store::envelope::{self, EnvelopeError, Enveloped, Schema};

/// Memory that a page takes, compared to its size in the bucket.
const MEMORY_PER_BYTE: u64 = 2;

/// Pages of all manifests of a bucket; cheap to clone.
#[derive(Clone, Debug)]
pub struct PageCache {
    store: Store,
    cache: Cache<String, Cached>,
}

#[derive(Clone, Debug)]
enum Cached {
    Tree(Arc<Enveloped<Page>>, u64),
    Epochs(Arc<Enveloped<EpochPage>>, u64),
    Removed(Arc<Enveloped<RemovedPage>>, u64),
    Producers(Arc<Enveloped<Producers>>, u64),
}

/// Whose pages: a page of another partition is refused.
#[derive(Clone, Copy, Debug)]
pub struct PageOf<'a> {
    /// The topic's root.
    pub root: &'a str,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
}

impl PageCache {
    /// Keeps pages worth at most `bytes` of memory.
    pub fn new(store: Store, bytes: u64) -> Self {
        let weigh = |_: &String, cached: &Cached| {
            let (Cached::Tree(_, bytes)
            | Cached::Epochs(_, bytes)
            | Cached::Removed(_, bytes)
            | Cached::Producers(_, bytes)) = cached;
            u32::try_from(bytes.saturating_mul(MEMORY_PER_BYTE)).unwrap_or(u32::MAX)
        };
        Self { store, cache: Cache::builder().max_capacity(bytes).weigher(weigh).build() }
    }

    /// A page of the tree.
    pub async fn tree(&self, of: PageOf<'_>, page: &PageRef) -> Result<Arc<Enveloped<Page>>, ArchiveError> {
        let path = layout::under(of.root, &page.object.name);
        let load = async {
            let content: Enveloped<Page> = read_object(&self.store, &PAGE, &path, &page.object).await?;
            whose(&self.store, &path, of, (content.topic_id, content.partition))?;
            check_page(&content, page).map_err(|violation| damaged(&self.store, &path, violation.to_string()))?;
            Ok(Cached::Tree(Arc::new(content), page.object.bytes))
        };
        match self.cache.try_get_with_by_ref(&path, load).await {
            Ok(Cached::Tree(page, _)) => Ok(page),
            Ok(_) => Err(damaged(&self.store, &path, "it is not a page of entries".into())),
            Err(e) => Err(ArchiveError::clone(&e)),
        }
    }

    /// A page of old epochs.
    pub async fn epochs(&self, of: PageOf<'_>, page: &EpochPageRef) -> Result<Arc<Enveloped<EpochPage>>, ArchiveError> {
        let path = layout::under(of.root, &page.object.name);
        let load = async {
            let content: Enveloped<EpochPage> = read_object(&self.store, &EPOCHS, &path, &page.object).await?;
            whose(&self.store, &path, of, (content.topic_id, content.partition))?;
            check_epoch_page(&content.epochs, page).map_err(|reason| damaged(&self.store, &path, reason))?;
            Ok(Cached::Epochs(Arc::new(content), page.object.bytes))
        };
        match self.cache.try_get_with_by_ref(&path, load).await {
            Ok(Cached::Epochs(page, _)) => Ok(page),
            Ok(_) => Err(damaged(&self.store, &path, "it is not a page of epochs".into())),
            Err(e) => Err(ArchiveError::clone(&e)),
        }
    }

    /// A page of what was removed.
    pub async fn removed(
        &self,
        of: PageOf<'_>,
        page: &RemovedPageRef,
    ) -> Result<Arc<Enveloped<RemovedPage>>, ArchiveError> {
        let path = layout::under(of.root, &page.object.name);
        let load = async {
            let content: Enveloped<RemovedPage> = read_object(&self.store, &REMOVED, &path, &page.object).await?;
            whose(&self.store, &path, of, (content.topic_id, content.partition))?;
            if content.removed.len() as u64 != page.count {
                let reason = format!("it names {} things, its reference says {}", content.removed.len(), page.count);
                return Err(damaged(&self.store, &path, reason));
            }
            Ok(Cached::Removed(Arc::new(content), page.object.bytes))
        };
        match self.cache.try_get_with_by_ref(&path, load).await {
            Ok(Cached::Removed(page, _)) => Ok(page),
            Ok(_) => Err(damaged(&self.store, &path, "it is not a page of what was removed".into())),
            Err(e) => Err(ArchiveError::clone(&e)),
        }
    }

    /// Producers that lie in an object of their own.
    pub async fn producers(
        &self,
        of: PageOf<'_>,
        object: &ObjectRef,
    ) -> Result<Arc<Enveloped<Producers>>, ArchiveError> {
        let path = layout::under(of.root, &object.name);
        let load = async {
            let content = read_object(&self.store, &PRODUCERS, &path, object).await?;
            Ok(Cached::Producers(Arc::new(content), object.bytes))
        };
        match self.cache.try_get_with_by_ref(&path, load).await {
            Ok(Cached::Producers(producers, _)) => Ok(producers),
            Ok(_) => Err(damaged(&self.store, &path, "it is not an object of producers".into())),
            Err(e) => Err(ArchiveError::clone(&e)),
        }
    }
}

/// Reads an immutable object that a version names; nothing is parsed before its size and CRC were checked.
pub async fn read_object<T: DeserializeOwned>(
    store: &Store,
    schema: &Schema,
    path: &str,
    expected: &ObjectRef,
) -> Result<Enveloped<T>, ArchiveError> {
    let object = match store.get(path).await {
        Ok(object) => object,
        Err(e) if e.is_not_found() => {
            let named_by = "a version that is not older than the object's removal".to_owned();
            return Err(ArchiveError::Missing { path: store.url_of(path), named_by });
        }
        Err(e) => return Err(e.into()),
    };
    check_bytes(&object, expected).map_err(|reason| damaged(store, path, reason))?;
    let failed = |e: EnvelopeError| match e.is_refusal() {
        true => ArchiveError::Refused { path: store.url_of(path), reason: e.to_string() },
        false => damaged(store, path, e.to_string()),
    };
    envelope::decode(schema, &object).map_err(failed)?.into_body().map_err(failed)
}

fn check_bytes(object: &Bytes, expected: &ObjectRef) -> Result<(), String> {
    let crc = format!("{:08x}", crc32c::crc32c(object));
    match (object.len() as u64, crc.as_str()) == (expected.bytes, expected.crc32c.as_str()) {
        true => Ok(()),
        false => Err(format!(
            "it has {} bytes with CRC-32C {crc}; what names it says {} bytes, {}",
            object.len(),
            expected.bytes,
            expected.crc32c
        )),
    }
}

fn check_epoch_page(epochs: &[EpochStart], page: &EpochPageRef) -> Result<(), String> {
    let rise = epochs.is_sorted_by(|a, b| a.epoch() < b.epoch() && a.first_offset() < b.first_offset());
    let ends = (epochs.first(), epochs.last()) == (Some(&page.first), Some(&page.last));
    match rise && ends && epochs.len() as u64 == page.count {
        true => Ok(()),
        false => Err("its epochs are not those that its reference says".into()),
    }
}

fn whose(store: &Store, path: &str, of: PageOf<'_>, found: (Uuid, i32)) -> Result<(), ArchiveError> {
    match found == (of.topic_id, of.partition) {
        true => Ok(()),
        false => Err(damaged(store, path, format!("it is of topic id {}, partition {}", found.0, found.1))),
    }
}

fn damaged(store: &Store, path: &str, reason: String) -> ArchiveError {
    ArchiveError::Damaged { path: store.url_of(path), reason }
}
