//! The messages of Kafka's protocol: one table of APIs and versions (here), one file per API with its fields.
//!
//! Both directions are there for every message, because the broker and the client of the command line share them. The
//! tests compare each API and version with the kafka-protocol crate, which is an independent reading of the same schema.
//!
//! Sources: <https://kafka.apache.org/protocol> and the schema files of apache/kafka 4.1
//! (`clients/src/main/resources/common/message`), whose names are kept; also version 10 of OffsetCommit and OffsetFetch and
//! version 2 of WriteTxnMarkers, which Kafka 4.2 made stable.
//!
//! A message may be here before anything answers it: which APIs the broker speaks, and advertises, is said where they are
//! handed to their handlers (`handlers.rs`).
mod declare;
pub mod wire;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod consumer_protocol;
pub mod create_acls;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod get_telemetry_subscriptions;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod push_telemetry;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod update_features;
pub mod write_txn_markers;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use bytes::Bytes;

use wire::{DecodeError, EncodeError, Frame, Reader, Wire, Writer};

/// A message that asks.
pub trait Request: Wire {
    /// The API that it belongs to.
    const API: Api;
    /// The message that answers.
    type Response: Wire;
}

/// Makes [`Api`] and its tables from one line per API.
macro_rules! apis {
    ($( $(#[$meta:meta])* $name:ident = $key:literal, versions $min:literal to $max:literal, flexible from $flexible:literal,
        $request:path => $response:path; )*) => {
        /// The APIs that have messages here; the value is the key on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum Api { $( $(#[$meta])* $name = $key, )* }

        impl Api {
            /// All of them, by key.
            pub const ALL: &[Self] = &[$( Self::$name, )*];

            /// The API of a key, if its messages are here.
            pub fn from_key(key: i16) -> Option<Self> {
                match key { $( $key => Some(Self::$name), )* _ => None }
            }

            /// The versions that can be read and written.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self { $( Self::$name => $min..=$max, )* }
            }

            /// Whether `version` has the flexible encoding (KIP-482).
            pub fn is_flexible(self, version: i16) -> bool {
                version >= match self { $( Self::$name => $flexible, )* }
            }

            /// Kafka's name of the API.
            pub fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )* }
            }
        }

        $( impl Request for $request {
            const API: Api = Api::$name;
            type Response = $response;
        } )*
    };
}

