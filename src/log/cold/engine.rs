//! Fetching: footers and slices come out of their caches or are fetched, checked, decoded and encoded once for everybody
//! who waits.
//!
//! A fetch is a task of the cold runtime, not of the reader that asked: a reader that gives up leaves the work in the cache.
//! It takes a permit for all bytes that it will hold *before* the GET: those that are stored, and one slice decompressed
//! and encoded. Finished slices move into the cache, which counts them itself. A fetch takes one permit once, so fetches
//! cannot wait for each other in a circle.
//!
//! Demand waits for its permit in line. Read-ahead never waits: when a budget is used up, it stops, and the reader's next
//! call tries again.
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::count::Counts;
use super::encode::{EncodedSlice, SliceEncoder};
use super::error::ColdError;
use super::flight::{Claim, FlightCache, Lease, Waiter};
use super::plan;
use super::source::{Bench, OpenSegment, SegmentRef, SegmentSource};
use crate::archive::segment::{Decoder, SliceBytes};
use crate::base::tasks::Tasks;
use crate::base::{ByteBudget, BytePermit, Limits};
use crate::record::Codec;

/// The part of the cache that may hold what was read ahead and not asked for yet: the rest is for what was.
const UNREAD_SHARE: u64 = 2;
/// Footers have half of what Limits gives to footers and manifest pages.
const FOOTER_SHARE: u64 = 2;
/// Decoding threads are no more than there are cores, and each must have so much of the budget: its bench is kept.
const BUDGET_PER_DECODER: u64 = 8 << 20;
/// A bench that grew beyond this with a giant record is not kept.
const BENCH_BYTES_MAX: u64 = 4 << 20;

/// Names the batches of one slice for ever: paths are never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SliceKey {
    path: Arc<str>,
    slice: usize,
    codec: Codec,
}

type SliceLease = Lease<SliceKey, Arc<EncodedSlice>, ColdError>;
type Footers = FlightCache<Arc<str>, Arc<dyn OpenSegment>, ColdError>;

pub(super) struct Engine {
    source: Arc<dyn SegmentSource>,
    slices: FlightCache<SliceKey, Arc<EncodedSlice>, ColdError>,
    footers: Footers,
    /// Bytes of fetches under way.
    work: ByteBudget,
    /// Bytes in the cache that were read ahead and not asked for yet.
    unread: ByteBudget,
    decoding: Arc<Semaphore>,
    benches: Mutex<Vec<Bench>>,
    tasks: Tasks,
    pub(super) counts: Counts,
}

/// A slice that was asked for.
pub(super) enum Flight {
    Landed(Arc<EncodedSlice>),
    Underway(Waiter<Arc<EncodedSlice>, ColdError>),
}

/// A run to fetch, with the duty to answer for its slices.
struct Run {
    path: Arc<str>,
    open: Arc<dyn OpenSegment>,
    codec: Codec,
    slices: Vec<(usize, SliceLease, Option<BytePermit>)>,
    ranges: Vec<Range<u64>>,
}

