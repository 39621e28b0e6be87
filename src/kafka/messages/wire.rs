//! Primitive types of the protocol, read from and written to byte strings.
//!
//! Source of the formats: <https://kafka.apache.org/protocol#protocol_types>. Big-endian integers; strings, byte strings
//! and arrays carry a length, which is an int16 or int32 in the old encoding and an unsigned varint of length + 1 in the
//! *flexible* one (KIP-482), where each struct also ends in tagged fields.
//!
//! What is read comes from strangers: every length is compared with the bytes that are there before anything is
//! allocated, and what the elements of arrays cost in memory is counted against [`Reader::memory_left`], so that a small
//! frame never becomes a large value. Byte strings are slices of the frame, never copies. What is written keeps long
//! byte strings apart ([`Frame`]), so that record bytes go from where they lie to the socket.
use std::ops::RangeBounds;

use bytes::{BufMut, Bytes, BytesMut};

use crate::base::Uuid;

/// Why bytes are not the message that they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at} of the frame{}{field}", if field.is_empty() { "" } else { ", in " })]
pub struct DecodeError {
    /// What is wrong.
    pub problem: Problem,
    /// Where, from the start of the frame (after its length).
    pub at: usize,
    /// The field that was being read, as `Struct.field`; empty outside of a message.
    pub field: &'static str,
}

/// Bytes of a string: what the old encoding could say, and Kafka takes in the new one too.
const TEXT_MAX: usize = i16::MAX as usize;

/// The ways in which bytes can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A field or a length reaches beyond the end.
    #[error("the frame ends too early")]
    Truncated,
    /// A length below -1.
    #[error("negative length")]
    NegativeLength,
    /// A varint of more than five bytes or 32 bits.
    #[error("varint too long")]
    Varint,
    /// A string longer than Kafka has them.
    #[error("string longer than 32767 bytes")]
    LongText,
    /// A string that is not UTF-8.
    #[error("string is not UTF-8")]
    Utf8,
    /// Null where this version has no null.
    #[error("null where a value is required")]
    Null,
    /// The elements of its arrays would take many times the memory of the frame.
    #[error("too many array elements")]
    TooManyElements,
    /// A version that does not exist, where the version is part of the message.
    #[error("no such version")]
    Version,
    /// Bytes that belong to nothing, in a tagged field.
    #[error("bytes left over")]
    LeftOver,
    /// Tagged fields not in rising order.
    #[error("tagged fields out of order")]
    TagOrder,
}

/// A message that cannot be written in the version asked for; always a mistake of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Null in a version in which the field cannot be null.
    #[error("{0} cannot be null in this version")]
    Null(&'static str),
    /// Longer than the length field can say.
    #[error("a string, byte string or array is too long for the protocol")]
    TooLong,
}

/// A type that has a form on the wire; the form depends on the version and on whether the message is flexible.
pub trait Wire: Sized {
    /// Appends the value.
    fn write(&self, to: &mut Writer);
    /// Takes a value off the front.
    fn read(from: &mut Reader) -> Result<Self, DecodeError>;
}

/// A [`Wire`] type whose null has a form of its own.
pub trait Nullable: Wire {
    /// Appends a value or null.
    fn write_option(value: Option<&Self>, to: &mut Writer);
    /// Takes a value or null off the front.
    fn read_option(from: &mut Reader) -> Result<Option<Self>, DecodeError>;
}

/// Takes values off a frame.
#[derive(Debug)]
pub struct Reader {
    frame: Bytes,
    at: usize,
    end: usize,
    version: i16,
    flexible: bool,
    memory_left: usize,
    field: &'static str,
}

impl Reader {
    /// Elements of arrays may take this much memory, and [`Reader::MEMORY_PER_BYTE`] times the frame's length.
    pub const MEMORY_FREE: usize = 1 << 20;
    /// See [`Reader::MEMORY_FREE`].
    pub const MEMORY_PER_BYTE: usize = 8;

