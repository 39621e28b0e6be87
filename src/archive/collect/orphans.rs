//! Looks for what nothing names, below the root of a live topic: one listing serves all its partitions. For each page of it,
//! after the listing, what is in flight is asked for, and then the manifest of each partition that occurs. What belongs to a
//! partition whose manifest is not at hand is left.
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use super::{Round, choice};
use crate::archive::error::CommitError;
use crate::archive::layout::{self, Named};
use crate::archive::manifest::{PartitionArchive, View};
use crate::archive::topics::Topic;
use crate::base::Uuid;
use crate::store::{LIST_PAGE, Listed};

/// A partition as it was after a page of the listing.
struct AtHand {
    partition: PartitionArchive,
    in_flight: BTreeSet<String>,
    view: View,
}

impl Round<'_> {
    pub(super) async fn topic_orphans(&self, topic: &Topic) -> Result<(), CommitError> {
        let root = layout::topic_root(&topic.name, topic.id);
        for folder in [layout::DATA, layout::LOG] {
            let mut after = None;
            loop {
                let page = self.at.bucket.store().list(&layout::under(&root, folder), after.as_deref()).await?;
                self.page_orphans(topic.id, &root, &page).await?;
                match page.last() {
                    Some(last) if page.len() >= LIST_PAGE => after = Some(last.path.clone()),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    async fn page_orphans(&self, topic_id: Uuid, root: &str, page: &[Listed]) -> Result<(), CommitError> {
        let mut at_hand: HashMap<i32, Option<AtHand>> = HashMap::new();
        let mut suspects: HashMap<i32, BTreeSet<String>> = HashMap::new();
        for object in page {
            let Some(name) = object.path.strip_prefix(root).and_then(|name| name.strip_prefix('/')) else { continue };
            let named = Named::of(name);
            let number = match named {
                Named::Segment { partition, .. } => Some(partition),
                Named::Version(_) | Named::Foreign => None,
                _ => layout::partition_of_log(name),
            };
            let Some(number) = number else { continue };
            let at = match at_hand.entry(number) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let found = self.at_hand(topic_id, number).await;
                    place.insert(self.note(found)?.flatten())
                }
            };
            let Some(at) = at else { continue };
            let age_ms = self.now_ms.saturating_sub(object.modified_ms);
            let epoch = self.at.ownership.epoch();
            if !choice::is_orphan(&named, age_ms, epoch, at.in_flight.contains(name)) {
                continue;
            }
            let is_named = at.view.names(name).await.map_err(CommitError::from);
            if self.note(is_named)? == Some(false) {
                suspects.entry(number).or_default().insert(name.to_owned());
            }
        }
        for (number, names) in suspects {
            if let Some(Some(at)) = at_hand.get(&number) {
                let gone = self.delete_orphans(at, root, names).await;
                self.note(gone)?;
            }
        }
        Ok(())
    }

    /// Deletes those that no version names which is kept.
    async fn delete_orphans(&self, at: &AtHand, root: &str, mut names: BTreeSet<String>) -> Result<(), CommitError> {
        at.partition.named_by_kept_versions(&mut names).await?;
        for name in names {
            self.delete_under(root, &name).await?;
            self.done().orphans += 1;
        }
        Ok(())
    }

    /// What is in flight first, and then the newest version; none for a partition that is not loaded.
    async fn at_hand(&self, topic_id: Uuid, number: i32) -> Result<Option<AtHand>, CommitError> {
        let Some(partition) = self.at.topics.partition(topic_id, number) else { return Ok(None) };
        let in_flight = partition.in_flight();
        let view = partition.settle().await?;
        Ok(Some(AtHand { partition, in_flight, view }))
    }
}
