//! Stored objects: blocks, trailer, digests.

use std::io::{Read, Write};

use archive::gzip::{
    BLOCK_BYTES, Digest, HEADER, MAX_DEFLATED_BLOCK_BYTES, TRAILER_BYTES, deflate_block, deflated_range,
    trailer,
};
use flate2::{Decompress, FlushDecompress, Status, bufread::DeflateDecoder, bufread::GzDecoder};
use proptest::prelude::*;

use crate::tools;

/// The object that an upload of `data` makes.
pub(crate) fn object(data: &[u8]) -> Vec<u8> {
    let mut object = HEADER.to_vec();
    for block in data.chunks(BLOCK_BYTES) {
        object.extend(deflate_block(block));
    }
    let Digest { crc32, size_bytes } = Digest::of(data);
    object.extend(trailer(crc32, size_bytes));
    object
}

/// Rows as an application sends them: about four to one.
pub(crate) fn rows(bytes: usize) -> Vec<u8> {
    let mut data = Vec::new();
    let mut seed = 1_u64;
    while data.len() < bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (a, b) = (seed >> 40, seed >> 20 & 0xff);
        writeln!(
            data,
            r#"{{"id":"{seed:016x}","host":"host-{a}.example.com","cpu_count":{b},"stale":false}},"#
        )
        .unwrap();
    }
    data.truncate(bytes);
    data
}

/// What cannot be compressed.
fn noise(bytes: usize) -> Vec<u8> {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}

/// Inflates one block that nothing precedes or follows.
fn inflate_alone(block: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(BLOCK_BYTES + 1);
    let mut inflater = Decompress::new(false);
    let status =
        inflater.decompress_vec(block, &mut data, FlushDecompress::Sync).expect("valid deflate data");
    assert_ne!(status, Status::StreamEnd, "a block must not end the stream");
    assert_eq!(inflater.total_in(), block.len() as u64);
    data
}

#[test]
fn an_object_is_a_gzip_file() {
    let data = rows(5 * BLOCK_BYTES / 2);
    let object = object(&data);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("object.gz");
    std::fs::write(&path, &object).unwrap();

    tools::output(("gzip", "gzip"), |gzip| gzip.arg("--test").arg(&path));
    let unpacked = tools::output(("gzip", "gzip"), |gzip| gzip.args(["--decompress", "--stdout"]).arg(&path));
    assert!(unpacked == data);
}

#[test]
fn an_object_of_no_data_is_a_gzip_file_too() {
    let object = object(b"");
    assert_eq!(object.len(), HEADER.len() + TRAILER_BYTES);
    let mut data = Vec::new();
    GzDecoder::new(&object[..]).read_to_end(&mut data).unwrap();
    assert_eq!(data, b"");
}

#[test]
fn the_deflated_range_of_an_object_is_a_whole_deflate_stream() {
    let data = rows(BLOCK_BYTES + 12_345);
    let object = object(&data);
    let range = deflated_range(object.len() as u64);
    let stream = &object[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
    let mut inflater = DeflateDecoder::new(stream);
    let mut inflated = Vec::new();
    inflater.read_to_end(&mut inflated).unwrap();
    assert!(inflated == data);
    assert_eq!(inflater.total_in(), stream.len() as u64);
}

#[test]
fn the_deflated_range_of_what_is_too_short_to_be_an_object_is_empty() {
    for stored_bytes in 0..=18 {
        assert!(deflated_range(stored_bytes).is_empty(), "{stored_bytes}");
    }
    assert_eq!(deflated_range(20), 10..12);
}

#[test]
fn the_trailer_holds_the_size_modulo_four_gibibytes() {
    let trailer = trailer(0x1234_5678, (5 << 32) + 7);
    assert_eq!(trailer, [0x03, 0x00, 0x78, 0x56, 0x34, 0x12, 7, 0, 0, 0]);
}

#[test]
fn rows_compress_at_least_three_to_one() {
    let data = rows(BLOCK_BYTES);
    let block = deflate_block(&data);
    assert!(block.len() * 3 < data.len(), "{} bytes", block.len());
    assert_eq!(block.capacity(), block.len(), "a block must not hold the room it no longer needs");
}

#[test]
fn noise_grows_by_no_more_than_the_limit() {
    for size in [1, 2, 100, 65_535, 65_536, BLOCK_BYTES - 1, BLOCK_BYTES] {
        let data = noise(size);
        let block = deflate_block(&data);
        assert!(block.len() <= size + 5 * size.div_ceil(65_535) + 5, "{size} became {}", block.len());
        assert!(block.len() <= MAX_DEFLATED_BLOCK_BYTES);
        assert!(inflate_alone(&block) == data);
    }
}

#[test]
fn more_than_a_block_is_cut_into_blocks() {
    let data = rows(2 * BLOCK_BYTES + 1);
    let blocks: Vec<u8> = data.chunks(BLOCK_BYTES).flat_map(deflate_block).collect();
    assert!(deflate_block(&data) == blocks);
}

#[test]
fn a_block_of_one_repeated_byte_is_small() {
    for byte in [0, b' ', 0xff] {
        let block = deflate_block(&vec![byte; BLOCK_BYTES]);
        assert!(block.len() < 8192, "{byte}: {} bytes", block.len());
    }
}

/// Data of every kind that makes deflate take another path: text, runs, copies near and far, noise.
fn any_data() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (any::<u8>(), 1..3000_usize).prop_map(|(byte, times)| vec![byte; times]),
        prop::collection::vec(any::<u8>(), 0..500),
        prop::collection::vec(b'a'..b'f', 0..500),
        (1..5000_usize).prop_map(rows),
        (1..50_000_usize).prop_map(noise),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_block_gives_back_its_data_and_is_ended_by_a_marker(data in any_data()) {
        let block = deflate_block(&data);
        prop_assert!(block.ends_with(&[0x00, 0x00, 0xff, 0xff]));
        prop_assert!(inflate_alone(&block) == data);
    }

    #[test]
    fn blocks_of_any_sizes_concatenate(parts in prop::collection::vec(any_data(), 0..5)) {
        let mut stream: Vec<u8> = parts.iter().flat_map(|part| deflate_block(part)).collect();
        stream.extend([0x03, 0x00]);
        let mut inflated = Vec::new();
        DeflateDecoder::new(&stream[..]).read_to_end(&mut inflated).unwrap();
        prop_assert!(inflated == parts.concat());
    }

    #[test]
    fn digests_of_parts_combine_to_the_digest_of_all(parts in prop::collection::vec(any_data(), 0..5)) {
        let combined = parts.iter().fold(Digest::default(), |digest, part| digest.combine(Digest::of(part)));
        prop_assert_eq!(combined, Digest::of(&parts.concat()));
    }
}
