//! One page of one column: unpack it, read its levels, and walk over its values where they lie.
use std::sync::Arc;

use parquet::basic::Type as Physical;
use zstd::bulk::Decompressor;

use super::page::{PageHeader, PageKind};
use super::{delta, rle};
use crate::archive::segment::schema::Column;

pub(super) use super::rle::Numbers;

/// What is wrong with a page, for the message.
pub(super) type Problem = &'static str;

/// Parquet's numbers of encodings.
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const DELTA_BINARY_PACKED: i64 = 5;
const RLE_DICTIONARY: i64 = 8;

/// Memory of one column that is kept for the next slice: four times what a slice of the usual size needs.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Buffers of one column, used again for every page.
#[derive(Default)]
pub(super) struct Scratch {
    body: Vec<u8>,
    defs: Vec<u32>,
    reps: Vec<u32>,
    indexes: Vec<u32>,
    integers: Vec<i64>,
    dictionary: Dictionary,
}

/// The dictionary page that was unpacked last: slices of one block share it.
#[derive(Default)]
struct Dictionary {
    /// The object, whose name is never used again, and where in it.
    of: Option<(Arc<str>, u64)>,
    entries: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

/// A page whose levels and integers are in its [`Scratch`].
pub(super) struct Loaded<'b> {
    /// Rows, or headers and rows without headers.
    pub(super) entries: usize,
    /// Of all entries, when they have the same; otherwise they are in the scratch.
    def: Option<u32>,
    rep: Option<u32>,
    index: Option<u32>,
    def_max: u32,
    encoding: i64,
    values: Where<'b>,
}

#[derive(Clone, Copy)]
enum Where<'b> {
    /// In the scratch, from this byte on.
    Unpacked(usize),
    /// In the page, which was stored as it is.
    Stored(&'b [u8]),
}

impl Scratch {
    /// Unpacks a dictionary page, unless it is the one that is here. `stored` has passed its checksum.
    pub(super) fn load_dictionary(
        &mut self,
        of: (&Arc<str>, u64),
        stored: &[u8],
        zstd: &mut Decompressor<'static>,
    ) -> Result<(), Problem> {
        let dictionary = &mut self.dictionary;
        if dictionary.of.as_ref().is_some_and(|(object, at)| object == of.0 && *at == of.1) {
            return Ok(());
        }
        dictionary.of = None;
        let (header, body) = split(stored)?;
        if header.kind != PageKind::Dictionary || ![PLAIN, PLAIN_DICTIONARY].contains(&header.encoding) {
            return Err("it is no dictionary of plain values");
        }
        unpack(zstd, body, header.unpacked, &mut dictionary.entries)?;
        dictionary.spans.clear();
        let mut plain = Plain { rest: &dictionary.entries };
        let mut at = 0;
        for _ in 0..header.values {
            let len = plain.next()?.len() as u32;
            dictionary.spans.push((at + 4, at + 4 + len));
            at += 4 + len;
        }
        plain.end()?;
        dictionary.of = Some((Arc::clone(of.0), of.1));
        Ok(())
    }

