//! The 61-byte header of a v2 batch: parsing, checking its CRC, and cutting a record set into single batches.
use bytes::Bytes;

use super::codec::Codec;
use super::model::TimestampType;

/// What is wrong with the bytes of a batch. Nothing here depends on a topic's settings; those are `Reject`'s.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the batch says it has, or than a header takes.
    #[error("the batch needs {need} bytes and {have} are there")]
    Truncated {
        /// Bytes that the header or its length field asks for.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// A length field that no batch can have.
    #[error("the batch says that it is {0} bytes long, which no batch can be")]
    Length(i32),
    /// A message format other than 2.
    #[error("message format {0} is not supported, only 2 is; the client must be Kafka 0.11 or later")]
    Magic(i8),
    /// The bytes are not those that the writer summed.
    #[error("the batch's CRC32C is {computed:08x}, its header says {stored:08x}")]
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes say.
        computed: u32,
    },
    /// A compression number that Kafka does not define.
    #[error("compression codec {0} is unknown; known are 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd")]
    UnknownCodec(u8),
    /// The compressed body is not what its codec writes.
    #[error("the {codec} body cannot be unpacked: {reason}")]
    Unpack {
        /// The codec that the header names.
        codec: Codec,
        /// What the decoder said.
        reason: String,
    },
    /// The body unpacks to more than the cap.
    #[error("the {codec} body unpacks to more than {cap} bytes")]
    UnpackedTooLarge {
        /// The codec that the header names.
        codec: Codec,
        /// The cap, in bytes.
        cap: u64,
    },
    /// A record is not what the format says.
    #[error("record {index} of the batch: {problem}")]
    Record {
        /// Position in the batch, from 0.
        index: u32,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The header contradicts itself or the records.
    #[error("the batch's header: {0}")]
    Header(&'static str),
    /// A record was handed to a builder that cannot take it.
    #[error("record at offset {offset} cannot be put into a batch: {problem}")]
    Build {
        /// The record's offset.
        offset: i64,
        /// Why not.
        problem: &'static str,
    },
}

/// The header of a v2 batch, as it is on the wire (Kafka's `DefaultRecordBatch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (of the first that was there before compaction).
    pub base_offset: i64,
    /// Bytes after this field, so the whole batch takes 12 more.
    pub batch_length: i32,
    /// Epoch of the leader that appended it, -1 from a producer.
    pub leader_epoch: i32,
    /// Always 2.
    pub magic: i8,
    /// CRC32C of everything from the attributes to the end.
    pub crc: u32,
    /// Codec (bits 0-2), timestamp type (3), transactional (4), control (5), delete horizon (6).
    pub attributes: i16,
    /// Offset of the last record minus `base_offset`.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from, ms.
    pub base_timestamp: i64,
    /// Largest timestamp of a record, ms; for append time the timestamp of them all.
    pub max_timestamp: i64,
    /// Producer id, -1 none.
    pub producer_id: i64,
    /// Producer epoch, -1 none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 none.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Bytes of the header.
    pub const LEN: usize = 61;
    /// Bytes before what `batch_length` counts.
    pub const LENGTH_END: usize = 12;
    /// Where what the CRC covers begins.
    pub const CRC_START: usize = 21;

    pub(super) const MAGIC_AT: usize = 16;
    pub(super) const MAGIC: i8 = 2;
    pub(super) const TIMESTAMP_TYPE_BIT: i16 = 1 << 3;
    pub(super) const TRANSACTIONAL_BIT: i16 = 1 << 4;
    pub(super) const CONTROL_BIT: i16 = 1 << 5;

    /// Reads the header at the start of `bytes`, which must hold the whole batch (and may hold more). The CRC is not
    /// checked: see [`verify_crc`].
    ///
    /// Errors: [`BatchError::Truncated`], [`BatchError::Length`], [`BatchError::Magic`], [`BatchError::UnknownCodec`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        // Older formats keep their magic at the same place and are shorter; say so rather than "truncated".
        if let Some(magic) = bytes.get(Self::MAGIC_AT).map(|byte| byte.cast_signed())
            && magic != Self::MAGIC
        {
            return Err(BatchError::Magic(magic));
        }
        let have = bytes.len() as u64;
        let head: &[u8; Self::LEN] =
            bytes.first_chunk().ok_or(BatchError::Truncated { need: Self::LEN as u64, have })?;
        let header = Self::decode(head);
        let need = u64::try_from(header.batch_length).map_err(|_| BatchError::Length(header.batch_length))?
            + Self::LENGTH_END as u64;
        if need < Self::LEN as u64 {
            return Err(BatchError::Length(header.batch_length));
        }
        if need > have {
            return Err(BatchError::Truncated { need, have });
        }
        Codec::from_code(header.codec_code()).ok_or(BatchError::UnknownCodec(header.codec_code()))?;
        Ok(header)
    }

    fn decode(head: &[u8; Self::LEN]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length: i32::from_be_bytes(field(head, 8)),
            leader_epoch: i32::from_be_bytes(field(head, 12)),
            magic: i8::from_be_bytes(field(head, Self::MAGIC_AT)),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: i16::from_be_bytes(field(head, Self::CRC_START)),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            record_count: i32::from_be_bytes(field(head, 57)),
        }
    }

    /// The 61 bytes of this header.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut head = [0; Self::LEN];
        head[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        head[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        head[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        head[16..17].copy_from_slice(&self.magic.to_be_bytes());
        head[17..21].copy_from_slice(&self.crc.to_be_bytes());
        head[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        head[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        head[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        head[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        head[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        head[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        head[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        head[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        head
    }

    fn codec_code(&self) -> u8 {
        (self.attributes & 0b111) as u8
    }

    /// How the records are compressed. A header made by hand with an unknown codec reads as `None`; [`Self::parse`] never
    /// lets one through.
    pub fn codec(&self) -> Codec {
        Codec::from_code(self.codec_code()).unwrap_or(Codec::None)
    }

    /// Which clock the timestamps came from.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & Self::TIMESTAMP_TYPE_BIT == 0 { TimestampType::Create } else { TimestampType::Append }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & Self::TRANSACTIONAL_BIT != 0
    }

    /// Whether its record is for clients' machinery (a transaction's end), not for users.
    pub fn is_control(&self) -> bool {
        self.attributes & Self::CONTROL_BIT != 0
    }

    /// Whether a producer id, and so sequence numbers, came with it.
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Sequence number of the last record; sequences wrap from 2^31-1 to 0. -1 without a producer.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (last & i64::from(i32::MAX)) as i32
    }

    /// Bytes of the whole batch, header included.
    pub fn total_len(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0) + Self::LENGTH_END
    }
}

fn field<const N: usize>(head: &[u8; BatchHeader::LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| head[at + i])
}

/// Parses the header at the start of `bytes` and checks the batch's CRC.
///
/// Errors: those of [`BatchHeader::parse`], and [`BatchError::Crc`].
pub fn verify_crc(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(bytes)?;
    let computed = crc32c::crc32c(&bytes[BatchHeader::CRC_START..header.total_len()]);
    if computed != header.crc {
        return Err(BatchError::Crc { stored: header.crc, computed });
    }
    Ok(header)
}

/// Cuts a record set, as it stands in a produce request or a fetch response, into single batches by their length fields;
/// nothing else is looked at. Zero copy.
pub fn split(records: Bytes) -> Split {
    Split { rest: records }
}

/// Iterates over the batches of a record set; ends after the first error.
#[derive(Clone, Debug)]
pub struct Split {
    rest: Bytes,
}

impl Iterator for Split {
    type Item = Result<Bytes, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let have = self.rest.len() as u64;
        let result = match self.rest.get(8..BatchHeader::LENGTH_END).and_then(|b| b.try_into().ok()) {
            None => Err(BatchError::Truncated { need: BatchHeader::LENGTH_END as u64, have }),
            Some(bytes) => match i32::from_be_bytes(bytes) {
                length if length < 0 => Err(BatchError::Length(length)),
                length => Ok(length.cast_unsigned() as u64 + BatchHeader::LENGTH_END as u64),
            },
        };
        let result = result.and_then(|need| match usize::try_from(need) {
            Ok(length) if need <= have => Ok(self.rest.split_to(length)),
            _ => Err(BatchError::Truncated { need, have }),
        });
        if result.is_err() {
            self.rest.clear();
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests;
