//! What a record is: the borrowed form that travels through seal and replay, and the owned form for those who keep one.
use std::fmt;

use bytes::Bytes;

use super::batch::BatchError;
use super::varint::Reader;

/// Which clock a timestamp came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// `CreateTime`: set by the producer.
    #[default]
    Create,
    /// `LogAppendTime`: set by the broker, one for the whole batch.
    Append,
}

impl TimestampType {
    /// 0 create, 1 append: the number in segments and in the record hash, and Kafka's attribute bit.
    pub fn code(self) -> u8 {
        match self {
            Self::Create => 0,
            Self::Append => 1,
        }
    }

    /// The inverse of [`TimestampType::code`].
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Create),
            1 => Some(Self::Append),
            _ => None,
        }
    }
}

/// One record, borrowed from wherever it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Absolute offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; -1 is Kafka's "none".
    pub timestamp: i64,
    /// Which clock `timestamp` came from.
    pub timestamp_type: TimestampType,
    /// Epoch of the broker life that appended the record, -1 unknown.
    pub leader_epoch: i32,
    /// The key; null and empty are different.
    pub key: Option<&'a [u8]>,
    /// The value; null and empty are different.
    pub value: Option<&'a [u8]>,
    /// The headers, in order, duplicates kept.
    pub headers: Headers<'a>,
}

impl RecordRef<'_> {
    /// The timestamp of a record that has none.
    pub const NO_TIMESTAMP: i64 = -1;

    /// Bytes of key, value, header keys and header values: what "payload" means in counts, limits and budgets.
    pub fn payload_bytes(&self) -> u64 {
        self.key.map_or(0, |k| k.len() as u64) + self.value.map_or(0, |v| v.len() as u64) + self.headers.payload_bytes()
    }

    /// An owned copy.
    pub fn to_record(&self) -> Record {
        Record {
            offset: self.offset,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type,
            leader_epoch: self.leader_epoch,
            key: self.key.map(Bytes::copy_from_slice),
            value: self.value.map(Bytes::copy_from_slice),
            headers: self.headers.iter().map(|(k, v)| Header::new(k, v)).collect(),
        }
    }
}

/// One record that owns its bytes; fields as in [`RecordRef`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Absolute offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; -1 is Kafka's "none".
    pub timestamp: i64,
    /// Which clock `timestamp` came from.
    pub timestamp_type: TimestampType,
    /// Epoch of the broker life that appended the record, -1 unknown.
    pub leader_epoch: i32,
    /// The key; null and empty are different.
    pub key: Option<Bytes>,
    /// The value; null and empty are different.
    pub value: Option<Bytes>,
    /// The headers, in order, duplicates kept.
    pub headers: Vec<Header>,
}

impl Record {
    /// A borrowed view.
    #[allow(clippy::should_implement_trait)] // `AsRef` cannot return a struct of borrows
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type,
            leader_epoch: self.leader_epoch,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::owned(&self.headers),
        }
    }
}

/// One header of an owned record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Header {
    /// The key: UTF-8, as produce checks; kept as bytes.
    pub key: Bytes,
    /// The value; null and empty are different.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header that owns copies of `key` and `value`.
    pub fn new(key: &[u8], value: Option<&[u8]>) -> Self {
        Self { key: Bytes::copy_from_slice(key), value: value.map(Bytes::copy_from_slice) }
    }
}

/// A key and a value of one header, borrowed.
pub type HeaderRef<'a> = (&'a [u8], Option<&'a [u8]>);

/// The headers of one record: a view over a batch's own encoding, over owned headers, or over borrowed pairs. All three
/// compare by content.
#[derive(Clone, Copy)]
pub struct Headers<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// As in a v2 record after the count, already walked once.
    Encoded {
        count: u32,
        bytes: &'a [u8],
    },
    Owned(&'a [Header]),
    Pairs(&'a [HeaderRef<'a>]),
}

