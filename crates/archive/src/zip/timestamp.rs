//! The time of a member, in the two forms that ZIP knows.

use chrono::{DateTime, Datelike, Timelike, Utc};

/// First and last year of an MS-DOS date.
const DOS_YEARS: std::ops::RangeInclusive<i32> = 1980..=2107;

/// When the members of an archive were last modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timestamp {
    /// MS-DOS time, two-second steps. It has no zone; this is UTC.
    pub(super) dos_time: u16,
    /// MS-DOS date.
    pub(super) dos_date: u16,
    /// Seconds since 1970 UTC for the extended timestamp; `None` beyond what its 32 bits hold
    /// (1901…2038).
    pub(super) unix_seconds: Option<i32>,
}

impl Timestamp {
    /// A time outside the years that MS-DOS knows becomes the nearest that it does.
    pub(super) fn new(modified: DateTime<Utc>) -> Self {
        let unix_seconds = i32::try_from(modified.timestamp()).ok();
        let (dos_date, dos_time) = match modified.year() {
            year if year < *DOS_YEARS.start() => (dos_date(*DOS_YEARS.start(), 1, 1), 0),
            year if year > *DOS_YEARS.end() => (dos_date(*DOS_YEARS.end(), 12, 31), dos_time(23, 59, 59)),
            year => (
                dos_date(year, modified.month(), modified.day()),
                dos_time(modified.hour(), modified.minute(), modified.second()),
            ),
        };
        Self { dos_time, dos_date, unix_seconds }
    }
}

/// `year` within [`DOS_YEARS`].
fn dos_date(year: i32, month: u32, day: u32) -> u16 {
    let years = year.abs_diff(*DOS_YEARS.start());
    bits((years << 9) | (month << 5) | day)
}

fn dos_time(hour: u32, minute: u32, second: u32) -> u16 {
    bits((hour << 11) | (minute << 5) | (second / 2))
}

#[expect(clippy::cast_possible_truncation, reason = "the packed fields of a valid date or time have 16 bits")]
fn bits(packed: u32) -> u16 {
    packed as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        Timestamp::new(time.parse().unwrap())
    }

    #[test]
    fn a_time_is_packed_as_ms_dos_does() {
        let timestamp = at("2026-11-21T08:50:33Z");
        assert_eq!(timestamp.dos_date, (2026 - 1980) * 512 + 11 * 32 + 21);
        assert_eq!(timestamp.dos_time, 8 * 2048 + 50 * 32 + 16);
        assert_eq!(timestamp.unix_seconds, Some(1_795_251_033));
    }

    #[test]
    fn a_time_before_1980_becomes_the_first_that_ms_dos_knows() {
        let timestamp = at("1975-06-01T12:00:00Z");
        assert_eq!((timestamp.dos_date, timestamp.dos_time), (32 + 1, 0));
        assert_eq!(timestamp.unix_seconds, Some(170_856_000));
    }

    #[test]
    fn a_time_after_2107_becomes_the_last_that_ms_dos_knows() {
        let timestamp = at("2500-01-01T00:00:00Z");
        assert_eq!(timestamp.dos_date, 127 * 512 + 12 * 32 + 31);
        assert_eq!(timestamp.dos_time, 23 * 2048 + 59 * 32 + 29);
    }

    #[test]
    fn a_time_beyond_32_bits_has_no_extended_timestamp() {
        assert_eq!(at("2038-01-19T03:14:07Z").unix_seconds, Some(i32::MAX));
        assert_eq!(at("2038-01-19T03:14:08Z").unix_seconds, None);
    }
}
