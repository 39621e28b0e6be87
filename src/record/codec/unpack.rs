//! Unpacking under a cap that is counted while it runs: a batch is a stranger's until it is checked, and a few bytes may
//! stand for terabytes.
use std::cell::RefCell;
use std::io::Read;

use zstd::zstd_safe::{self, DCtx, zstd_sys::ZSTD_ErrorCode};

use super::{Codec, lz4, snappy};
use crate::record::batch::BatchError;

/// Bytes that are tried first where the compressed form does not say how long it is: most batches are small.
const GUESS_MIN: usize = 128 << 10;
/// The first guess otherwise, as a multiple of the compressed length.
const GUESS_RATIO: usize = 8;

/// Why a body did not unpack; [`decompress`] adds the codec's name.
#[derive(Debug)]
pub(super) enum Problem {
    /// More than the cap.
    TooLarge,
    /// Not what the codec writes.
    Broken(String),
}

impl From<&str> for Problem {
    fn from(reason: &str) -> Self {
        Self::Broken(reason.to_owned())
    }
}

/// Replaces `out` by the unpacked form of `body`, at most `cap` bytes. What was written to `out` before an error is not to
/// be used.
///
/// Errors: [`BatchError::UnpackedTooLarge`], [`BatchError::Unpack`].
pub(in crate::record) fn decompress(codec: Codec, body: &[u8], cap: u64, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let limit = usize::try_from(cap).unwrap_or(usize::MAX);
    out.clear();
    let result = match codec {
        Codec::None if body.len() > limit => Err(Problem::TooLarge),
        Codec::None => {
            out.extend_from_slice(body);
            Ok(())
        }
        Codec::Gzip => gunzip(body, limit, out),
        Codec::Snappy => snappy::unpack(body, limit, out),
        Codec::Lz4 => lz4::unpack(body, limit, out),
        Codec::Zstd => unzstd(body, limit, out),
    };
    result.map_err(|problem| match problem {
        Problem::TooLarge => BatchError::UnpackedTooLarge { codec, cap },
        Problem::Broken(reason) => BatchError::Unpack { codec, reason },
    })
}

/// Several members one after the other are one stream, as for Java's `GZIPInputStream`.
fn gunzip(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    out.reserve(guess(body, limit));
    let one_more = (limit as u64).saturating_add(1);
    let decoder = flate2::bufread::MultiGzDecoder::new(body);
    decoder.take(one_more).read_to_end(out).map_err(|e| Problem::Broken(e.to_string()))?;
    if out.len() > limit { Err(Problem::TooLarge) } else { Ok(()) }
}

thread_local! {
    /// Making a context costs more than unpacking a small batch.
    static ZSTD: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// In one call into a buffer that grows until it fits: unlike a stream this needs no window of its own, whose size the
/// stranger would choose. The buffer's memory is touched only where something was written.
fn unzstd(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    let declared = zstd_safe::get_frame_content_size(body).map_err(|_| Problem::from("the frame header is broken"))?;
    let mut room = match declared {
        Some(size) if size > limit as u64 => return Err(Problem::TooLarge),
        Some(size) => usize::try_from(size).unwrap_or(limit),
        None => guess(body, limit),
    };
    ZSTD.with_borrow_mut(|context| {
        loop {
            out.reserve_exact(room);
            match context.decompress(out, body) {
                Ok(length) if length > limit => return Err(Problem::TooLarge),
                Ok(_) => return Ok(()),
                Err(code) if !is_too_small(code) => {
                    return Err(Problem::Broken(zstd_safe::get_error_name(code).to_owned()));
                }
                Err(_) if out.capacity() >= limit => return Err(Problem::TooLarge),
                Err(_) => room = out.capacity().saturating_mul(2).max(GUESS_MIN).min(limit),
            }
        }
    })
}

/// Zstd answers an error as its number, negated.
fn is_too_small(code: zstd_safe::ErrorCode) -> bool {
    code.wrapping_neg() == ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize
}

fn guess(body: &[u8], limit: usize) -> usize {
    body.len().saturating_mul(GUESS_RATIO).max(GUESS_MIN).min(limit)
}