    /// Reads `frame` as `version` of a message.
    pub fn new(frame: Bytes, version: i16, flexible: bool) -> Self {
        let end = frame.len();
        let memory_left = Self::MEMORY_FREE + Self::MEMORY_PER_BYTE * end;
        Self { frame, at: 0, end, version, flexible, memory_left, field: "" }
    }

    /// Goes on with what follows as another version, for the body after a header.
    pub fn set_version(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// Whether the version that is being read is one of `versions`.
    pub fn is_in(&self, versions: impl RangeBounds<i16>) -> bool {
        versions.contains(&self.version)
    }

    /// Whether it is flexible.
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// Names the field that is read next, for errors.
    pub fn enter(&mut self, field: &'static str) {
        self.field = field;
    }

    /// An error at the present place.
    pub fn error(&self, problem: Problem) -> DecodeError {
        DecodeError { problem, at: self.at, field: self.field }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// What is left over is an error.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error(Problem::LeftOver)) }
    }

    fn skip(&mut self, count: usize) -> Result<usize, DecodeError> {
        if count > self.remaining() {
            return Err(self.error(Problem::Truncated));
        }
        let start = self.at;
        self.at += count;
        Ok(start)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let start = self.skip(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.frame[start..start + N]);
        Ok(out)
    }

    /// An unsigned varint of at most 32 bits.
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array::<1>()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(self.error(Problem::Varint));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error(Problem::Varint))
    }

    /// A length: `None` is null. `short`: the old encoding has an int16.
    fn length(&mut self, short: bool) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return Ok(self.varint()?.checked_sub(1).map(|length| length as usize));
        }
        let length = if short { i32::from(i16::read(self)?) } else { i32::read(self)? };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.error(Problem::NegativeLength)),
        }
    }

    fn text(&mut self, length: usize) -> Result<String, DecodeError> {
        if length > TEXT_MAX {
            return Err(self.error(Problem::LongText));
        }
        let start = self.skip(length)?;
        match std::str::from_utf8(&self.frame[start..start + length]) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.error(Problem::Utf8)),
        }
    }

    /// A string that is in the old encoding whatever the message is: the client id of a request header.
    pub fn old_nullable_string(&mut self) -> Result<Option<String>, DecodeError> {
        let flexible = std::mem::replace(&mut self.flexible, false);
        let text = Option::<String>::read(self);
        self.flexible = flexible;
        text
    }

    /// The tagged fields at the end of a struct; `known` reads those that it knows and says whether it did.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut lowest = 0;
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            if tag < lowest {
                return Err(self.error(Problem::TagOrder));
            }
            lowest = tag.saturating_add(1);
            let length = self.varint()? as usize;
            let start = self.skip(length)?;
            let (outer_end, inner_end) = (self.end, self.at);
            (self.at, self.end) = (start, inner_end);
            if known(tag, self)? {
                self.finish()?;
            }
            (self.at, self.end) = (inner_end, outer_end);
        }
        Ok(())
    }
}

/// An encoded message: its plain bytes with the record bytes between them, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    pieces: Vec<Bytes>,
    len: usize,
}

