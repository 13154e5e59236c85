//! Waits between tries.

use std::time::{Duration, SystemTime};

use reqwest::{Response, header::RETRY_AFTER};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{Metrics, Settings};

/// Something did not get through for now: another try may, after the wait that was asked for.
#[derive(Debug)]
pub(crate) struct ForNow {
    pub(crate) why: String,
    wait: Option<Duration>,
}

impl ForNow {
    pub(crate) fn because(why: &str) -> Self {
        Self { why: why.to_owned(), wait: None }
    }

    /// The platform says so.
    pub(crate) fn answered(response: &Response) -> Self {
        Self { why: format!("the platform answered {}", response.status()), wait: retry_after(response) }
    }
}

/// There are no more tries: the source stops, and the request is asked again.
#[derive(Debug)]
pub(crate) struct GivenUp;

/// The waits of a source, which are counted and logged.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    first: Duration,
    longest: Duration,
    metrics: Metrics,
    stopping: CancellationToken,
}

impl Waits {
    pub(crate) fn new(settings: &Settings, metrics: Metrics) -> Self {
        let Settings { first_wait: first, longest_wait: longest, .. } = *settings;
        Self { first, longest, metrics, stopping: CancellationToken::new() }
    }

    /// Waits that grow from the first.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.first, self.longest)
    }

    /// From now on nobody waits.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Waits before another try.
    ///
    /// # Errors
    /// When there is to be none.
    pub(crate) async fn wait(&self, backoff: &mut Backoff, reason: &ForNow) -> Result<(), GivenUp> {
        let wait = backoff.wait(reason.wait);
        self.metrics.failed_try();
        tracing::warn!(why = reason.why, "not delivered, trying again in {wait:?}");
        match timeout(wait, self.stopping.cancelled()).await {
            Ok(()) => Err(GivenUp),
            Err(_) => Ok(()),
        }
    }
}

/// Growing waits.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Waits from `first` to `longest`, each twice as long as the one before.
    fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first.min(longest), longest }
    }

    /// How long to wait now, not less than `asked` where the other side asked for something.
    fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        let jittered = between_half_and_all(wait, random());
        // What was asked for is a minimum; many who were asked for the same must not come at the same moment.
        asked.map_or(jittered, |asked| asked.min(self.longest) + jittered / 4)
    }
}

/// Between half of `wait` and all of it, so that many do not come back at the same moment.
fn between_half_and_all(wait: Duration, random: u16) -> Duration {
    wait / 2 + (wait / 2) * u32::from(random) / u32::from(u16::MAX)
}

fn random() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness the wait is just not spread.
    match getrandom::fill(&mut bytes) {
        Ok(()) => u16::from_ne_bytes(bytes),
        Err(_) => u16::MAX,
    }
}

/// What the other side asks for: seconds, or a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    parse(value, SystemTime::now())
}

fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        for longest in [100, 200, 350, 350] {
            let wait = backoff.wait(None);
            assert!(
                wait <= Duration::from_millis(longest) && wait >= Duration::from_millis(longest / 2),
                "{wait:?}"
            );
        }
    }

    #[test]
    fn what_was_asked_for_is_a_minimum_within_reason() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_mins(1));
        assert!(backoff.wait(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert!(backoff.wait(Some(Duration::from_hours(7))) < Duration::from_mins(2));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(parse(value, now), expected.map(Duration::from_secs), "{value}");
        }
    }
}