    /// Unpacks a data page and decodes its levels, indexes and packed integers. `stored` has passed its checksum.
    pub(super) fn load<'b>(
        &mut self,
        column: Column,
        stored: &'b [u8],
        zstd: &mut Decompressor<'static>,
    ) -> Result<Loaded<'b>, Problem> {
        let (header, body) = split(stored)?;
        let entries = header.values;
        let (rep_max, def_max) = (column.rep_level_max(), column.def_level_max());
        let (rep, def, values) = match header.kind {
            PageKind::Dictionary => return Err("it is a dictionary where data should be"),
            PageKind::V1 => {
                unpack(zstd, body, header.unpacked, &mut self.body)?;
                let mut rest = &self.body[..];
                let rep = v1_levels(&mut rest, rep_max, entries, &mut self.reps)?;
                let def = v1_levels(&mut rest, def_max, entries, &mut self.defs)?;
                (rep, def, Where::Unpacked(self.body.len() - rest.len()))
            }
            PageKind::V2 { rep_len, def_len, compressed } => {
                let (reps, rest) = body.split_at_checked(rep_len).ok_or("its levels run past its end")?;
                let (defs, rest) = rest.split_at_checked(def_len).ok_or("its levels run past its end")?;
                let rep = levels(reps, rep_max, entries, &mut self.reps)?;
                let def = levels(defs, def_max, entries, &mut self.defs)?;
                let values = if compressed && !rest.is_empty() {
                    let unpacked = header.unpacked.checked_sub(rep_len + def_len).ok_or("its sizes contradict")?;
                    unpack(zstd, rest, unpacked, &mut self.body)?;
                    Where::Unpacked(0)
                } else {
                    Where::Stored(rest)
                };
                (rep, def, values)
            }
        };
        let mut loaded = Loaded { entries, def, rep, index: None, def_max, encoding: header.encoding, values };
        self.decode_values(column, &mut loaded)?;
        Ok(loaded)
    }

    /// Decodes what cannot be walked over in place.
    fn decode_values(&mut self, column: Column, loaded: &mut Loaded<'_>) -> Result<(), Problem> {
        let present = match (loaded.def_max, loaded.def) {
            (0, _) => loaded.entries,
            (max, Some(same)) => {
                if same == max {
                    loaded.entries
                } else {
                    0
                }
            }
            (max, None) => self.defs.iter().filter(|&&def| def == max).count(),
        };
        let values = match loaded.values {
            Where::Unpacked(at) => &self.body[at..],
            Where::Stored(stored) => stored,
        };
        match (column.physical(), loaded.encoding) {
            (Physical::BYTE_ARRAY, RLE_DICTIONARY | PLAIN_DICTIONARY) => {
                let (&width, packed) = match values.split_first() {
                    Some(split) => split,
                    None if present == 0 => (&0, values),
                    None => return Err("its dictionary indexes are missing"),
                };
                loaded.index = rle::decode(packed, u32::from(width), present, &mut self.indexes)
                    .ok_or("its dictionary indexes are wrong")?;
                Ok(())
            }
            (Physical::INT32 | Physical::INT64, DELTA_BINARY_PACKED) => {
                delta::decode(values, present, &mut self.integers).ok_or("its packed integers are wrong")
            }
            (Physical::INT32, PLAIN) if values.len() == present * 4 => Ok(()),
            (Physical::INT64, PLAIN) if values.len() == present * 8 => Ok(()),
            (Physical::INT32 | Physical::INT64, PLAIN) => Err("it has another number of integers than it says"),
            (Physical::BYTE_ARRAY, PLAIN) => Ok(()),
            _ => Err("it has an encoding that segments do not use"),
        }
    }

    fn values<'a>(&'a self, loaded: &Loaded<'a>) -> &'a [u8] {
        match loaded.values {
            Where::Unpacked(at) => &self.body[at..],
            Where::Stored(stored) => stored,
        }
    }

    fn defs<'a>(&'a self, loaded: &Loaded<'a>) -> Numbers<'a> {
        loaded.def.map_or(Numbers::Each(&self.defs), Numbers::Same)
    }

    /// The repetition levels of a loaded page.
    pub(super) fn reps<'a>(&'a self, loaded: &Loaded<'a>) -> Numbers<'a> {
        loaded.rep.map_or(Numbers::Each(&self.reps), Numbers::Same)
    }

    /// A walk over a loaded page of integers.
    pub(super) fn integers<'a>(&'a self, column: Column, loaded: &Loaded<'a>) -> Integers<'a> {
        let values = match (column.physical(), loaded.encoding) {
            (_, DELTA_BINARY_PACKED) => Whole::Decoded(&self.integers),
            (Physical::INT32, _) => Whole::Plain32(self.values(loaded).as_chunks().0),
            _ => Whole::Plain64(self.values(loaded).as_chunks().0),
        };
        Integers { defs: self.defs(loaded), def_max: loaded.def_max, entry: 0, value: 0, values }
    }

    /// A walk over a loaded page of strings.
    pub(super) fn strings<'a>(&'a self, loaded: &Loaded<'a>) -> Strings<'a> {
        let values = if loaded.encoding == PLAIN {
            Values::Plain(Plain { rest: self.values(loaded) })
        } else {
            Values::Dictionary {
                indexes: loaded.index.map_or(Numbers::Each(&self.indexes), Numbers::Same),
                at: 0,
                dictionary: &self.dictionary,
            }
        };
        Strings { defs: self.defs(loaded), def_max: loaded.def_max, entry: 0, values }
    }

    /// Gives back what a page far beyond the usual size took.
    pub(super) fn trim(&mut self) {
        if self.memory_bytes() > KEPT_BYTES_MAX {
            *self = Self::default();
        }
    }

    /// Memory held, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let numbers = self.defs.capacity() + self.reps.capacity() + self.indexes.capacity();
        let dictionary = self.dictionary.entries.capacity() + self.dictionary.spans.capacity() * 8;
        self.body.capacity() + numbers * 4 + self.integers.capacity() * 8 + dictionary
    }
}

/// Walks over integers; the caller asks for one per entry, at most [`Loaded::entries`] times.
pub(super) struct Integers<'a> {
    defs: Numbers<'a>,
    def_max: u32,
    entry: usize,
    value: usize,
    values: Whole<'a>,
}

