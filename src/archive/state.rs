//! State: R, the position of the WAL below which every record of every partition is sealed and committed, and what the
//! coordinator knows as of R.
//!
//! The body of a version (kind `state`, format 1): `r` (`wal_id`, `group`), `written_ms`, and `items`: either `inline`, a
//! map from key to value, or, beyond [`INLINE_BYTES`], `pages`: as many as there are shards, each the reference to an
//! immutable object (kind `state-page`, format 1: `shard`, `shards`, `items`), or null where a shard is empty. A key is in
//! the shard that its CRC-32C modulo the number of shards names. A page that says the same as before is not written again.
//!
//! Keys: `partition/<topic id>/<number>` has the value `[log end at R, number of the manifest's head]`. All others are the
//! coordinator's, and opaque here.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, CommitError};
use super::manifest::model::ObjectRef;
use super::manifest::read_object;
use super::{Bucket, Ownership, layout};
use crate::base::{Current, Json, Uuid};
use crate::store::chain::{Chain, Head, Outcome};
use crate::store::envelope::{self, Features, Schema, Unknown};

const STATE: Schema = Schema { kind: "state", format: 1, features: &[] };
const STATE_PAGE: Schema = Schema { kind: "state-page", format: 1, features: &[] };

// Small under test, so that a small state has pages; readers take any number of any size.
/// Items that stay in the version, encoded.
pub const INLINE_BYTES: usize = if cfg!(test) { 4 << 10 } else { 64 << 10 };
/// What a page should hold, encoded: the number of shards changes when pages are more than twice, or less than a quarter
/// of that.
const PAGE_BYTES: usize = if cfg!(test) { 2 << 10 } else { 32 << 10 };
/// Times that a version is made anew because an earlier attempt of ours came first.
const ATTEMPTS_MAX: u32 = 16;
const PARTITION: &str = "partition/";

/// A position of a WAL: every group below `group` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalPosition {
    /// Which WAL.
    pub wal_id: Uuid,
    /// Number of the first group that is not covered.
    pub group: u64,
}

/// A partition as of R.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionEnd {
    /// Log end at R.
    pub log_end: i64,
    /// Number of the manifest version that was the head.
    pub manifest: u64,
}

/// Every partition, by topic id and number.
pub type PartitionEnds = BTreeMap<(Uuid, i32), PartitionEnd>;

/// Opaque values by key, for example `group/<id>`: the coordinator's. No key begins with `partition/`.
pub type Items = BTreeMap<String, Json>;

/// What a version says.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// R.
    pub r: WalPosition,
    /// When the version was made, ms since 1970.
    pub written_ms: i64,
    /// Every partition as of R.
    pub partitions: PartitionEnds,
    /// The coordinator's items as of R.
    pub items: Items,
}

/// A version's body.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Body {
    r: WalPosition,
    written_ms: i64,
    items: Place,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Place {
    Inline(Items),
    Pages(Vec<Option<ObjectRef>>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    shard: u32,
    shards: u32,
    items: Items,
}

/// The state chain as it was read.
#[derive(Clone, Debug)]
pub(super) struct StateHead {
    /// Without its body.
    head: Head,
    pages: Vec<Option<ObjectRef>>,
    unknown: Unknown,
    state: Arc<State>,
}

/// The state chain of an owned bucket; cheap to clone.
#[derive(Clone, Debug)]
pub struct StateChain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    chain: Chain,
    epoch: u32,
    newest: Current<State>,
    writer: tokio::sync::Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    head: StateHead,
    undecided: bool,
}

pub(super) fn chain(bucket: &Bucket) -> Chain {
    Chain::new(bucket.store().clone(), STATE, layout::STATE)
}

/// Reads the newest version; none before the first start ended.
pub(super) async fn read(bucket: &Bucket) -> Result<Option<StateHead>, ArchiveError> {
    let chain = chain(bucket);
    match chain.head(None).await? {
        None => Ok(None),
        Some(head) => open(bucket, &chain, head).await.map(Some),
    }
}

