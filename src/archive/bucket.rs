//! An Esker bucket: a store whose `esker.json` gives the cluster id.
//!
//! `esker.json` (kind `bucket`, format 1) is created once and never written again: `cluster_id`, `created_ms`, and the
//! result of the `probe` that the store had to pass.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::ArchiveError;
use super::layout;
use super::manifest::PageCache;
use crate::base::{Clock, Limits, Random, Uuid};
use crate::store::envelope::{self, Features, Schema, Unknown};
use crate::store::probe::{Probe, probe};
use crate::store::{Create, Kind, Store, StoreError};

const BUCKET: Schema = Schema { kind: "bucket", format: 1, features: &[] };

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
    pages: PageCache,
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
        let birth = match (read(&store).await?, mode) {
            (Some(birth), OpenMode::Serve { probe: true }) => {
                probe(&store).await?;
                birth
            }
            (Some(birth), _) => birth,
            (None, OpenMode::Read) => return Err(ArchiveError::NoEsker { url: store.display() }),
            (None, OpenMode::Serve { .. }) => create(&store).await?,
        };
        Ok(Self(Arc::new(Inner { store, birth, pages })))
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

    /// Pages of all manifests.
    pub(super) fn pages(&self) -> &PageCache {
        &self.0.pages
    }
}

async fn read(store: &Store) -> Result<Option<Birth>, ArchiveError> {
    let object = match store.get(layout::ESKER).await {
        Ok(object) => object,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let damaged =
        |e: envelope::EnvelopeError| ArchiveError::Damaged { path: store.url_of(layout::ESKER), reason: e.to_string() };
    let opened = envelope::decode(&BUCKET, &object).map_err(damaged)?;
    opened.parse().map(Some).map_err(damaged)
}

/// Probes, creates, and reads back: of several creators at once all go on with the one that won.
async fn create(store: &Store) -> Result<Birth, ArchiveError> {
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
        (Some(birth), _) => Ok(birth),
        (None, Create::Unknown(e)) => Err(e.into()),
        (None, _) => {
            let missing = "was created, and is not there: the store loses what it acknowledges";
            Err(StoreError::new(Kind::Refused, store.url_of(layout::ESKER), missing).into())
        }
    }
}

#[cfg(test)]
mod tests;