#[derive(Clone, Copy)]
enum Whole<'a> {
    Decoded(&'a [i64]),
    Plain32(&'a [[u8; 4]]),
    Plain64(&'a [[u8; 8]]),
}

impl<'a> Integers<'a> {
    #[inline]
    pub(super) fn next(&mut self) -> Option<i64> {
        let is_there = self.def_max == 0 || self.defs.get(self.entry) == self.def_max;
        self.entry += 1;
        is_there.then(|| {
            let at = self.value;
            self.value += 1;
            match self.values {
                Whole::Decoded(integers) => integers[at],
                Whole::Plain32(integers) => i64::from(i32::from_le_bytes(integers[at])),
                Whole::Plain64(integers) => i64::from_le_bytes(integers[at]),
            }
        })
    }

    /// Whether every value is `number`; does not move.
    pub(super) fn all_are(&self, number: i32) -> bool {
        match self.values {
            Whole::Decoded(integers) => integers.iter().all(|&integer| integer == i64::from(number)),
            Whole::Plain32(integers) => integers.iter().all(|&integer| integer == number.to_le_bytes()),
            Whole::Plain64(_) => false,
        }
    }
}

/// Walks over strings; the caller asks for one per entry, at most [`Loaded::entries`] times.
pub(super) struct Strings<'a> {
    defs: Numbers<'a>,
    def_max: u32,
    entry: usize,
    values: Values<'a>,
}

enum Values<'a> {
    Plain(Plain<'a>),
    Dictionary { indexes: Numbers<'a>, at: usize, dictionary: &'a Dictionary },
}

impl<'a> Strings<'a> {
    /// The next entry's value, None for null.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<&'a [u8]>, Problem> {
        let def = self.next_def();
        if def == self.def_max { self.value().map(Some) } else { Ok(None) }
    }

    /// The next entry's definition level; when it is the highest, [`Strings::value`] must follow.
    #[inline]
    pub(super) fn next_def(&mut self) -> u32 {
        let def = self.defs.get(self.entry);
        self.entry += 1;
        def
    }

    /// The next value that is there.
    #[inline]
    pub(super) fn value(&mut self) -> Result<&'a [u8], Problem> {
        match &mut self.values {
            Values::Plain(plain) => plain.next(),
            Values::Dictionary { indexes, at, dictionary } => {
                let index = indexes.get(*at) as usize;
                *at += 1;
                let &(from, to) = dictionary.spans.get(index).ok_or("an index lies outside of the dictionary")?;
                Ok(&dictionary.entries[from as usize..to as usize])
            }
        }
    }

    /// Whether every entry has the definition level 0, and there is no value.
    pub(super) fn is_all_null(&self) -> bool {
        self.defs == Numbers::Same(0)
    }

    /// Errors when values are left over.
    pub(super) fn end(&self) -> Result<(), Problem> {
        match &self.values {
            Values::Plain(plain) => plain.end(),
            Values::Dictionary { .. } => Ok(()), // exactly as many indexes as values were decoded
        }
    }
}

/// Strings, each with its length before it.
struct Plain<'a> {
    rest: &'a [u8],
}

impl<'a> Plain<'a> {
    #[inline]
    fn next(&mut self) -> Result<&'a [u8], Problem> {
        let (len, rest) = self.rest.split_first_chunk::<4>().ok_or("it ends within a length")?;
        let len = u32::from_le_bytes(*len) as usize;
        let (value, rest) = rest.split_at_checked(len).ok_or("a value runs past its end")?;
        self.rest = rest;
        Ok(value)
    }

    fn end(&self) -> Result<(), Problem> {
        if self.rest.is_empty() { Ok(()) } else { Err("bytes follow its last value") }
    }
}

/// Header and body of a stored page.
fn split(stored: &[u8]) -> Result<(PageHeader, &[u8]), Problem> {
    let header = PageHeader::parse(stored).ok_or("its header is wrong")?;
    let body = &stored[header.len..];
    if body.len() != header.stored {
        return Err("it has another size than its header says");
    }
    Ok((header, body))
}

/// Decompresses into `out`, whose size is the one that the page's header, which a checksum covered, declares.
fn unpack(zstd: &mut Decompressor<'static>, body: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    out.clear();
    out.reserve(size);
    let got = zstd.decompress_to_buffer(body, out).map_err(|_| "it does not decompress to its declared size")?;
    if got == size { Ok(()) } else { Err("it does not decompress to its declared size") }
}

fn v1_levels(rest: &mut &[u8], max: u32, count: usize, out: &mut Vec<u32>) -> Result<Option<u32>, Problem> {
    if max == 0 {
        return Ok(Some(0));
    }
    let (len, after) = rest.split_first_chunk::<4>().ok_or("its levels are missing")?;
    let len = u32::from_le_bytes(*len) as usize;
    let (packed, after) = after.split_at_checked(len).ok_or("its levels run past its end")?;
    *rest = after;
    levels(packed, max, count, out)
}

fn levels(packed: &[u8], max: u32, count: usize, out: &mut Vec<u32>) -> Result<Option<u32>, Problem> {
    if max == 0 {
        return Ok(Some(0));
    }
    let width = u32::BITS - max.leading_zeros();
    let same = rle::decode(packed, width, count, out).ok_or("its levels are wrong")?;
    let highest = same.or_else(|| out.iter().max().copied()).unwrap_or(0);
    if highest > max { Err("a level is higher than its column has") } else { Ok(same) }
}
