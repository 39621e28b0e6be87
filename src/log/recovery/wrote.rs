//! What the producers of a run of batches wrote, in as little memory as the index of the batches takes: as differences, in
//! zigzag varints.
use crate::log::transactions::Role;
use crate::record::varint::{Reader, put_varint};
use crate::record::{BatchHeader, EndMarker, Outcome};

/// What one batch is to the books on producers and transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// It has no producer.
    Nothing,
    /// What a producer with an id sent.
    Batch {
        producer_id: i64,
        epoch: i16,
        base_sequence: i32,
        /// The greatest of its header, ms.
        timestamp: i64,
    },
    /// A control batch; whether it is the end of a transaction, and which.
    Control { producer_id: i64, epoch: i16, ends: Option<Outcome> },
}

impl Wrote {
    pub fn of(header: Option<&BatchHeader>, role: Role, batch: &[u8]) -> Self {
        let Some(header) = header.filter(|header| header.has_producer()) else { return Self::Nothing };
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        match role {
            Role::Control => match EndMarker::of_batch(batch) {
                Ok(Some(marker)) => Self::Control {
                    producer_id: marker.producer_id,
                    epoch: marker.producer_epoch,
                    ends: Some(marker.outcome),
                },
                _ => Self::Control { producer_id, epoch, ends: None },
            },
            Role::Plain | Role::Part(_) => {
                Self::Batch { producer_id, epoch, base_sequence: header.base_sequence, timestamp: header.max_timestamp }
            }
        }
    }
}

/// What each batch of a run wrote, with its leader epoch.
#[derive(Debug, Default)]
pub(super) struct Log {
    bytes: Vec<u8>,
    last: Fields,
}

/// Kind, leader epoch, producer id, its epoch, sequence, timestamp.
type Fields = [i64; 6];

const NOTHING: i64 = 0;
const BATCH: i64 = 1;
const CONTROL: i64 = 2;
const COMMIT: i64 = 3;
const ABORT: i64 = 4;

impl Log {
    pub fn push(&mut self, leader_epoch: i32, wrote: &Wrote) {
        let [_, _, producer, epoch, sequence, timestamp] = self.last;
        let leader = i64::from(leader_epoch);
        let fields: Fields = match *wrote {
            Wrote::Nothing => [NOTHING, leader, producer, epoch, sequence, timestamp],
            Wrote::Batch { producer_id, epoch, base_sequence, timestamp } => {
                [BATCH, leader, producer_id, epoch.into(), base_sequence.into(), timestamp]
            }
            Wrote::Control { producer_id, epoch, ends } => {
                let kind = match ends {
                    None => CONTROL,
                    Some(Outcome::Committed) => COMMIT,
                    Some(Outcome::Aborted) => ABORT,
                };
                [kind, leader, producer_id, epoch.into(), sequence, timestamp]
            }
        };
        for (now, before) in fields.into_iter().zip(self.last) {
            put_varint(&mut self.bytes, now.wrapping_sub(before));
        }
        self.last = fields;
    }

    pub fn iter(&self) -> impl Iterator<Item = (i32, Wrote)> {
        let (mut from, mut last) = (Reader::new(&self.bytes), Fields::default());
        std::iter::from_fn(move || {
            for field in &mut last {
                *field = field.wrapping_add(from.varlong()?);
            }
            let [kind, leader, producer_id, epoch, sequence, timestamp] = last;
            let (epoch, base_sequence) = (i16::try_from(epoch).ok()?, i32::try_from(sequence).ok()?);
            let control = |ends| Wrote::Control { producer_id, epoch, ends };
            let wrote = match kind {
                NOTHING => Wrote::Nothing,
                BATCH => Wrote::Batch { producer_id, epoch, base_sequence, timestamp },
                COMMIT => control(Some(Outcome::Committed)),
                ABORT => control(Some(Outcome::Aborted)),
                _ => control(None),
            };
            Some((i32::try_from(leader).ok()?, wrote))
        })
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> u64 {
        self.bytes.capacity() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrote() -> impl Strategy<Value = Wrote> {
        let ends = prop_oneof![Just(None), Just(Some(Outcome::Committed)), Just(Some(Outcome::Aborted))];
        prop_oneof![
            Just(Wrote::Nothing),
            (any::<i64>(), any::<i16>(), any::<i32>(), any::<i64>()).prop_map(
                |(producer_id, epoch, base_sequence, timestamp)| Wrote::Batch {
                    producer_id,
                    epoch,
                    base_sequence,
                    timestamp
                }
            ),
            (any::<i64>(), any::<i16>(), ends).prop_map(|(producer_id, epoch, ends)| Wrote::Control {
                producer_id,
                epoch,
                ends
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_written_comes_out_as_it_went_in(all in prop::collection::vec((any::<i32>(), wrote()), 0..50)) {
            let mut log = Log::default();
            all.iter().for_each(|(leader_epoch, wrote)| log.push(*leader_epoch, wrote));
            prop_assert_eq!(log.iter().collect::<Vec<_>>(), all);
        }
    }
}
