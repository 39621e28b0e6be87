//! The collector: deletes old versions, removed segments, orphans, dead topics and abandoned uploads.
//!
//! It belongs to the owner of the bucket. What may be deleted is decided in `choice`, which is pure. The order that makes
//! it safe while the mover works: an object is listed first, then looked for among those in flight, then in the newest
//! version. The mover lets go of a name only after the version that names it is the head.
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::error::{ArchiveError, CommitError};
use super::layout::{self, Named};
use super::manifest::model::{PageItems, PageRef, Removed, RemovedObject};
use super::manifest::{Change, PartitionArchive, View};
use super::topics::{DeadNote, DeadTopic};
use super::{Archive, Bucket, Ownership, Topics, owner, state};
use crate::base::Uuid;
use crate::store::LIST_PAGE;
use choice::{ClockWatch, EMPTY_MS, GRACE_MS};

mod choice;

pub use choice::GRACE_MS as ORPHAN_GRACE_MS;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Versions of a chain that stay in any case.
const KEEP_VERSIONS: u64 = 16;
/// How long versions stay; those of the state, which is written every minute, for an hour.
const KEEP_MS: i64 = 7 * 24 * HOUR_MS;
const KEEP_STATE_MS: i64 = HOUR_MS;
/// Time between two searches for orphans: they list whole folders.
const ORPHANS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long things are kept.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// `esker.removed.retention.ms`: how long a removed segment is kept. Default: 24 h.
    pub removed_retention_ms: i64,
    /// The same, of topics that say otherwise, by id.
    pub of_topics: HashMap<Uuid, i64>,
}

impl CollectOptions {
    fn kept_ms(&self, topic_id: Uuid) -> i64 {
        self.of_topics.get(&topic_id).copied().unwrap_or(self.removed_retention_ms)
    }
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self { removed_retention_ms: 24 * HOUR_MS, of_topics: HashMap::new() }
    }
}

/// What one round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Versions of chains.
    pub versions: u64,
    /// Objects that a version had removed.
    pub removed: u64,
    /// Objects that nothing named.
    pub orphans: u64,
    /// Objects of deleted topics.
    pub dead: u64,
    /// Unfinished uploads.
    pub uploads: u64,
    /// Why nothing was deleted, if so.
    pub paused: Option<String>,
    /// What could not be done; the rest was.
    pub failures: Vec<String>,
}

/// Deletes what nothing names any more, one round at a time.
#[derive(Debug)]
pub struct Collector {
    bucket: Bucket,
    ownership: Ownership,
    topics: Topics,
    options: CollectOptions,
    watch: ClockWatch,
    clocks: Option<Result<(), String>>,
    orphans_at: Option<Duration>,
}

impl Collector {
    /// For an owned bucket; topics and partitions that are made later are seen too.
    pub fn new(archive: &Archive, options: CollectOptions) -> Self {
        Self {
            bucket: archive.bucket.clone(),
            ownership: archive.ownership.clone(),
            topics: archive.topics.clone(),
            options,
            watch: ClockWatch::default(),
            clocks: None,
            orphans_at: None,
        }
    }

    /// From the next round on, things are kept for so long.
    pub fn set_options(&mut self, options: CollectOptions) {
        self.options = options;
    }

    /// One round over everything. What fails does not keep the rest from being
    /// done. Only a lost ownership ends the round: then nothing more may be deleted.
    pub async fn run(&mut self) -> Result<Collected, CommitError> {
        let clock = self.bucket.clock().clone();
        let paused = match self.watch.look(clock.now_ms(), clock.elapsed()) {
            Some(jumped) => Some(jumped),
            None => self.clocks_differ().await?,
        };
        let done = Collected { paused, ..Collected::default() };
        if let Some(why) = &done.paused {
            tracing::warn!(%why, "collection pauses");
            return Ok(done);
        }
        let orphans = self.orphans_at.is_none_or(|last| clock.elapsed().saturating_sub(last) >= ORPHANS_EVERY);
        let mut round = Round { at: self, now_ms: clock.now_ms(), done };
        round.chains().await?;
        for partition in self.topics.partitions() {
            round.partition(&partition, orphans).await?;
        }
        round.topics(orphans).await?;
        if orphans {
            round.leftovers().await?;
        }
        let done = round.done;
        if orphans {
            self.orphans_at = Some(clock.elapsed());
        }
        Ok(done)
    }

    /// Compares, once, when we claimed the bucket by our clock and by the store's.
    async fn clocks_differ(&mut self) -> Result<Option<String>, ArchiveError> {
        if self.clocks.is_none() {
            let stored_ms = self.bucket.store().stat(&self.ownership.path()).await?.modified_ms;
            let differ = choice::clocks_differ(self.ownership.claim().at_ms, stored_ms);
            self.clocks = Some(differ.map_or(Ok(()), Err));
        }
        Ok(self.clocks.clone().and_then(Result::err))
    }
}

struct Round<'a> {
    at: &'a Collector,
    now_ms: i64,
    done: Collected,
}

