//! Numbers of bytes as people write them.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Largest first, binary before decimal: the first that divides a size without rest names it.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// A number of bytes in settings, written as a whole number and a unit: `256KiB`, `500MB`, `128 GiB`,
/// `1000B`. `kB`, `MB`, `GB`, `TB` are powers of 1,000, `KiB`, `MiB`, `GiB`, `TiB` of 1,024; without a
/// unit it is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of `bytes`.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of `kibibytes` × 1,024 bytes.
    pub const fn from_kib(kibibytes: u64) -> Self {
        Self(kibibytes << 10)
    }

    /// A size of `mebibytes` × 1,048,576 bytes.
    pub const fn from_mib(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in bytes as a length in memory; the largest such length where it does not fit.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A text that is not a number of bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size such as 256KiB, 500MB or 1GiB")]
pub struct InvalidByteSize(String);

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidByteSize(text.to_owned());
        let digits = text.trim().trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text.trim()[digits.len()..].trim();
        let factor = match unit {
            "" | "B" => 1,
            unit => UNITS
                .iter()
                .find_map(|(name, factor)| name.eq_ignore_ascii_case(unit).then_some(*factor))
                .ok_or_else(invalid)?,
        };
        let number: u64 = digits.parse().map_err(|_| invalid())?;
        number.checked_mul(factor).map(Self).ok_or_else(invalid)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = InvalidByteSize;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor)) {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "byte-size"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_and_written_with_its_unit() {
        for (text, bytes) in [
            ("0B", 0),
            ("1000B", 1_000),
            ("256KiB", 262_144),
            ("500MB", 500_000_000),
            ("128 gib", 137_438_953_472),
            ("17", 17),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string().parse(), Ok(size), "{text}");
        }
        assert_eq!(ByteSize::from_mib(500).to_string(), "500MiB");
        assert_eq!(ByteSize::from_bytes(500_000_000).to_string(), "500MB");
    }

    #[test]
    fn what_is_not_a_whole_number_of_bytes_is_refused() {
        for text in ["", "MB", "1.5GiB", "-1B", "5 parsecs", "20000000TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
