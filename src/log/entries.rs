//! The manifest as the cold reader asks for it.
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::cold::{ColdError, Entry, EntryLookup, Look, SegmentRef};
use crate::archive::manifest::{self, SegmentEntry, View};
use crate::archive::{ArchiveError, PartitionArchive, PartitionReader};

/// Entries of a partition that this process writes: its own head is the truth.
#[derive(Debug)]
pub(super) struct OwnEntries(pub PartitionArchive);

/// Entries of a partition that somebody else writes.
#[derive(Debug)]
pub(super) struct ForeignEntries(pub PartitionReader);

impl EntryLookup for OwnEntries {
    fn entry_at(&self, offset: i64, _look: Look) -> BoxFuture<'_, Result<Option<Entry>, ColdError>> {
        let view = self.0.view();
        async move { look_up(&view, offset).await }.boxed()
    }
}

impl EntryLookup for ForeignEntries {
    fn entry_at(&self, offset: i64, look: Look) -> BoxFuture<'_, Result<Option<Entry>, ColdError>> {
        async move {
            let view = match look {
                Look::Known => self.0.view(),
                Look::Again => self.0.refresh().await.map_err(|e| failed(&self.0.view(), offset, &e))?,
            };
            look_up(&view, offset).await
        }
        .boxed()
    }
}

/// A segment as the cold reader takes it.
pub(super) fn segment_ref(view: &View, segment: &SegmentEntry) -> SegmentRef {
    SegmentRef { path: view.path_of(segment).into(), meta: Arc::new(segment.meta.clone()) }
}

async fn look_up(view: &View, offset: i64) -> Result<Option<Entry>, ColdError> {
    let found = view.entries_from(offset, 1).await.map_err(|e| failed(view, offset, &e))?;
    Ok(found.into_iter().next().map(|entry| match entry {
        manifest::Entry::Segment(segment) => Entry::Segment(segment_ref(view, &segment)),
        manifest::Entry::Gap(gap) => Entry::Gap { first_offset: gap.first, next_offset: gap.next },
    }))
}

fn failed(view: &View, offset: i64, error: &ArchiveError) -> ColdError {
    ColdError::Lookup {
        offset,
        partition: view.partition(),
        message: error.to_string().into(),
        retriable: error.is_retriable(),
    }
}
