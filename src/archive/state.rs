//! State: R, the position of the WAL below which every record of every partition is sealed and committed, and what the
//! coordinator knows as of R.
//!
//! The body of a version (kind `state`, format 1): `r` (`wal_id`, `group`), `written_ms`, and two maps from key to value,
//! `partitions` and `items`: each either `inline`, or, beyond [`INLINE_BYTES`] together, `pages`: as many as there are
//! shards, each the reference to an immutable object (kind `state-page`, format 1: `shard`, `shards`, `items`), or null where
//! a shard is empty.
//!
//! Keys of `partitions`: `partition/<topic id>/<number>`, with the value `[number, nonce]` of the manifest's head. Those of
//! `items` are opaque here, and their values are kept as the text that their owners wrote.
//!
//! Only direct children of `state/` belong to the chain: versions and pages. What lies deeper is a later build's.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::pages::INLINE_BYTES;
use self::pages::{Carried, Pages, Place};
use super::error::{ArchiveError, CommitError};
use super::owner::Written;
use super::{Bucket, Ownership, layout};
use crate::base::{Current, Json, Uuid};
use crate::store::chain::{Chain, Head, Hint};
use crate::store::envelope::{EnvelopeError, Features, Schema, Unknown};

mod pages;

#[cfg(test)]
pub(super) use pages::written_again as page_written_again;

const STATE: Schema = Schema { kind: "state", format: 1, features: &[] };

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

/// The head of every partition's manifest, by topic id and number.
pub type PartitionHeads = BTreeMap<(Uuid, i32), Hint>;

/// Opaque values by key, for example `group/<id>`: the coordinator's. No key begins with `partition/`.
pub type Items = BTreeMap<String, Json>;

/// What a version says.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// R.
    pub r: WalPosition,
    /// When the version was made, ms since 1970.
    pub written_ms: i64,
    /// Every partition, as it was when the version was made: where a start looks for its head.
    pub partitions: PartitionHeads,
    /// The coordinator's items as of R.
    pub items: Items,
}

/// A version's body.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Body {
    r: R,
    written_ms: i64,
    partitions: Place,
    items: Place,
    #[serde(flatten)]
    unknown: Unknown,
}

/// R, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct R {
    wal_id: Uuid,
    group: u64,
    #[serde(flatten)]
    unknown: Unknown,
}

/// A version as it is written again after it was read.
#[cfg(test)]
pub(super) fn written_again(schema: &Schema, object: &Bytes) -> Bytes {
    crate::store::chain::written_again::<Body>(schema, object)
}

/// The state chain as it was read.
#[derive(Clone, Debug)]
pub(super) struct StateHead {
    /// Without its body.
    head: Head,
    /// Pages of partitions, and of items.
    pages: (Pages, Pages),
    /// What pages ask for, and their unknown fields.
    carried: Carried,
    /// Unknown fields of the version, and of its R.
    unknown: (Unknown, Unknown),
    state: Arc<State>,
}

/// The state chain of an owned bucket; cheap to clone.
#[derive(Clone, Debug)]
pub struct StateChain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    chain: Chain,
    ownership: Ownership,
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

/// Whether an object is a page of this chain: a direct child of `state/`.
pub(super) fn is_page(path: &str) -> bool {
    let child = path.strip_prefix(layout::STATE).and_then(|path| path.strip_prefix('/'));
    child.is_some_and(|file| file.starts_with("page-") && !file.contains('/'))
}

/// Names of the pages of a version.
pub(super) async fn pages_of(bucket: &Bucket, number: u64) -> Result<Vec<String>, ArchiveError> {
    let chain = chain(bucket);
    let Some(head) = chain.get(number).await? else { return Ok(Vec::new()) };
    let body: Body = head.parse().map_err(|e| damaged(bucket, &chain, number, e.to_string()))?;
    let pages = body.partitions.pages().iter().chain(body.items.pages());
    Ok(pages.flatten().map(|page| page.name.clone()).collect())
}

