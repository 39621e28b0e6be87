//! The manifest as the cold reader asks for it.
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::cold::{ColdError, Entry, EntryLookup, Look, SegmentRef};
use crate::archive::manifest::{self, SegmentEntry, View};
use crate::archive::{ArchiveError, PartitionArchive, PartitionReader};

/// Whose manifest is asked. An object that a version names may be gone: then a newer version is asked, once.
#[derive(Clone, Debug)]
pub(super) enum Versions {
    /// Of a partition that this process writes: its own head is the truth.
    Own(PartitionArchive),
    /// Of a partition that somebody else writes.
    Foreign(PartitionReader),
}

impl Versions {
    /// The newest version that is known.
    pub fn view(&self) -> View {
        match self {
            Self::Own(archive) => archive.view(),
            Self::Foreign(reader) => reader.view(),
        }
    }

    /// The newest version that there is.
    pub async fn newer(&self) -> Result<View, ArchiveError> {
        match self {
            Self::Own(archive) => Ok(archive.view()),
            Self::Foreign(reader) => reader.refresh().await,
        }
    }

    async fn entry(&self, offset: i64, look: Look) -> Result<Option<Entry>, ArchiveError> {
        let view = match look {
            Look::Known => self.view(),
            Look::Again => self.newer().await?,
        };
        match look_up(&view, offset).await {
            Err(e) if e.is_missing() => look_up(&self.newer().await?, offset).await,
            found => found,
        }
    }
}

impl EntryLookup for Versions {
    fn entry_at(&self, offset: i64, look: Look) -> BoxFuture<'_, Result<Option<Entry>, ColdError>> {
        async move {
            let found = self.entry(offset, look).await;
            found.map_err(|e| failed(&self.view(), offset, &e))
        }
        .boxed()
    }
}

/// A segment as the cold reader takes it.
pub(super) fn segment_ref(view: &View, segment: &SegmentEntry) -> SegmentRef {
    SegmentRef { path: view.path_of(segment).into(), meta: Arc::new(segment.meta.clone()) }
}

async fn look_up(view: &View, offset: i64) -> Result<Option<Entry>, ArchiveError> {
    let found = view.entries_from(offset, 1).await?;
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
