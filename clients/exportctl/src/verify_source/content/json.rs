//! Whether data is a JSON array, found without keeping it.

use std::{fmt, io::Read};

use serde::{
    Deserializer as _,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use super::Rows;

/// Counts the members of the array that `reader` holds.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn count_rows(reader: impl Read) -> Result<Rows, String> {
    let mut json = serde_json::Deserializer::from_reader(reader);
    let rows = json.deserialize_seq(Members).map_err(|error| format!("not a JSON array: {error}"))?;
    json.end().map_err(|error| format!("something follows the JSON array: {error}"))?;
    Ok(Rows { rows, bare_line_feeds: false })
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut count = 0;
        while members.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_whole_array_passes() {
        let rows = |text: &str| count_rows(text.as_bytes()).map(|found| found.rows);
        assert_eq!(rows("[]\n"), Ok(0));
        assert_eq!(rows(r#"[{"a": [1, null]}, 2]"#), Ok(2));
        for bad in ["", "{}", "null", "[1", "[1,]", "[] []", "{\"a\":1}\n{\"a\":2}", "\u{feff}[]"] {
            assert!(rows(bad).is_err(), "{bad:?}");
        }
    }
}
