//! How long a source may take, and how often its application is asked meanwhile.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Period, registry::Resource};

/// The terms on which a source is asked. It fails `answer_within` after it was asked first, however often it is
/// asked: tries do not add to the time, they share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// From the first try to the deadline.
    pub answer_within: Period,
    /// How often it is asked at most, the first time included.
    pub max_tries: u32,
}

impl Asking {
    /// The same, with what the registry says of a resource in place of it.
    #[must_use]
    pub fn of(self, entry: &Resource) -> Self {
        self.or(entry.answer_within, entry.max_tries)
    }

    /// The same, with these in place of it where they are there.
    #[must_use]
    pub fn or(self, answer_within: Option<Period>, max_tries: Option<u32>) -> Self {
        Self {
            answer_within: answer_within.unwrap_or(self.answer_within),
            max_tries: max_tries.unwrap_or(self.max_tries),
        }
    }

    /// When a source fails that is asked first at `asked_at`.
    pub fn deadline(self, asked_at: DateTime<Utc>) -> DateTime<Utc> {
        asked_at + self.answer_within.as_time_delta()
    }

    /// How often it may be asked after the first time.
    pub fn tries_left(self) -> u32 {
        self.max_tries.saturating_sub(1)
    }

    /// When a source is asked again that is asked first at `asked_at`.
    pub fn ask_again_at(self, asked_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        ask_again_at(asked_at, self.deadline(asked_at), self.tries_left())
    }
}

/// When a source that was asked at `asked_at` is asked again, with so many tries left before `deadline`; None when
/// there are none. Each wait is twice as long as the one before, and the last one ends at the deadline: of `n`
/// tries, and so `n` waits, the first wait is a `2^n - 1`th of the time.
pub fn ask_again_at(
    asked_at: DateTime<Utc>,
    deadline: DateTime<Utc>,
    tries_left: u32,
) -> Option<DateTime<Utc>> {
    if tries_left == 0 {
        return None;
    }
    // What would be beyond this is asked at each look anyway.
    let shares = i32::MAX >> (30 - tries_left.min(30));
    Some(asked_at + (deadline - asked_at).max(TimeDelta::zero()) / shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(count: u64) -> Period {
        Period::from_secs(count * 3600)
    }

    #[test]
    fn each_wait_is_twice_as_long_as_the_one_before_and_the_last_ends_at_the_deadline() {
        let asking = Asking { answer_within: hours(7), max_tries: 3 };
        let first = DateTime::UNIX_EPOCH;
        let second = asking.ask_again_at(first).unwrap();
        assert_eq!(second - first, TimeDelta::hours(1));
        let third = ask_again_at(second, asking.deadline(first), 1).unwrap();
        assert_eq!(third - second, TimeDelta::hours(2));
        assert_eq!(asking.deadline(first) - third, TimeDelta::hours(4));
        assert_eq!(ask_again_at(third, asking.deadline(first), 0), None);
    }

    #[test]
    fn one_try_is_never_asked_again() {
        let asking = Asking { answer_within: hours(1), max_tries: 1 };
        assert_eq!(asking.ask_again_at(DateTime::UNIX_EPOCH), None);
        assert_eq!(asking.deadline(DateTime::UNIX_EPOCH), DateTime::UNIX_EPOCH + TimeDelta::hours(1));
    }

    #[test]
    fn absurd_numbers_of_tries_and_times_that_have_passed_do_no_harm() {
        let deadline = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        for tries in [30, 31, 32, 1000, u32::MAX] {
            let again = ask_again_at(DateTime::UNIX_EPOCH, deadline, tries).unwrap();
            assert!(again >= DateTime::UNIX_EPOCH && again < deadline, "{tries}");
        }
        assert_eq!(ask_again_at(deadline, DateTime::UNIX_EPOCH, 2), Some(deadline));
    }

    #[test]
    fn what_the_registry_says_counts_before_the_default() {
        let default = Asking { answer_within: hours(24), max_tries: 3 };
        let entry = Resource { answer_within: Some(hours(4)), ..Resource::default() };
        assert_eq!(default.of(&entry), Asking { answer_within: hours(4), max_tries: 3 });
        let entry = Resource { max_tries: Some(1), ..Resource::default() };
        assert_eq!(default.of(&entry), Asking { answer_within: hours(24), max_tries: 1 });
    }
}
