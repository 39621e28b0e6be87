//! The rows of the slice that is being filled, column by column, as the Parquet writer takes them.
use bytes::Bytes;
use parquet::data_type::ByteArray;

use super::plain::PlainValues;
use crate::archive::segment::{ColumnType, ENTRY_BYTES, SegmentError};
use crate::record::{Headers, RecordRef};

/// Longest key, value or header of a record, in bytes: a page's size is an i32.
const PAYLOAD_MAX: u64 = 1 << 30;
/// Rows of a slice at most, however small they are.
const ROWS_MAX: usize = 1 << 16;
/// Headers of a slice at most, whatever its size is set to: the number of values of a page is an i32.
const HEADERS_MAX: usize = 1 << 20;

/// The keys of the slice, as the Parquet crate's writer takes them: it keeps them in a dictionary.
#[derive(Default)]
pub(super) struct Strings {
    data: Vec<u8>,
    lens: Vec<u32>,
    pub(super) levels: Vec<i16>,
}

impl Strings {
    /// Takes the values; the levels stay for [`Rows::clear`]. Returns their bytes.
    pub(super) fn take_values(&mut self, out: &mut Vec<ByteArray>) -> u64 {
        // The writer's dictionary may keep the old buffer; the next slice is likely to need as much.
        let room = Vec::with_capacity(self.data.len());
        let data = Bytes::from(std::mem::replace(&mut self.data, room));
        let mut at = 0;
        out.extend(self.lens.drain(..).map(|len| {
            let end = at + len as usize;
            let value = data.slice(at..end);
            at = end;
            ByteArray::from(value)
        }));
        at as u64
    }

    /// Rows without a value, before the values are taken.
    pub(super) fn nulls(&self) -> u64 {
        (self.levels.len() - self.lens.len()) as u64
    }

    fn memory_bytes(&self) -> usize {
        self.data.capacity() + self.lens.capacity() * 4 + self.levels.capacity() * 2
    }
}

/// Something that collects a row's value, or that it has none.
pub(super) trait Collect {
    /// A value that is there; it is at most `PAYLOAD_MAX` long.
    fn push(&mut self, value: &[u8], level: i16);
    /// No value.
    fn skip(&mut self, level: i16);
}

impl Collect for Strings {
    #[inline]
    fn push(&mut self, value: &[u8], level: i16) {
        self.data.extend_from_slice(value);
        self.lens.push(value.len() as u32);
        self.levels.push(level);
    }

    #[inline]
    fn skip(&mut self, level: i16) {
        self.levels.push(level);
    }
}

impl Collect for PlainValues {
    #[inline]
    fn push(&mut self, value: &[u8], level: i16) {
        PlainValues::push(self, value, level);
    }

    #[inline]
    fn skip(&mut self, level: i16) {
        PlainValues::skip(self, level);
    }
}

/// A column for UTF-8 and its `_raw` twin: at most one of them holds a row's value.
#[derive(Default)]
pub(super) struct Twins<C> {
    pub(super) text: C,
    pub(super) raw: C,
    kind: ColumnType,
    seen_text: bool,
    seen_raw: bool,
}

impl<C: Collect> Twins<C> {
    #[inline]
    fn push(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => {
                self.text.skip(0);
                self.raw.skip(0);
            }
            Some(bytes) if self.kind == ColumnType::Utf8OrBinary && std::str::from_utf8(bytes).is_ok() => {
                self.seen_text = true;
                self.text.push(bytes, 1);
                self.raw.skip(0);
            }
            Some(bytes) => {
                self.seen_raw = true;
                self.text.skip(0);
                self.raw.push(bytes, 1);
            }
        }
    }

    /// Whether both columns were used since the beginning of the segment.
    pub(super) fn mixed(&self) -> bool {
        self.seen_text && self.seen_raw
    }
}

