//! Where the items of a version lie: in it, or in immutable pages beside it.
//!
//! Partitions and items have pages of their own, for partitions change with every seal and most items seldom. A key is in
//! the page that its CRC-32C modulo their number names. A page that says the same as before is not written again. Pages
//! grow with the state, so that a version costs few requests however much it says.
use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::Items;
use crate::archive::error::ArchiveError;
use crate::archive::manifest::model::ObjectRef;
use crate::archive::{Bucket, layout};
use crate::store::envelope::{self, Features, Schema, Unknown};
use crate::store::{Store, StoreError};

const STATE_PAGE: Schema = Schema { kind: "state-page", format: 1, features: &[] };

// Small under test, so that a small state has pages; readers take any number of any size.
/// Items and partitions that stay in the version, encoded.
pub const INLINE_BYTES: usize = if cfg!(test) { 4 << 10 } else { 64 << 10 };
/// What a page should hold at least, encoded.
const PAGE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 32 << 10 };
/// What it may hold at most: half of what a reader takes for a small object, for keys are not spread evenly.
const PAGE_BYTES_MAX: usize = 32 << 20;
/// Pages of items beyond which pages grow instead; of partitions half as many. A version in which everything changed is
/// then some 25 requests.
pub const PAGES: usize = 16;
/// Pages that are written or read at once.
const AT_ONCE: usize = 16;

/// Where items lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Inline(Items),
    Pages(Vec<Option<ObjectRef>>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    shard: u32,
    shards: u32,
    items: Items,
    #[serde(flatten)]
    unknown: Unknown,
}

/// A page as it is written again after it was read.
#[cfg(test)]
pub fn written_again(schema: &Schema, object: &Bytes) -> Bytes {
    envelope::written_again::<Page>(schema, object)
}

/// What the pages of a version have in common, and what is carried on into those that come after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// What they ask for.
    pub features: Features,
    /// Their fields that this build does not know.
    pub unknown: Unknown,
}

/// Pages that were read or written.
pub type Pages = Vec<Option<ObjectRef>>;

impl Place {
    /// The pages; none if the items lie in the version.
    pub fn pages(&self) -> &[Option<ObjectRef>] {
        match self {
            Self::Inline(_) => &[],
            Self::Pages(pages) => pages,
        }
    }

    /// All items. What pages ask for is added to `carried`.
    pub async fn read(self, bucket: &Bucket, carried: &mut Carried) -> Result<Items, ArchiveError> {
        let pages = match self {
            Self::Inline(items) => return Ok(items),
            Self::Pages(pages) => pages,
        };
        let total = pages.len();
        let named = pages.into_iter().enumerate().filter_map(|(shard, page)| Some((shard, page?)));
        let reads: Vec<_> = named.map(|(shard, object)| read_page(bucket.store(), object, shard, total)).collect();
        let read: Vec<(Page, Features)> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut all = Items::new();
        for (page, features) in read {
            carried.features.join(&features);
            carried.unknown.extend(page.unknown);
            all.extend(page.items);
        }
        Ok(all)
    }
}

async fn read_page(
    store: &Store,
    object: ObjectRef,
    shard: usize,
    shards: usize,
) -> Result<(Page, Features), ArchiveError> {
    let damaged = |reason: String| ArchiveError::Damaged { path: store.url_of(&object.name), reason };
    let bytes = match store.get(&object.name).await {
        Ok(bytes) => bytes,
        Err(e) if e.is_not_found() => {
            let named_by = "a state version".to_owned();
            return Err(ArchiveError::Missing { path: store.url_of(&object.name), named_by });
        }
        Err(e) => return Err(e.into()),
    };
    let crc = hex(&bytes);
    if (bytes.len() as u64, &crc) != (object.bytes, &object.crc32c) {
        let (has, says) = ((bytes.len(), crc), (object.bytes, &object.crc32c));
        return Err(damaged(format!(
            "it has {} bytes with CRC-32C {}; the state says {} bytes, {}",
            has.0, has.1, says.0, says.1
        )));
    }
    let opened = envelope::decode(&STATE_PAGE, &bytes).map_err(|e| damaged(e.to_string()))?;
    let page: Page = opened.parse().map_err(|e| damaged(e.to_string()))?;
    match (page.shard as usize, page.shards as usize) == (shard, shards) {
        true => Ok((page, opened.features)),
        false => Err(damaged(format!("it is shard {} of {}", page.shard, page.shards))),
    }
}

