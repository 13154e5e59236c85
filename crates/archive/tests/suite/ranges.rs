//! RFC 9110, section 14.

use archive::ranges::{ByteRange, content_range, unsatisfied_range};
use proptest::prelude::*;

use ByteRange::{Part, Unsatisfiable, Whole};

const SIZE: u64 = 10_000;

fn requested(header: &str) -> ByteRange {
    ByteRange::requested(header.as_bytes(), SIZE)
}

#[test]
fn the_examples_of_the_standard_are_read_as_it_says() {
    for (header, expected) in [
        ("bytes=0-499", Part(0..500)),
        ("bytes=500-999", Part(500..1000)),
        ("bytes=-500", Part(9500..10_000)),
        ("bytes=9500-", Part(9500..10_000)),
        ("bytes=0-0", Part(0..1)),
        ("bytes=-1", Part(9999..10_000)),
    ] {
        assert_eq!(requested(header), expected, "{header}");
    }
}

#[test]
fn an_end_past_the_end_is_the_end() {
    for (header, expected) in [
        ("bytes=9999-10000", Part(9999..10_000)),
        ("bytes=0-18446744073709551615", Part(0..10_000)),
        ("bytes=0-99999999999999999999999999", Part(0..10_000)),
        ("bytes=-10001", Part(0..10_000)),
        ("bytes=-99999999999999999999999999", Part(0..10_000)),
    ] {
        assert_eq!(requested(header), expected, "{header}");
    }
}

#[test]
fn a_range_without_a_byte_is_unsatisfiable() {
    for header in ["bytes=10000-", "bytes=10000-10001", "bytes=99999999999999999999999999-", "bytes=-0"] {
        assert_eq!(requested(header), Unsatisfiable, "{header}");
    }
}

#[test]
fn several_ranges_are_answered_with_the_whole() {
    for header in ["bytes=0-0,-1", "bytes=0-1,2-3", "bytes=20000-,0-1", "bytes=500-600, 601-999"] {
        assert_eq!(requested(header), Whole, "{header}");
    }
}

#[test]
fn empty_elements_of_the_list_do_not_count() {
    for header in ["bytes=0-499,", "bytes=,0-499", "bytes= , ,0-499\t, ,", "bytes= 0-499 "] {
        assert_eq!(requested(header), Part(0..500), "{header}");
    }
}

#[test]
fn the_unit_is_read_without_regard_to_case() {
    assert_eq!(requested("BYTES=0-499"), Part(0..500));
    assert_eq!(requested("Bytes=0-499"), Part(0..500));
}

#[test]
fn what_is_not_well_formed_or_not_bytes_is_ignored() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=0",
        "bytes=5-4",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1 -2",
        "bytes=1- 2",
        "bytes =0-1",
        " bytes=0-1",
        "bytes:0-1",
        "items=0-1",
        "0-1",
        "=0-1",
        "bytes=0-1;q=1",
        "bytes=０-1",
    ] {
        assert_eq!(requested(header), Whole, "{header:?}");
    }
    assert_eq!(ByteRange::requested(b"bytes=\xff-1", SIZE), Whole);
    assert_eq!(ByteRange::requested(b"bytes=0-\x00", SIZE), Whole);
}

#[test]
fn nothing_can_be_asked_of_an_empty_resource() {
    assert_eq!(ByteRange::requested(b"bytes=0-", 0), Unsatisfiable);
    assert_eq!(ByteRange::requested(b"bytes=0-0", 0), Unsatisfiable);
    assert_eq!(ByteRange::requested(b"bytes=-0", 0), Unsatisfiable);
    assert_eq!(ByteRange::requested(b"bytes=-5", 0), Whole);
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let header = b"bytes=18446744073709551614-18446744073709551615";
    assert_eq!(ByteRange::requested(header, u64::MAX), Part(u64::MAX - 1..u64::MAX));
}

#[test]
fn content_range_is_written_as_the_standard_says() {
    assert_eq!(content_range(&(0..500), SIZE), "bytes 0-499/10000");
    assert_eq!(content_range(&(9999..10_000), SIZE), "bytes 9999-9999/10000");
    assert_eq!(unsatisfied_range(SIZE), "bytes */10000");
}

proptest! {
    #[test]
    fn a_range_gives_the_bytes_between_its_ends(size in 1..50_u64, first in 0..60_u64, last in 0..60_u64) {
        let bytes: Vec<u64> = (0..size).collect();
        let within = |range: std::ops::Range<u64>| -> Vec<u64> { range.collect() };
        let wanted: Vec<u64> = bytes.iter().copied().filter(|byte| (first..=last).contains(byte)).collect();
        match requested_of(&format!("bytes={first}-{last}"), size) {
            Part(part) => prop_assert_eq!(within(part), wanted),
            Unsatisfiable => prop_assert!(wanted.is_empty() && first <= last),
            Whole => prop_assert!(first > last),
        }
        let from: Vec<u64> = bytes.iter().copied().filter(|&byte| byte >= first).collect();
        match requested_of(&format!("bytes={first}-"), size) {
            Part(part) => prop_assert_eq!(within(part), from),
            other => prop_assert!(other == Unsatisfiable && from.is_empty()),
        }
        let suffix: Vec<u64> = bytes.iter().rev().take(usize::try_from(last).unwrap()).rev().copied().collect();
        match requested_of(&format!("bytes=-{last}"), size) {
            Part(part) => prop_assert_eq!(within(part), suffix),
            other => prop_assert!(other == Unsatisfiable && last == 0),
        }
    }
}

fn requested_of(header: &str, size: u64) -> ByteRange {
    ByteRange::requested(header.as_bytes(), size)
}
