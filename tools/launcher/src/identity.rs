//! The identity header of the demo customer.

use serde_json::json;

/// The header's name. A gateway sets it in real life.
pub(crate) const HEADER: &str = "x-rh-identity";

/// The header of a customer made up for this machine: JSON in base64.
pub(crate) fn demo_customer() -> String {
    let identity = json!({"identity": {
        "account_number": "1",
        "org_id": "1",
        "type": "User",
        "user": {"username": "demo"},
    }});
    base64(identity.to_string().as_bytes())
}

/// Base64 in the standard alphabet, padded (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            // As many letters as the bytes fill, then padding.
            let letter = (bits >> (18 - 6 * i)) & 63;
            text.push(if i <= group.len() { char::from(LETTERS[letter as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