impl Engine {
    pub(super) fn new(source: Arc<dyn SegmentSource>, limits: &Limits, tasks: Tasks, counts: Counts) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let affordable = usize::try_from(limits.cold_bytes() / BUDGET_PER_DECODER).unwrap_or(1).max(1);
        Self {
            source,
            slices: FlightCache::new(limits.slice_cache_bytes()),
            footers: FlightCache::new(limits.footer_cache_bytes() / FOOTER_SHARE),
            work: ByteBudget::new("cold", limits.cold_bytes()),
            unread: ByteBudget::new("read-ahead", limits.slice_cache_bytes() / UNREAD_SHARE),
            decoding: Arc::new(Semaphore::new(cores.min(affordable))),
            benches: Mutex::new(Vec::new()),
            tasks,
            counts,
        }
    }

    /// The most that one of `streams` readers should have fetched ahead of itself.
    pub(super) fn ahead_share(&self, streams: u64) -> u64 {
        self.unread.capacity().min(self.work.capacity()) / streams.max(1)
    }

    /// The segment with its footer.
    pub(super) async fn open(self: &Arc<Self>, segment: &SegmentRef) -> Result<Arc<dyn OpenSegment>, ColdError> {
        let waiter = match self.footers.claim(&segment.path) {
            Claim::Ready(open) => return Ok(open),
            Claim::Pending(waiter) => waiter,
            Claim::Vacant(lease) => {
                let waiter = lease.waiter();
                let (engine, segment) = (self.clone(), segment.clone());
                self.tasks.cold.spawn(async move {
                    let _permit = engine.work.acquire(engine.source.open_bytes(&segment)).await;
                    engine.counts.footers.inc();
                    match engine.source.open(&segment).await {
                        Ok(open) => {
                            let bytes = open.memory_bytes();
                            lease.complete(open, bytes, None);
                        }
                        Err(error) => {
                            engine.counts.failures.inc();
                            lease.fail(error);
                        }
                    }
                });
                waiter
            }
        };
        waiter.wait().await.unwrap_or_else(|| Err(ColdError::Abandoned { path: segment.path.clone() }))
    }

    /// The segment, if its footer is in memory.
    pub(super) fn open_now(&self, segment: &SegmentRef) -> Option<Arc<dyn OpenSegment>> {
        self.footers.ready(&segment.path)
    }

    /// The slice, if it is in memory.
    pub(super) fn slice_now(&self, segment: &SegmentRef, slice: usize, codec: Codec) -> Option<Arc<EncodedSlice>> {
        let found = self.slices.ready(&SliceKey { path: segment.path.clone(), slice, codec });
        self.counts.hits.inc_by(u64::from(found.is_some()));
        found
    }

    /// The first slice of `run` (adjacent, of one block), or a place in the queue for it. If nobody has or fetches it, its
    /// fetch begins, together with those after it that nobody has either. Does not wait.
    pub(super) fn slice(
        self: &Arc<Self>,
        segment: &SegmentRef,
        open: &Arc<dyn OpenSegment>,
        run: Range<usize>,
        codec: Codec,
    ) -> Flight {
        let key = |slice| SliceKey { path: segment.path.clone(), slice, codec };
        let lease = match self.slices.claim(&key(run.start)) {
            Claim::Ready(encoded) => {
                self.counts.hits.inc();
                return Flight::Landed(encoded);
            }
            Claim::Pending(waiter) => {
                self.counts.joins.inc();
                return Flight::Underway(waiter);
            }
            Claim::Vacant(lease) => lease,
        };
        self.counts.misses.inc();
        let waiter = lease.waiter();
        let mut slices = vec![(run.start, lease, None)];
        let more =
            (run.start + 1..run.end).map_while(|slice| Some((slice, self.slices.claim_vacant(&key(slice))?, None)));
        slices.extend(more);
        let run = run.start..run.start + slices.len();
        let ranges = open.ranges(run.clone());
        let bytes = plan::work_bytes(&ranges, &open.slices()[run]);
        let run = Run { path: segment.path.clone(), open: open.clone(), codec, slices, ranges };
        let engine = self.clone();
        self.tasks.cold.spawn(async move {
            let permit = engine.work.acquire(bytes).await;
            engine.fetch(run, permit).await;
        });
        Flight::Underway(waiter)
    }

    /// Waits for a slice that is under way.
    pub(super) async fn landed(
        path: &Arc<str>,
        waiter: Waiter<Arc<EncodedSlice>, ColdError>,
    ) -> Result<Arc<EncodedSlice>, ColdError> {
        waiter.wait().await.unwrap_or_else(|| Err(ColdError::Abandoned { path: path.clone() }))
    }

    /// Begins to fetch what is absent of `run`, as far as the budgets allow; false when they do not.
    pub(super) fn ahead(
        self: &Arc<Self>,
        segment: &SegmentRef,
        open: &Arc<dyn OpenSegment>,
        run: Range<usize>,
        codec: Codec,
    ) -> bool {
        let key = |slice| SliceKey { path: segment.path.clone(), slice, codec };
        for part in plan::parts(run, |slice| self.slices.is_vacant(&key(slice))) {
            let ranges = open.ranges(part.clone());
            let infos = &open.slices()[part.clone()];
            let unread: Option<Vec<BytePermit>> =
                infos.iter().map(|info| self.unread.try_acquire(plan::encoded_bytes(info))).collect();
            let work = self.work.try_acquire(plan::work_bytes(&ranges, infos));
            let (Some(unread), Some(permit)) = (unread, work) else {
                self.counts.ahead_refused.inc();
                return false;
            };
            // Somebody may have begun with one of them since: then this run fetches its bytes and answers for the others.
            let slices: Vec<_> = part
                .zip(unread)
                .filter_map(|(slice, unread)| Some((slice, self.slices.claim_vacant(&key(slice))?, Some(unread))))
                .collect();
            if slices.is_empty() {
                continue;
            }
            self.counts.ahead.inc_by(slices.len() as u64);
            let run = Run { path: segment.path.clone(), open: open.clone(), codec, slices, ranges };
            let engine = self.clone();
            self.tasks.cold.spawn(async move { engine.fetch(run, permit).await });
        }
        true
    }

    /// Fetches a run and answers for each of its slices as soon as it is decoded. Holds `permit` as long as the bytes.
    async fn fetch(self: Arc<Self>, run: Run, permit: BytePermit) {
        self.observe();
        match self.source.fetch(&run.path, &run.ranges).await {
            Ok(bytes) => {
                self.counts.gets.inc_by(run.ranges.len() as u64);
                self.counts.fetched_bytes.inc_by(bytes.iter().map(|b| b.len() as u64).sum());
                // The semaphore is never closed; without a slot the leases are dropped, and the waiters told.
                let Ok(slot) = self.decoding.clone().acquire_owned().await else { return };
                let engine = self.clone();
                self.tasks.blocking_cold(move || {
                    engine.decode(run, bytes);
                    drop(slot);
                    drop(permit);
                    engine.observe();
                });
            }
            Err(error) => {
                self.counts.failures.inc();
                tracing::debug!(segment = %run.path, %error, "cannot fetch slices");
                for (_, lease, _) in run.slices {
                    lease.fail(error.clone());
                }
                drop(permit);
                self.observe();
            }
        }
    }

    /// Decodes and encodes the slices of a run, one after the other. Runs on a blocking thread.
    fn decode(&self, run: Run, bytes: Vec<Bytes>) {
        let stored = SliceBytes::new(&run.ranges, bytes);
        let kept = self.benches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bench = kept.unwrap_or_else(|| new_bench(run.codec));
        let mut largest = 0;
        for (index, lease, unread) in run.slices {
            let info = run.open.slices()[index];
            largest = largest.max(plan::encoded_bytes(&info));
            bench.encoder.begin(run.codec, &info);
            let encoded = run.open.encode(index, &stored, &mut bench).and_then(|()| {
                let damaged = |message: String| ColdError::Damaged { path: run.path.clone(), message: message.into() };
                bench.encoder.finish(&info).map_err(damaged)
            });
            match encoded {
                Ok(encoded) => {
                    self.counts.decodes.inc();
                    self.counts.decoded_bytes.inc_by(info.payload_bytes);
                    let bytes = encoded.memory_bytes();
                    lease.complete(Arc::new(encoded), bytes, unread);
                }
                Err(error) => {
                    self.counts.failures.inc();
                    tracing::debug!(segment = %run.path, slice = index, %error, "cannot decode a slice");
                    lease.fail(error);
                    bench = new_bench(run.codec); // the old one is in the middle of something
                }
            }
        }
        if largest <= BENCH_BYTES_MAX {
            self.benches.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
        }
    }

    /// Bytes of fetches under way.
    #[cfg(test)]
    pub(super) fn work_in_use(&self) -> u64 {
        self.work.in_use()
    }

    /// Takes the whole budget of read-ahead.
    #[cfg(test)]
    pub(super) fn take_unread(&self) -> Option<BytePermit> {
        self.unread.try_acquire(u64::MAX)
    }

    /// Bytes of the slice cache.
    #[cfg(test)]
    pub(super) fn cache_bytes(&self) -> u64 {
        self.slices.bytes()
    }

    fn observe(&self) {
        self.counts.observe(&self.work, &self.unread, self.slices.bytes());
    }
}

fn new_bench(codec: Codec) -> Bench {
    Bench { decoder: Decoder::new(), encoder: SliceEncoder::new(codec) }
}
