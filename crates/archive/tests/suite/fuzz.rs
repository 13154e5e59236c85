//! The fuzz targets of this crate, run for a moment on the bytes of a fixed seed (`fuzz/README.md`).

use proptest::{prelude::*, test_runner::RngSeed};

#[path = "../../../../fuzz/checks/ranges.rs"]
mod ranges;

/// Bytes that get past the first branch: random ones between the words of the grammar.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 14] = [
        b"bytes=",
        b"-",
        b",",
        b"0",
        b"99",
        b"18446744073709551616",
        b" ",
        b"\n",
        b"*",
        b"\"5a1e\"",
        b"W/",
        b"\"",
        b"Bytes=",
        b"\t",
    ];
    let word = prop_oneof![
        9 => prop::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    let size = prop_oneof![0..200_u64, any::<u64>()];
    let header = prop::collection::vec(word, 0..24);
    (size, header).prop_map(|(size, header)| [size.to_le_bytes().to_vec(), header.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, rng_seed: RngSeed::Fixed(3), ..ProptestConfig::default() })]

    #[test]
    fn no_request_for_ranges_breaks_the_rules(data in headers()) {
        ranges::check(&data);
    }

    #[test]
    fn no_random_bytes_break_the_rules_of_ranges(data in prop::collection::vec(any::<u8>(), 0..64)) {
        ranges::check(&data);
    }
}
