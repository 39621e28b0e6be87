//! One run of entries becomes one.
use bytes::Bytes;

use super::scan::{Part, Scanner};
use super::{Marks, RewriteError};
use crate::archive::manifest::Dropped;
use crate::archive::manifest::model::{Entry, GapReason, SegmentEntry};
use crate::archive::segment::{SegmentEncoder, SegmentMeta, SegmentSpec};
use crate::record::{RecordHasher, RecordRef};

/// What was written.
pub(super) struct Written {
    /// The object; none if no record is left.
    pub meta: Option<SegmentMeta>,
    pub dropped: Dropped,
}

/// What is at work on the records.
struct Writer {
    encoder: SegmentEncoder,
    hasher: RecordHasher,
    dropped: Dropped,
    marks: Marks,
}

impl Writer {
    fn take(&mut self, row: u64, record: RecordRef<'_>) -> Result<(), RewriteError> {
        if self.marks.get(row) {
            self.dropped.records += 1;
            self.dropped.hash.add(self.hasher.hash(&record));
            return Ok(());
        }
        Ok(self.encoder.push(&record)?)
    }
}

/// Writes the records of `segments` that are not marked to the object at `path`. Without `marks` all of them stay.
pub(super) async fn write(
    scanner: &Scanner,
    path: &str,
    spec: SegmentSpec,
    next: i64,
    segments: &[&SegmentEntry],
    marks: Vec<Marks>,
) -> Result<Written, RewriteError> {
    let mut writer = Writer {
        hasher: RecordHasher::new(spec.topic_id, spec.partition),
        encoder: SegmentEncoder::new(spec)?,
        dropped: Dropped::default(),
        marks: Marks::default(),
    };
    let mut upload = scanner.store.upload(path).await?;
    let mut marks = marks.into_iter();
    for segment in segments {
        writer.marks = marks.next().unwrap_or_default();
        let mut walk = scanner.walk(segment, Part::Whole).await?;
        while !walk.is_over() {
            (walk, writer) = scanner.step(walk, writer, Writer::take).await?;
            for chunk in writer.encoder.take_output() {
                upload.write(chunk).await?;
            }
        }
    }
    let Writer { encoder, dropped, .. } = writer;
    if encoder.records() == 0 {
        let _ = upload.abort().await; // what is left of it is nobody's, and is collected
        return Ok(Written { meta: None, dropped });
    }
    let finishing = scanner.tasks.blocking_cold(move || encoder.finish(next)).await;
    let (rest, meta): (Vec<Bytes>, _) = finishing.map_err(|e| RewriteError::Thread(e.to_string()))??;
    for chunk in rest {
        upload.write(chunk).await?;
    }
    let uploaded = upload.finish().await?;
    match uploaded == meta.size {
        true => Ok(Written { meta: Some(meta), dropped }),
        false => Err(RewriteError::Size { uploaded, made: meta.size }),
    }
}

/// The entry that stands for all of `entries`.
pub(super) fn entry(entries: &[Entry], (first, next): (i64, i64), name: &str, written: Written) -> Entry {
    let Some(meta) = written.meta else { return Entry::gap(first, next, GapReason::Compacted) };
    let (mut control, mut aborted, mut compacted, mut sealed_ms) = (0, 0, written.dropped.records, i64::MIN);
    for entry in entries {
        match entry {
            Entry::Segment(segment) => {
                control += segment.control;
                aborted += segment.aborted;
                compacted += segment.compacted;
                sealed_ms = sealed_ms.max(segment.sealed_ms);
            }
            Entry::Gap(gap) => {
                let offsets = (gap.next - gap.first).unsigned_abs();
                match gap.reason {
                    GapReason::Control => control += offsets,
                    GapReason::Aborted => aborted += offsets,
                    GapReason::Compacted | GapReason::Deleted | GapReason::WalLost => compacted += offsets,
                }
            }
        }
    }
    let (name, unknown) = (name.to_owned(), Default::default());
    Entry::Segment(Box::new(SegmentEntry { name, root: None, control, aborted, compacted, sealed_ms, meta, unknown }))
}
