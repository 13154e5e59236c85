//! Pre-shared keys, of which only the hash is kept.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a key, written as 64 hexadecimal digits. Keys are long and random, so a plain hash
/// of one does not give it away. It prints and serialises as `***`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyHash([u8; 32]);

/// A text that is not the SHA-256 of a key. It does not repeat the text, which may be a key set by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyHash {
    /// It is something else.
    #[error("not a SHA-256 of 64 hexadecimal digits")]
    NotSha256,
    /// It is what hashing an unset variable gives: with it, an empty header would be a key.
    #[error("the SHA-256 of nothing: the key that was hashed is empty")]
    OfNothing,
}

impl KeyHash {
    /// The hash of `key`.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// A hash as it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash itself. Compare it in constant time.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its first eight digits, by which people tell keys apart.
    pub fn fingerprint(&self) -> String {
        self.0.map(|byte| format!("{byte:02x}"))[..4].concat()
    }
}

impl FromStr for KeyHash {
    type Err = InvalidKeyHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidKeyHash::NotSha256);
        }
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidKeyHash::NotSha256)?;
        }
        let hash = Self(hash);
        if hash == Self::of(b"") { Err(InvalidKeyHash::OfNothing) } else { Ok(hash) }
    }
}

impl TryFrom<String> for KeyHash {
    type Error = InvalidKeyHash;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl JsonSchema for KeyHash {
    fn schema_name() -> Cow<'static, str> {
        "KeyHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "sha256"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_from_hexadecimal_digits() {
        // printf abc | sha256sum
        let hash = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        assert_eq!(hash.parse(), Ok(KeyHash::of(b"abc")));
        assert_eq!(format!("{:?}", KeyHash::of(b"abc")), "***");
    }

    #[test]
    fn anything_else_is_not_a_hash() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(65), &"é".repeat(32)] {
            assert_eq!(text.parse::<KeyHash>(), Err(InvalidKeyHash::NotSha256), "{text}");
        }
    }

    #[test]
    fn s0_17_the_hash_of_an_empty_key_is_refused() {
        // printf '' | sha256sum
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of_nothing.parse::<KeyHash>(), Err(InvalidKeyHash::OfNothing));
    }
}