impl Frame {
    /// The parts in the order in which they go out.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The parts, by value.
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// Length of all parts in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All parts as one byte string; copies if there is more than one.
    pub fn to_bytes(&self) -> Bytes {
        match &self.pieces[..] {
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

/// Appends values. The first error sticks and comes out at [`Writer::finish`].
#[derive(Debug)]
pub struct Writer {
    plain: BytesMut,
    /// Byte strings that were not copied, each with the length of `plain` before it.
    apart: Vec<(usize, Bytes)>,
    apart_len: usize,
    version: i16,
    flexible: bool,
    error: Option<EncodeError>,
}

impl Writer {
    /// Byte strings of at least this length are kept apart instead of copied: below it one more entry in a vectored write
    /// costs more than the copy.
    const APART_MIN: usize = 1024;

    /// An empty message of `version`.
    pub fn new(version: i16, flexible: bool) -> Self {
        Self { plain: BytesMut::with_capacity(256), apart: Vec::new(), apart_len: 0, version, flexible, error: None }
    }

    /// Goes on as another version, for the body after a header.
    pub fn set_version(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// Whether the version that is being written is one of `versions`.
    pub fn is_in(&self, versions: impl RangeBounds<i16>) -> bool {
        versions.contains(&self.version)
    }

    /// Whether it is flexible.
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// Notes an error; the first one counts.
    pub fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    /// The finished message.
    pub fn finish(self) -> Result<Frame, EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let len = self.plain.len() + self.apart_len;
        let plain = self.plain.freeze();
        let mut pieces = Vec::with_capacity(self.apart.len() * 2 + 1);
        let mut from = 0;
        for (at, bytes) in self.apart {
            if at > from {
                pieces.push(plain.slice(from..at));
                from = at;
            }
            pieces.push(bytes);
        }
        if from < plain.len() {
            pieces.push(plain.slice(from..));
        }
        Ok(Frame { pieces, len })
    }

    /// The finished message, after an int32 with its length, for which the first four bytes were left free.
    pub fn finish_with_length(mut self) -> Result<Frame, EncodeError> {
        let len = self.plain.len() + self.apart_len - 4;
        match i32::try_from(len) {
            Ok(len) => self.plain[..4].copy_from_slice(&len.to_be_bytes()),
            Err(_) => self.fail(EncodeError::TooLong),
        }
        self.finish()
    }

    /// An unsigned varint.
    pub fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.plain.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.plain.put_u8(value as u8);
    }

    fn length(&mut self, length: Option<usize>, short: bool) {
        let max = if short { i16::MAX as usize } else { (i32::MAX - 1) as usize };
        if length.is_some_and(|length| length > max) {
            return self.fail(EncodeError::TooLong);
        }
        match (self.flexible, short) {
            (true, _) => self.varint(length.map_or(0, |length| length as u32 + 1)),
            (false, true) => self.plain.put_i16(length.map_or(-1, |length| length as i16)),
            (false, false) => self.plain.put_i32(length.map_or(-1, |length| length as i32)),
        }
    }

    /// Bytes as they are; long ones are not copied.
    fn bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < Self::APART_MIN {
            self.plain.extend_from_slice(bytes);
        } else {
            self.apart_len += bytes.len();
            self.apart.push((self.plain.len(), bytes.clone()));
        }
    }

    /// A string in the old encoding whatever the message is: the client id of a request header.
    pub fn old_nullable_string(&mut self, text: Option<&str>) {
        let flexible = std::mem::replace(&mut self.flexible, false);
        self.text(text);
        self.flexible = flexible;
    }

    fn text(&mut self, text: Option<&str>) {
        self.length(text.map(str::len), true);
        self.plain.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    /// The tagged fields at the end of a struct, in rising order of their tags.
    pub fn tags(&mut self, tags: &[(u32, Frame)]) {
        self.varint(tags.len() as u32);
        for (tag, value) in tags {
            self.varint(*tag);
            self.varint(value.len() as u32);
            value.pieces().iter().for_each(|piece| self.bytes(piece));
        }
    }

    /// The value of a tagged field, to be handed to [`Writer::tags`].
    pub fn tagged(&mut self, value: &impl Wire) -> Frame {
        let mut inner = Self::new(self.version, self.flexible);
        value.write(&mut inner);
        inner.finish().unwrap_or_else(|error| {
            self.fail(error);
            Frame::default()
        })
    }
}

macro_rules! numbers {
    ($($ty:ty)*) => {$(
        impl Wire for $ty {
            fn write(&self, to: &mut Writer) {
                to.plain.extend_from_slice(&self.to_be_bytes());
            }
            fn read(from: &mut Reader) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(from.array()?))
            }
        }
    )*};
}

numbers!(i8 i16 u16 i32 i64 f64);

impl Wire for bool {
    fn write(&self, to: &mut Writer) {
        to.plain.put_u8(u8::from(*self));
    }
    fn read(from: &mut Reader) -> Result<Self, DecodeError> {
        Ok(from.array::<1>()? != [0])
    }
}

