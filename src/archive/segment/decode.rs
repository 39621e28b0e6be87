//! Pages in, records out: each page is checked, unpacked once, and walked over where it lies.
mod column;
mod delta;
mod page;
pub(super) mod rle;

use std::ops::Range;

use bytes::Bytes;
use zstd::bulk::Decompressor;

use self::column::{Loaded, Numbers, Problem, Scratch, Strings};
use super::SegmentError;
use super::footer::{Footer, Page, SliceInfo};
use super::schema::Column;
use crate::record::{HeaderRef, Headers, RecordRef, TimestampType};

/// Fetched ranges of a segment.
#[derive(Clone, Debug, Default)]
pub struct SliceBytes {
    parts: Vec<(u64, Bytes)>,
}

impl SliceBytes {
    /// `bytes[i]` is what lies at `ranges[i]`; ranges ascend and do not overlap.
    pub fn new(ranges: &[Range<u64>], bytes: Vec<Bytes>) -> Self {
        Self { parts: ranges.iter().map(|range| range.start).zip(bytes).collect() }
    }

    /// Bytes held.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, at: u64, len: usize) -> Option<&[u8]> {
        let part = self.parts.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        let (start, bytes) = &self.parts[part];
        let from = usize::try_from(at - start).ok()?;
        bytes.get(from..from.checked_add(len)?)
    }
}

/// The memory of a reader: a decompressor and buffers, to be used again for the next slice, of whatever segment. One per
/// thread.
pub struct Decoder {
    zstd: Decompressor<'static>,
    columns: [Scratch; Column::COUNT],
}

impl Decoder {
    /// An empty one; grows to about the payload of a slice. What a larger one took is given back after it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.columns.iter().map(Scratch::memory_bytes).sum::<usize>() as u64
    }
}

impl Default for Decoder {
    fn default() -> Self {
        let zstd = Decompressor::new().expect("a decompressor without a dictionary has nothing to refuse");
        Self { zstd, columns: Default::default() }
    }
}

impl Footer {
    /// Decodes one slice and hands its records to `f`, in order. Every page is checked against its checksum before it is
    /// looked at. `bytes` must hold what [`Footer::ranges`] asked for.
    ///
    /// Errors: [`SegmentError::Damaged`], naming object and byte, before or after some records were handed out; and
    /// whatever `f` answers, which ends the walk.
    pub fn decode<E: From<SegmentError>>(
        &self,
        slice: usize,
        bytes: &SliceBytes,
        decoder: &mut Decoder,
        f: impl FnMut(RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let info = &self.slices()[slice];
        let loaded = self.unpack(info, bytes, decoder)?;
        let walked = Views::new(&loaded, &decoder.columns).walk(self, info, f);
        decoder.columns.iter_mut().for_each(Scratch::trim);
        walked
    }

    /// Checks and unpacks the page of every column.
    fn unpack<'b>(
        &self,
        info: &SliceInfo,
        bytes: &'b SliceBytes,
        decoder: &mut Decoder,
    ) -> Result<Vec<Loaded<'b>>, SegmentError> {
        let Decoder { zstd, columns } = decoder;
        let both = Column::ALL.into_iter().zip(columns);
        both.map(|(column, scratch)| self.unpack_column(info, column, bytes, scratch, zstd)).collect()
    }

    fn unpack_column<'b>(
        &self,
        info: &SliceInfo,
        column: Column,
        bytes: &'b SliceBytes,
        scratch: &mut Scratch,
        zstd: &mut Decompressor<'static>,
    ) -> Result<Loaded<'b>, SegmentError> {
        let (dictionary, page) = self.pages(info, column);
        let describe = |page: &Page, problem: Problem| {
            self.damaged(page.at, format!("the page of column {}: {problem}", column.path()))
        };
        if let Some(dictionary) = dictionary {
            let stored = self.checked(dictionary, column.path(), bytes)?;
            scratch
                .load_dictionary((self.object(), dictionary.at), stored, zstd)
                .map_err(|problem| describe(dictionary, problem))?;
        }
        let stored = self.checked(page, column.path(), bytes)?;
        let loaded = scratch.load(column, stored, zstd).map_err(|problem| describe(page, problem))?;
        if column.rep_level_max() == 0 && loaded.entries != info.records as usize {
            return Err(describe(page, "it has another number of rows than the slice"));
        }
        Ok(loaded)
    }

    /// Decodes offsets and keys of one slice only, and hands them to `f`, in order. `bytes` must hold what
    /// [`Footer::ranges_of_keys`] asked for.
    ///
    /// Errors: as for [`Footer::decode`].
    pub fn decode_keys<E: From<SegmentError>>(
        &self,
        slice: usize,
        bytes: &SliceBytes,
        decoder: &mut Decoder,
        mut f: impl FnMut(i64, Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let info = &self.slices()[slice];
        let Decoder { zstd, columns } = decoder;
        let mut loaded = Vec::with_capacity(Column::KEYS.len());
        for column in Column::KEYS {
            loaded.push(self.unpack_column(info, column, bytes, &mut columns[column as usize], zstd)?);
        }
        let [offset, key, raw] = Column::KEYS;
        let mut offsets = columns[offset as usize].integers(offset, &loaded[0]);
        let mut keys = columns[key as usize].strings(&loaded[1]);
        let mut raw_keys = columns[raw as usize].strings(&loaded[2]);
        let damaged = |column: Column, problem: Problem| {
            let (_, page) = self.pages(info, column);
            E::from(self.damaged(page.at, format!("the page of column {}: {problem}", column.path())))
        };
        for _ in 0..info.records {
            let at = offsets.next().filter(|at| (info.first_offset..info.next_offset).contains(at));
            let at = at.ok_or_else(|| damaged(offset, "its offsets are not those of the slice"))?;
            f(at, either(&mut keys, &mut raw_keys).map_err(|problem| damaged(key, problem))?)?;
        }
        columns.iter_mut().for_each(Scratch::trim);
        Ok(())
    }

    /// The stored bytes of a page, after its checksum was proven.
    pub(super) fn checked<'b>(&self, page: &Page, name: &str, bytes: &'b SliceBytes) -> Result<&'b [u8], SegmentError> {
        let problem = match bytes.get(page.at, page.len as usize) {
            None => "was not fetched",
            Some(stored) if crc32c::crc32c(stored) != page.crc32c => "does not match its checksum",
            Some(stored) => return Ok(stored),
        };
        Err(self.damaged(page.at, format!("the page of column {name} {problem}")))
    }
}