impl<'a> Headers<'a> {
    /// No headers.
    pub const NONE: Self = Self(Source::Pairs(&[]));

    /// Headers of one record at most; produce refuses more. A header takes memory and time where records are decoded and
    /// sealed, also one of no bytes, of which 8 million take 1,500 bytes on the wire.
    pub const COUNT_MAX: usize = 100_000;

    /// A view over owned headers.
    pub fn owned(headers: &'a [Header]) -> Self {
        Self(Source::Owned(headers))
    }

    /// A view over borrowed pairs.
    pub fn pairs(pairs: &'a [HeaderRef<'a>]) -> Self {
        Self(Source::Pairs(pairs))
    }

    /// A view over `count` headers in the encoding of a v2 record (varint key length, key, varint value length or -1,
    /// value); walks them once. Errors when `bytes` are not exactly `count` headers.
    pub fn parse(count: u32, bytes: &'a [u8]) -> Result<Self, BatchError> {
        let mut reader = Reader::new(bytes);
        let found = Self::read(&mut reader, count).map_err(|problem| BatchError::Record { index: 0, problem })?;
        if !reader.is_empty() {
            return Err(BatchError::Record { index: 0, problem: "bytes follow the last header" });
        }
        Ok(found)
    }

    /// Walks `count` headers and takes the view of exactly their bytes.
    #[inline]
    pub(super) fn read(reader: &mut Reader<'a>, count: u32) -> Result<Self, &'static str> {
        let start = reader.rest();
        for _ in 0..count {
            read_header(reader)?;
        }
        let bytes = &start[..start.len() - reader.rest().len()];
        Ok(Self(Source::Encoded { count, bytes }))
    }

    /// How many.
    #[inline]
    pub fn count(&self) -> usize {
        match self.0 {
            Source::Encoded { count, .. } => count as usize,
            Source::Owned(headers) => headers.len(),
            Source::Pairs(pairs) => pairs.len(),
        }
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The headers in order.
    pub fn iter(&self) -> HeaderIter<'a> {
        HeaderIter(match self.0 {
            Source::Encoded { count, bytes } => Iter::Encoded { left: count, reader: Reader::new(bytes) },
            Source::Owned(headers) => Iter::Owned(headers.iter()),
            Source::Pairs(pairs) => Iter::Pairs(pairs.iter()),
        })
    }

    /// Bytes of all keys and values, without lengths.
    pub fn payload_bytes(&self) -> u64 {
        self.iter().map(|(key, value)| key.len() as u64 + value.map_or(0, |v| v.len() as u64)).sum()
    }
}

impl Default for Headers<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = HeaderRef<'a>;
    type IntoIter = HeaderIter<'a>;
    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Iterates over [`Headers`].
#[derive(Clone, Debug)]
pub struct HeaderIter<'a>(Iter<'a>);

#[derive(Clone, Debug)]
enum Iter<'a> {
    Encoded { left: u32, reader: Reader<'a> },
    Owned(std::slice::Iter<'a, Header>),
    Pairs(std::slice::Iter<'a, HeaderRef<'a>>),
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<HeaderRef<'a>> {
        match &mut self.0 {
            Iter::Encoded { left, reader } => {
                *left = left.checked_sub(1)?;
                Some(read_header(reader).expect("the view was made by a walk over the same bytes"))
            }
            Iter::Owned(headers) => headers.next().map(|h| (&h.key[..], h.value.as_deref())),
            Iter::Pairs(pairs) => pairs.next().copied(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Iter::Encoded { left, .. } => *left as usize,
            Iter::Owned(headers) => headers.len(),
            Iter::Pairs(pairs) => pairs.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

fn read_header<'a>(reader: &mut Reader<'a>) -> Result<HeaderRef<'a>, &'static str> {
    let key = reader.nullable_bytes().ok_or("a header key runs past the record")?.ok_or("a header key is null")?;
    let value = reader.nullable_bytes().ok_or("a header value runs past the record")?;
    Ok((key, value))
}
