//! Lengths of time as people write them.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use chrono::TimeDelta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest period, 1,000 years of 365.25 days: the present and a few of them stay within the times that
/// chrono, PostgreSQL and RFC 3339 can write.
const LONGEST: Duration = Duration::from_hours(1000 * 8766);

/// A length of time in settings, written with its unit: `500ms`, `30s`, `24h`, `7days`, `1h 30m`; at most 1,000
/// years. A bare number is refused, because it does not say seconds or milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

impl Period {
    /// A period of `seconds`.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A period of `milliseconds`.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The period as the standard library has it.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// As a difference of times that can be added to the present, and so at most 1,000 years.
    pub fn as_time_delta(self) -> TimeDelta {
        TimeDelta::from_std(self.0.min(LONGEST)).unwrap_or_default()
    }
}

/// A text that is not a length of time with its unit, or is an absurd one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time such as 500ms, 30s, 24h or 7days, up to 1000years")]
pub struct InvalidPeriod(String);

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let period = humantime::parse_duration(text).ok().filter(|period| *period <= LONGEST);
        period.map(Self).ok_or_else(|| InvalidPeriod(text.to_owned()))
    }
}

impl TryFrom<String> for Period {
    type Error = InvalidPeriod;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "period"})
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike as _, Utc};

    use super::*;

    #[test]
    fn a_period_is_read_and_written_with_its_unit() {
        for (text, seconds) in [("30s", 30), ("24h", 86_400), ("7days", 604_800), ("1h 30m", 5_400)] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.as_duration(), Duration::from_secs(seconds), "{text}");
            assert_eq!(period.to_string().parse(), Ok(period), "{text}");
        }
        assert_eq!(Period::from_millis(500).to_string(), "500ms");
    }

    #[test]
    fn an_absurd_period_is_refused_and_any_other_can_be_added_to_a_time() {
        for text in ["1001years", "1000000years", "18446744073709551615s"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        for longest in ["1000years".parse().unwrap(), Period::from_secs(u64::MAX)] {
            assert_eq!((now + longest.as_time_delta()).year(), 3026);
            assert_eq!((now - longest.as_time_delta()).year(), 1025);
        }
    }

    #[test]
    fn a_period_without_a_unit_is_refused() {
        for text in ["30", "", "soon", "-1s"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
