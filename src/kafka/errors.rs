//! Kafka's error codes: the one place where they are made, with the translation of every error of the log.
//!
//! Source: <https://kafka.apache.org/protocol#protocol_error_codes>.
use std::fmt;

use crate::log::{AppendError, ReadError, TopicError};
use crate::record::Reject;

macro_rules! codes {
    ($($name:ident = $code:literal, $wire:literal, $meaning:literal;)*) => {
        /// An error code, with Kafka's name and meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // `meaning` says it
        pub enum ErrorCode { $( $name, )* Other(i16) }

        impl ErrorCode {
            /// The code of a number on the wire.
            pub fn from_wire(code: i16) -> Self {
                match code { $( $code => Self::$name, )* other => Self::Other(other) }
            }

            /// The number on the wire.
            pub fn code(self) -> i16 {
                match self { $( Self::$name => $code, )* Self::Other(code) => code }
            }

            /// What it means, in a few words.
            pub fn meaning(self) -> &'static str {
                match self { $( Self::$name => $meaning, )* Self::Other(_) => "an error that this version does not know" }
            }
        }

        impl fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $( Self::$name => f.write_str($wire), )* Self::Other(code) => write!(f, "error {code}") }
            }
        }
    };
}

codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", "the broker met an unexpected error";
    None = 0, "NONE", "no error";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", "the offset is outside of the partition";
    CorruptMessage = 2, "CORRUPT_MESSAGE", "the bytes are not those that were written";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", "there is no such topic or partition";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", "the partition is not ready yet";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", "this broker does not serve the partition";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", "the request took too long";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", "the batch is larger than max.message.bytes, or unpacks to too much";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", "there is no coordinator for it at the moment";
    InvalidTopic = 17, "INVALID_TOPIC_EXCEPTION", "the topic name is not allowed";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", "acks must be -1, 0 or 1";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", "a timestamp is outside of what the topic accepts";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", "the version of the API is not spoken";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", "the topic exists already";
    InvalidPartitions = 37, "INVALID_PARTITIONS", "the number of partitions is not possible";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", "the replication factor must be positive, or -1";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", "the assignment names another broker, or leaves partitions out";
    InvalidConfig = 40, "INVALID_CONFIG", "a setting is unknown or its value does not fit";
    InvalidRequest = 42, "INVALID_REQUEST", "the request does not make sense";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", "only message format 2 is supported";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", "the sequence does not follow the producer's last one";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", "a newer instance of the producer has written";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", "the storage cannot be used at the moment";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", "there is no such fetch session";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", "the fetch session is at another epoch";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", "the client knows an older leader epoch";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", "the client knows a newer leader epoch";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", "the compression is not supported";
    InvalidRecord = 87, "INVALID_RECORD", "a record breaks the rules of the format or of the topic";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", "there is no topic of that id";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", "the fetch session mixes topic names and ids";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", "this address is a broker's, not a controller's";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", "there is no such type of endpoint";
}

impl From<&AppendError> for ErrorCode {
    fn from(error: &AppendError) -> Self {
        match error {
            AppendError::UnknownPartition { .. } => Self::UnknownTopicOrPartition,
            AppendError::Rejected(reject) => reject.into(),
            AppendError::NotOneBatch(_) => Self::InvalidRecord,
            AppendError::OutOfOrderSequence { .. } => Self::OutOfOrderSequenceNumber,
            AppendError::ProducerFenced { .. } => Self::InvalidProducerEpoch,
            AppendError::Transactional => Self::InvalidRequest,
            AppendError::Storage(_) => Self::KafkaStorageError,
            AppendError::NotServing(_) => Self::NotLeaderOrFollower,
        }
    }
}

impl From<&Reject> for ErrorCode {
    fn from(reject: &Reject) -> Self {
        match reject {
            Reject::Corrupt(_) => Self::CorruptMessage,
            Reject::TooLarge(_) => Self::MessageTooLarge,
            Reject::InvalidRecord(_) => Self::InvalidRecord,
            Reject::InvalidTimestamp(_) => Self::InvalidTimestamp,
            Reject::UnsupportedFormat(_) => Self::UnsupportedForMessageFormat,
            Reject::UnsupportedCodec(_) => Self::UnsupportedCompressionType,
        }
    }
}

impl From<&ReadError> for ErrorCode {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::UnknownPartition { .. } => Self::UnknownTopicOrPartition,
            ReadError::OutOfRange { .. } => Self::OffsetOutOfRange,
            ReadError::Storage(_) => Self::KafkaStorageError,
            ReadError::Damaged(_) => Self::CorruptMessage,
        }
    }
}

impl From<&TopicError> for ErrorCode {
    fn from(error: &TopicError) -> Self {
        match error {
            TopicError::Exists(_) => Self::TopicAlreadyExists,
            TopicError::Unknown(_) => Self::UnknownTopicOrPartition,
            TopicError::BadName { .. } => Self::InvalidTopic,
            TopicError::BadPartitions(_) => Self::InvalidPartitions,
            TopicError::BadSetting(_) => Self::InvalidConfig,
            TopicError::Storage(_) => Self::RequestTimedOut,
            TopicError::NotServing(_) => Self::NotLeaderOrFollower,
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::ResponseError;

    use super::*;

    #[test]
    fn codes_and_names_are_those_of_the_oracle() {
        for code in -1..200 {
            let ours = ErrorCode::from_wire(code);
            assert_eq!(ours.code(), code);
            if matches!(ours, ErrorCode::Other(_) | ErrorCode::None) {
                continue;
            }
            let theirs = format!("{:?}", ResponseError::try_from_code(code).unwrap());
            let name: String = ours.to_string().split('_').map(capitalised).collect();
            assert_eq!(name, theirs, "{code}");
        }
    }

    fn capitalised(word: &str) -> String {
        word[..1].to_owned() + &word[1..].to_lowercase()
    }
}
