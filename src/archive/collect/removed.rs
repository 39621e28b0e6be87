//! Deletes what versions removed long enough ago, then lets it be forgotten. What cannot be deleted stays where it is and
//! keeps nothing else from going.
use super::{HOUR, Round};
use crate::archive::error::{ArchiveError, CommitError};
use crate::archive::layout::{self, Named};
use crate::archive::manifest::model::{
    EPOCHS, PAGE, PRODUCERS, PageItems, PageRef, REMOVED, Removed, RemovedObject, RemovedPageRef,
};
use crate::archive::manifest::{Gone, PartitionArchive, View};
use crate::store::envelope::{self, EnvelopeError};

impl Round<'_> {
    pub(super) async fn removed(&self, partition: &PartitionArchive, view: &View) -> Result<(), CommitError> {
        let due_ms = self.now_ms.saturating_sub(self.at.options.kept_ms(view.topic_id()));
        let (before, mut gone) = (partition.gone(), Gone::default());
        if !view.has_removed_by(due_ms) && before.is_empty() {
            return Ok(());
        }
        let manifest = view.manifest();
        let is_due = |at_ms: i64| at_ms <= due_ms;
        for removed in manifest.removed.iter().filter(|removed| is_due(removed.at_ms)) {
            let name = removed.what.name();
            if !before.names.contains(name) && self.removed_one(view, removed).await? {
                gone.names.insert(name.to_owned());
            }
        }
        for page in manifest.removed_pages.iter().filter(|page| is_due(page.last_ms)) {
            let name = &page.object.name;
            if !before.pages.contains(name) && self.removed_page(view, page).await? {
                gone.pages.insert(name.clone());
            }
        }
        let forgotten = partition.forget(gone, HOUR).await;
        self.note(forgotten).map(drop)
    }

    /// All that a page of removed things names; whether nothing of it is left.
    async fn removed_page(&self, view: &View, page: &RemovedPageRef) -> Result<bool, CommitError> {
        let content = match view.removed_page(page).await {
            Ok(content) => content,
            Err(e) if self.may_give_up(&e, page.last_ms) => {
                let path = self.at.bucket.store().url_of(&page.object.name);
                tracing::warn!(%path, error = %e, "what a damaged page of removed objects named is looked for by name");
                return Ok(true);
            }
            Err(e) => return self.note(Err::<bool, _>(e.into())).map(|_| false),
        };
        let collectable = envelope::check_collectable(&REMOVED, &content.features)
            .map_err(|e| self.refused(view, &page.object.name, &e));
        if self.note(collectable)?.is_none() {
            return Ok(false);
        }
        let mut all = true;
        for removed in &content.removed {
            all &= self.removed_one(view, removed).await?;
        }
        Ok(all)
    }

    /// One removed thing with all below it; whether it is gone.
    async fn removed_one(&self, view: &View, removed: &Removed) -> Result<bool, CommitError> {
        let gone = match &removed.what {
            RemovedObject::Tree(page) => self.delete_tree(view, page, removed.at_ms).await,
            RemovedObject::Segment { name, .. } => self.delete_under(view.root(), name).await.map(|()| 1),
            RemovedObject::Object { name, .. } => self.delete_object(view, name).await.map(|()| 1),
        };
        let gone = self.note(gone)?;
        self.done().removed += gone.unwrap_or(0);
        Ok(gone.is_some())
    }

    /// Deletes one object of the manifest, unless it asks for what this build does not have so that it may go. Pages of the
    /// tree were asked when they were written anew.
    async fn delete_object(&self, view: &View, name: &str) -> Result<(), CommitError> {
        let schema = match Named::of(name) {
            Named::Epochs { .. } => Some(&EPOCHS),
            Named::Removed { .. } => Some(&REMOVED),
            Named::Producers { .. } => Some(&PRODUCERS),
            _ => None,
        };
        if let Some(schema) = schema {
            match self.at.bucket.store().get(&layout::under(view.root(), name)).await {
                Ok(object) => match envelope::decode(schema, &object) {
                    Ok(opened) => envelope::check_collectable(schema, &opened.features)
                        .map_err(|e| self.refused(view, name, &e))?,
                    Err(e) if e.is_refusal() => return Err(self.refused(view, name, &e)),
                    Err(_) => {} // it is damaged, and nobody needs it
                },
                Err(e) if e.is_not_found() => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
        self.delete_under(view.root(), name).await
    }

    fn refused(&self, view: &View, name: &str, e: &EnvelopeError) -> CommitError {
        let path = self.at.bucket.store().url_of(&layout::under(view.root(), name));
        ArchiveError::Refused { path, reason: e.to_string() }.into()
    }

    /// Deletes a page and all below it, the page last: a deletion that was cut off finds the rest the next time.
    async fn delete_tree(&self, view: &View, top: &PageRef, at_ms: i64) -> Result<u64, CommitError> {
        let mut deleted = 0;
        let mut stack = vec![(top.clone(), false)];
        while let Some((page, is_empty)) = stack.pop() {
            if is_empty {
                self.delete_under(view.root(), &page.object.name).await?;
                deleted += 1;
                continue;
            }
            let content = match view.page(&page).await {
                Ok(content) => content,
                Err(e) if e.is_missing() => continue, // an earlier round deleted it, and so all below it
                Err(e) if self.may_give_up(&e, at_ms) => {
                    tracing::warn!(error = %e, "a removed page is damaged: what it named is looked for by name");
                    stack.push((page, true));
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            envelope::check_collectable(&PAGE, &content.features)
                .map_err(|e| self.refused(view, &page.object.name, &e))?;
            stack.push((page, true));
            match &content.items {
                PageItems::Pages(pages) => stack.extend(pages.iter().map(|page| (page.clone(), false))),
                PageItems::Entries(entries) => {
                    for segment in entries.iter().filter_map(|entry| entry.segment()) {
                        if segment.root.is_none() {
                            self.delete_under(view.root(), &segment.name).await?;
                            deleted += 1;
                        }
                    }
                }
            }
        }
        Ok(deleted)
    }

    /// Whether what a page named may be left to the search for orphans: the page is damaged, and nothing that was removed by
    /// then has to wait any longer, whatever topic it is of.
    fn may_give_up(&self, error: &ArchiveError, removed_ms: i64) -> bool {
        let is_damaged = matches!(error, ArchiveError::Damaged { .. } | ArchiveError::Missing { .. });
        is_damaged && removed_ms.saturating_add(self.at.options.longest_ms()) <= self.now_ms
    }
}