/// Reads the newest version; the remembered one as it is, if that is still the newest.
async fn read_after(bucket: &Bucket, remembered: &StateHead) -> Result<StateHead, ArchiveError> {
    let chain = chain(bucket);
    match chain.head(Some(&remembered.head)).await? {
        Some(head) if head.nonce == remembered.head.nonce => Ok(remembered.clone()),
        Some(head) => open(bucket, &chain, head).await,
        None => {
            let path = bucket.store().url_of(chain.prefix());
            Err(ArchiveError::Missing { path, named_by: "the owner chain".to_owned() })
        }
    }
}

/// Whether an object below `state/` is a page.
pub(super) fn is_page(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|file| file.starts_with("page-"))
}

/// Names of the pages of a version.
pub(super) async fn pages_of(bucket: &Bucket, number: u64) -> Result<Vec<String>, ArchiveError> {
    let chain = chain(bucket);
    let Some(head) = chain.get(number).await? else { return Ok(Vec::new()) };
    let body: Body = head.parse().map_err(|e| damaged(bucket, &chain, number, e.to_string()))?;
    Ok(match body.items {
        Place::Inline(_) => Vec::new(),
        Place::Pages(pages) => pages.into_iter().flatten().map(|page| page.name).collect(),
    })
}

async fn open(bucket: &Bucket, chain: &Chain, head: Head) -> Result<StateHead, ArchiveError> {
    let damaged = |reason: String| damaged(bucket, chain, head.number, reason);
    let body: Body = head.parse().map_err(|e| damaged(e.to_string()))?;
    let (all, pages) = match body.items {
        Place::Inline(items) => (items, Vec::new()),
        Place::Pages(pages) => {
            let mut all = Items::new();
            for (shard, object) in pages.iter().enumerate() {
                let Some(object) = object else { continue };
                let page: Page = read_object(bucket.store(), &STATE_PAGE, &object.name, object).await?;
                if (page.shard as usize, page.shards as usize) != (shard, pages.len()) {
                    return Err(damaged(format!("'{}' is shard {} of {}", object.name, page.shard, page.shards)));
                }
                all.extend(page.items);
            }
            (all, pages)
        }
    };
    let (mut partitions, mut items) = (PartitionEnds::new(), Items::new());
    for (key, value) in all {
        match key.strip_prefix(PARTITION) {
            None => drop(items.insert(key, value)),
            Some(name) => {
                let end =
                    parse_end(name, &value).ok_or_else(|| damaged(format!("'{key}' is not a partition's end")))?;
                partitions.insert(end.0, end.1);
            }
        }
    }
    let state = Arc::new(State { r: body.r, written_ms: body.written_ms, partitions, items });
    Ok(StateHead { head: Head { body: Bytes::new(), ..head }, pages, unknown: body.unknown, state })
}

fn parse_end(name: &str, value: &Json) -> Option<((Uuid, i32), PartitionEnd)> {
    let (id, number) = name.split_once('/')?;
    let (log_end, manifest) = value.read().ok()?;
    Some(((id.parse().ok()?, number.parse().ok()?), PartitionEnd { log_end, manifest }))
}

fn damaged(bucket: &Bucket, chain: &Chain, number: u64, reason: String) -> ArchiveError {
    ArchiveError::Damaged { path: bucket.store().url_of(&chain.path_of(number)), reason }
}

impl StateHead {
    /// What it says.
    pub(super) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Epoch of its writer.
    pub(super) fn epoch(&self) -> u32 {
        self.head.epoch
    }
}