/// The walks over all columns of a slice.
struct Views<'a> {
    loaded: &'a [Loaded<'a>],
    columns: &'a [Scratch],
}

impl<'a> Views<'a> {
    fn new(loaded: &'a [Loaded<'a>], columns: &'a [Scratch]) -> Self {
        Self { loaded, columns }
    }

    fn strings(&self, column: Column) -> Strings<'a> {
        self.columns[column as usize].strings(&self.loaded[column as usize])
    }

    fn integers(&self, column: Column) -> column::Integers<'a> {
        self.columns[column as usize].integers(column, &self.loaded[column as usize])
    }

    fn walk<E: From<SegmentError>>(
        self,
        footer: &Footer,
        info: &SliceInfo,
        mut f: impl FnMut(RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let damaged = |column: Column, problem: Problem| {
            let (_, page) = footer.pages(info, column);
            E::from(footer.damaged(page.at, format!("the page of column {}: {problem}", column.path())))
        };
        if !self.integers(Column::Partition).all_are(footer.partition()) {
            return Err(damaged(Column::Partition, "it names another partition"));
        }
        let mut offsets = self.integers(Column::LogOffset);
        let mut timestamps = self.integers(Column::Timestamp);
        let mut types = self.integers(Column::TimestampType);
        let mut epochs = self.integers(Column::LeaderEpoch);
        let (mut keys, mut raw_keys) = (self.strings(Column::Key), self.strings(Column::KeyRaw));
        let (mut values, mut raw_values) = (self.strings(Column::Value), self.strings(Column::ValueRaw));
        let mut headers = HeaderWalk::new(&self, info.records).map_err(|p| damaged(Column::HeaderKey, p))?;
        let mut last = None;
        for _ in 0..info.records {
            let offset = offsets.next().unwrap_or(i64::MIN);
            let rises = last.map_or(offset == info.first_offset, |last| offset > last);
            if !rises || offset >= info.next_offset {
                return Err(damaged(Column::LogOffset, "its offsets are not those of the slice"));
            }
            last = Some(offset);
            let timestamp = match timestamps.next() {
                None => RecordRef::NO_TIMESTAMP,
                Some(micros) if micros % 1000 == 0 => micros / 1000,
                Some(_) => return Err(damaged(Column::Timestamp, "a timestamp is not a whole millisecond")),
            };
            let timestamp_type = types
                .next()
                .and_then(TimestampType::from_code)
                .ok_or_else(|| damaged(Column::TimestampType, "a timestamp type is neither 0 nor 1"))?;
            let leader_epoch = epochs.next().unwrap_or(-1) as i32; // an int32 column: lossless
            let key = either(&mut keys, &mut raw_keys).map_err(|p| damaged(Column::Key, p))?;
            let value = either(&mut values, &mut raw_values).map_err(|p| damaged(Column::Value, p))?;
            let headers = headers.next().map_err(|p| damaged(Column::HeaderKey, p))?;
            f(RecordRef { offset, timestamp, timestamp_type, leader_epoch, key, value, headers })?;
        }
        if last.map(|last| last + 1) != Some(info.next_offset) {
            return Err(damaged(Column::LogOffset, "its offsets are not those of the slice"));
        }
        for (column, strings) in [
            (Column::Key, &keys),
            (Column::KeyRaw, &raw_keys),
            (Column::Value, &values),
            (Column::ValueRaw, &raw_values),
        ] {
            strings.end().map_err(|problem| damaged(column, problem))?;
        }
        headers.end().map_err(|problem| damaged(Column::HeaderKey, problem))
    }
}

