use std::io::Write;

use proptest::prelude::*;

use super::pack::compress;
use super::unpack::decompress;
use super::*;
use crate::record::BatchError;
use crate::record::testing::codec;

const PACKED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, None, bytes, &mut out);
    out
}

fn unpacked(codec: Codec, body: &[u8], cap: u64) -> Result<Vec<u8>, BatchError> {
    let mut out = b"left over".to_vec();
    decompress(codec, body, cap, &mut out).map(|()| out)
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        (prop::collection::vec(any::<u8>(), 1..40), 1usize..20_000).prop_map(|(unit, times)| unit.repeat(times)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_codec_gives_back_what_it_took(bytes in content(), codec in codec()) {
        prop_assert_eq!(unpacked(codec, &packed(codec, &bytes), bytes.len() as u64).unwrap(), bytes);
    }

    #[test]
    fn one_byte_above_the_cap_is_too_large(bytes in content().prop_filter("something", |b| !b.is_empty()), codec in codec()) {
        let cap = bytes.len() as u64 - 1;
        prop_assert_eq!(unpacked(codec, &packed(codec, &bytes), cap), Err(BatchError::UnpackedTooLarge { codec, cap }));
    }

    #[test]
    fn a_body_that_ends_early_is_refused(bytes in content(), codec in prop::sample::select(&PACKED[..]), cut in any::<prop::sample::Index>()) {
        let body = packed(codec, &bytes);
        let end = cut.index(body.len());
        // A snappy stream has no end of its own: cut between two chunks it is a shorter stream, which the walk refuses.
        if let Ok(shorter) = unpacked(codec, &body[..end], 1 << 30) {
            prop_assert!(codec == Codec::Snappy && shorter.len() < bytes.len().max(1));
            prop_assert_eq!(shorter.len() % (32 << 10), 0);
        }
    }

    #[test]
    fn a_strangers_bytes_are_refused_or_unpacked_but_never_panic(
        bytes in content(),
        codec in prop::sample::select(&PACKED[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = packed(codec, &bytes);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(out) = unpacked(codec, &body, 1 << 20) {
            prop_assert!(out.len() <= 1 << 20);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), codec in codec()) {
        let _ = unpacked(codec, &bytes, 1 << 20);
    }

    #[test]
    fn both_framings_of_snappy_are_read(bytes in content()) {
        let raw = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
        prop_assert_eq!(&unpacked(Codec::Snappy, &raw, 1 << 30).unwrap(), &bytes);
        let xerial = packed(Codec::Snappy, &bytes);
        prop_assert!(xerial.starts_with(b"\x82SNAPPY\0"));
        prop_assert_eq!(unpacked(Codec::Snappy, &xerial, 1 << 30).unwrap(), bytes);
    }
}

#[test]
fn a_bomb_costs_no_more_memory_than_the_cap() {
    const CAP: u64 = 1 << 20;
    let zeros = vec![0; 100 << 20];
    let mut streamed = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    streamed.write_all(&zeros).unwrap();
    let raw_snappy = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
    let bombs = PACKED.map(|codec| (codec, packed(codec, &zeros)));
    let more = [(Codec::Zstd, streamed.finish().unwrap()), (Codec::Snappy, raw_snappy)];
    for (codec, bomb) in bombs.into_iter().chain(more) {
        let mut out = Vec::new();
        assert_eq!(decompress(codec, &bomb, CAP, &mut out), Err(BatchError::UnpackedTooLarge { codec, cap: CAP }));
        assert!(out.capacity() as u64 <= 4 * CAP, "{codec} took {} bytes", out.capacity());
    }
}

#[test]
fn a_snappy_block_cannot_ask_for_memory_that_it_cannot_fill() {
    // Five bytes that declare 16 MiB.
    let mut out = Vec::new();
    let result = decompress(Codec::Snappy, &[0x80, 0x80, 0x80, 0x08, 0], 64 << 20, &mut out);
    assert!(matches!(result, Err(BatchError::Unpack { codec: Codec::Snappy, .. })), "{result:?}");
    assert_eq!(out.capacity(), 0);
}

/// Zstd as the Java client writes it: a stream whose frame does not say how long it is, so the buffer has to grow.
#[test]
fn zstd_frames_of_unknown_length_are_read() {
    let bytes = b"a line that repeats itself\n".repeat(200_000);
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&bytes).unwrap();
    let body = encoder.finish().unwrap();
    assert_eq!(zstd::zstd_safe::get_frame_content_size(&body).unwrap(), None);
    assert!(bytes.len() > 8 * body.len(), "the first guess must be too small");
    assert_eq!(unpacked(Codec::Zstd, &body, bytes.len() as u64).unwrap(), bytes);
}

/// The first frame says that it is empty, which says nothing about the second.
#[test]
fn several_zstd_frames_are_one_stream() {
    let body = [packed(Codec::Zstd, b""), packed(Codec::Zstd, b"one "), packed(Codec::Zstd, b"two")].concat();
    let mut out = Vec::new();
    decompress(Codec::Zstd, &body, 7, &mut out).unwrap();
    assert_eq!(out, b"one two");
    let result = decompress(Codec::Zstd, &body, 6, &mut Vec::new());
    assert_eq!(result, Err(BatchError::UnpackedTooLarge { codec: Codec::Zstd, cap: 6 }));
}

#[test]
fn an_empty_body_is_refused() {
    for codec in PACKED {
        assert!(matches!(unpacked(codec, b"", 10), Err(BatchError::Unpack { .. })), "{codec}");
    }
}

#[test]
fn several_gzip_members_are_one_stream() {
    let body = [packed(Codec::Gzip, b"one "), packed(Codec::Gzip, b"two")].concat();
    assert_eq!(unpacked(Codec::Gzip, &body, 100).unwrap(), b"one two");
}

mod lz4_frames {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    fn frame(info: FrameInfo, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn reason(body: &[u8]) -> String {
        match unpacked(Codec::Lz4, body, 1 << 30) {
            Err(BatchError::Unpack { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_block_size_and_checksum_is_read() {
        let bytes: Vec<u8> = (0..3_000_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for (block, content, length) in
                [(false, false, false), (true, false, true), (false, true, false), (true, true, true)]
            {
                let info = FrameInfo::new()
                    .block_mode(BlockMode::Independent)
                    .block_size(size)
                    .block_checksums(block)
                    .content_checksum(content)
                    .content_size(length.then_some(bytes.len() as u64));
                let mut body = frame(info, &bytes);
                assert!(unpacked(Codec::Lz4, &body, 1 << 30).unwrap() == bytes, "{size:?} {block} {content}");
                let last = body.len() - if content { 1 } else { 5 };
                body[last] ^= 1;
                if block || content {
                    assert!(reason(&body).contains("checksum"));
                }
            }
        }
    }

    #[test]
    fn what_kafka_does_not_allow_is_refused_by_name() {
        let linked = frame(FrameInfo::new().block_mode(BlockMode::Linked), b"abc");
        assert!(reason(&linked).contains("depend on each other"));
        let good = packed(Codec::Lz4, b"abc");
        assert!(reason(&[&good[..], b"x"].concat()).contains("bytes follow the frame"));
        assert!(reason(b"no frame at all").contains("does not begin"));
        let mut wrong_sum = good.clone();
        wrong_sum[6] ^= 1;
        assert!(reason(&wrong_sum).contains("header's checksum"));
        let mut other_version = good;
        other_version[4] ^= 0x80;
        assert!(reason(&other_version).contains("version"));
    }
}

#[test]
fn names_and_numbers_are_kafkas() {
    for (code, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec: Codec = name.parse().unwrap();
        assert_eq!(usize::from(codec.code()), code);
        assert_eq!(Codec::from_code(code as u8), Some(codec));
        assert_eq!(codec.to_string(), name);
    }
    assert_eq!(Codec::from_code(5), None);
    assert!("LZ4".parse::<Codec>().unwrap_err().to_string().contains("'LZ4'"));
}