async fn open(bucket: &Bucket, chain: &Chain, head: Head) -> Result<StateHead, ArchiveError> {
    let damaged = |reason: String| damaged(bucket, chain, head.number, reason);
    let body: Body = head.parse().map_err(|e| damaged(e.to_string()))?;
    let Body { r, written_ms, partitions, items, unknown } = body;
    let pages = (partitions.pages().to_vec(), items.pages().to_vec());
    let mut carried = Carried::default();
    let heads = partitions.read(bucket, &mut carried).await?;
    let items = items.read(bucket, &mut carried).await?;
    let mut partitions = PartitionHeads::new();
    for (key, value) in heads {
        let head = parse_head(&key, &value).ok_or_else(|| damaged(format!("'{key}' is not a partition's head")))?;
        partitions.insert(head.0, head.1);
    }
    let at = WalPosition { wal_id: r.wal_id, group: r.group };
    let state = Arc::new(State { r: at, written_ms, partitions, items });
    let head = Head { body: Bytes::new(), ..head };
    Ok(StateHead { head, pages, carried, unknown: (unknown, r.unknown), state })
}

fn parse_head(key: &str, value: &Json) -> Option<((Uuid, i32), Hint)> {
    let (id, number) = key.strip_prefix(PARTITION)?.split_once('/')?;
    let (version, nonce) = value.read().ok()?;
    Some(((id.parse().ok()?, number.parse().ok()?), Hint { number: version, nonce }))
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

    /// What its writer said of its WAL.
    pub(super) fn wal(&self) -> Option<&Json> {
        self.head.wal.as_ref()
    }

    /// What it asks for; it counts for the whole bucket.
    pub(super) fn features(&self) -> &Features {
        &self.head.features
    }

    /// Refuses, by name, a state that this build may read, but not follow with another.
    pub(super) fn check_writable(&self, bucket: &Bucket) -> Result<(), ArchiveError> {
        chain(bucket).check_writable(&self.head)?;
        pages::check_writable(&self.carried).map_err(|e| self.refused(bucket, &e))
    }

    fn check_collectable(&self, bucket: &Bucket) -> Result<(), ArchiveError> {
        chain(bucket).check_collectable(&self.head)?;
        pages::check_collectable(&self.carried).map_err(|e| self.refused(bucket, &e))
    }

    fn refused(&self, bucket: &Bucket, e: &EnvelopeError) -> ArchiveError {
        let path = bucket.store().url_of(&chain(bucket).path_of(self.head.number));
        ArchiveError::Refused { path, reason: format!("its pages: {e}") }
    }
}

impl StateChain {
    /// The chain of an owned bucket. If its newest version is older than the WAL, or there is none, it gets one: R is the
    /// start of the WAL, and `partitions` are as they are now.
    pub(super) async fn adopt(
        bucket: &Bucket,
        ownership: &Ownership,
        mut head: Option<StateHead>,
        partitions: &PartitionHeads,
    ) -> Result<Self, CommitError> {
        let chain = chain(bucket);
        let path = bucket.store().url_of(chain.prefix());
        for _ in 0..ATTEMPTS_MAX {
            if let Some(head) = head.as_ref().filter(|head| head.epoch() >= ownership.claim().born) {
                let newest = Current::new(head.state.clone());
                let writer = tokio::sync::Mutex::new(Writer { head: head.clone(), undecided: false });
                let (bucket, ownership) = (bucket.clone(), ownership.clone());
                return Ok(Self(Arc::new(Inner { bucket, chain, ownership, newest, writer })));
            }
            let state = State {
                r: WalPosition { wal_id: ownership.claim().wal_id, group: 0 },
                written_ms: bucket.clock().now_ms(),
                partitions: partitions.clone(),
                items: head.as_ref().map(|head| head.state.items.clone()).unwrap_or_default(),
            };
            head = match write(bucket, &chain, ownership, head.as_ref(), state).await? {
                Some(head) => Some(head),
                None => read(bucket).await?,
            };
        }
        let reason = "the old owner still writes, faster than it can be fenced".to_owned();
        Err(CommitError::Cancelled { path, reason })
    }

    /// Refuses, by name, to delete anything in a bucket whose state asks for what this build does not have.
    pub(super) async fn check_collectable(&self) -> Result<(), ArchiveError> {
        self.0.writer.lock().await.head.check_collectable(&self.0.bucket)
    }

