//! Streaming upload of one object in parts.
use bytes::Bytes;

use super::StoreError;

/// An object that is being written; nothing is visible before [`Upload::finish`]. Dropping it without either leaves
/// parts behind until they are aborted by age.
#[derive(Debug)]
pub struct Upload {}

impl Upload {
    /// Size of a part in bytes; an object that fits one part is written with a single PUT.
    pub const PART_BYTES: usize = 8 << 20;

    /// Appends bytes; waits when too many parts are on their way.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let _ = bytes;
        unimplemented!()
    }

    /// Makes the object visible and durable; returns its size.
    pub async fn finish(self) -> Result<u64, StoreError> {
        unimplemented!()
    }

    /// Gives up; parts that were sent are removed as far as possible.
    pub async fn abort(self) {
        unimplemented!()
    }
}
