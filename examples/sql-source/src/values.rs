//! What a request brings, checked by type.

use chrono::{DateTime, NaiveDate, SecondsFormat};
use serde::Deserialize;
use serde_json::Value;

/// The type of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Any text.
    Text,
    /// A whole number of 64 bits.
    Int,
    /// True or false.
    Bool,
    /// A time in the form of RFC 3339, or a date, which means its beginning in UTC.
    Timestamp,
}

impl Type {
    /// The type of `PostgreSQL`.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int8",
            Self::Bool => "bool",
            Self::Timestamp => "timestamptz",
        }
    }

    /// What is allowed, for the customer.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Int => "a whole number",
            Self::Bool => "true or false",
            Self::Timestamp => "a time such as 2026-01-31T12:00:00Z, or a date",
        }
    }

    /// The value as `PostgreSQL` reads it; None when it is of another type.
    pub fn text(self, value: &Value) -> Option<String> {
        match (self, value) {
            // PostgreSQL has no texts with this character.
            (Self::Text, Value::String(text)) => (!text.contains('\0')).then(|| text.clone()),
            (Self::Int, Value::Number(number)) => number.as_i64().map(|number| number.to_string()),
            (Self::Bool, Value::Bool(value)) => Some(value.to_string()),
            (Self::Timestamp, Value::String(text)) => timestamp(text),
            _ => None,
        }
    }
}

fn timestamp(text: &str) -> Option<String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(format!("{date}T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_taken_in_their_own_type_only() {
        for (kind, value, expected) in [
            (Type::Text, json!("a'; DROP TABLE t; --"), Some("a'; DROP TABLE t; --")),
            (Type::Text, json!("a\0b"), None),
            (Type::Text, json!(7), None),
            (Type::Int, json!(-7), Some("-7")),
            (Type::Int, json!(u64::MAX), None),
            (Type::Int, json!(7.5), None),
            (Type::Int, json!("7"), None),
            (Type::Bool, json!(true), Some("true")),
            (Type::Bool, json!("t"), None),
            (Type::Timestamp, json!("2026-01-31T12:00:00+02:00"), Some("2026-01-31T10:00:00.000000Z")),
            (Type::Timestamp, json!("2026-01-31"), Some("2026-01-31T00:00:00Z")),
            (Type::Timestamp, json!("now"), None),
            (Type::Timestamp, json!(["2026-01-31"]), None),
        ] {
            assert_eq!(kind.text(&value).as_deref(), expected, "{value}");
        }
    }
}
