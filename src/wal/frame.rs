//! A frame: one batch or state change, its entry in the directory of its group, and the place where it lies.
//!
//! Directory entry, 72 bytes, little-endian:
//! ```text
//!  0 kind u8, 3 zero bytes     4 partition i32      8 topic id 16 bytes
//! 24 epoch i32                28 records u32       32 base offset i64     40 last offset i64
//! 48 max timestamp i64        56 append time i64   64 payload length u32  68 CRC32C of the payload u32
//! ```
use crate::base::Uuid;

/// What a frame holds. Numbers are part of the format; an unknown one is kept and handed out like any other.
#[derive(Debug)]
pub struct FrameKind;

impl FrameKind {
    /// A Kafka v2 record batch, stamped.
    pub const BATCH: u8 = 1;
    /// A move of a partition's log start.
    pub const LOG_START: u8 = 2;
    /// A range of a partition's offsets that will never hold records: more may have been given out than is known.
    pub const GAP: u8 = 3;
    /// A change of the coordinator's state: groups, committed offsets, transactions.
    pub const STATE: u8 = 5;
}

/// What the directory says about a frame. The WAL itself looks at `topic_id` and `partition` only, to keep the frames of
/// a partition side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameMeta {
    /// One of [`FrameKind`].
    pub kind: u8,
    /// The topic's id, or zero.
    pub topic_id: Uuid,
    /// The partition, or what the kind makes of it.
    pub partition: i32,
    /// Leader epoch of the records.
    pub epoch: i32,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record, inclusive.
    pub last_offset: i64,
    /// Number of records.
    pub records: u32,
    /// Largest timestamp in ms, or -1.
    pub max_timestamp: i64,
    /// Wall time in ms at which the frame was appended.
    pub append_time: i64,
}

/// Where a frame lies. It stays valid for as long as the frame is kept, also after its file was condensed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the file in which it was first written.
    pub file: u64,
    /// Number of the group that it is part of.
    pub group: u64,
    /// Byte in that file at which its payload begins.
    pub at: u64,
    /// Length of its payload in bytes.
    pub len: u32,
    /// CRC32C of its payload.
    pub crc: u32,
}

/// Size of a directory entry.
pub(crate) const ENTRY_LEN: usize = 72;

/// A directory entry: the meta, and length and checksum of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub meta: FrameMeta,
    pub len: u32,
    pub crc: u32,
}

impl Entry {
    pub fn encode(&self) -> [u8; ENTRY_LEN] {
        let m = &self.meta;
        let mut out = [0u8; ENTRY_LEN];
        out[0] = m.kind;
        out[4..8].copy_from_slice(&m.partition.to_le_bytes());
        out[8..24].copy_from_slice(&m.topic_id.0);
        out[24..28].copy_from_slice(&m.epoch.to_le_bytes());
        out[28..32].copy_from_slice(&m.records.to_le_bytes());
        out[32..40].copy_from_slice(&m.base_offset.to_le_bytes());
        out[40..48].copy_from_slice(&m.last_offset.to_le_bytes());
        out[48..56].copy_from_slice(&m.max_timestamp.to_le_bytes());
        out[56..64].copy_from_slice(&m.append_time.to_le_bytes());
        out[64..68].copy_from_slice(&self.len.to_le_bytes());
        out[68..72].copy_from_slice(&self.crc.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        Self {
            meta: FrameMeta {
                kind: bytes[0],
                partition: i32::from_le_bytes(array(bytes, 4)),
                topic_id: Uuid(array(bytes, 8)),
                epoch: i32::from_le_bytes(array(bytes, 24)),
                records: u32::from_le_bytes(array(bytes, 28)),
                base_offset: i64::from_le_bytes(array(bytes, 32)),
                last_offset: i64::from_le_bytes(array(bytes, 40)),
                max_timestamp: i64::from_le_bytes(array(bytes, 48)),
                append_time: i64::from_le_bytes(array(bytes, 56)),
            },
            len: u32::from_le_bytes(array(bytes, 64)),
            crc: u32::from_le_bytes(array(bytes, 68)),
        }
    }
}

/// `N` bytes of a block from `at`; the callers' layouts are fixed and lie within it.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has N bytes")
}
