//! An Esker bucket: a store whose `esker.json` gives the cluster id.
//!
//! `esker.json` (kind `bucket`, format 2) is created once and never written again: `cluster_id`, `created_ms`, and the
//! result of the `probe` that the store had to pass. Format 1 was that of builds before the first release, which laid the
//! bucket out otherwise: each refuses the other's by name.
//!
//! What `esker.json` asks for holds for the whole bucket, and so does what the heads of the owner and state chains ask for
//! (features that began later): a reader reads them too, a broker before it claims.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::ArchiveError;
use super::manifest::{Heads, PageCache};
use super::{layout, owner, state};
use crate::base::{Clock, Limits, Random, Uuid};
use crate::store::chain::ChainError;
use crate::store::envelope::{self, EnvelopeError, Features, Schema, Unknown};
use crate::store::probe::{Probe, probe};
use crate::store::{Create, Kind, Store, StoreError};

const BUCKET: Schema = Schema { kind: "bucket", format: 2, features: &[] };
/// The lowest format that is read.
const FORMAT_MIN: u32 = 2;

/// How a bucket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It has to be there, and nothing is written.
    Read,
    /// If it is not there it is made, after the store was probed.
    Serve {
        /// Probe the store again, though an earlier probe passed.
        probe: bool,
    },
}

/// An open bucket; cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    birth: Birth,
    features: Features,
    pages: PageCache,
    heads: Heads,
}

/// The body of `esker.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Birth {
    /// Given to clients as Kafka's cluster id.
    pub cluster_id: Uuid,
    /// When, ms since 1970.
    pub created_ms: i64,
    /// What the probe found.
    pub probe: Probe,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Bucket {
    /// Opens the bucket in `store`; keeps at most half of [`Limits::footer_cache_bytes`] of manifest pages in memory.
    pub async fn open(store: Store, mode: OpenMode, limits: &Limits) -> Result<Self, ArchiveError> {
        let pages = PageCache::new(store.clone(), limits.footer_cache_bytes() / 2);
        let (birth, features) = match (read(&store).await?, mode) {
            (None, OpenMode::Read) => return Err(ArchiveError::NoEsker { url: store.display() }),
            (None, OpenMode::Serve { .. }) => create(&store).await?,
            (Some(found), OpenMode::Read) => found,
            (Some((birth, features)), OpenMode::Serve { probe: again }) => {
                envelope::check_writable(&BUCKET, &features).map_err(|e| refused(&store, e))?;
                if again {
                    probe(&store).await?;
                }
                (birth, features)
            }
        };
        let heads = Heads::new(limits.heads_bytes());
        let bucket = Self(Arc::new(Inner { store, birth, features, pages, heads }));
        if mode == OpenMode::Read {
            bucket.check_heads().await?;
        }
        Ok(bucket)
    }

    /// Refuses, by name, a bucket whose owner or state asks readers for what this build does not have. One that is damaged
    /// stops nobody from reading what is sealed.
    async fn check_heads(&self) -> Result<(), ArchiveError> {
        let (owner, state) = (owner::chain(self), state::chain(self));
        for head in [owner.head(None).await, state.head(None).await] {
            match head {
                Err(ChainError::Envelope { path, source }) if source.is_refusal() => {
                    return Err(ArchiveError::Refused { path, reason: source.to_string() });
                }
                Err(e) if !e.is_unreadable() => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses, by name, to delete anything in a bucket whose `esker.json` asks for what this build does not have.
    pub fn check_collectable(&self) -> Result<(), ArchiveError> {
        envelope::check_collectable(&BUCKET, &self.0.features).map_err(|e| refused(&self.0.store, e))
    }

    /// The store it lies in.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Its id, made with it.
    pub fn cluster_id(&self) -> Uuid {
        self.0.birth.cluster_id
    }

    /// What `esker.json` says.
    pub fn birth(&self) -> &Birth {
        &self.0.birth
    }

    /// The clock of the store.
    pub fn clock(&self) -> &Clock {
        self.0.store.clock()
    }

    /// The randomness of the store.
    pub fn random(&self) -> &Random {
        self.0.store.random()
    }

    /// The memory for heads of manifests.
    pub(super) fn heads(&self) -> &Heads {
        &self.0.heads
    }

    /// Pages of all manifests.
    pub(super) fn pages(&self) -> &PageCache {
        &self.0.pages
    }
}

async fn read(store: &Store) -> Result<Option<(Birth, Features)>, ArchiveError> {
    let object = match store.get(layout::ESKER).await {
        Ok(object) => object,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let failed = |e: EnvelopeError| match e.is_refusal() {
        true => refused(store, e),
        false => ArchiveError::Damaged { path: store.url_of(layout::ESKER), reason: e.to_string() },
    };
    let opened = envelope::decode(&BUCKET, &object).map_err(failed)?;
    if opened.format < FORMAT_MIN {
        let reason = format!(
            "the bucket object has format {}, of a build of Esker before the first release; this version reads from \
             {FORMAT_MIN} up: begin in an empty place",
            opened.format
        );
        return Err(ArchiveError::Refused { path: store.url_of(layout::ESKER), reason });
    }
    Ok(Some((opened.parse().map_err(failed)?, opened.features)))
}

fn refused(store: &Store, e: EnvelopeError) -> ArchiveError {
    ArchiveError::Refused { path: store.url_of(layout::ESKER), reason: e.to_string() }
}

/// Probes, creates, and reads back: of several creators at once all go on with the one that won.
async fn create(store: &Store) -> Result<(Birth, Features), ArchiveError> {
    let (owner, topics) = tokio::try_join!(store.list(layout::OWNER, None), store.list(layout::TOPICS, None))?;
    for (folder, found) in [(layout::OWNER, owner), (layout::TOPICS, topics)] {
        if !found.is_empty() {
            return Err(ArchiveError::Damaged {
                path: store.url_of(layout::ESKER),
                reason: format!("it is missing, though there is something under '{folder}/'"),
            });
        }
    }
    let probe = probe(store).await?;
    let birth = Birth {
        cluster_id: Uuid::random(store.random()),
        created_ms: store.clock().now_ms(),
        probe,
        unknown: Unknown::new(),
    };
    let object = envelope::encode(&BUCKET, &Features::default(), &birth)
        .map_err(|e| StoreError::new(Kind::Invalid, store.url_of(layout::ESKER), e.to_string()))?;
    let outcome = store.create(layout::ESKER, object).await?;
    match (read(store).await?, outcome) {
        (Some(made), _) => Ok(made),
        (None, Create::Unknown(e)) => Err(e.into()),
        (None, _) => {
            let missing = "was created, and is not there: the store loses what it acknowledges";
            Err(StoreError::new(Kind::Refused, store.url_of(layout::ESKER), missing).into())
        }
    }
}

#[cfg(test)]
mod tests;
