//! What transactions need of the log.
use tokio::sync::oneshot;

use super::entry::{Identity, Places};
use crate::coordinator::items::{Changes, TopicPartition};
use crate::coordinator::journal::{Journal, JournalError};
use crate::log::{Log, Partition, TransactionEnd};

/// A transaction that is open in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenIn {
    /// Where.
    pub place: TopicPartition,
    /// Whose.
    pub producer: Identity,
}

/// A log of partitions, and of changes.
pub trait TransactionLog: Journal {
    /// Writes an end into all of `places` that there still are, together with `changes`: all of it or nothing.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing was written.
    fn end(
        &self,
        end: TransactionEnd,
        places: &Places,
        changes: Changes,
    ) -> Result<oneshot::Receiver<()>, JournalError>;

    /// A producer id that was never given out.
    fn new_producer_id(&self) -> i64;

    /// What is open, in every partition.
    fn open_transactions(&self) -> Vec<OpenIn>;

    /// The producer whose open transaction keeps the log from going on, if there is one.
    fn pressing(&self) -> Option<i64>;
}

impl TransactionLog for Log {
    fn end(
        &self,
        end: TransactionEnd,
        places: &Places,
        changes: Changes,
    ) -> Result<oneshot::Receiver<()>, JournalError> {
        let mut partitions: Vec<Partition> = Vec::new();
        for (topic, numbers) in places {
            let Some(info) = self.topic_by_id(*topic) else { continue };
            let found = numbers.iter().filter_map(|number| self.partition(&info.name, *number));
            partitions.extend(found.filter(|partition| partition.topic_id() == *topic));
        }
        self.end_transaction(end, partitions, changes).map(Into::into).map_err(Into::into)
    }

    fn new_producer_id(&self) -> i64 {
        Log::new_producer_id(self)
    }

    fn open_transactions(&self) -> Vec<OpenIn> {
        let mut open = Vec::new();
        for topic in self.topics() {
            for partition in (0..topic.partitions).filter_map(|number| self.partition(&topic.name, number)) {
                let place = TopicPartition { topic: partition.topic_id(), partition: partition.number() };
                let producers = partition.active_producers();
                open.extend(partition.open_transactions().into_iter().map(|(id, _)| {
                    let known = producers.iter().find(|producer| producer.producer_id == id);
                    let epoch = known.map_or(0, |producer| producer.producer_epoch);
                    OpenIn { place, producer: Identity { id, epoch } }
                }));
            }
        }
        open
    }

    fn pressing(&self) -> Option<i64> {
        self.pressing_transaction()
    }
}
