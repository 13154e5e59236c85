//! What must hold for any conditional or range request, however odd its headers.

use archive::{
    preconditions::{Answer, Conditions, EntityTag, Method},
    ranges::{ByteRange, content_range},
};

/// `data` is the length of the resource (8 bytes, little-endian), then the values of `Range`,
/// `If-Range`, `If-Match` and `If-None-Match`, each ended by a line feed; a missing one is a missing
/// header.
pub(crate) fn check(data: &[u8]) {
    let Some((size, headers)) = data.split_first_chunk() else { return };
    let size_bytes = u64::from_le_bytes(*size);
    let mut headers = headers.split(|&byte| byte == b'\n');
    let range = headers.next();
    let if_range = headers.next();
    let if_match = headers.next().into_iter().collect();
    let if_none_match = headers.next().into_iter().collect();
    let conditions = Conditions { if_match, if_none_match, if_range, range };

    let wanted = range.map_or(ByteRange::Whole, |range| ByteRange::requested(range, size_bytes));
    check_range(&wanted, size_bytes);
    check_answers(&conditions, &wanted, size_bytes);
}

/// A part is not empty and inside the resource, and asking for exactly it gives it again.
fn check_range(wanted: &ByteRange, size_bytes: u64) {
    let ByteRange::Part(part) = wanted else { return };
    assert!(part.start < part.end && part.end <= size_bytes, "{part:?} of {size_bytes}");
    let told = content_range(part, size_bytes);
    let again = told.replacen("bytes ", "bytes=", 1);
    let (again, total) = again.split_once('/').expect("a Content-Range has a slash");
    assert_eq!(total.parse(), Ok(size_bytes));
    assert_eq!(&ByteRange::requested(again.as_bytes(), size_bytes), wanted);
}

/// Ranges mean nothing to HEAD; for GET the answer is what the range alone gives, unless a condition
/// forbids it; conditions do not depend on the method or the size.
fn check_answers(conditions: &Conditions<'_>, wanted: &ByteRange, size_bytes: u64) {
    let tag = EntityTag::strong("5a1e").expect("a valid tag");
    let get = conditions.evaluate(Method::Get, &tag, size_bytes);
    let head = conditions.evaluate(Method::Head, &tag, size_bytes);
    match (&get, &head) {
        (Answer::PreconditionFailed | Answer::NotModified | Answer::Whole, _) => assert_eq!(get, head),
        (Answer::Part(part), Answer::Whole) => assert_eq!(wanted, &ByteRange::Part(part.clone())),
        (Answer::RangeNotSatisfiable, Answer::Whole) => assert_eq!(wanted, &ByteRange::Unsatisfiable),
        (get, head) => panic!("GET {get:?}, HEAD {head:?}"),
    }
    if conditions.if_match.is_empty() {
        assert_ne!(get, Answer::PreconditionFailed);
    }
    if conditions.if_none_match.is_empty() {
        assert_ne!(get, Answer::NotModified);
    }
}
