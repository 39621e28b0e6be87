//! Walking the records of a batch, one borrowed record after the other.
use super::batch::{BatchError, BatchHeader};
use super::model::RecordRef;

/// Hands every record of one stored batch to `f`, in order, control records too (the returned header tells). Unpacks into
/// `scratch` if the batch is compressed, up to `unpacked_cap` bytes; `scratch` is cleared first and may be used again.
/// The CRC is not checked: what is stored has passed `check`, and the WAL sums its frames; see `verify_crc` otherwise.
///
/// Errors: any [`BatchError`] of a malformed batch, turned into the caller's error; and whatever `f` answers.
pub fn for_each_record<E: From<BatchError>>(
    _batch: &[u8],
    _unpacked_cap: u64,
    _scratch: &mut Vec<u8>,
    _f: impl FnMut(RecordRef<'_>) -> Result<(), E>,
) -> Result<BatchHeader, E> {
    unimplemented!()
}