impl Round<'_> {
    /// Notes a failure; a lost ownership is passed on.
    fn note<T>(&mut self, result: Result<T, CommitError>) -> Result<Option<T>, CommitError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e) if e.is_fenced() => Err(e),
            Err(e) => {
                tracing::warn!(error = %e, "not collected; the next round tries again");
                self.done.failures.push(e.to_string());
                Ok(None)
            }
        }
    }

    async fn chains(&mut self) -> Result<(), CommitError> {
        let bucket = &self.at.bucket;
        let chains = [(owner::chain(bucket), KEEP_MS), (state::chain(bucket), KEEP_STATE_MS)];
        for (chain, keep_ms) in chains {
            let removed = chain.collect(KEEP_VERSIONS, keep_ms, self.now_ms).await;
            self.done.versions += self.note(removed.map_err(CommitError::from))?.unwrap_or(0);
        }
        Ok(())
    }

    async fn partition(&mut self, partition: &PartitionArchive, orphans: bool) -> Result<(), CommitError> {
        let settled = partition.settle().await;
        if self.note(settled)?.is_none() {
            return Ok(());
        }
        let writable = partition.view().check_writable().map_err(|e| {
            let path = self.at.bucket.store().url_of(partition.chain().prefix());
            CommitError::from(ArchiveError::Refused { path, reason: e.to_string() })
        });
        if self.note(writable)?.is_none() {
            return Ok(());
        }
        if partition.view().number() > KEEP_VERSIONS {
            let removed = partition.chain().collect(KEEP_VERSIONS, KEEP_MS, self.now_ms).await;
            self.done.versions += self.note(removed.map_err(CommitError::from))?.unwrap_or(0);
        }
        let removed = self.removed(partition).await;
        self.done.removed += self.note(removed)?.unwrap_or(0);
        if orphans {
            let found = self.partition_orphans(partition).await;
            self.done.orphans += self.note(found)?.unwrap_or(0);
        }
        Ok(())
    }

    /// Deletes what was removed long enough ago, then forgets it.
    async fn removed(&self, partition: &PartitionArchive) -> Result<u64, CommitError> {
        let view = partition.view();
        let kept_ms = self.at.options.kept_ms(view.manifest().topic_id);
        let due = |removed: &&Removed| removed.at_ms.saturating_add(kept_ms) <= self.now_ms;
        let (mut names, mut deleted) = (Vec::new(), 0);
        for removed in view.manifest().removed.iter().filter(due) {
            deleted += match &removed.what {
                RemovedObject::Tree(page) => self.delete_tree(&view, page).await?,
                RemovedObject::Segment { name, .. } | RemovedObject::Object { name } => {
                    self.delete(view.root(), name).await?;
                    1
                }
            };
            names.push(removed.what.name().to_owned());
        }
        if !names.is_empty() {
            partition.commit(Change::Forget { names }).await?;
        }
        Ok(deleted)
    }

    /// Deletes a page and all below it, the page last: a deletion that was cut off finds the rest the next time.
    async fn delete_tree(&self, view: &View, top: &PageRef) -> Result<u64, CommitError> {
        let mut deleted = 0;
        let mut stack = vec![(top.clone(), false)];
        while let Some((page, is_empty)) = stack.pop() {
            if is_empty {
                self.delete(view.root(), &page.object.name).await?;
                deleted += 1;
                continue;
            }
            let content = match view.page(&page).await {
                Ok(content) => content,
                Err(e) if e.is_missing() => continue, // an earlier round deleted it, and so all below it
                Err(e) => return Err(e.into()),
            };
            stack.push((page, true));
            match &content.items {
                PageItems::Pages(pages) => stack.extend(pages.iter().map(|page| (page.clone(), false))),
                PageItems::Entries(entries) => {
                    for segment in entries.iter().filter_map(|entry| entry.segment()) {
                        if segment.root.is_none() {
                            self.delete(view.root(), &segment.name).await?;
                            deleted += 1;
                        }
                    }
                }
            }
        }
        Ok(deleted)
    }

    /// Deletes what lies in a partition's folders, is old, and is neither named nor under way.
    async fn partition_orphans(&self, partition: &PartitionArchive) -> Result<u64, CommitError> {
        let root = layout::topic_root(partition.topic(), partition.topic_id());
        let number = partition.partition();
        let mut deleted = 0;
        for folder in [layout::data_folder(number), layout::manifest_folder(number)] {
            let mut after = None;
            loop {
                let page = self.at.bucket.store().list(&layout::under(&root, &folder), after.as_deref()).await?;
                let in_flight = partition.in_flight();
                let view = partition.view();
                for object in &page {
                    let Some(name) = object.path.strip_prefix(&root).and_then(|name| name.strip_prefix('/')) else {
                        continue;
                    };
                    let age_ms = self.now_ms.saturating_sub(object.modified_ms);
                    let epoch = self.at.ownership.epoch();
                    if choice::is_orphan(&Named::of(name), age_ms, epoch, in_flight.contains(name))
                        && !view.names(name).await?
                    {
                        self.delete(&root, name).await?;
                        deleted += 1;
                    }
                }
                match page.last() {
                    Some(last) if page.len() >= LIST_PAGE => after = Some(last.path.clone()),
                    _ => break,
                }
            }
        }
        Ok(deleted)
    }

    async fn topics(&mut self, orphans: bool) -> Result<(), CommitError> {
        let names = self.at.bucket.store().list_dirs(layout::TOPICS).await.map_err(CommitError::from);
        for name in self.note(names)?.unwrap_or_default() {
            let done = self.topic(&name, orphans).await;
            self.note(done)?;
        }
        Ok(())
    }

    async fn topic(&mut self, name: &str, orphans: bool) -> Result<(), CommitError> {
        let version = self.at.topics.version_of(name)?;
        for dead in version.iter().flat_map(|version| &version.dead) {
            self.dead_topic(name, dead).await?;
        }
        if !orphans {
            return Ok(());
        }
        if version.is_some() {
            self.done.versions += self.at.topics.chain_of(name).collect(KEEP_VERSIONS, KEEP_MS, self.now_ms).await?;
        }
        // Ids that no version ever named: a creation that was cut off.
        for folder in self.at.bucket.store().list_dirs(&layout::topic_folder(name)).await? {
            let Ok(id) = folder.parse::<Uuid>() else { continue };
            let version = self.at.topics.version_of(name)?;
            let is_known = version
                .iter()
                .any(|version| version.topic_id == Some(id) || version.dead.iter().any(|dead| dead.topic_id == id));
            if !is_known && !self.at.topics.is_being_made(id) {
                let root = layout::topic_root(name, id);
                self.done.orphans += self.delete_below(&root, self.now_ms.saturating_sub(GRACE_MS)).await?.0;
            }
        }
        Ok(())
    }

    async fn dead_topic(&mut self, name: &str, dead: &DeadTopic) -> Result<(), CommitError> {
        let mut left = 0;
        for root in [layout::topic_root(name, dead.topic_id), layout::iceberg_root(name, dead.topic_id)] {
            let (deleted, kept) = self.delete_below(&root, i64::MAX).await?;
            self.done.dead += deleted;
            left += deleted + kept;
        }
        let note = match dead.empty_since_ms {
            _ if left > 0 => DeadNote::EmptySince(None),
            Some(since) if since.saturating_add(EMPTY_MS) <= self.now_ms => DeadNote::Forget,
            Some(_) => return Ok(()),
            None => DeadNote::EmptySince(Some(self.now_ms)),
        };
        self.at.topics.note_dead(name, dead.topic_id, note).await
    }

    /// Deletes everything below a folder that was written before `before_ms`; how many went, and how many stay.
    async fn delete_below(&self, folder: &str, before_ms: i64) -> Result<(u64, u64), CommitError> {
        let (mut deleted, mut kept) = (0, 0);
        let mut after = None;
        loop {
            let page = self.at.bucket.store().list(folder, after.as_deref()).await?;
            for object in &page {
                if object.modified_ms < before_ms {
                    self.at.bucket.store().delete(&object.path).await?;
                    deleted += 1;
                } else {
                    kept += 1;
                }
            }
            match page.last() {
                Some(last) if page.len() >= LIST_PAGE => after = Some(last.path.clone()),
                _ => return Ok((deleted, kept)),
            }
        }
    }

    /// Pages of the state that no version names, and uploads that nobody finished.
    async fn leftovers(&mut self) -> Result<(), CommitError> {
        let pages = self.state_pages().await;
        self.done.orphans += self.note(pages)?.unwrap_or(0);
        let before_ms = self.now_ms.saturating_sub(GRACE_MS);
        let uploads = self.at.bucket.store().abort_uploads_older_than(before_ms).await.map_err(CommitError::from);
        self.done.uploads += self.note(uploads)?.flatten().unwrap_or(0);
        Ok(())
    }

    async fn state_pages(&self) -> Result<u64, CommitError> {
        let store = self.at.bucket.store();
        let mut old = BTreeMap::new();
        let mut after = None;
        loop {
            let page = store.list(layout::STATE, after.as_deref()).await?;
            let is_old = |modified_ms: i64| self.now_ms.saturating_sub(modified_ms) >= GRACE_MS;
            let pages = page.iter().filter(|object| is_old(object.modified_ms) && state::is_page(&object.path));
            old.extend(pages.map(|object| (object.path.clone(), ())));
            match page.last() {
                Some(last) if page.len() >= LIST_PAGE => after = Some(last.path.clone()),
                _ => break,
            }
        }
        if old.is_empty() {
            return Ok(0);
        }
        for number in state::chain(&self.at.bucket).versions().await? {
            for name in state::pages_of(&self.at.bucket, number).await? {
                old.remove(&name);
            }
        }
        for path in old.keys() {
            store.delete(path).await?;
        }
        Ok(old.len() as u64)
    }

    async fn delete(&self, root: &str, name: &str) -> Result<(), CommitError> {
        Ok(self.at.bucket.store().delete(&layout::under(root, name)).await?)
    }
}

#[cfg(test)]
mod tests;