impl StateChain {
    /// The chain of an owned bucket. If its newest version is older than the WAL, or there is none, it gets one: R is the
    /// start of the WAL, and `partitions` are as they are now.
    pub(super) async fn adopt(
        bucket: &Bucket,
        ownership: &Ownership,
        mut head: Option<StateHead>,
        partitions: &PartitionEnds,
    ) -> Result<Self, CommitError> {
        let (chain, epoch) = (chain(bucket), ownership.epoch());
        let path = bucket.store().url_of(chain.prefix());
        for _ in 0..ATTEMPTS_MAX {
            if let Some(head) = head.as_ref().filter(|head| head.epoch() >= ownership.claim().born) {
                let newest = Current::new(head.state.clone());
                let writer = tokio::sync::Mutex::new(Writer { head: head.clone(), undecided: false });
                return Ok(Self(Arc::new(Inner { bucket: bucket.clone(), chain, epoch, newest, writer })));
            }
            let state = State {
                r: WalPosition { wal_id: ownership.claim().wal_id, group: 0 },
                written_ms: bucket.clock().now_ms(),
                partitions: partitions.clone(),
                items: head.as_ref().map(|head| head.state.items.clone()).unwrap_or_default(),
            };
            head = match write(bucket, &chain, epoch, head.as_ref(), state).await? {
                Written::Head(head) => Some(head),
                Written::Lost => read(bucket).await?,
                Written::Fenced(epoch) => return Err(CommitError::Fenced { path, epoch }),
            };
        }
        let reason = "the old owner still writes, faster than it can be fenced".to_owned();
        Err(CommitError::Cancelled { path, reason })
    }

    /// Number of the newest version, for the collector: refused, by name, where this build may not delete what is older.
    pub(super) async fn number_to_collect(&self) -> Result<u64, ArchiveError> {
        let writer = self.0.writer.lock().await;
        let head = &writer.head.head;
        envelope::check_writable(&STATE, &head.features).map_err(|e| ArchiveError::Refused {
            path: self.0.bucket.store().url_of(&self.0.chain.path_of(head.number)),
            reason: e.to_string(),
        })?;
        Ok(head.number)
    }

    /// The newest version.
    pub fn head(&self) -> Arc<State> {
        self.0.newest.get()
    }

    /// Moves R forward to `r`, with every partition as of `r`. `fold` is given the R that the items stand at, and applies the
    /// state frames from there up to `r`; it may be called again. If the chain says `r` or more already nothing is written.
    pub async fn commit(
        &self,
        r: WalPosition,
        partitions: PartitionEnds,
        fold: impl Fn(WalPosition, &mut Items),
    ) -> Result<Arc<State>, CommitError> {
        let Inner { bucket, chain, epoch, .. } = &*self.0;
        let mut writer = self.0.writer.lock().await;
        let path = || bucket.store().url_of(chain.prefix());
        for _ in 0..ATTEMPTS_MAX {
            if writer.undecided {
                self.reread(&mut writer).await?;
            }
            let head = writer.head.state.clone();
            if head.r.wal_id != r.wal_id {
                let reason = format!("R is in WAL {}, the chain's is in WAL {}", r.wal_id, head.r.wal_id);
                return Err(CommitError::Cancelled { path: path(), reason });
            }
            if r.group < head.r.group || (r == head.r && partitions == head.partitions) {
                return Ok(head);
            }
            let mut items = head.items.clone();
            fold(head.r, &mut items);
            let state = State { r, written_ms: bucket.clock().now_ms(), partitions: partitions.clone(), items };
            writer.undecided = true;
            match write(bucket, chain, *epoch, Some(&writer.head), state).await? {
                Written::Head(head) => {
                    *writer = Writer { head, undecided: false };
                    return Ok(self.publish(&writer));
                }
                Written::Lost => {}
                Written::Fenced(epoch) => return Err(CommitError::Fenced { path: path(), epoch }),
            }
        }
        let reason = format!("{ATTEMPTS_MAX} attempts lost against others of the same epoch");
        Err(CommitError::Cancelled { path: path(), reason })
    }

    async fn reread(&self, writer: &mut Writer) -> Result<(), CommitError> {
        let Inner { bucket, chain, epoch, .. } = &*self.0;
        let path = || bucket.store().url_of(chain.prefix());
        let head = read_after(bucket, &writer.head).await?;
        if head.epoch() > *epoch {
            return Err(CommitError::Fenced { path: path(), epoch: Some(head.epoch()) });
        }
        *writer = Writer { head, undecided: false };
        self.publish(writer);
        Ok(())
    }

