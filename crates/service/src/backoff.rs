//! Waiting longer after each failure.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

/// How long to wait before the next try: twice as long each time, up to a limit, and each time only
/// half of it certain and half random, so that many who failed together do not return together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `first` and grows to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Counts a failure and says how long to wait.
    pub fn failed(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        jittered(doubled.min(self.longest))
    }

    /// Failures since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts over after a success.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// A wait between half of `wait` and all of it.
pub(crate) fn jittered(wait: Duration) -> Duration {
    // Keyed at random for each state: the standard library's own source of randomness.
    let random = RandomState::new().build_hasher().finish();
    let per_mille = u32::try_from(random % 1_000).unwrap_or(0);
    wait / 2 + (wait / 2).saturating_mul(per_mille) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for longest in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.failed();
            assert!(wait >= Duration::from_millis(longest / 2), "{wait:?} of {longest}");
            assert!(wait <= Duration::from_millis(longest), "{wait:?} of {longest}");
        }
        backoff.succeeded();
        assert!(backoff.failed() <= Duration::from_millis(100));
    }

    #[test]
    fn endless_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for _ in 0..1_000 {
            assert!(backoff.failed() <= Duration::from_secs(30));
        }
    }
}
