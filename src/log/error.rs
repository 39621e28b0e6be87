//! What can go wrong, one enum per operation. Each variant says what to do; the protocol's codes are made elsewhere.
use crate::record::Reject;

/// Why records were not appended. Nothing of the batch was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No such topic or partition, or it was deleted.
    #[error("topic '{topic}' has no partition {partition}")]
    UnknownPartition {
        /// Topic name.
        topic: String,
        /// Partition number.
        partition: i32,
    },
    /// The batch itself is at fault.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// A record set must hold exactly one batch.
    #[error("a produce request must hold exactly one batch for each partition; this one holds {0}")]
    NotOneBatch(usize),
    /// A sequence that does not follow the producer's last one.
    #[error("producer {producer_id}: sequence {got} does not follow {expected}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// What would have followed.
        expected: i32,
        /// What came.
        got: i32,
    },
    /// A newer instance of the producer has written.
    #[error("producer {producer_id}: epoch {got} is older than {current}")]
    ProducerFenced {
        /// The producer.
        producer_id: i64,
        /// The newest epoch seen.
        current: i16,
        /// The epoch of the batch.
        got: i16,
    },
    /// A batch of a transaction without its coordinator, or one of none while its producer has a transaction open here.
    #[error("the batch is not part of an open transaction of its producer, or part of none while there is one")]
    Transactional,
    /// No room, no reservation, or no WAL: retry later.
    #[error("{0}")]
    Storage(String),
    /// The broker lost the bucket to another one, or is stopping.
    #[error("this broker no longer serves the partition: {0}")]
    NotServing(String),
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such topic or partition, or it was deleted.
    #[error("topic '{topic}' has no partition {partition}")]
    UnknownPartition {
        /// Topic name.
        topic: String,
        /// Partition number.
        partition: i32,
    },
    /// The position is outside of the log.
    #[error("offset {offset} is outside of {log_start}..={end}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// First offset that may be read.
        log_start: i64,
        /// One past the last offset that may be read.
        end: i64,
    },
    /// An object or a WAL file cannot be read; the text names it.
    #[error("{0}")]
    Storage(String),
    /// Bytes that are there, but not what was written; the text names object or file and place.
    #[error("{0}")]
    Damaged(String),
}

/// Why a topic was not created, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The name is taken.
    #[error("topic '{0}' already exists")]
    Exists(String),
    /// There is no such topic.
    #[error("there is no topic '{0}'")]
    Unknown(String),
    /// A name that Kafka does not allow, or a reserved one.
    #[error("topic name '{name}' is not allowed: {why}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number of partitions that is not possible.
    #[error("{0}")]
    BadPartitions(String),
    /// A setting with an unknown name or a bad value.
    #[error("{0}")]
    BadSetting(String),
    /// The bucket could not be written; retry later.
    #[error("{0}")]
    Storage(String),
    /// The broker lost the bucket to another one, or is stopping.
    #[error("this broker no longer serves the bucket: {0}")]
    NotServing(String),
}

/// Why a log could not be opened. The text names the thing and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Retry: the bucket did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// Another owner, another bucket, a locked directory: somebody must decide.
    #[error("{0}")]
    Refused(String),
    /// Bytes that are not what was written.
    #[error("{0}")]
    Damaged(String),
}
