//! The proof that a segment holds what was sealed.
use super::{SegmentError, SegmentMeta};
use crate::record::HashSum;
use crate::store::Store;

/// What a whole segment was proven to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Number of records.
    pub records: u64,
    /// Bytes of keys, values and headers.
    pub payload_bytes: u64,
    /// Bytes of the object.
    pub size: u64,
    /// Sum of the hashes of all records.
    pub hash: HashSum,
}

/// Reads all of the segment at `path`, block by block, and proves it: every byte is covered by a checksum that matches,
/// every block has the hash and number of records that its footer says, offsets rise, and what the footer and `meta` say
/// of offsets and timestamps is true.
pub async fn verify(_store: &Store, _path: &str, _meta: Option<&SegmentMeta>) -> Result<Proof, SegmentError> {
    unimplemented!()
}
