//! Times as customers write them.

use chrono::{DateTime, Datelike as _, Utc};
use serde_json::Value;

use super::error::{CreateError, excerpt};

/// A time in RFC 3339, or None when it is absent, null or empty.
pub(super) fn parse_time(value: Option<&Value>) -> Result<Option<DateTime<Utc>>, CreateError> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text,
        Some(other) => return Err(CreateError::InvalidDate(excerpt(&other.to_string()))),
    };
    let invalid = || CreateError::InvalidDate(excerpt(text));
    let given = DateTime::parse_from_rfc3339(text).map_err(|_| invalid())?;
    // As Postgres keeps it, so that every answer shows the same: whole microseconds, and a leap second, which
    // few programs can read, is the second after it.
    let time = DateTime::from_timestamp_micros(given.timestamp_micros()).ok_or_else(invalid)?;
    // An offset can move a time into a year that RFC 3339 cannot write, and so no answer of ours.
    if !(0..=9999).contains(&time.year()) {
        return Err(invalid());
    }
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Option<DateTime<Utc>>, CreateError> {
        parse_time(Some(&json!(text)))
    }

    #[test]
    fn what_is_absent_null_or_empty_is_no_time() {
        for none in [None, Some(json!(null)), Some(json!(""))] {
            assert_eq!(parse_time(none.as_ref()), Ok(None));
        }
        assert_eq!(parse_time(Some(&json!(7))), Err(CreateError::InvalidDate("7".to_owned())));
    }

    #[test]
    fn an_expiry_in_a_year_that_rfc_3339_cannot_write_is_refused() {
        for outside in ["9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"] {
            assert_eq!(parse(outside), Err(CreateError::InvalidDate(outside.to_owned())));
        }
        for inside in ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"] {
            assert!(matches!(parse(inside), Ok(Some(_))), "{inside}");
        }
    }

    #[test]
    fn a_time_is_read_as_it_will_be_kept() {
        for (given, kept) in [
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
            ("2026-12-31T23:59:60.5Z", "2027-01-01T00:00:00.5Z"),
            ("2026-12-31T23:59:59.9999999Z", "2026-12-31T23:59:59.999999Z"),
            ("1960-01-01T00:00:00.0000019Z", "1960-01-01T00:00:00.000001Z"),
        ] {
            assert_eq!(parse(given), Ok(Some(kept.parse().unwrap())), "{given}");
        }
        let past_the_end = parse("9999-12-31T23:59:60Z");
        assert!(matches!(past_the_end, Err(CreateError::InvalidDate(_))));
    }
}
