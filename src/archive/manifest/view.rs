//! A snapshot of one manifest version, with its pages at hand: what readers, retention and the collector ask.
use std::sync::Arc;

use super::heads::Kept;
use super::lookup;
use super::model::{
    Entry, EpochStart, MANIFEST, Manifest, Page, PageRef, ProducersAt, RemovedPage, RemovedPageRef, SegmentEntry, Sums,
};
use super::pages::PageOf;
use super::producers::Producers;
use super::tree::{Loaded, Need};
use crate::archive::error::ArchiveError;
use crate::archive::layout::Named;
use crate::archive::{Bucket, layout};
use crate::base::Uuid;
use crate::store::chain::Hint;
use crate::store::envelope::{self, EnvelopeError, Enveloped, Features};

/// A version of a partition's manifest; cheap to clone. Pages are read when they are needed, through a bounded cache. If
/// an object that it names is missing, the version is old: take a newer view and ask once more.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) bucket: Bucket,
    pub(super) root: Arc<str>,
    pub(super) hint: Hint,
    pub(super) epoch: u32,
    pub(super) features: Features,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    pub(super) kept: Arc<Kept>,
}

/// The greatest timestamp of the sealed range.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxTimestamp {
    /// Timestamp (ms) and the first offset at or above log start that has it, over what needs no look into a segment.
    pub known: Option<(i64, i64)>,
    /// A segment that log start cuts, if its records at or above log start may have a timestamp that is as great as the
    /// known one: its slices have to be looked at.
    pub cut: Option<SegmentEntry>,
}

/// The epochs around the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The greatest epoch in the manifest that is not above the one asked for.
    pub at_or_below: Option<EpochStart>,
    /// The smallest above it: where it begins is where the former ended. None: the former goes on beyond the manifest.
    pub above: Option<EpochStart>,
}

/// What retention asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// A segment may go when the smaller of its greatest timestamp and its seal time (ms) is below.
    pub before_ms: Option<i64>,
    /// The oldest segments may go while what remains has at least this many stored bytes.
    pub keep_bytes: Option<u64>,
}

impl View {
    /// What the version says. It may have to be unpacked: what is asked of many partitions has a method of its own.
    pub fn manifest(&self) -> Arc<Manifest> {
        self.kept.manifest()
    }

    /// The topic's id.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Partition number.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// End of the sealed range.
    pub fn next(&self) -> i64 {
        self.kept.next
    }

    /// Bytes of its segments in the bucket.
    pub fn stored_bytes(&self) -> u64 {
        self.kept.stored_bytes
    }

    /// Whether something that it removed was removed at or before `ms`.
    pub(in crate::archive) fn has_removed_by(&self, ms: i64) -> bool {
        self.kept.removed_ms.is_some_and(|removed| removed <= ms)
    }

    /// Number of the version.
    pub fn number(&self) -> u64 {
        self.hint.number
    }

    /// What to remember of the version, so that a start finds the head from it.
    pub fn hint(&self) -> &Hint {
        &self.hint
    }

    /// Epoch of its writer.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Refuses, by name, features that this build may read, but neither follow with another version nor collect.
    pub(in crate::archive) fn check_collectable(&self) -> Result<(), EnvelopeError> {
        envelope::check_collectable(&MANIFEST, &self.features)
    }

    /// Whether something that this version says makes the object live, or waiting to be deleted. `name` is relative to the
    /// topic's root. What is under way and in no version yet is not known here.
    pub(in crate::archive) async fn names(&self, name: &str) -> Result<bool, ArchiveError> {
        let manifest = &*self.manifest();
        let named = Named::of(name);
        let first = match named {
            Named::Segment { first, .. } | Named::Page { first, .. } => Some(first),
            _ => None,
        };
        if manifest.removed.iter().any(|removed| removed.what.covers(name, first)) || self.is_live(name).await? {
            return Ok(true);
        }
        self.ask(|loaded| lookup::is_removed_in_pages(manifest, loaded, name, first)).await
    }

    /// Whether this version makes the object live; not so a version of the chain itself.
    pub(in crate::archive) async fn is_live(&self, name: &str) -> Result<bool, ArchiveError> {
        let manifest = &*self.manifest();
        let named = Named::of(name);
        Ok(match named {
            Named::Segment { first, .. } => {
                let live = self.find(first).await?;
                live.as_ref().and_then(Entry::segment).is_some_and(|live| live.root.is_none() && live.name == name)
            }
            Named::Page { first, level, .. } => {
                self.ask(|loaded| lookup::has_page(manifest, loaded, name, first, level)).await?
            }
            Named::Epochs { .. } => manifest.epoch_pages.iter().any(|page| page.object.name == name),
            Named::Producers { .. } => {
                matches!(&manifest.producers, ProducersAt::Object(object) if object.name == name)
            }
            Named::Removed { .. } => manifest.removed_pages.iter().any(|page| page.object.name == name),
            Named::Version(_) | Named::Foreign => false,
        })
    }

    /// A page of a tree, live or removed.
    pub(in crate::archive) async fn page(&self, page: &PageRef) -> Result<Arc<Enveloped<Page>>, ArchiveError> {
        self.bucket.pages().tree(self.page_of(), page).await
    }

    /// A page of what was removed.
    pub(in crate::archive) async fn removed_page(
        &self,
        page: &RemovedPageRef,
    ) -> Result<Arc<Enveloped<RemovedPage>>, ArchiveError> {
        self.bucket.pages().removed(self.page_of(), page).await
    }

