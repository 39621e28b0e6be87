//! Kafka's error codes: the one place where they are made, with the translation of every error of the log.
//!
//! Source: <https://kafka.apache.org/protocol#protocol_error_codes>.
use std::fmt;

use crate::coordinator::{GroupError, SettingError, TxnError};
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
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", "the text with the offset is too long";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", "the coordinator is still reading its state";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", "there is no coordinator for it at the moment";
    NotCoordinator = 16, "NOT_COORDINATOR", "this broker does not coordinate it";
    InvalidTopic = 17, "INVALID_TOPIC_EXCEPTION", "the topic name is not allowed";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", "not possible at the moment; send it again";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", "acks must be -1, 0 or 1";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", "the group is at another generation";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", "the member has no protocol in common with the group";
    InvalidGroupId = 24, "INVALID_GROUP_ID", "the group id is not allowed";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", "the group has no such member";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", "the session timeout is outside of what is allowed";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", "the group is going to its next generation";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", "the offsets are too many for one commit";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", "the client may not do this with the cluster";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", "a timestamp is outside of what the topic accepts";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", "there is no such mechanism";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", "the version of the API is not spoken";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", "the topic exists already";
    InvalidPartitions = 37, "INVALID_PARTITIONS", "the number of partitions is not possible";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", "the replication factor must be positive, or -1";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", "the assignment names another broker, or leaves partitions out";
    InvalidConfig = 40, "INVALID_CONFIG", "a setting is unknown or its value does not fit";
    InvalidRequest = 42, "INVALID_REQUEST", "the request does not make sense";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", "only message format 2 is supported";
    PolicyViolation = 44, "POLICY_VIOLATION", "the settings of the topic do not let that happen";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", "the sequence does not follow the producer's last one";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", "a newer instance of the producer has written";
    InvalidTxnState = 48, "INVALID_TXN_STATE", "the transaction is in a state that does not allow this";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", "the producer id is not the transactional id's";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", "the transaction timeout is outside of what is allowed";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", "the transaction before it is still being ended";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", "a newer coordinator has written a marker";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "no such transactional id may be used here";
    SecurityDisabled = 54, "SECURITY_DISABLED", "there are no rules of access here";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", "not tried, as another part of the request failed";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", "the storage cannot be used at the moment";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", "nothing is known of the producer id";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", "the group has members";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", "there is no such group";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", "there is no such fetch session";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", "the fetch session is at another epoch";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", "the client knows an older leader epoch";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", "the client knows a newer leader epoch";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", "the compression is not supported";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", "the member must come again with the id that it was given";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", "the group has as many members as it may";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", "another member has the instance id";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", "the preferred broker is the leader already";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", "the partition is not being moved";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", "the group reads the topic";
    InvalidRecord = 87, "INVALID_RECORD", "a record breaks the rules of the format or of the topic";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", "a transaction with the offset is not decided yet";
    ProducerFenced = 90, "PRODUCER_FENCED", "a newer producer has taken the transactional id";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", "there is no such resource";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", "the request names something twice";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", "the credential is not good enough";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", "the level is not possible";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", "the feature could not be set";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", "there is no topic of that id";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", "there is no such transactional id";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", "the fetch session mixes topic names and ids";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", "the member is at another epoch and has to enter again";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", "another member still has the instance id";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", "there is no such way of assigning here";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", "the member has not learned of its new epoch yet";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", "this address is a broker's, not a controller's";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", "there is no such type of endpoint";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", "the subscription of metrics has changed";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", "the metrics are too long";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", "the transaction cannot go on and has to be aborted";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", "the pattern is not a regular expression";
}

impl From<&AppendError> for ErrorCode {
    fn from(error: &AppendError) -> Self {
        match error {
            AppendError::UnknownPartition { .. } => Self::UnknownTopicOrPartition,
            AppendError::Rejected(reject) => reject.into(),
            AppendError::NotOneBatch(_) => Self::InvalidRecord,
            AppendError::OutOfOrderSequence { .. } => Self::OutOfOrderSequenceNumber,
            AppendError::ProducerFenced { .. } => Self::InvalidProducerEpoch,
            AppendError::Transactional => Self::InvalidTxnState,
            AppendError::Storage(_) => Self::KafkaStorageError,
            AppendError::NotServing(_) => Self::NotLeaderOrFollower,
        }
    }
}