    /// Number of the newest version.
    pub(super) async fn number(&self) -> u64 {
        self.0.writer.lock().await.head.head.number
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
        partitions: PartitionHeads,
        fold: impl Fn(WalPosition, &mut Items),
    ) -> Result<Arc<State>, CommitError> {
        let Inner { bucket, chain, ownership, .. } = &*self.0;
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
            if let Some(head) = write(bucket, chain, ownership, Some(&writer.head), state).await? {
                *writer = Writer { head, undecided: false };
                return Ok(self.publish(&writer));
            }
        }
        let reason = format!("{ATTEMPTS_MAX} attempts lost against others of the same epoch");
        Err(CommitError::Cancelled { path: path(), reason })
    }

    async fn reread(&self, writer: &mut Writer) -> Result<(), CommitError> {
        let Inner { bucket, chain, ownership, .. } = &*self.0;
        let path = || bucket.store().url_of(chain.prefix());
        let head = match read_after(bucket, &writer.head).await {
            Err(e) if e.is_damage() => return Err(ownership.judge(path(), e).await),
            head => head?,
        };
        if head.epoch() > ownership.epoch() {
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

/// Writes the pages that are new, then the version; none: somebody of the same or a lower epoch came first.
async fn write(
    bucket: &Bucket,
    chain: &Chain,
    ownership: &Ownership,
    on: Option<&StateHead>,
    state: State,
) -> Result<Option<StateHead>, CommitError> {
    if let Some(on) = on {
        on.check_writable(bucket)?;
    }
    let carried = on.map(|on| on.carried.clone()).unwrap_or_default();
    let none = (Vec::new(), Vec::new());
    let old = on.map_or(&none, |on| &on.pages);
    let name = |kind: &str, shard| pages::name(kind, shard, ownership.epoch(), &bucket.random().hex16());
    let (partitions, items, objects) = place(&state, old, &carried, name);
    pages::upload(bucket.store(), objects).await?;
    let pages = (partitions.pages().to_vec(), items.pages().to_vec());
    let unknown = on.map(|on| on.unknown.clone()).unwrap_or_default();
    let WalPosition { wal_id, group } = state.r;
    let r = R { wal_id, group, unknown: unknown.1.clone() };
    let body = Body { r, written_ms: state.written_ms, partitions, items, unknown: unknown.0.clone() };
    Ok(match ownership.commit(chain, on.map(|on| &on.head), &body).await? {
        Written::Head(head) => Some(StateHead { head: *head, pages, carried, unknown, state: Arc::new(state) }),
        Written::Lost => None,
    })
}

/// Where partitions and items go, and the pages that have to be written.
fn place(
    state: &State,
    old: &(Pages, Pages),
    carried: &Carried,
    name: impl Fn(&str, usize) -> String,
) -> (Place, Place, Vec<(String, Bytes)>) {
    let heads = state
        .partitions
        .iter()
        .map(|((id, number), head)| (format!("{PARTITION}{id}/{number}"), Json::of(&(head.number, &head.nonce))));
    let partitions: Items = heads.collect();
    let items = state.items.clone();
    let inline = pages::are_inline(pages::size_of(&partitions), pages::size_of(&items));
    // What pages ask for, and what else they say, is said by pages only.
    let may = |inline: bool, old: &Pages| inline && (old.is_empty() || *carried == Carried::default());
    let inline = (may(inline.0, &old.0), may(inline.1, &old.1));
    let mut objects = Vec::new();
    let mut put = |all: Items, inline: bool, kind: &str, most: usize, old: &Pages| match inline {
        true => Place::Inline(all),
        false => {
            let (pages, new) = pages::spread(all, most, old, carried, |shard| name(kind, shard));
            objects.extend(new);
            Place::Pages(pages)
        }
    };
    let partitions = put(partitions, inline.0, "p", pages::PAGES / 2, &old.0);
    let items = put(items, inline.1, "", pages::PAGES, &old.1);
    (partitions, items, objects)
}

#[cfg(test)]
mod tests;