    /// The topic's root.
    pub(in crate::archive) fn root(&self) -> &str {
        &self.root
    }

    /// Path of a segment's object in the store.
    pub fn path_of(&self, segment: &SegmentEntry) -> String {
        layout::under(segment.root.as_deref().unwrap_or(&self.root), &segment.name)
    }

    /// The entry that covers `offset`; none below the first and at or above `next`.
    pub async fn find(&self, offset: i64) -> Result<Option<Entry>, ArchiveError> {
        let manifest = self.manifest();
        self.ask(|loaded| lookup::find(&manifest, loaded, offset)).await
    }

    /// Up to `count` entries in order, the first being the one that covers `offset` (or the first of all, if that lies
    /// above).
    pub async fn entries_from(&self, offset: i64, count: usize) -> Result<Vec<Entry>, ArchiveError> {
        let manifest = self.manifest();
        self.ask(|loaded| lookup::entries_from(&manifest, loaded, offset, count)).await
    }

    /// The same without those in pages whose sums are skipped.
    pub async fn entries_where(
        &self,
        offset: i64,
        count: usize,
        skip: &(dyn Fn(&Sums) -> bool + Sync),
    ) -> Result<Vec<Entry>, ArchiveError> {
        let manifest = self.manifest();
        self.ask(|loaded| lookup::entries_where(&manifest, loaded, offset, count, &|sums| skip(sums))).await
    }

    /// The first segment that ends above `from` and has a timestamp (ms) at or after `timestamp`. If none of its records at
    /// or above `from` has one, ask again from its end.
    pub async fn find_time(&self, timestamp: i64, from: i64) -> Result<Option<SegmentEntry>, ArchiveError> {
        let manifest = self.manifest();
        self.ask(|loaded| lookup::find_time(&manifest, loaded, timestamp, from)).await
    }

    /// The greatest timestamp and its first offset.
    pub async fn max_timestamp(&self) -> Result<MaxTimestamp, ArchiveError> {
        let manifest = self.manifest();
        self.ask(|loaded| lookup::max_timestamp(&manifest, loaded)).await
    }

    /// The epochs around `epoch`, for OffsetForLeaderEpoch.
    pub async fn epoch_end(&self, epoch: i32) -> Result<EpochEnd, ArchiveError> {
        let manifest = self.manifest();
        self.ask(|loaded| lookup::epoch_end(&manifest, loaded, epoch)).await
    }

    /// Where log start may move to; none: nowhere. Looks at no more than `limit` entries.
    pub async fn retention(&self, keep: Retention, limit: usize) -> Result<Option<i64>, ArchiveError> {
        let too_old = keep.before_ms.is_some_and(|before| self.kept.oldest_ms.is_some_and(|oldest| oldest < before));
        let too_many = keep.keep_bytes.is_some_and(|bytes| self.kept.stored_bytes >= bytes);
        if !too_old && !too_many {
            return Ok(None);
        }
        let manifest = self.manifest();
        self.ask(|loaded| lookup::retention(&manifest, loaded, keep, limit)).await
    }

    /// Sums over everything listed below `offset`, the entry that it cuts left out; opens only pages that it cuts. None:
    /// nothing is.
    pub async fn sums_below(&self, offset: i64) -> Result<Option<Sums>, ArchiveError> {
        let manifest = self.manifest();
        self.ask(|loaded| lookup::sums_below(&manifest, loaded, offset)).await
    }

    /// Producers as of `next`.
    pub async fn producers(&self) -> Result<Producers, ArchiveError> {
        Ok(self.read_producers().await?.body.clone())
    }

    /// The same with what their object asks for, if they have one.
    pub(in crate::archive) async fn read_producers(&self) -> Result<Arc<Enveloped<Producers>>, ArchiveError> {
        match &self.manifest().producers {
            ProducersAt::Inline(producers) => Ok(Arc::new(producers.clone().into())),
            ProducersAt::Object(object) => self.bucket.pages().producers(self.page_of(), object).await,
        }
    }

    /// Asks a pure question, loading what it needs until it is answered. It ends, for each round loads one more page of a
    /// finite tree.
    pub(super) async fn ask<T>(&self, question: impl Fn(&Loaded) -> Result<T, Need>) -> Result<T, ArchiveError> {
        let mut loaded = Loaded::default();
        loop {
            match question(&loaded) {
                Ok(answer) => return Ok(answer),
                Err(need) => self.load(need, &mut loaded).await?,
            }
        }
    }

    /// Loads one thing that this version names.
    pub(super) async fn load(&self, need: Need, loaded: &mut Loaded) -> Result<(), ArchiveError> {
        let pages = self.bucket.pages();
        match need {
            Need::Page(page) => {
                let content = pages.tree(self.page_of(), &page).await?;
                loaded.pages.insert(page.object.name, content);
            }
            Need::Epochs(page) => {
                let content = pages.epochs(self.page_of(), &page).await?;
                loaded.epochs.insert(page.object.name, content);
            }
            Need::Removed(page) => {
                let content = pages.removed(self.page_of(), &page).await?;
                loaded.removed.insert(page.object.name, content);
            }
            Need::Producers => loaded.producers = Some(self.read_producers().await?),
        }
        Ok(())
    }

    fn page_of(&self) -> PageOf<'_> {
        PageOf { root: &self.root, topic_id: self.topic_id, partition: self.partition }
    }
}
