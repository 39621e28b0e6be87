//! Walking the records of a batch, one borrowed record after the other.
use super::batch::{BatchError, BatchHeader};
use super::codec::{Codec, unpack};
use super::model::{Headers, RecordRef, TimestampType};
use super::varint::Reader;

/// A record as it is encoded: what it means depends on its batch's header.
pub(super) struct Encoded<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

impl<'a> Encoded<'a> {
    /// Reads one record; the reader then stands behind it.
    #[inline]
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, &'static str> {
        let length = reader.varint().ok_or("its length is cut off")?;
        let length = usize::try_from(length).map_err(|_| "its length is negative")?;
        let body = reader.take(length).ok_or("it runs past the batch")?;
        let mut body = Reader::new(body);
        // The attributes: no bit of them was ever given a meaning.
        body.take(1).ok_or("it is too short")?;
        let timestamp_delta = body.varlong().ok_or("its timestamp delta is cut off")?;
        let offset_delta = body.varint().ok_or("its offset delta is cut off")?;
        let key = body.nullable_bytes().ok_or("its key runs past its end")?;
        let value = body.nullable_bytes().ok_or("its value runs past its end")?;
        let count = body.varint().ok_or("its number of headers is cut off")?;
        let count = u32::try_from(count).map_err(|_| "its number of headers is negative")?;
        let headers = if count == 0 { Headers::NONE } else { Headers::read(&mut body, count)? };
        if !body.is_empty() {
            return Err("bytes follow its last header");
        }
        Ok(Self { timestamp_delta, offset_delta, key, value, headers })
    }
}

/// The records of `batch`, unpacked into `scratch` if it is compressed.
pub(super) fn unpacked<'a>(
    batch: &'a [u8],
    header: &BatchHeader,
    cap: u64,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], BatchError> {
    let body = &batch[BatchHeader::LEN..header.total_len()];
    match header.codec() {
        Codec::None => Ok(body),
        codec => {
            unpack::decompress(codec, body, cap, scratch)?;
            Ok(scratch)
        }
    }
}

/// Hands every record of one stored batch to `f`, in order, control records too (the returned header tells). Unpacks into
/// `scratch` if the batch is compressed, up to `unpacked_cap` bytes; what `scratch` held is lost, and it may be used
/// again. The CRC is not checked: what is stored has passed `check`, and the WAL sums its frames; see `verify_crc`
/// otherwise.
///
/// Errors: any [`BatchError`] of a malformed batch, turned into the caller's error; and whatever `f` answers.
pub fn for_each_record<E: From<BatchError>>(
    batch: &[u8],
    unpacked_cap: u64,
    scratch: &mut Vec<u8>,
    mut f: impl FnMut(RecordRef<'_>) -> Result<(), E>,
) -> Result<BatchHeader, E> {
    let header = BatchHeader::parse(batch)?;
    let count =
        u32::try_from(header.record_count).map_err(|_| BatchError::Header("its number of records is negative"))?;
    let mut reader = Reader::new(unpacked(batch, &header, unpacked_cap, scratch)?);
    let timestamp_type = header.timestamp_type();
    for index in 0..count {
        let fail = |problem| BatchError::Record { index, problem };
        let record = Encoded::read(&mut reader).map_err(fail)?;
        let offset = header.base_offset.checked_add(i64::from(record.offset_delta));
        let timestamp = match timestamp_type {
            TimestampType::Create => header.base_timestamp.checked_add(record.timestamp_delta),
            TimestampType::Append => Some(header.max_timestamp),
        };
        f(RecordRef {
            offset: offset.ok_or_else(|| fail("its offset does not fit 64 bits"))?,
            timestamp: timestamp.ok_or_else(|| fail("its timestamp does not fit 64 bits"))?,
            timestamp_type,
            leader_epoch: header.leader_epoch,
            key: record.key,
            value: record.value,
            headers: record.headers,
        })?;
    }
    if !reader.is_empty() {
        return Err(BatchError::Header("bytes follow the last record").into());
    }
    Ok(header)
}

#[cfg(test)]
mod tests;
