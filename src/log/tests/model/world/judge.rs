//! What must hold after every step.
use super::*;
use crate::archive::Bucket;
use crate::archive::bucket::OpenMode;
use crate::archive::fsck::{FindingKind, fsck};
use crate::store::testing::Call;

impl World {
    /// Every reader sees what the model knows.
    pub async fn judge(&mut self) {
        if self.is_condensed() {
            self.happened.insert("condensed");
        }
        if self.power_is_off() || self.log().0.core.fence.reason().is_some() {
            return;
        }
        self.settle_topics();
        self.judge_damage();
        for place in self.truths.keys().cloned().collect::<Vec<_>>() {
            if self.is_damaged(&place) {
                continue;
            }
            let Some((ends, all, committed)) = self.read_both(&place).await else { continue };
            let is_open = self.open.iter().any(|transaction| transaction.places.contains_key(&place));
            let (name, now_ms) = (place.to_string(), self.clock.now_ms());
            let truth = self.truths.get_mut(&place).unwrap();
            truth.starts_at(&name, ends.log_start, now_ms);
            truth.judge(&name, &all);
            truth.judge_committed(&name, ends.last_stable, &committed);
            assert!(ends.high_watermark >= truth.high_watermark, "{place}: the high watermark went back");
            assert!(
                ends.last_stable == ends.high_watermark || is_open,
                "{place}: nothing is open, and only {} of {} is stable",
                ends.last_stable,
                ends.high_watermark
            );
            truth.high_watermark = ends.high_watermark;
            self.happened.extend(&truth.went_by);
        }
    }

    /// What readers of both sorts see, between the same ends: none while the store is bad and history is cold.
    async fn read_both(&self, place: &Place) -> Option<(Ends, Vec<(i64, Value)>, Vec<(i64, Value)>)> {
        for _ in 0..10 {
            let partition = self.partition(place)?;
            let ends = partition.ends();
            let all = self.read(&partition, Isolation::ReadUncommitted).await;
            let committed = self.read(&partition, Isolation::ReadCommitted).await;
            if partition.ends() == ends {
                return all.zip(committed).map(|(all, committed)| (ends, all, committed));
            }
        }
        panic!("{place}: the ends move, and nobody does anything")
    }

    /// What a client sees from the log start to the end that it may see; none while the store is away and history is cold.
    async fn read(&self, partition: &Partition, isolation: Isolation) -> Option<Vec<(i64, Value)>> {
        let ends = partition.ends();
        let until = ends.end_for(isolation);
        let (mut at, mut out, mut dropping) = (ends.log_start, Vec::new(), Vec::new());
        while at < until {
            let fetched = match partition.read(at, 32 << 10, true, isolation).await {
                Ok(fetched) => fetched,
                Err(ReadError::Storage(_)) if self.store_is_bad() || self.power_is_off() => return None,
                Err(ReadError::OutOfRange { .. }) if partition.ends() != ends => return None, // retention came in between
                Err(ReadError::UnknownPartition { .. }) if self.doubtful.contains(partition.topic()) => return None,
                Err(error) => panic!("{}: reading at {at}: {error}", partition.topic()),
            };
            assert!(!fetched.batches.is_empty(), "{}: nothing at {at}, below {until}", partition.topic());
            let mut aborted = fetched.aborted.clone();
            for batch in fetched.batches.into_iter().flat_map(split) {
                let batch = batch.unwrap();
                let header = BatchHeader::parse(&batch).unwrap();
                aborted.retain(|(producer_id, first)| {
                    let begins = *first <= header.last_offset();
                    if begins {
                        dropping.push(*producer_id);
                    }
                    !begins
                });
                if let Some(marker) = EndMarker::of_batch(&batch).unwrap() {
                    dropping.retain(|producer_id| *producer_id != marker.producer_id);
                } else if !(header.is_transactional() && dropping.contains(&header.producer_id)) {
                    for_each_record::<crate::record::BatchError>(&batch, 1 << 20, &mut Vec::new(), |record| {
                        let text = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                        let mut parts = text.split(':');
                        let value = parts.next().unwrap().parse().unwrap();
                        let key = String::from_utf8_lossy(record.key.unwrap_or_default());
                        assert_eq!(parts.next(), Some(&*key), "value {value} has another key");
                        if record.offset >= at {
                            out.push((record.offset, value));
                        }
                        Ok(())
                    })
                    .unwrap();
                }
                at = header.last_offset() + 1;
            }
        }
        Some(out)
    }

    /// With the store back and nothing open: the WAL holds nothing that is needed, and the metrics say so.
    pub fn is_sealed_and_released(&self) {
        for partition in self.log().0.registry.partitions(None).unwrap() {
            let state = partition.state();
            assert_eq!(state.sealed_end, state.high_watermark, "{} is not sealed", partition.topic());
        }
        let space = self.log().0.core.wal.space();
        let newest = space.files.last().map_or(0, |file| file.bytes);
        assert!(space.pinned <= newest, "more than the newest file is pinned: {space:?}");
        let metrics = &self.log().0.core.metrics;
        let gauges = [&metrics.unsealed_bytes, &metrics.store_away, &metrics.partitions, &metrics.pinned_bytes];
        let pinned = i64::try_from(space.pinned).unwrap();
        let partitions = i64::try_from(self.truths.len()).unwrap();
        assert_eq!(gauges.map(|gauge| gauge.get()), [0, 0, partitions, pinned], "the metrics say something else");
        assert_eq!(self.log().not_served(), Vec::<String>::new());
    }

    /// I11: nothing is missing in the bucket, nothing is damaged, and nothing is nobody's. After a jump of the clock orphans
    /// are older than the collector knows: they wait for its next search.
    pub async fn bucket_is_whole(&mut self) {
        let store = store_on_clock(Arc::new(self.bucket.client()), &self.clock, 1);
        let bucket = Bucket::open(store, OpenMode::Read, &Limits::default()).await.unwrap();
        let mut found = Vec::new();
        fsck(&bucket, &mut |finding| found.push(finding)).await.unwrap();
        if self.happened.contains("clock jumped") {
            found.retain(|finding| finding.kind != FindingKind::Nobodys);
        }
        assert_eq!(found, [], "the bucket is not as it should be");
        let deleted = |(call, path): &(Call, String)| *call == Call::Delete && !path.starts_with("probe/");
        if self.bucket.log().iter().any(deleted) {
            self.happened.insert("collected");
        }
    }

    pub(super) fn is_condensed(&self) -> bool {
        self.log().0.core.wal.space().files.iter().any(|file| file.kept)
    }
}
