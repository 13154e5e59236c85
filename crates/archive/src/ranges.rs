//! The `Range` request header and the `Content-Range` response header for bytes (RFC 9110, section
//! 14).

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByteRange {
    /// All bytes: the header is to be ignored. That is so for what is not a `bytes` range or not
    /// well-formed, and for several ranges at once, which a server need not serve.
    Whole,
    /// These bytes: at least one, and none past the end.
    Part(Range<u64>),
    /// Only bytes past the end, or the last zero bytes: the answer is 416.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads the value of a `Range` header that asks for a part of `size_bytes` bytes. To be called
    /// for GET only: with any other method the header means nothing (section 14.2). A request with
    /// several `Range` lines is not well-formed either: treat it as one without.
    ///
    /// The unit is read without regard to case; numbers of any length are understood.
    pub fn requested(header: &[u8], size_bytes: u64) -> Self {
        let Some(spec) = only_spec(header) else { return Self::Whole };
        let Some(dash) = spec.iter().position(|&byte| byte == b'-') else { return Self::Whole };
        match (&spec[..dash], &spec[dash + 1..]) {
            (b"", suffix) => number(suffix).map_or(Self::Whole, |length| last(length, size_bytes)),
            (first, b"") => number(first).map_or(Self::Whole, |first| between(first, u64::MAX, size_bytes)),
            (first, last) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => between(first, last, size_bytes),
                _ => Self::Whole,
            },
        }
    }
}

/// The value of `Content-Range` for 206: `bytes 0-99/1234`. `part` is not empty.
pub fn content_range(part: &Range<u64>, size_bytes: u64) -> String {
    format!("bytes {}-{}/{size_bytes}", part.start, part.end.saturating_sub(1))
}

/// The value of `Content-Range` for 416: `bytes */1234`.
pub fn unsatisfied_range(size_bytes: u64) -> String {
    format!("bytes */{size_bytes}")
}

/// The only range of a `bytes` header; `None` if there are more, or none.
fn only_spec(header: &[u8]) -> Option<&[u8]> {
    let equals = header.iter().position(|&byte| byte == b'=')?;
    let (unit, set) = (&header[..equals], &header[equals + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    // A list may hold empty elements, which do not count (section 5.6.1.2).
    let mut specs = set.split(|&byte| byte == b',').map(trim_whitespace).filter(|spec| !spec.is_empty());
    let only = specs.next();
    if specs.next().is_some() { None } else { only }
}

/// Bytes `first` to `last`, both included.
fn between(first: u64, last: u64, size_bytes: u64) -> ByteRange {
    if first >= size_bytes {
        return ByteRange::Unsatisfiable;
    }
    ByteRange::Part(first..last.saturating_add(1).min(size_bytes))
}

/// The last `length` bytes.
fn last(length: u64, size_bytes: u64) -> ByteRange {
    match (length, size_bytes) {
        (0, _) => ByteRange::Unsatisfiable,
        // Satisfiable by the letter (section 14.1.2), but no `Content-Range` can say "no bytes".
        (_, 0) => ByteRange::Whole,
        _ => ByteRange::Part(size_bytes.saturating_sub(length)..size_bytes),
    }
}

/// A number of one or more digits; one that is too large counts as the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, append))
}

/// Without spaces and tabs at either end.
fn trim_whitespace(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