apis! {
    /// Appends batches.
    Produce = 0, versions 0 to 13, flexible from 9,
        produce::ProduceRequest => produce::ProduceResponse;
    /// Reads batches.
    Fetch = 1, versions 4 to 18, flexible from 12,
        fetch::FetchRequest => fetch::FetchResponse;
    /// Finds offsets by timestamp.
    ListOffsets = 2, versions 1 to 11, flexible from 6,
        list_offsets::ListOffsetsRequest => list_offsets::ListOffsetsResponse;
    /// Lists brokers, topics and partitions.
    Metadata = 3, versions 0 to 13, flexible from 9,
        metadata::MetadataRequest => metadata::MetadataResponse;
    /// Commits offsets of a group.
    OffsetCommit = 8, versions 2 to 10, flexible from 8,
        offset_commit::OffsetCommitRequest => offset_commit::OffsetCommitResponse;
    /// Reads the committed offsets of groups.
    OffsetFetch = 9, versions 1 to 10, flexible from 6,
        offset_fetch::OffsetFetchRequest => offset_fetch::OffsetFetchResponse;
    /// Finds who coordinates a group or a transactional id.
    FindCoordinator = 10, versions 0 to 6, flexible from 3,
        find_coordinator::FindCoordinatorRequest => find_coordinator::FindCoordinatorResponse;
    /// Enters a classic group.
    JoinGroup = 11, versions 0 to 9, flexible from 6,
        join_group::JoinGroupRequest => join_group::JoinGroupResponse;
    /// Keeps a member of a classic group alive.
    Heartbeat = 12, versions 0 to 4, flexible from 4,
        heartbeat::HeartbeatRequest => heartbeat::HeartbeatResponse;
    /// Leaves a classic group.
    LeaveGroup = 13, versions 0 to 5, flexible from 4,
        leave_group::LeaveGroupRequest => leave_group::LeaveGroupResponse;
    /// Hands in and gives out the assignment of a classic group.
    SyncGroup = 14, versions 0 to 5, flexible from 4,
        sync_group::SyncGroupRequest => sync_group::SyncGroupResponse;
    /// Describes classic groups.
    DescribeGroups = 15, versions 0 to 6, flexible from 5,
        describe_groups::DescribeGroupsRequest => describe_groups::DescribeGroupsResponse;
    /// Lists groups.
    ListGroups = 16, versions 0 to 5, flexible from 3,
        list_groups::ListGroupsRequest => list_groups::ListGroupsResponse;
    /// Lists what is spoken.
    ApiVersions = 18, versions 0 to 4, flexible from 3,
        api_versions::ApiVersionsRequest => api_versions::ApiVersionsResponse;
    /// Creates topics.
    CreateTopics = 19, versions 2 to 7, flexible from 5,
        create_topics::CreateTopicsRequest => create_topics::CreateTopicsResponse;
    /// Deletes topics.
    DeleteTopics = 20, versions 1 to 6, flexible from 4,
        delete_topics::DeleteTopicsRequest => delete_topics::DeleteTopicsResponse;
    /// Moves log starts.
    DeleteRecords = 21, versions 0 to 2, flexible from 2,
        delete_records::DeleteRecordsRequest => delete_records::DeleteRecordsResponse;
    /// Gives out producer ids.
    InitProducerId = 22, versions 0 to 5, flexible from 2,
        init_producer_id::InitProducerIdRequest => init_producer_id::InitProducerIdResponse;
    /// Finds the ends of epochs.
    OffsetForLeaderEpoch = 23, versions 2 to 4, flexible from 4,
        offset_for_leader_epoch::OffsetForLeaderEpochRequest => offset_for_leader_epoch::OffsetForLeaderEpochResponse;
    /// Adds partitions to a transaction.
    AddPartitionsToTxn = 24, versions 0 to 5, flexible from 3,
        add_partitions_to_txn::AddPartitionsToTxnRequest => add_partitions_to_txn::AddPartitionsToTxnResponse;
    /// Adds a group to a transaction.
    AddOffsetsToTxn = 25, versions 0 to 4, flexible from 3,
        add_offsets_to_txn::AddOffsetsToTxnRequest => add_offsets_to_txn::AddOffsetsToTxnResponse;
    /// Ends a transaction.
    EndTxn = 26, versions 0 to 5, flexible from 3,
        end_txn::EndTxnRequest => end_txn::EndTxnResponse;
    /// Writes the ends of transactions.
    WriteTxnMarkers = 27, versions 1 to 2, flexible from 1,
        write_txn_markers::WriteTxnMarkersRequest => write_txn_markers::WriteTxnMarkersResponse;
    /// Commits offsets with a transaction.
    TxnOffsetCommit = 28, versions 0 to 5, flexible from 3,
        txn_offset_commit::TxnOffsetCommitRequest => txn_offset_commit::TxnOffsetCommitResponse;
    /// Lists rules of access.
    DescribeAcls = 29, versions 1 to 3, flexible from 2,
        describe_acls::DescribeAclsRequest => describe_acls::DescribeAclsResponse;
    /// Adds rules of access.
    CreateAcls = 30, versions 1 to 3, flexible from 2,
        create_acls::CreateAclsRequest => create_acls::CreateAclsResponse;
    /// Removes rules of access.
    DeleteAcls = 31, versions 1 to 3, flexible from 2,
        delete_acls::DeleteAclsRequest => delete_acls::DeleteAclsResponse;
    /// Lists settings.
    DescribeConfigs = 32, versions 1 to 4, flexible from 4,
        describe_configs::DescribeConfigsRequest => describe_configs::DescribeConfigsResponse;
    /// Replaces settings.
    AlterConfigs = 33, versions 0 to 2, flexible from 2,
        alter_configs::AlterConfigsRequest => alter_configs::AlterConfigsResponse;
    /// Says where partitions lie.
    DescribeLogDirs = 35, versions 1 to 5, flexible from 2,
        describe_log_dirs::DescribeLogDirsRequest => describe_log_dirs::DescribeLogDirsResponse;
    /// Adds partitions.
    CreatePartitions = 37, versions 0 to 3, flexible from 2,
        create_partitions::CreatePartitionsRequest => create_partitions::CreatePartitionsResponse;
    /// Deletes groups.
    DeleteGroups = 42, versions 0 to 2, flexible from 2,
        delete_groups::DeleteGroupsRequest => delete_groups::DeleteGroupsResponse;
    /// Has leaders elected.
    ElectLeaders = 43, versions 0 to 2, flexible from 2,
        elect_leaders::ElectLeadersRequest => elect_leaders::ElectLeadersResponse;
    /// Changes settings.
    IncrementalAlterConfigs = 44, versions 0 to 1, flexible from 1,
        incremental_alter_configs::IncrementalAlterConfigsRequest
            => incremental_alter_configs::IncrementalAlterConfigsResponse;
    /// Moves partitions.
    AlterPartitionReassignments = 45, versions 0 to 1, flexible from 0,
        alter_partition_reassignments::AlterPartitionReassignmentsRequest
            => alter_partition_reassignments::AlterPartitionReassignmentsResponse;
    /// Lists partitions that are being moved.
    ListPartitionReassignments = 46, versions 0 to 0, flexible from 0,
        list_partition_reassignments::ListPartitionReassignmentsRequest
            => list_partition_reassignments::ListPartitionReassignmentsResponse;
    /// Deletes committed offsets; no version of it is flexible.
    OffsetDelete = 47, versions 0 to 0, flexible from 1,
        offset_delete::OffsetDeleteRequest => offset_delete::OffsetDeleteResponse;
    /// Lists quotas.
    DescribeClientQuotas = 48, versions 0 to 1, flexible from 1,
        describe_client_quotas::DescribeClientQuotasRequest => describe_client_quotas::DescribeClientQuotasResponse;
    /// Changes quotas.
    AlterClientQuotas = 49, versions 0 to 1, flexible from 1,
        alter_client_quotas::AlterClientQuotasRequest => alter_client_quotas::AlterClientQuotasResponse;
    /// Lists SCRAM credentials.
    DescribeUserScramCredentials = 50, versions 0 to 0, flexible from 0,
        describe_user_scram_credentials::DescribeUserScramCredentialsRequest
            => describe_user_scram_credentials::DescribeUserScramCredentialsResponse;
    /// Changes SCRAM credentials.
    AlterUserScramCredentials = 51, versions 0 to 0, flexible from 0,
        alter_user_scram_credentials::AlterUserScramCredentialsRequest
            => alter_user_scram_credentials::AlterUserScramCredentialsResponse;
    /// Describes the controllers.
    DescribeQuorum = 55, versions 0 to 2, flexible from 0,
        describe_quorum::DescribeQuorumRequest => describe_quorum::DescribeQuorumResponse;
    /// Sets levels of features.
    UpdateFeatures = 57, versions 0 to 2, flexible from 0,
        update_features::UpdateFeaturesRequest => update_features::UpdateFeaturesResponse;
    /// Lists the brokers.
    DescribeCluster = 60, versions 0 to 2, flexible from 0,
        describe_cluster::DescribeClusterRequest => describe_cluster::DescribeClusterResponse;
    /// Lists who writes to partitions.
    DescribeProducers = 61, versions 0 to 0, flexible from 0,
        describe_producers::DescribeProducersRequest => describe_producers::DescribeProducersResponse;
    /// Describes transactions.
    DescribeTransactions = 65, versions 0 to 0, flexible from 0,
        describe_transactions::DescribeTransactionsRequest => describe_transactions::DescribeTransactionsResponse;
    /// Lists transactional ids.
    ListTransactions = 66, versions 0 to 2, flexible from 0,
        list_transactions::ListTransactionsRequest => list_transactions::ListTransactionsResponse;
    /// All that a member of a group of the consumer protocol says.
    ConsumerGroupHeartbeat = 68, versions 0 to 1, flexible from 0,
        consumer_group_heartbeat::ConsumerGroupHeartbeatRequest
            => consumer_group_heartbeat::ConsumerGroupHeartbeatResponse;
    /// Describes groups of the consumer protocol.
    ConsumerGroupDescribe = 69, versions 0 to 1, flexible from 0,
        consumer_group_describe::ConsumerGroupDescribeRequest => consumer_group_describe::ConsumerGroupDescribeResponse;
    /// Says which metrics clients shall push.
    GetTelemetrySubscriptions = 71, versions 0 to 0, flexible from 0,
        get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest
            => get_telemetry_subscriptions::GetTelemetrySubscriptionsResponse;
    /// Takes metrics of clients.
    PushTelemetry = 72, versions 0 to 0, flexible from 0,
        push_telemetry::PushTelemetryRequest => push_telemetry::PushTelemetryResponse;
    /// Lists what has settings.
    ListConfigResources = 74, versions 0 to 1, flexible from 0,
        list_config_resources::ListConfigResourcesRequest => list_config_resources::ListConfigResourcesResponse;
    /// Lists topics and partitions, page by page.
    DescribeTopicPartitions = 75, versions 0 to 0, flexible from 0,
        describe_topic_partitions::DescribeTopicPartitionsRequest
            => describe_topic_partitions::DescribeTopicPartitionsResponse;
}

