//! Names of topics: old versions of their chains, lives that ended, and ids that no version ever named.
use super::choice::{EMPTY_MS, GRACE_MS};
use super::{HOUR, KEEP_MS, Memory, Round, is_due};
use crate::archive::error::CommitError;
use crate::archive::layout;
use crate::archive::topics::{self, DeadNote, DeadTopic};
use crate::base::Uuid;
use crate::store::LIST_PAGE;

impl Round<'_> {
    pub(super) async fn topics(&self, memory: &mut Memory, orphans: bool) -> Result<(), CommitError> {
        for name in self.at.topics.names() {
            let done = self.name(&name, memory).await;
            self.note(done)?;
        }
        if !orphans {
            return Ok(());
        }
        for topic in self.at.topics.list() {
            let collectable = self.at.topics.check_collectable(&topic.name).map_err(CommitError::from);
            if self.note(collectable)?.is_some() {
                let done = self.topic_orphans(&topic).await;
                self.note(done)?;
            }
        }
        let names = self.at.bucket.store().list_dirs(layout::TOPICS).await.map_err(CommitError::from);
        for name in self.note(names)?.unwrap_or_default() {
            let done = self.unknown_ids(&name).await;
            self.note(done)?;
        }
        Ok(())
    }

    async fn name(&self, name: &str, memory: &mut Memory) -> Result<(), CommitError> {
        let Some((number, version)) = self.at.topics.version_of(name)? else { return Ok(()) };
        let chain = self.at.topics.chain_of(name);
        if !memory.names.contains_key(name) {
            memory.names.insert(name.to_owned(), Default::default());
        }
        if let Some(lowest) = memory.names.get_mut(name) {
            self.versions(&chain, number, KEEP_MS, lowest).await?;
        }
        for dead in &version.dead {
            if dead.until_ms <= self.now_ms && is_due(memory.dead.get(&dead.topic_id).copied(), self.elapsed, HOUR) {
                self.dead_topic(name, dead).await?;
                memory.dead.insert(dead.topic_id, self.elapsed);
            }
        }
        Ok(())
    }

    /// Deletes the objects of a life that ended, by listings that are repeated until they stayed empty for a day.
    async fn dead_topic(&self, name: &str, dead: &DeadTopic) -> Result<(), CommitError> {
        let (deleted, kept) = self.delete_below(&layout::topic_root(name, dead.topic_id), i64::MAX).await?;
        self.done().dead += deleted;
        let note = match dead.empty_since_ms {
            _ if deleted + kept > 0 => DeadNote::EmptySince(None),
            Some(since) if since.saturating_add(EMPTY_MS) <= self.now_ms => DeadNote::Forget,
            Some(_) => return Ok(()),
            None => DeadNote::EmptySince(Some(self.now_ms)),
        };
        self.at.topics.note_dead(name, dead.topic_id, note).await
    }

    /// Ids that no version ever named: a creation that was cut off. What this process does not know may be known in the
    /// bucket: only what neither names is deleted.
    async fn unknown_ids(&self, name: &str) -> Result<(), CommitError> {
        self.at.topics.settle_name(name).await?;
        for folder in self.at.bucket.store().list_dirs(&layout::topic_folder(name)).await? {
            let Ok(id) = folder.parse::<Uuid>() else { continue };
            if self.is_known(name, id)? {
                continue;
            }
            let read = topics::read(&self.at.bucket, name).await?;
            if let Some(newest) = read.as_ref().filter(|newest| newest.head.epoch > self.at.ownership.epoch()) {
                let path = self.at.bucket.store().url_of(&layout::topic_chain(name));
                return Err(CommitError::Fenced { path, epoch: Some(newest.head.epoch) });
            }
            if read.is_some_and(|newest| newest.version.names(id)) {
                continue;
            }
            let root = layout::topic_root(name, id);
            let (gone, _) = self.delete_below(&root, self.now_ms.saturating_sub(GRACE_MS)).await?;
            self.done().orphans += gone;
        }
        Ok(())
    }

    fn is_known(&self, name: &str, id: Uuid) -> Result<bool, CommitError> {
        let version = self.at.topics.version_of(name)?;
        Ok(version.is_some_and(|(_, version)| version.names(id)) || self.at.topics.is_being_made(id))
    }

    /// Deletes everything below a folder that was written before `before_ms`; how many went, and how many stay.
    async fn delete_below(&self, folder: &str, before_ms: i64) -> Result<(u64, u64), CommitError> {
        let (mut deleted, mut kept) = (0, 0);
        let mut after = None;
        loop {
            let page = self.at.bucket.store().list(folder, after.as_deref()).await?;
            for object in &page {
                if object.modified_ms < before_ms {
                    self.delete(&object.path).await?;
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
}
