//! What is no longer live and waits to be deleted: the newest in the version, older ones in pages by time; pure.
//!
//! A page is forgotten as a whole, when all in it is deleted, and then is a removed thing itself.
use super::change::Gone;
use super::model::{
    Manifest, REMOVED, REMOVED_MAX, REMOVED_PAGE_ITEMS, Removed, RemovedObject, RemovedPage, RemovedPageRef,
};
use super::tree::Draft;
use crate::store::envelope::Unknown;

/// Moves the oldest removed things to pages, as far as the limit asks for it.
pub fn fold(next: &mut Manifest, draft: &mut Draft<'_>) {
    while next.removed.len() > REMOVED_MAX {
        let removed: Vec<Removed> = next.removed.drain(..REMOVED_PAGE_ITEMS).collect();
        let times = || removed.iter().map(|removed| removed.at_ms);
        let (first_ms, last_ms) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let (count, name) = (removed.len() as u64, draft.names.removed(first_ms));
        let page = RemovedPage { topic_id: next.topic_id, partition: next.partition, removed, unknown: Unknown::new() };
        let object = draft.object(&REMOVED, name, &page.into());
        next.removed_pages.push(RemovedPageRef { object, first_ms, last_ms, count, unknown: Unknown::new() });
    }
}

/// Whether the version has any of these to forget.
pub fn knows_any(head: &Manifest, gone: &Gone) -> bool {
    head.removed.iter().any(|removed| gone.names.contains(removed.what.name()))
        || head.removed_pages.iter().any(|page| gone.pages.contains(&page.object.name))
}

/// Forgets what was deleted. Of a page, all of it is forgotten, and the page itself waits to be deleted.
pub fn forget(next: &mut Manifest, gone: &Gone, draft: &mut Draft<'_>) {
    next.removed.retain(|removed| !gone.names.contains(removed.what.name()));
    next.removed_pages.retain(|page| {
        let forgotten = gone.pages.contains(&page.object.name);
        if forgotten {
            draft.remove(RemovedObject::object(&*page.object.name));
        }
        !forgotten
    });
}
