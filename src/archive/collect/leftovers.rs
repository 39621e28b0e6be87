//! What lies outside of topics: pages of the state, what a probe left, and uploads that nobody finished.
use std::collections::BTreeSet;

use super::choice::{self, GRACE_MS};
use super::{KEEP_VERSIONS, Round};
use crate::archive::error::CommitError;
use crate::archive::layout::{self, Named};
use crate::archive::state;
use crate::store::{LIST_PAGE, Listed};

impl Round<'_> {
    pub(super) async fn leftovers(&self) -> Result<(), CommitError> {
        let before_ms = self.now_ms.saturating_sub(GRACE_MS);
        let probes = self.probes(before_ms).await;
        self.count(|done| &mut done.orphans, probes)?;
        self.licence.check().await?;
        let uploads = self.at.bucket.store().abort_uploads_older_than(before_ms).await;
        let uploads = uploads.map(|gone| gone.unwrap_or(0)).map_err(CommitError::from);
        self.count(|done| &mut done.uploads, uploads)
    }

    async fn probes(&self, before_ms: i64) -> Result<u64, CommitError> {
        let mut gone = 0;
        let found = self.list(layout::PROBE, |object| object.modified_ms < before_ms).await?;
        for object in found {
            self.delete(&object.path).await?;
            gone += 1;
        }
        Ok(gone)
    }

    async fn list(&self, folder: &str, wanted: impl Fn(&Listed) -> bool) -> Result<Vec<Listed>, CommitError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.at.bucket.store().list(folder, after.as_deref()).await?;
            let last = page.last().filter(|_| page.len() >= LIST_PAGE).map(|last| last.path.clone());
            found.extend(page.into_iter().filter(&wanted));
            match last {
                Some(last) => after = Some(last),
                None => return Ok(found),
            }
        }
    }

    /// Pages of the state that no version has to keep, and pages that none ever named.
    /// `thinned` is the last of the versions whose pages went before.
    pub(super) async fn state_pages(&self, thinned: &mut u64) -> Result<u64, CommitError> {
        let is_child = |object: &Listed| object.path.matches('/').count() == 1;
        let all = self.list(layout::STATE, is_child).await?;
        let mut versions = Vec::new();
        let mut young = BTreeSet::new();
        let mut pages = BTreeSet::new();
        for object in all {
            match Named::of(&object.path) {
                Named::Version(number) => versions.push((number, object.modified_ms)),
                _ if !state::is_page(&object.path) => {}
                _ if self.now_ms.saturating_sub(object.modified_ms) < GRACE_MS => drop(young.insert(object.path)),
                _ => drop(pages.insert(object.path)),
            }
        }
        let (keep, thin) = choice::state_pages(&versions, KEEP_VERSIONS, self.now_ms);
        // A young page may be of a version that is being made, unless one that is thinned out names it.
        if !young.is_empty() {
            for number in thin.iter().copied().filter(|number| number > thinned) {
                let named = state::pages_of(&self.at.bucket, number).await?;
                pages.extend(named.into_iter().filter(|name| young.contains(name)));
            }
        }
        for number in keep {
            if pages.is_empty() {
                break;
            }
            for name in state::pages_of(&self.at.bucket, number).await? {
                pages.remove(&name);
            }
        }
        for path in &pages {
            self.delete(path).await?;
        }
        *thinned = thin.last().copied().unwrap_or(0).max(*thinned);
        Ok(pages.len() as u64)
    }
}