impl Api {
    /// Whether the header of a response has tagged fields. ApiVersions never has, so that every client can read it.
    fn response_header_is_flexible(self, version: i16) -> bool {
        self != Self::ApiVersions && self.is_flexible(version)
    }
}

/// What stands before each request, but for the client id, which says nothing that the broker needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// Key of the API; not necessarily one that is spoken.
    pub api_key: i16,
    /// Its version; not necessarily one that is spoken.
    pub api_version: i16,
    /// Number by which the client knows the answer.
    pub correlation_id: i32,
}

impl RequestHeader {
    /// Reads what is the same in all headers: key, version and correlation id.
    pub fn peek(frame: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame.clone(), 0, false);
        reader.enter("the request header");
        Self::read_fixed(&mut reader)
    }

    /// The client's name for itself, which follows in every header.
    pub fn peek_client_id(frame: &Bytes) -> Result<Option<String>, DecodeError> {
        let mut reader = Reader::new(frame.clone(), 0, false);
        reader.enter("the request header");
        Self::read_fixed(&mut reader)?;
        reader.old_nullable_string()
    }

    fn read_fixed(from: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { api_key: i16::read(from)?, api_version: i16::read(from)?, correlation_id: i32::read(from)? })
    }
}

/// Reads a request of a known API and version (see [`RequestHeader::peek`]). `frame`: without the length before it.
/// Bytes behind the message are ignored, as Kafka does: librdkafka leaves one behind Metadata 11 and later, the flag that
/// version 10 was the last to have.
pub fn decode_request<R: Request>(frame: Bytes) -> Result<R, DecodeError> {
    let mut reader = Reader::new(frame, 0, false);
    reader.enter("the request header");
    let header = RequestHeader::read_fixed(&mut reader)?;
    reader.old_nullable_string()?;
    let flexible = R::API.is_flexible(header.api_version);
    if flexible {
        reader.tags(|_, _| Ok(false))?;
    }
    reader.set_version(header.api_version, flexible);
    R::read(&mut reader)
}