impl Wire for Uuid {
    fn write(&self, to: &mut Writer) {
        to.plain.extend_from_slice(&self.0);
    }
    fn read(from: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(from.array()?))
    }
}

impl<T: Nullable> Wire for Option<T> {
    fn write(&self, to: &mut Writer) {
        T::write_option(self.as_ref(), to);
    }
    fn read(from: &mut Reader) -> Result<Self, DecodeError> {
        T::read_option(from)
    }
}

/// Whether a nullable struct follows: 1, or -1 for null.
pub fn write_presence(present: bool, to: &mut Writer) {
    (if present { 1i8 } else { -1 }).write(to);
}

/// See [`write_presence`]; as Kafka does, takes every number from 0 as a struct that follows.
pub fn read_presence(from: &mut Reader) -> Result<bool, DecodeError> {
    Ok(i8::read(from)? >= 0)
}

/// [`Wire`] of a type that cannot be null here, by way of its [`Nullable`] form.
macro_rules! required {
    ($ty:ty $(, $($generics:tt)+)?) => {
        impl $(<$($generics)+>)? Wire for $ty {
            fn write(&self, to: &mut Writer) {
                Self::write_option(Some(self), to);
            }
            fn read(from: &mut Reader) -> Result<Self, DecodeError> {
                Self::read_option(from)?.ok_or_else(|| from.error(Problem::Null))
            }
        }
    };
}

required!(String);
impl Nullable for String {
    fn write_option(value: Option<&Self>, to: &mut Writer) {
        to.text(value.map(String::as_str));
    }
    fn read_option(from: &mut Reader) -> Result<Option<Self>, DecodeError> {
        from.length(true)?.map(|length| from.text(length)).transpose()
    }
}

required!(Bytes);
impl Nullable for Bytes {
    fn write_option(value: Option<&Self>, to: &mut Writer) {
        to.length(value.map(Bytes::len), false);
        if let Some(bytes) = value {
            to.bytes(bytes);
        }
    }
    fn read_option(from: &mut Reader) -> Result<Option<Self>, DecodeError> {
        let Some(length) = from.length(false)? else { return Ok(None) };
        let start = from.skip(length)?;
        Ok(Some(from.frame.slice(start..start + length)))
    }
}

/// The records of a partition in a fetch response: a byte string in parts, each one or more whole batches, which are
/// written one behind the other without being copied together.
#[derive(Clone, Default)]
pub struct Records(pub Vec<Bytes>);

impl Records {
    /// Length of all parts in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// All parts as one byte string; copies if there is more than one.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0[..] {
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_bytes().fmt(f)
    }
}

required!(Records);
impl Nullable for Records {
    fn write_option(value: Option<&Self>, to: &mut Writer) {
        to.length(value.map(Records::len), false);
        value.iter().flat_map(|records| &records.0).for_each(|part| to.bytes(part));
    }
    fn read_option(from: &mut Reader) -> Result<Option<Self>, DecodeError> {
        Ok(Bytes::read_option(from)?.map(|bytes| Self(vec![bytes])))
    }
}

required!(Vec<T>, T: Wire);
impl<T: Wire> Nullable for Vec<T> {
    fn write_option(value: Option<&Self>, to: &mut Writer) {
        to.length(value.map(Vec::len), false);
        value.into_iter().flatten().for_each(|element| element.write(to));
    }
    fn read_option(from: &mut Reader) -> Result<Option<Self>, DecodeError> {
        let Some(count) = from.length(false)? else { return Ok(None) };
        // Every element takes at least one byte.
        if count > from.remaining() {
            return Err(from.error(Problem::Truncated));
        }
        let memory = count.saturating_mul(size_of::<T>());
        if memory > from.memory_left {
            return Err(from.error(Problem::TooManyElements));
        }
        from.memory_left -= memory;
        let mut elements = Self::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(from)?);
        }
        Ok(Some(elements))
    }
}
