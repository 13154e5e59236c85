//! Conditional requests (RFC 9110, section 13) for a resource that has a strong entity tag and no
//! date of modification: what is to be answered to a GET or HEAD.

use std::{fmt, ops::Range};

use thiserror::Error;

use crate::ranges::ByteRange;

/// A strong entity tag: two bodies of the same tag are the same, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag(String);

/// The text holds a character that an entity tag cannot: anything but visible ASCII except `"`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} cannot be an entity tag")]
pub struct InvalidEntityTag(String);

impl EntityTag {
    /// A tag whose text between the quotes is `opaque`.
    ///
    /// # Errors
    /// [`InvalidEntityTag`] if the text holds anything but visible ASCII characters except `"`.
    pub fn strong(opaque: impl Into<String>) -> Result<Self, InvalidEntityTag> {
        let opaque = opaque.into();
        if opaque.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
            Ok(Self(opaque))
        } else {
            Err(InvalidEntityTag(opaque))
        }
    }
}

/// As in the `ETag` header: with its quotes.
impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// The method of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET: the only one for which `Range` means anything.
    Get,
    /// HEAD: answered as GET without ranges would be, without the body.
    Head,
}

/// The conditional headers of a request, as they were received. The conditions on dates
/// (`If-Modified-Since`, `If-Unmodified-Since`) do not apply to a resource without one.
#[derive(Debug, Clone, Default)]
pub struct Conditions<'a> {
    /// The values of all `If-Match` lines; empty if there is none.
    pub if_match: Vec<&'a [u8]>,
    /// The values of all `If-None-Match` lines; empty if there is none.
    pub if_none_match: Vec<&'a [u8]>,
    /// The value of `If-Range`.
    pub if_range: Option<&'a [u8]>,
    /// The value of `Range`; `None` also if there are several lines of it.
    pub range: Option<&'a [u8]>,
}

/// How a request is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200 with all bytes.
    Whole,
    /// 206 with these bytes: at least one, and none past the end.
    Part(Range<u64>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    RangeNotSatisfiable,
}

impl Conditions<'_> {
    /// Evaluates the conditions in the order of section 13.2.2 for a resource that exists, with the
    /// tag `current` and `size_bytes` bytes. A condition that is not well-formed holds for no tag.
    pub fn evaluate(&self, method: Method, current: &EntityTag, size_bytes: u64) -> Answer {
        if !self.if_match.is_empty() && !any_match(&self.if_match, current, Comparison::Strong) {
            return Answer::PreconditionFailed;
        }
        if any_match(&self.if_none_match, current, Comparison::Weak) {
            return Answer::NotModified;
        }
        match self.range {
            Some(range) if method == Method::Get && self.if_range_holds(current) => {
                match ByteRange::requested(range, size_bytes) {
                    ByteRange::Whole => Answer::Whole,
                    ByteRange::Part(part) => Answer::Part(part),
                    ByteRange::Unsatisfiable => Answer::RangeNotSatisfiable,
                }
            }
            _ => Answer::Whole,
        }
    }

    /// Whether the range is wanted (section 13.1.5): always, unless the tag in `If-Range` is another.
    /// A date there is no match: this resource has none.
    fn if_range_holds(&self, current: &EntityTag) -> bool {
        self.if_range.is_none_or(|value| match entity_tag(value) {
            Some((tag, [])) => Comparison::Strong.matches(&tag, current),
            _ => false,
        })
    }
}

/// How tags are compared (section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag matches nothing.
    Strong,
    /// Weak or not is ignored.
    Weak,
}

/// A tag as a client sent it: any bytes between the quotes.
#[derive(Debug, Clone, Copy)]
struct SentTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl Comparison {
    fn matches(self, sent: &SentTag<'_>, current: &EntityTag) -> bool {
        let comparable = self == Self::Weak || !sent.weak;
        comparable && sent.opaque == current.0.as_bytes()
    }
}

/// Whether a list, which may go over several lines, is `*` or holds the tag. False if any part of
/// it is not well-formed.
fn any_match(lines: &[&[u8]], current: &EntityTag, comparison: Comparison) -> bool {
    if let [b"*"] = lines {
        return true;
    }
    let mut found = false;
    for line in lines {
        let mut rest = skip(line, b" \t,");
        while !rest.is_empty() {
            let Some((tag, after)) = entity_tag(rest) else { return false };
            found |= comparison.matches(&tag, current);
            let after = skip(after, b" \t");
            if !after.is_empty() && after[0] != b',' {
                return false;
            }
            rest = skip(after, b" \t,");
        }
    }
    found
}

/// The tag at the beginning of `bytes`, and what follows it.
fn entity_tag(bytes: &[u8]) -> Option<(SentTag<'_>, &[u8])> {
    let (weak, quoted) = match bytes.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, bytes),
    };
    let text = quoted.strip_prefix(b"\"")?;
    let length = text.iter().position(|&byte| byte == b'"')?;
    let opaque = &text[..length];
    let valid = |&byte: &u8| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80;
    opaque.iter().all(valid).then_some((SentTag { weak, opaque }, &text[length + 1..]))
}

/// Without any of `these` at the beginning.
fn skip<'a>(bytes: &'a [u8], these: &[u8]) -> &'a [u8] {
    let length = bytes.iter().take_while(|byte| these.contains(byte)).count();
    &bytes[length..]
}
