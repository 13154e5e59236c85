//! What must hold for any identity header and any path segment, however odd.

use access::{decode_application_segment, identity};

/// `data` is taken as a header, as the JSON inside of one, and as a path segment.
pub(crate) fn check(data: &[u8]) {
    check_identity(&base64(data));
    if let Ok(text) = std::str::from_utf8(data) {
        check_identity(text);
        check_segment(text);
    }
}

/// Whoever is let in is fully named, in parts that fit a log line and an index.
fn check_identity(header: &str) {
    let Ok(identity) = identity::decode(header) else { return };
    let owner = &identity.owner;
    assert!(!owner.org_id.trim().is_empty() && !owner.username.trim().is_empty(), "{owner:?}");
    for part in [&owner.account, &owner.org_id, &owner.username] {
        assert!(part.len() <= 255 && !part.contains(char::is_control), "{owner:?}");
    }
    assert_eq!(identity.raw, header);
}

/// A decoded name has nothing left to decode.
fn check_segment(segment: &str) {
    let Ok(name) = decode_application_segment(segment) else { return };
    assert_eq!(decode_application_segment(name.as_str()), Ok(name));
}

/// Without padding, which the decoder takes as well.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in data.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0, |bits, (at, byte)| bits | usize::from(*byte) << (16 - 8 * at));
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text
}
