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
    begun: Instant,
    retry_for: Duration,
    backoff: Backoff,
}

impl Budget {
    pub(crate) fn new(settings: &IntakeSettings) -> Self {
        Self {
            tries: 0,
            max_tries: settings.max_tries,
            begun: Instant::now(),
            retry_for: settings.retry_for.as_duration(),
            backoff: Backoff::new(settings.first_wait.as_duration(), settings.longest_wait.as_duration()),
        }
    }

    /// Counts a failed try and says how long to wait for the next; None when there is none.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        self.tries += 1;
        let wait = self.backoff.failed();
        (self.tries < self.max_tries && self.begun.elapsed() + wait <= self.retry_for).then_some(wait)
    }

    /// Tries so far.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use domain::Period;

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
}
