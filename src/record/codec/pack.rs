//! Packing: what a batch builder writes.
use std::cell::RefCell;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::zstd_safe::{self, CCtx};

use super::{Codec, lz4, snappy};

thread_local! {
    /// Making a context costs more than packing a small batch.
    static ZSTD: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
}

/// Appends the packed form of `records` to `out`. `level` is the codec's own (gzip 0-9, zstd), clamped to what it knows;
/// snappy and lz4 have none.
pub(in crate::record) fn compress(codec: Codec, level: Option<i32>, records: &[u8], out: &mut Vec<u8>) {
    match codec {
        Codec::None => out.extend_from_slice(records),
        Codec::Gzip => gzip(level, records, out),
        Codec::Snappy => snappy::pack(records, out),
        Codec::Lz4 => lz4::pack(records, out),
        Codec::Zstd => zstd(level, records, out),
    }
}

fn gzip(level: Option<i32>, records: &[u8], out: &mut Vec<u8>) {
    let level = level.map_or(Compression::default(), |level| Compression::new(level.clamp(0, 9).cast_unsigned()));
    let mut encoder = GzEncoder::new(std::mem::take(out), level);
    encoder.write_all(records).expect("writing to memory does not fail");
    *out = encoder.finish().expect("writing to memory does not fail");
}

fn zstd(level: Option<i32>, records: &[u8], out: &mut Vec<u8>) {
    let level = level.unwrap_or(zstd_safe::CLEVEL_DEFAULT).clamp(zstd_safe::min_c_level(), zstd_safe::max_c_level());
    let start = out.len();
    out.resize(start + zstd_safe::compress_bound(records.len()), 0);
    let length = ZSTD
        .with_borrow_mut(|context| context.compress(&mut out[start..], records, level))
        .expect("the buffer has the encoder's own bound");
    out.truncate(start + length);
}