/// Refuses, by name, pages that ask for what this build does not have to be followed by others.
pub fn check_writable(carried: &Carried) -> Result<(), envelope::EnvelopeError> {
    envelope::check_writable(&STATE_PAGE, &carried.features)
}

/// Refuses, by name, to delete anything because of such pages.
pub fn check_collectable(carried: &Carried) -> Result<(), envelope::EnvelopeError> {
    envelope::check_collectable(&STATE_PAGE, &carried.features)
}

fn hex(bytes: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(bytes))
}

/// Where both go: into the version while they are small together, else the larger into pages, and the smaller too unless
/// half of the room is enough for it.
pub fn are_inline(partitions: usize, items: usize) -> (bool, bool) {
    match partitions + items <= INLINE_BYTES {
        true => (true, true),
        false => {
            (partitions < items && partitions <= INLINE_BYTES / 2, items <= partitions && items <= INLINE_BYTES / 2)
        }
    }
}

/// Encoded size of items.
pub fn size_of(items: &Items) -> usize {
    serde_json::to_vec(items).expect("a map with text keys is JSON").len()
}

/// Spreads items over pages, at most about `most` of them, and says which have to be written: those that say something else
/// than at their place before.
pub fn spread(
    items: Items,
    most: usize,
    old: &[Option<ObjectRef>],
    carried: &Carried,
    name: impl Fn(usize) -> String,
) -> (Pages, Vec<(String, Bytes)>) {
    let shards = shards(size_of(&items), most, old.len());
    let mut split: Vec<Items> = vec![BTreeMap::new(); shards];
    for (key, value) in items {
        split[crc32c::crc32c(key.as_bytes()) as usize % shards].insert(key, value);
    }
    let (mut objects, mut pages) = (Vec::new(), Vec::with_capacity(shards));
    for (shard, items) in split.into_iter().enumerate() {
        if items.is_empty() {
            pages.push(None);
            continue;
        }
        let page = Page { shard: number(shard), shards: number(shards), items, unknown: carried.unknown.clone() };
        let object = envelope::encode(&STATE_PAGE, &carried.features, &page).expect("a map with text keys is JSON");
        let (crc32c, bytes) = (hex(&object), object.len() as u64);
        let same = old.get(shard).and_then(Option::as_ref).filter(|old| (&old.crc32c, old.bytes) == (&crc32c, bytes));
        pages.push(Some(match same {
            Some(same) => same.clone(),
            None => {
                let name = name(shard);
                objects.push((name.clone(), object));
                ObjectRef { name, crc32c, bytes, unknown: Default::default() }
            }
        }));
    }
    (pages, objects)
}

/// Writes pages, several at a time.
pub async fn upload(store: &Store, objects: Vec<(String, Bytes)>) -> Result<(), StoreError> {
    let write = async |name: String, object: Bytes| -> Result<(), StoreError> {
        let mut upload = store.upload(&name).await?;
        upload.write(object).await?;
        upload.finish().await.map(drop)
    };
    let writes: Vec<_> = objects.into_iter().map(|(name, object)| write(name, object)).collect();
    stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
}

/// Name of a new page.
pub fn name(kind: &str, shard: usize, epoch: u32, random: &str) -> String {
    format!("{}/page-{kind}{shard:05}-{epoch}-{random}.json", layout::STATE)
}

fn number(shard: usize) -> u32 {
    u32::try_from(shard).unwrap_or(u32::MAX)
}

/// As many shards as before while pages are at most twice, and at least a quarter of what they should be, so that few of
/// them change.
fn shards(bytes: usize, most: usize, old: usize) -> usize {
    let page = (bytes / most).clamp(PAGE_BYTES, PAGE_BYTES_MAX);
    match old {
        old if old > 0 && (page / 4..=page * 2).contains(&(bytes / old)) => old,
        _ => (bytes / page).next_power_of_two().min(1 << 16),
    }
}

#[cfg(test)]
mod tests;