    fn publish(&self, writer: &Writer) -> Arc<State> {
        let state = writer.head.state.clone();
        self.0.newest.set(state.clone());
        state
    }
}

enum Written {
    Head(StateHead),
    Lost,
    Fenced(Option<u32>),
}

/// Writes the pages that are new, then the version.
async fn write(
    bucket: &Bucket,
    chain: &Chain,
    epoch: u32,
    on: Option<&StateHead>,
    state: State,
) -> Result<Written, CommitError> {
    let store = bucket.store();
    let name = |shard: usize| format!("{}/page-{shard:05}-{epoch}-{}.json", layout::STATE, bucket.random().hex16());
    let (items, objects) = place(&state, on.map_or(&[], |on| &on.pages), name);
    for (name, object) in objects {
        let mut upload = store.upload(&name).await?;
        upload.write(object).await?;
        upload.finish().await?;
    }
    let pages = match &items {
        Place::Inline(_) => Vec::new(),
        Place::Pages(pages) => pages.clone(),
    };
    let unknown = on.map(|on| on.unknown.clone()).unwrap_or_default();
    let body = Body { r: state.r, written_ms: state.written_ms, items, unknown };
    Ok(match chain.commit(on.map(|on| &on.head), epoch, &body).await? {
        Outcome::Committed(head) => {
            let head = Head { body: Bytes::new(), ..head };
            Written::Head(StateHead { head, pages, unknown: body.unknown, state: Arc::new(state) })
        }
        Outcome::Lost(_) => Written::Lost,
        Outcome::Fenced { epoch } => Written::Fenced(epoch),
    })
}

/// Where the items go, and the pages that have to be written: those that say something else than at their place before.
fn place(state: &State, old: &[Option<ObjectRef>], name: impl Fn(usize) -> String) -> (Place, Vec<(String, Bytes)>) {
    let ends = state
        .partitions
        .iter()
        .map(|((id, number), end)| (format!("{PARTITION}{id}/{number}"), Json::of(&(end.log_end, end.manifest))));
    let all: Items = ends.chain(state.items.clone()).collect();
    let bytes = serde_json::to_vec(&all).expect("a map with text keys is JSON").len();
    if bytes <= INLINE_BYTES {
        return (Place::Inline(all), Vec::new());
    }
    let shards = shards(bytes, old.len());
    let mut split = vec![Items::new(); shards];
    for (key, value) in all {
        split[crc32c::crc32c(key.as_bytes()) as usize % shards].insert(key, value);
    }
    let mut objects = Vec::new();
    let mut pages = Vec::with_capacity(shards);
    for (shard, items) in split.into_iter().enumerate() {
        if items.is_empty() {
            pages.push(None);
            continue;
        }
        let page = Page { shard: number(shard), shards: number(shards), items };
        let object = envelope::encode(&STATE_PAGE, &Features::default(), &page).expect("a map with text keys is JSON");
        let (crc32c, bytes) = (format!("{:08x}", crc32c::crc32c(&object)), object.len() as u64);
        let same = old.get(shard).and_then(Option::as_ref).filter(|old| (&old.crc32c, old.bytes) == (&crc32c, bytes));
        pages.push(Some(match same {
            Some(same) => same.clone(),
            None => {
                let name = name(shard);
                objects.push((name.clone(), object));
                ObjectRef { name, crc32c, bytes, unknown: Unknown::new() }
            }
        }));
    }
    (Place::Pages(pages), objects)
}

fn number(shard: usize) -> u32 {
    u32::try_from(shard).unwrap_or(u32::MAX)
}

/// As many shards as before while that is about right, so that few pages change.
fn shards(bytes: usize, old: usize) -> usize {
    match old {
        old if old > 0 && (PAGE_BYTES / 4..=PAGE_BYTES * 2).contains(&(bytes / old)) => old,
        _ => (bytes / PAGE_BYTES).next_power_of_two().min(1 << 16),
    }
}

#[cfg(test)]
mod tests;