/// Writes a request, with its length before it.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: &str,
    request: &R,
) -> Result<Frame, EncodeError> {
    let flexible = R::API.is_flexible(version);
    let mut writer = Writer::new(version, flexible);
    0i32.write(&mut writer);
    (R::API as i16).write(&mut writer);
    version.write(&mut writer);
    correlation_id.write(&mut writer);
    writer.old_nullable_string(Some(client_id));
    if flexible {
        writer.tags(&[]);
    }
    request.write(&mut writer);
    writer.finish_with_length()
}

/// Writes a response, with its length before it.
pub fn encode_response<R: Request>(
    version: i16,
    correlation_id: i32,
    response: &R::Response,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new(version, R::API.is_flexible(version));
    0i32.write(&mut writer);
    correlation_id.write(&mut writer);
    if R::API.response_header_is_flexible(version) {
        writer.tags(&[]);
    }
    response.write(&mut writer);
    writer.finish_with_length()
}

/// Reads a response: its correlation id and body. `frame`: without the length before it. Bytes behind it are ignored.
pub fn decode_response<R: Request>(version: i16, frame: Bytes) -> Result<(i32, R::Response), DecodeError> {
    let flexible = R::API.is_flexible(version);
    let mut reader = Reader::new(frame, version, flexible);
    reader.enter("the response header");
    let correlation_id = i32::read(&mut reader)?;
    if R::API.response_header_is_flexible(version) {
        reader.tags(|_, _| Ok(false))?;
    }
    Ok((correlation_id, R::Response::read(&mut reader)?))
}
