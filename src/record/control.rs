//! Control batches: one record each, which clients skip, and which ends a transaction.
//!
//! Key: version i16 (0), type i16 (0 abort, 1 commit). Value: version i16 (0), coordinator epoch i32. Both big-endian, as in
//! Kafka's `ControlRecordType` and `EndTransactionMarker`.
use bytes::Bytes;

use super::batch::BatchError;
use super::build::{BatchBuilder, Producer, Pushed};
use super::codec::Codec;
use super::model::{Headers, RecordRef, TimestampType};
use super::walk::for_each_record;

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its records are there.
    Committed,
    /// Its records are not there for who reads committed.
    Aborted,
}

/// What a control batch says, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    /// Whose transaction; -1 for nobody's.
    pub producer_id: i64,
    /// The epoch that the producer has from now on at least.
    pub producer_epoch: i16,
    /// How it ends.
    pub outcome: Outcome,
    /// Epoch of the coordinator that ends it.
    pub coordinator_epoch: i32,
    /// Offset of the marker.
    pub offset: i64,
    /// Leader epoch of the marker.
    pub leader_epoch: i32,
    /// Time in ms.
    pub timestamp: i64,
}

impl EndMarker {
    /// As a control batch of one record.
    pub fn to_batch(self) -> Bytes {
        let kind: i16 = match self.outcome {
            Outcome::Aborted => 0,
            Outcome::Committed => 1,
        };
        let key = [[0, 0], kind.to_be_bytes()].concat();
        let value = [&[0, 0][..], &self.coordinator_epoch.to_be_bytes()].concat();
        let mut builder = BatchBuilder::new();
        builder.set_transactional();
        builder.set_control();
        builder.set_producer(Producer { id: self.producer_id, epoch: self.producer_epoch, base_sequence: -1 });
        let record = RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            timestamp_type: TimestampType::Create,
            leader_epoch: self.leader_epoch,
            key: Some(&key),
            value: Some(&value),
            headers: Headers::NONE,
        };
        let pushed = builder.push(&record).expect("a small record fits an empty batch");
        debug_assert_eq!(pushed, Pushed::Added);
        builder.finish(Codec::None, None).expect("the batch has a record and is small")
    }

    /// What a control batch says; `None` if it ends no transaction (Kafka has control records for other things).
    ///
    /// # Errors
    /// Those of reading the batch.
    pub fn of_batch(batch: &[u8]) -> Result<Option<Self>, BatchError> {
        let mut found = None;
        let header = for_each_record::<BatchError>(batch, u64::from(u16::MAX), &mut Vec::new(), |record| {
            let outcome = match record.key.and_then(|key| key.get(2..4)) {
                Some([0, 0]) => Outcome::Aborted,
                Some([0, 1]) => Outcome::Committed,
                _ => return Ok(()),
            };
            let epoch = record.value.and_then(|value| value.get(2..6)).and_then(|bytes| bytes.try_into().ok());
            found = Some((outcome, epoch.map_or(-1, i32::from_be_bytes), record.offset, record.timestamp));
            Ok(())
        })?;
        Ok(found.filter(|_| header.is_control()).map(|(outcome, coordinator_epoch, offset, timestamp)| Self {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            outcome,
            coordinator_epoch,
            offset,
            leader_epoch: header.leader_epoch,
            timestamp,
        }))
    }
}

/// A control batch whose single record, at `last_offset`, commits a transaction of nobody. It moves a reader over a range
/// without records: clients skip it and advance, where an empty batch would stall sarama, kafkajs, kafka-go and brod.
pub fn commit_marker(last_offset: i64, leader_epoch: i32, timestamp: i64) -> Bytes {
    let marker = EndMarker {
        producer_id: -1,
        producer_epoch: -1,
        outcome: Outcome::Committed,
        coordinator_epoch: 0,
        offset: last_offset,
        leader_epoch,
        timestamp,
    };
    marker.to_batch()
}

#[cfg(test)]
mod tests;
