//! The header of a Parquet page: Thrift's compact protocol, as much of it as pages use (parquet.thrift `PageHeader`).
//! Reads only bytes that a checksum covered, and still trusts no length.

/// What a page header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Bytes of the header itself.
    pub(super) len: usize,
    pub(super) kind: PageKind,
    /// Bytes of the body after decompression.
    pub(super) unpacked: usize,
    /// Bytes of the body as stored.
    pub(super) stored: usize,
    /// Values (nulls included) of a data page; entries of a dictionary.
    pub(super) values: usize,
    /// Parquet's number of the encoding.
    pub(super) encoding: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Dictionary,
    /// Levels are in the body, each with its length, and compressed with it.
    V1,
    /// Levels come first, never compressed.
    V2 {
        rep_len: usize,
        def_len: usize,
        compressed: bool,
    },
}

/// Structures within structures that are skipped, at most.
const DEPTH_MAX: u32 = 8;

impl PageHeader {
    /// Parses the header at the beginning of `bytes`; None when it is not one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Input { bytes, at: 0 };
        let mut numbers = [None; 4]; // 1 type, 2 unpacked, 3 stored
        let mut body: Option<(i64, Body)> = None;
        input.structure(|id, kind, input| match (id, kind) {
            (1..=3, Kind::Int) => input.zigzag().map(|number| numbers[id as usize] = Some(number)),
            (5 | 7 | 8, Kind::Struct) => Body::parse(id, input).map(|parsed| body = Some((id, parsed))),
            _ => input.skip(kind, DEPTH_MAX),
        })?;
        let (body_id, body) = body?;
        let size = |number: Option<i64>| number.and_then(|n| usize::try_from(n).ok());
        let kind = match (numbers[1]?, body_id) {
            (0, 5) => PageKind::V1,
            (2, 7) => PageKind::Dictionary,
            (3, 8) => {
                let (rep_len, def_len) = (size(body.rep_len)?, size(body.def_len)?);
                PageKind::V2 { rep_len, def_len, compressed: body.compressed }
            }
            _ => return None,
        };
        Some(Self {
            len: input.at,
            kind,
            unpacked: size(numbers[2])?,
            stored: size(numbers[3])?,
            values: size(body.values)?,
            encoding: body.encoding?,
        })
    }
}

/// The part of the header that belongs to one kind of page.
#[derive(Default)]
struct Body {
    values: Option<i64>,
    encoding: Option<i64>,
    def_len: Option<i64>,
    rep_len: Option<i64>,
    compressed: bool,
}

impl Body {
    fn parse(page: i64, input: &mut Input<'_>) -> Option<Self> {
        let mut body = Self { compressed: true, ..Self::default() };
        input.structure(|id, kind, input| match (page, id, kind) {
            (_, 1, Kind::Int) => input.zigzag().map(|n| body.values = Some(n)),
            (5 | 7, 2, Kind::Int) | (8, 4, Kind::Int) => input.zigzag().map(|n| body.encoding = Some(n)),
            (8, 5, Kind::Int) => input.zigzag().map(|n| body.def_len = Some(n)),
            (8, 6, Kind::Int) => input.zigzag().map(|n| body.rep_len = Some(n)),
            (8, 7, Kind::Bool(is)) => {
                body.compressed = is;
                Some(())
            }
            _ => input.skip(kind, DEPTH_MAX),
        })?;
        Some(body)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Bool(bool),
    Byte,
    Int,
    Double,
    Binary,
    List,
    Struct,
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn advance(&mut self, len: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(len).ok()?)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        self.varint().map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// Hands each field to `field`, which must consume it.
    fn structure(&mut self, mut field: impl FnMut(i64, Kind, &mut Self) -> Option<()>) -> Option<()> {
        let mut id = 0i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.zigzag()?,
                delta => id + i64::from(delta),
            };
            field(id, kind(head & 0x0f)?, self)?;
        }
    }

    fn skip(&mut self, kind: Kind, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            Kind::Bool(_) => Some(()),
            Kind::Byte => self.advance(1),
            Kind::Int => self.varint().map(|_| ()),
            Kind::Double => self.advance(8),
            Kind::Binary => {
                let len = self.varint()?;
                self.advance(len)
            }
            Kind::List => self.skip_list(depth),
            Kind::Struct => self.structure(|_, kind, input| input.skip(kind, depth)),
        }
    }

    fn skip_list(&mut self, depth: u32) -> Option<()> {
        let head = self.byte()?;
        let len = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        for _ in 0..len {
            match kind(head & 0x0f)? {
                Kind::Bool(_) => self.advance(1)?, // in a list a boolean takes a byte
                kind => self.skip(kind, depth)?,
            }
        }
        Some(())
    }
}

/// Maps have no place in a page header and are refused.
fn kind(number: u8) -> Option<Kind> {
    Some(match number {
        1 => Kind::Bool(true),
        2 => Kind::Bool(false),
        3 => Kind::Byte,
        4..=6 => Kind::Int,
        7 => Kind::Double,
        8 => Kind::Binary,
        9 | 10 => Kind::List,
        12 => Kind::Struct,
        _ => return None,
    })
}
