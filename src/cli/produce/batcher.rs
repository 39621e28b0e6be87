//! Records into batches, one open batch for each partition (pure but for randomness).
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::cli::input::Input;
use crate::record::{BatchBuilder, BatchError, Codec, Headers, Producer, Pushed, RecordRef, TimestampType};

/// Bytes at which a batch is closed: below the default `max.message.bytes`, also where nothing compresses.
const BATCH_BYTES: usize = 512 << 10;

/// The batches of one producer.
pub struct Batcher {
    codec: Codec,
    producer: (i64, i16),
    transactional: bool,
    open: BTreeMap<i32, BatchBuilder>,
    sequences: BTreeMap<i32, i32>,
    closed: Vec<Ready>,
}

/// A batch that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where to.
    pub partition: i32,
    /// The batch.
    pub batch: Bytes,
    /// Records in it.
    pub records: u32,
}

impl Batcher {
    /// For a producer id and its epoch. `transactional`: whether batches belong to its transaction.
    pub fn new(codec: Codec, producer: (i64, i16), transactional: bool) -> Self {
        Self { codec, producer, transactional, open: BTreeMap::new(), sequences: BTreeMap::new(), closed: Vec::new() }
    }

    /// Adds a record; `timestamp` is for those that bring none.
    pub fn add(&mut self, partition: i32, input: &Input, timestamp: i64) -> Result<(), BatchError> {
        let builder = self.open.entry(partition).or_default();
        if !builder.is_empty() && builder.size_estimate() + input.size() > BATCH_BYTES {
            self.close(partition)?;
        }
        if self.push(partition, input, timestamp)? == Pushed::NeedsNewBatch {
            self.close(partition)?;
            if self.push(partition, input, timestamp)? == Pushed::NeedsNewBatch {
                unreachable!("an empty batch takes any record that push does not refuse")
            }
        }
        Ok(())
    }

    /// Batches that are full.
    pub fn take_full(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.closed)
    }

    /// All batches.
    pub fn take_all(&mut self) -> Result<Vec<Ready>, BatchError> {
        let open: Vec<i32> = self.open.iter().filter(|(_, builder)| !builder.is_empty()).map(|(p, _)| *p).collect();
        for partition in open {
            self.close(partition)?;
        }
        Ok(self.take_full())
    }

    fn push(&mut self, partition: i32, input: &Input, timestamp: i64) -> Result<Pushed, BatchError> {
        let builder = self.open.entry(partition).or_default();
        builder.push(&RecordRef {
            offset: i64::from(builder.count()),
            timestamp: input.timestamp.unwrap_or(timestamp),
            timestamp_type: TimestampType::Create,
            leader_epoch: -1,
            key: input.key.as_deref(),
            value: input.value.as_deref(),
            headers: Headers::owned(&input.headers),
        })
    }

    fn close(&mut self, partition: i32) -> Result<(), BatchError> {
        let builder = self.open.entry(partition).or_default();
        let records = builder.count();
        let sequence = self.sequences.entry(partition).or_default();
        let (id, epoch) = self.producer;
        builder.set_producer(Producer { id, epoch, base_sequence: *sequence });
        if self.transactional {
            builder.set_transactional();
        }
        let batch = builder.finish(self.codec, None)?;
        // Sequences go round: after the greatest comes 0.
        let count = i32::try_from(records).unwrap_or(i32::MAX);
        *sequence = sequence.checked_add(count).unwrap_or_else(|| count - (i32::MAX - *sequence) - 1);
        self.closed.push(Ready { partition, batch, records });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{for_each_record, verify_crc};

    fn value(bytes: usize) -> Input {
        Input { value: Some(Bytes::from(vec![b'x'; bytes])), ..Input::default() }
    }

    #[test]
    fn sequences_follow_each_other_within_a_partition_and_go_round() {
        let mut batcher = Batcher::new(Codec::None, (7, 1), false);
        batcher.sequences.insert(0, i32::MAX - 1);
        for partition in [0, 1, 0, 0] {
            batcher.add(partition, &value(1), 5).unwrap();
        }
        let first = batcher.take_all().unwrap();
        batcher.add(0, &value(1), 5).unwrap();
        batcher.add(1, &value(1), 5).unwrap();
        let all: Vec<Ready> = first.into_iter().chain(batcher.take_all().unwrap()).collect();
        let seen: Vec<_> = all
            .iter()
            .map(|ready| {
                let header = verify_crc(&ready.batch).unwrap();
                assert_eq!((header.producer_id, header.producer_epoch), (7, 1));
                (ready.partition, header.base_sequence, ready.records)
            })
            .collect();
        assert_eq!(seen, [(0, i32::MAX - 1, 3), (1, 0, 1), (0, 1, 1), (1, 1, 1)]);
    }

    #[test]
    fn batches_close_before_they_are_too_large_and_a_large_record_goes_alone() {
        let mut batcher = Batcher::new(Codec::None, (7, 0), false);
        for bytes in [10, 300 << 10, 300 << 10, 2 << 20, 10] {
            batcher.add(0, &value(bytes), 5).unwrap();
        }
        let counts: Vec<u32> = batcher.take_all().unwrap().iter().map(|ready| ready.records).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
        assert!(batcher.take_all().unwrap().is_empty());
    }

    #[test]
    fn a_record_keeps_its_own_timestamp_and_gets_one_if_it_has_none() {
        let mut batcher = Batcher::new(Codec::Lz4, (7, 0), false);
        batcher.add(0, &Input { timestamp: Some(-1), ..value(1) }, 5).unwrap();
        batcher.add(0, &value(1), 6).unwrap();
        let mut stamps = Vec::new();
        for ready in batcher.take_all().unwrap() {
            for_each_record::<BatchError>(&ready.batch, 1 << 20, &mut Vec::new(), |record| {
                stamps.push(record.timestamp);
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(stamps, [-1, 6]);
    }
}
