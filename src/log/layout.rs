//! What lies where: hot range, segments, gaps, bytes.
use super::entries::Versions;
use super::partition::Partition;
use super::sealed::archive_error;
use super::{EntryLayout, Log, PartitionLayout, ReadError, TopicError};
use crate::archive::ArchiveError;
use crate::archive::manifest::{Entry, View};
use crate::store::Store;

/// Entries asked for at once.
const ENTRIES: usize = 1024;

impl Log {
    /// What lies where.
    ///
    /// # Errors
    /// [`TopicError::Unknown`]; [`TopicError::Storage`] when a page of a manifest cannot be read.
    pub async fn layout(
        &self,
        topic: Option<&str>,
        partition: Option<i32>,
    ) -> Result<Vec<PartitionLayout>, TopicError> {
        let mut out = Vec::new();
        for p in self.0.registry.partitions(topic)? {
            if partition.is_none_or(|wanted| wanted == p.number()) {
                out.push(self.layout_of(&p).await.map_err(|e| TopicError::Storage(e.to_string()))?);
            }
        }
        Ok(out)
    }

    async fn layout_of(&self, partition: &Partition) -> Result<PartitionLayout, ReadError> {
        let entries = entries_of(&partition.0.versions, self.0.mover.store()).await.map_err(archive_error)?;
        let state = partition.state();
        Ok(PartitionLayout {
            topic: partition.topic().to_owned(),
            partition: partition.number(),
            log_start: state.log_start,
            sealed_end: state.sealed_end,
            hot_start: state.hot.start().unwrap_or(state.high_watermark),
            high_watermark: state.high_watermark,
            hot_bytes: state.hot.bytes(),
            damaged: state.damaged.as_ref().map(|damaged| damaged.why.clone()),
            entries,
        })
    }
}

/// Every entry of a manifest, in order.
pub(super) async fn entries_of(versions: &Versions, store: &Store) -> Result<Vec<EntryLayout>, ArchiveError> {
    match entries_in(&versions.view(), store).await {
        Err(e) if e.is_missing() => entries_in(&versions.newer().await?, store).await,
        entries => entries,
    }
}

async fn entries_in(view: &View, store: &Store) -> Result<Vec<EntryLayout>, ArchiveError> {
    let mut out = Vec::new();
    let mut at = view.manifest().first();
    while at < view.next() {
        let some = view.entries_from(at, ENTRIES).await?;
        let Some(last) = some.last() else { break };
        at = last.next();
        out.extend(some.iter().map(|entry| entry_layout(view, store, entry)));
    }
    Ok(out)
}

fn entry_layout(view: &View, store: &Store, entry: &Entry) -> EntryLayout {
    match entry {
        Entry::Segment(s) => EntryLayout {
            kind: "segment".to_owned(),
            first: s.meta.first_offset,
            next: s.meta.next_offset,
            records: s.meta.records,
            payload_bytes: s.meta.payload_bytes,
            stored_bytes: s.meta.size,
            min_timestamp: s.meta.min_timestamp,
            max_timestamp: s.meta.max_timestamp,
            url: store.url_of(&view.path_of(s)),
        },
        Entry::Gap(gap) => EntryLayout {
            kind: gap.reason.as_str().to_owned(),
            first: gap.first,
            next: gap.next,
            records: 0,
            payload_bytes: 0,
            stored_bytes: 0,
            min_timestamp: None,
            max_timestamp: None,
            url: String::new(),
        },
    }
}

impl Partition {
    /// Bytes of its batches in the WAL and of its live segments in the bucket.
    pub(super) fn stored_bytes(&self) -> u64 {
        let sealed = self.0.archive.view().stored_bytes();
        sealed + self.state().hot.bytes()
    }

    /// What remains unsealed, for the operator.
    pub(super) fn unsealed_line(&self) -> Option<String> {
        let state = self.state();
        let (from, to) = (state.sealed_end, state.high_watermark);
        match &state.damaged {
            Some(damaged) => Some(damaged.why.clone()),
            None if from < to => {
                Some(format!("{}-{}: offsets {from}..{to} are in the WAL only", self.topic(), self.number()))
            }
            None => None,
        }
    }
}
