//! What must hold after every step.
use super::*;

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
        for place in self.truths.keys().cloned().collect::<Vec<_>>() {
            let Some(partition) = self.partition(&place) else { continue };
            let ends = partition.ends();
            let all = self.read(&partition, Isolation::ReadUncommitted).await;
            let committed = self.read(&partition, Isolation::ReadCommitted).await;
            let is_open = self.open.iter().any(|transaction| transaction.places.contains_key(&place));
            let Some((all, committed)) = all.zip(committed) else { continue };
            let name = place.to_string();
            let truth = self.truths.get_mut(&place).unwrap();
            truth.judge(&name, ends.log_start, &all);
            truth.judge_committed(&name, ends.last_stable, &committed);
            assert!(ends.high_watermark >= truth.high_watermark, "{place}: the high watermark went back");
            assert!(
                ends.last_stable == ends.high_watermark || is_open,
                "{place}: nothing is open, and only {} of {} is stable",
                ends.last_stable,
                ends.high_watermark
            );
            truth.high_watermark = ends.high_watermark;
        }
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
                        let value = text.split(':').next().unwrap().parse().unwrap();
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

    pub fn is_sealed_and_released(&self) {
        for partition in self.log().0.registry.partitions(None).unwrap() {
            let state = partition.state();
            assert_eq!(state.sealed_end, state.high_watermark, "{} is not sealed", partition.topic());
        }
        let space = self.log().0.core.wal.space();
        let newest = space.files.last().map_or(0, |file| file.bytes);
        assert!(space.pinned <= newest, "more than the newest file is pinned: {space:?}");
    }

    pub(super) fn is_condensed(&self) -> bool {
        self.log().0.core.wal.space().files.iter().any(|file| file.kept)
    }
}