impl From<&GroupError> for ErrorCode {
    fn from(error: &GroupError) -> Self {
        match error {
            GroupError::InvalidGroupId => Self::InvalidGroupId,
            GroupError::InvalidSessionTimeout { .. } => Self::InvalidSessionTimeout,
            GroupError::InconsistentProtocol => Self::InconsistentGroupProtocol,
            GroupError::UnknownMember => Self::UnknownMemberId,
            GroupError::IllegalGeneration => Self::IllegalGeneration,
            GroupError::RebalanceInProgress => Self::RebalanceInProgress,
            GroupError::FencedInstance => Self::FencedInstanceId,
            GroupError::MemberIdRequired => Self::MemberIdRequired,
            GroupError::GroupFull | GroupError::TooManyGroups(_) => Self::GroupMaxSizeReached,
            // What Kafka says when a group is too large for a record of its state.
            GroupError::GroupTooLarge { .. } => Self::UnknownServerError,
            GroupError::NonEmptyGroup => Self::NonEmptyGroup,
            GroupError::GroupNotFound(_) | GroupError::CannotBeTakenOver { .. } => Self::GroupIdNotFound,
            GroupError::InvalidSetting(_) => Self::InvalidConfig,
            GroupError::NeedsEpochs => Self::UnsupportedVersion,
            GroupError::SubscribedToTopic => Self::GroupSubscribedToTopic,
            GroupError::MetadataTooLarge(_) => Self::OffsetMetadataTooLarge,
            GroupError::UnstableOffset => Self::UnstableOffsetCommit,
            GroupError::UnknownTopicOrPartition => Self::UnknownTopicOrPartition,
            GroupError::UnknownTopicId => Self::UnknownTopicId,
            GroupError::FencedMemberEpoch => Self::FencedMemberEpoch,
            GroupError::StaleMemberEpoch => Self::StaleMemberEpoch,
            GroupError::UnreleasedInstance => Self::UnreleasedInstanceId,
            GroupError::UnsupportedAssignor(_) => Self::UnsupportedAssignor,
            GroupError::InvalidRegularExpression(_) => Self::InvalidRegularExpression,
            GroupError::InvalidCall(_) => Self::InvalidRequest,
            GroupError::NotAvailable(_) => Self::CoordinatorNotAvailable,
            GroupError::NotCoordinator(_) => Self::NotCoordinator,
        }
    }
}

impl From<&TxnError> for ErrorCode {
    fn from(error: &TxnError) -> Self {
        match error {
            TxnError::InvalidRequest(_) => Self::InvalidRequest,
            TxnError::InvalidTimeout { .. } => Self::InvalidTransactionTimeout,
            TxnError::UnknownProducerId => Self::InvalidProducerIdMapping,
            TxnError::Fenced { .. } => Self::ProducerFenced,
            TxnError::Concurrent => Self::ConcurrentTransactions,
            TxnError::InvalidState(_) => Self::InvalidTxnState,
            TxnError::Abortable => Self::TransactionAbortable,
            TxnError::NotFound => Self::TransactionalIdNotFound,
            // Kafka has no such limit, and no word for it that a client would not try again for ever.
            TxnError::TooMany(_) => Self::UnknownServerError,
            TxnError::NotAvailable(_) => Self::CoordinatorNotAvailable,
            TxnError::NotCoordinator(_) => Self::NotCoordinator,
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

impl From<&SettingError> for ErrorCode {
    fn from(error: &SettingError) -> Self {
        match error {
            SettingError::Fixed(_) | SettingError::Value { .. } | SettingError::Together(_) => Self::InvalidRequest,
            SettingError::Unknown { .. } | SettingError::Change(_) => Self::InvalidConfig,
            SettingError::Log(error) => error.into(),
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
