//! The messages of Kafka's protocol: one table of APIs and versions (here), one file per API with its fields.
//!
//! Both directions are there for every message, because the broker and the client of the command line share them. The
//! tests compare each API and version with the kafka-protocol crate, which is an independent reading of the same schema.
//!
//! Sources: <https://kafka.apache.org/protocol> and the schema files of apache/kafka 4.1
//! (`clients/src/main/resources/common/message`), whose names are kept.
mod declare;
pub mod wire;

pub mod alter_configs;
pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_log_dirs;
pub mod fetch;
pub mod find_coordinator;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;

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
        /// The APIs that are spoken; the value is the key on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum Api { $( $(#[$meta])* $name = $key, )* }

        impl Api {
            /// All of them, by key.
            pub const ALL: &[Self] = &[$( Self::$name, )*];

            /// The API of a key, if it is spoken.
            pub fn from_key(key: i16) -> Option<Self> {
                match key { $( $key => Some(Self::$name), )* _ => None }
            }

            /// The versions that are spoken.
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
    ListOffsets = 2, versions 1 to 10, flexible from 6,
        list_offsets::ListOffsetsRequest => list_offsets::ListOffsetsResponse;
    /// Lists brokers, topics and partitions.
    Metadata = 3, versions 0 to 13, flexible from 9,
        metadata::MetadataRequest => metadata::MetadataResponse;
    /// Finds who coordinates a group or a transactional id.
    FindCoordinator = 10, versions 0 to 6, flexible from 3,
        find_coordinator::FindCoordinatorRequest => find_coordinator::FindCoordinatorResponse;
    /// Lists this table.
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
    /// Lists settings.
    DescribeConfigs = 32, versions 1 to 4, flexible from 4,
        describe_configs::DescribeConfigsRequest => describe_configs::DescribeConfigsResponse;
    /// Replaces settings.
    AlterConfigs = 33, versions 0 to 2, flexible from 2,
        alter_configs::AlterConfigsRequest => alter_configs::AlterConfigsResponse;
    /// Says where partitions lie.
    DescribeLogDirs = 35, versions 1 to 4, flexible from 2,
        describe_log_dirs::DescribeLogDirsRequest => describe_log_dirs::DescribeLogDirsResponse;
    /// Adds partitions.
    CreatePartitions = 37, versions 0 to 3, flexible from 2,
        create_partitions::CreatePartitionsRequest => create_partitions::CreatePartitionsResponse;
    /// Changes settings.
    IncrementalAlterConfigs = 44, versions 0 to 1, flexible from 1,
        incremental_alter_configs::IncrementalAlterConfigsRequest
            => incremental_alter_configs::IncrementalAlterConfigsResponse;
    /// Lists the brokers.
    DescribeCluster = 60, versions 0 to 2, flexible from 0,
        describe_cluster::DescribeClusterRequest => describe_cluster::DescribeClusterResponse;
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
