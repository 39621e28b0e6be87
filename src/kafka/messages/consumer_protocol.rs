//! The consumer protocol: what members of a classic group of consumers say about themselves, and what its leader gives to
//! them. The coordinator hands these byte strings on as they are; who describes groups looks into them.
//!
//! They are no APIs: the version stands in front of each, an int16, and none is flexible. A version from the future is
//! read as the last one that is known here, as Kafka does, because later versions only append fields.
use bytes::Bytes;

use super::declare::messages;
use super::wire::{DecodeError, EncodeError, Problem, Reader, Wire, Writer};

/// The protocol type of groups of consumers.
pub const PROTOCOL_TYPE: &str = "consumer";
/// The latest version that is known here.
pub const LATEST: i16 = 3;

messages! {
    /// What a member says about itself.
    struct ConsumerProtocolSubscription {
        /// Topics that it wants.
        topics: Vec<String>;
        /// What its way of assigning wants to know.
        user_data: Option<Bytes>;
        /// Partitions that it has.
        owned_partitions: Vec<TopicPartition> [1..];
        /// Generation in which it got them, or -1.
        generation_id: i32 [2..] = -1;
        /// Its rack.
        rack_id: Option<String> [3..];
    }

    /// What a member gets.
    struct ConsumerProtocolAssignment {
        /// The topics.
        assigned_partitions: Vec<TopicPartition>;
        /// What the way of assigning adds.
        user_data: Option<Bytes>;
    }

    /// Partitions of one topic.
    struct TopicPartition {
        /// Name.
        topic: String;
        /// The partitions.
        partitions: Vec<i32>;
    }
}

/// Reads either of the two: its version as it is written, and what it says.
pub fn decode<T: Wire>(bytes: Bytes) -> Result<(i16, T), DecodeError> {
    let mut reader = Reader::new(bytes, 0, false);
    reader.enter("the version of the consumer protocol");
    let version = i16::read(&mut reader)?;
    if version < 0 {
        return Err(reader.error(Problem::Version));
    }
    reader.set_version(version.min(LATEST), false);
    Ok((version, T::read(&mut reader)?))
}

/// Writes either of the two in a version from 0 to [`LATEST`].
pub fn encode(version: i16, message: &impl Wire) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new(version, false);
    version.write(&mut writer);
    message.write(&mut writer);
    Ok(writer.finish()?.to_bytes())
}
