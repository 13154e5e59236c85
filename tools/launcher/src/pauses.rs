//! Pauses between tries, each twice as long as the one before.

use std::time::Duration;

pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What ran this long is taken as healthy: after its end the pauses begin short again.
pub(crate) const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// The pauses after the failures of one thing.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
}

impl Pauses {
    /// From the shortest on.
    pub(crate) const fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// How long to pause now.
    pub(crate) fn longer(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// Begins short again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}