/// The rows of one slice.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) offsets: Vec<i64>,
    /// Microseconds, of the rows that have one.
    pub(super) timestamps: Vec<i64>,
    pub(super) timestamp_levels: Vec<i16>,
    pub(super) timestamp_types: Vec<i32>,
    pub(super) leader_epochs: Vec<i32>,
    pub(super) keys: Twins<Strings>,
    pub(super) values: Twins<PlainValues>,
    pub(super) header_keys: Strings,
    pub(super) header_values: PlainValues,
    /// Of both header columns.
    pub(super) header_repeats: Vec<i16>,
    pub(super) payload_bytes: u64,
}

impl Rows {
    pub(super) fn new(key_type: ColumnType, value_type: ColumnType) -> Self {
        Self {
            keys: Twins { kind: key_type, ..Twins::default() },
            values: Twins { kind: value_type, ..Twins::default() },
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// What the rows count towards a slice, a block and a segment: their payload, or what the number of their headers
    /// takes where that is more.
    pub(super) fn weight(&self) -> u64 {
        self.payload_bytes.max(self.header_repeats.len() as u64 * ENTRY_BYTES)
    }

    pub(super) fn is_full(&self, slice_bytes: u64) -> bool {
        self.weight() >= slice_bytes || self.len() >= ROWS_MAX || self.header_repeats.len() >= HEADERS_MAX
    }

    /// Adds a row, or says why a segment cannot hold the record and leaves the rows as they were.
    pub(super) fn push(&mut self, record: &RecordRef<'_>) -> Result<(), SegmentError> {
        let refuse = |problem| SegmentError::Record { offset: record.offset, problem };
        let payload_bytes = record.payload_bytes();
        if payload_bytes > PAYLOAD_MAX {
            return Err(refuse("key, value and headers take more than 1 GiB"));
        }
        if record.headers.count() > Headers::COUNT_MAX {
            return Err(refuse("it has more headers than a record may have"));
        }
        if record.headers.iter().any(|(key, _)| std::str::from_utf8(key).is_err()) {
            return Err(refuse("a header key is not UTF-8"));
        }
        if record.timestamp == RecordRef::NO_TIMESTAMP {
            self.timestamp_levels.push(0);
        } else {
            let micros = record.timestamp.checked_mul(1000).ok_or_else(|| {
                refuse("the timestamp is further from 1970 than a number of microseconds in 64 bits can tell")
            })?;
            self.timestamps.push(micros);
            self.timestamp_levels.push(1);
        }
        self.offsets.push(record.offset);
        self.timestamp_types.push(i32::from(record.timestamp_type.code()));
        self.leader_epochs.push(record.leader_epoch);
        self.keys.push(record.key);
        self.values.push(record.value);
        self.push_headers(&record.headers);
        self.payload_bytes += payload_bytes;
        Ok(())
    }

    fn push_headers(&mut self, headers: &Headers<'_>) {
        if headers.is_empty() {
            self.header_keys.skip(0);
            self.header_values.skip(0);
            self.header_repeats.push(0);
            return;
        }
        for (index, (key, value)) in headers.iter().enumerate() {
            self.header_keys.push(key, 1);
            match value {
                None => self.header_values.skip(1),
                Some(value) => self.header_values.push(value, 2),
            }
            self.header_repeats.push(i16::from(index > 0));
        }
    }

    /// Forgets the rows, after their values were taken.
    pub(super) fn clear(&mut self) {
        self.offsets.clear();
        self.timestamps.clear();
        self.timestamp_levels.clear();
        self.timestamp_types.clear();
        self.leader_epochs.clear();
        self.header_repeats.clear();
        for strings in [&mut self.keys.text, &mut self.keys.raw, &mut self.header_keys] {
            strings.levels.clear();
        }
        self.payload_bytes = 0;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let strings = [&self.keys.text, &self.keys.raw, &self.header_keys].map(Strings::memory_bytes);
        let values = [&self.values.text, &self.values.raw, &self.header_values].map(PlainValues::memory_bytes);
        strings.iter().chain(&values).sum::<usize>()
            + self.offsets.capacity() * 28
            + self.header_repeats.capacity() * size_of::<i16>()
    }
}