/// A value out of the text column or its `_raw` twin.
#[inline]
fn either<'a>(text: &mut Strings<'a>, raw: &mut Strings<'a>) -> Result<Option<&'a [u8]>, Problem> {
    match (text.next()?, raw.next()?) {
        (Some(_), Some(_)) => Err("a row has both a text and a raw value"),
        (text, raw) => Ok(text.or(raw)),
    }
}

/// Walks over the headers of the rows.
struct HeaderWalk<'a> {
    keys: Strings<'a>,
    values: Strings<'a>,
    reps: Numbers<'a>,
    /// Entries of both columns: one per header, and one per row without headers.
    entries: usize,
    entry: usize,
    /// No row has headers.
    none: bool,
    pairs: Vec<HeaderRef<'a>>,
}

impl<'a> HeaderWalk<'a> {
    fn new(views: &Views<'a>, records: u32) -> Result<Self, Problem> {
        let (key, value) = (Column::HeaderKey as usize, Column::HeaderValue as usize);
        let (keys, values) = (views.strings(Column::HeaderKey), views.strings(Column::HeaderValue));
        let reps = views.columns[key].reps(&views.loaded[key]);
        let entries = views.loaded[key].entries;
        let same = entries == views.loaded[value].entries && reps == views.columns[value].reps(&views.loaded[value]);
        if !same {
            return Err("header keys and header values do not belong together");
        }
        let none = keys.is_all_null() && values.is_all_null() && entries == records as usize;
        Ok(Self { keys, values, reps, entries, entry: 0, none, pairs: Vec::new() })
    }

    /// The next row's headers.
    #[inline]
    fn next(&mut self) -> Result<Headers<'_>, Problem> {
        if self.none {
            return Ok(Headers::NONE);
        }
        self.pairs.clear();
        if self.entry >= self.entries || self.reps.get(self.entry) != 0 {
            return Err("it has fewer rows than the slice");
        }
        loop {
            self.entry += 1;
            match (self.keys.next_def(), self.values.next_def()) {
                (0, 0) if self.pairs.is_empty() => {}
                (1, 1) => self.pairs.push((self.keys.value()?, None)),
                (1, 2) => self.pairs.push((self.keys.value()?, Some(self.values.value()?))),
                _ => return Err("header keys and header values do not belong together"),
            }
            if self.entry == self.entries || self.reps.get(self.entry) == 0 {
                return Ok(Headers::pairs(&self.pairs));
            }
            if self.pairs.is_empty() {
                return Err("a row without headers goes on");
            }
        }
    }

    fn end(&self) -> Result<(), Problem> {
        if !self.none && self.entry != self.entries {
            return Err("it has more rows than the slice");
        }
        self.keys.end()?;
        self.values.end()
    }
}
