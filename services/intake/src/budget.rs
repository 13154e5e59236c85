//! How long and how often an archive whose server fails is tried.

use std::time::Duration;

use service::Backoff;
use tokio::time::Instant;

use crate::settings::IntakeSettings;

/// What is left for one record.
#[derive(Debug)]
pub(crate) struct Budget {
    tries: u32,
    max_tries: u32,
    /// When its server failed first, since what is ours was away last.
    since: Option<Instant>,
    retry_for: Duration,
    backoff: Backoff,
}

impl Budget {
    pub(crate) fn new(settings: &IntakeSettings) -> Self {
        Self {
            tries: 0,
            max_tries: settings.max_tries,
            since: None,
            retry_for: settings.retry_for.as_duration(),
            backoff: Backoff::new(settings.first_wait.as_duration(), settings.longest_wait.as_duration()),
        }
    }

    /// Counts a failed try and says how long to wait for the next; None when there is none.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        self.tries += 1;
        let wait = self.backoff.failed();
        let since = *self.since.get_or_insert_with(Instant::now);
        (self.tries < self.max_tries && since.elapsed() + wait <= self.retry_for).then_some(wait)
    }

    /// Something of ours is away: the time until it is back is not the server's, nor is what went before.
    pub(crate) fn outage(&mut self) {
        self.since = None;
    }

    /// Tries so far.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use domain::Period;
    use tokio::time::advance;

    use super::*;

    #[tokio::test]
    async fn tries_end_by_their_number_or_by_time() {
        let settings = IntakeSettings { max_tries: 3, ..IntakeSettings::default() };
        let mut budget = Budget::new(&settings);
        assert!(budget.failed().is_some() && budget.failed().is_some());
        assert_eq!((budget.failed(), budget.tries()), (None, 3));
        let hurried = IntakeSettings { retry_for: Period::from_millis(100), ..settings };
        assert_eq!(Budget::new(&hurried).failed(), None, "the first wait is longer");
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_from_the_first_failure_and_not_while_something_of_ours_is_away() {
        let settings = IntakeSettings {
            retry_for: Period::from_secs(60),
            longest_wait: Period::from_secs(1),
            ..IntakeSettings::default()
        };
        let hour = Duration::from_hours(1);
        let mut budget = Budget::new(&settings);
        advance(hour).await;
        assert!(budget.failed().is_some(), "it waited for its turn");
        advance(hour).await;
        budget.outage();
        assert!(budget.failed().is_some(), "the database was away");
        advance(hour).await;
        assert_eq!(budget.failed(), None);
    }
}
