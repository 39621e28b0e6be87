//! The records of a segment, one after the other, with the next bytes on their way while these are decoded.
use std::ops::Range;
use std::sync::Arc;

use futures::future::try_join_all;

use super::RewriteError;
use crate::archive::manifest::View;
use crate::archive::manifest::model::SegmentEntry;
use crate::archive::segment::{Decoder, Footer, SliceBytes};
use crate::base::tasks::Tasks;
use crate::record::{Headers, RecordRef, TimestampType};
use crate::store::Store;

/// Payload that is decoded at once.
const CHUNK_BYTES: u64 = 8 << 20;

const NOTHING: RecordRef<'static> = RecordRef {
    offset: 0,
    timestamp: RecordRef::NO_TIMESTAMP,
    timestamp_type: TimestampType::Create,
    leader_epoch: -1,
    key: None,
    value: None,
    headers: Headers::NONE,
};

/// Reads segments.
pub(super) struct Scanner {
    pub store: Store,
    pub view: View,
    pub tasks: Tasks,
}

/// What of the records is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    Whole,
    /// Offset and key; everything else is null.
    Keys,
}

/// One segment that is being read.
pub(super) struct Walk {
    part: Part,
    path: String,
    footer: Arc<Footer>,
    /// The first slice that was not handed out.
    slice: usize,
    /// Number of the record that comes next.
    row: u64,
    decoder: Decoder,
    /// What was fetched ahead.
    ahead: Option<Chunk>,
}

struct Chunk {
    slices: Range<usize>,
    bytes: SliceBytes,
}

impl Scanner {
    /// Begins with a segment.
    pub async fn walk(&self, segment: &SegmentEntry, part: Part) -> Result<Walk, RewriteError> {
        let path = self.view.path_of(segment);
        let footer = Footer::load(&self.store, &path, Some(&segment.meta)).await?;
        footer.check_rewritable()?;
        Ok(Walk { part, path, footer: Arc::new(footer), slice: 0, row: 0, decoder: Decoder::new(), ahead: None })
    }

    /// Hands every record of a segment, with its number from 0 on, to `each`; returns the state.
    pub async fn scan<S: Send + 'static>(
        &self,
        segment: &SegmentEntry,
        part: Part,
        mut state: S,
        each: impl Fn(&mut S, u64, RecordRef<'_>) -> Result<(), RewriteError> + Clone + Send + 'static,
    ) -> Result<S, RewriteError> {
        let mut walk = self.walk(segment, part).await?;
        while !walk.is_over() {
            (walk, state) = self.step(walk, state, each.clone()).await?;
        }
        Ok(state)
    }

    /// Decodes the next records on a thread for blocking work, while those behind them are fetched.
    pub async fn step<S: Send + 'static>(
        &self,
        mut walk: Walk,
        mut state: S,
        each: impl Fn(&mut S, u64, RecordRef<'_>) -> Result<(), RewriteError> + Send + 'static,
    ) -> Result<(Walk, S), RewriteError> {
        let chunk = match walk.ahead.take() {
            Some(chunk) => chunk,
            None => self.fetch(&walk.path, &walk.footer, walk.part, walk.slice).await?,
        };
        let (path, footer, part, next) = (walk.path.clone(), walk.footer.clone(), walk.part, chunk.slices.end);
        let decoding = self.tasks.blocking_cold(move || {
            for slice in chunk.slices.clone() {
                let Walk { footer, decoder, row, .. } = &mut walk;
                let mut each = |record: RecordRef<'_>| {
                    *row += 1;
                    each(&mut state, *row - 1, record)
                };
                match part {
                    Part::Whole => footer.decode(slice, &chunk.bytes, decoder, each)?,
                    Part::Keys => footer.decode_keys(slice, &chunk.bytes, decoder, |offset, key| {
                        each(RecordRef { offset, key, ..NOTHING })
                    })?,
                }
            }
            walk.slice = chunk.slices.end;
            Ok::<_, RewriteError>((walk, state))
        });
        let ahead = async {
            match next < footer.slices().len() {
                true => self.fetch(&path, &footer, part, next).await.map(Some),
                false => Ok(None),
            }
        };
        let (decoded, ahead) = tokio::join!(decoding, ahead);
        let (mut walk, state) = decoded.map_err(|e| RewriteError::Thread(e.to_string()))??;
        walk.ahead = ahead?;
        Ok((walk, state))
    }

    async fn fetch(&self, path: &str, footer: &Footer, part: Part, from: usize) -> Result<Chunk, RewriteError> {
        let mut payload = 0;
        let more = footer.slices()[from..].iter().take_while(|slice| {
            payload += slice.payload_bytes;
            payload <= CHUNK_BYTES
        });
        let slices = from..from + more.count().max(1);
        let ranges = match part {
            Part::Whole => footer.ranges(slices.clone()),
            Part::Keys => footer.ranges_of_keys(slices.clone()),
        };
        let gets = ranges.iter().map(|range| self.store.get_range(path, range.clone()));
        let bytes = try_join_all(gets).await?;
        Ok(Chunk { slices, bytes: SliceBytes::new(&ranges, bytes) })
    }
}

impl Walk {
    /// Whether every record was handed out.
    pub fn is_over(&self) -> bool {
        self.slice >= self.footer.slices().len()
    }
}
