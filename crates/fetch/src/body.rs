//! A body as it comes.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use crate::{error::FetchError, settings::FetchSettings};

/// For so long a body may be slower than the least pace: connections take time to warm up.
const PACE_GRACE: Duration = Duration::from_secs(10);

/// The bytes of an answer, within limits.
#[derive(Debug)]
pub struct Body {
    answer: Response,
    idle_timeout: Duration,
    begun: Instant,
    timeout: Duration,
    progress: Progress,
}

/// How much has come in how long.
#[derive(Debug)]
struct Progress {
    min_bytes_per_second: u64,
    max_bytes: u64,
    taken_bytes: u64,
    /// How long the server was waited for in all.
    waited: Duration,
}

impl Progress {
    fn take(&mut self, bytes: usize, waited: Duration) -> Result<(), FetchError> {
        self.taken_bytes = self.taken_bytes.saturating_add(bytes as u64);
        if self.taken_bytes > self.max_bytes {
            return Err(FetchError::TooLarge(self.max_bytes));
        }
        self.waited += waited;
        let least = self.min_bytes_per_second.saturating_mul(self.waited.as_secs());
        if self.waited > PACE_GRACE && self.taken_bytes < least {
            return Err(FetchError::TooSlow);
        }
        Ok(())
    }
}

impl Body {
    pub(crate) fn new(answer: Response, settings: &FetchSettings, begun: Instant, max_bytes: u64) -> Self {
        Self {
            answer,
            idle_timeout: settings.idle_timeout.as_duration(),
            begun,
            timeout: settings.timeout.as_duration(),
            progress: Progress {
                min_bytes_per_second: settings.min_bytes_per_second.bytes(),
                max_bytes,
                taken_bytes: 0,
                waited: Duration::ZERO,
            },
        }
    }

    /// The next bytes; None when all have come.
    ///
    /// # Errors
    /// [`FetchError`]; nothing comes after it.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let asked = Instant::now();
        let end = self.begun + self.timeout;
        let until = (asked + self.idle_timeout).min(end);
        let chunk = match timeout_at(until, self.answer.chunk()).await {
            Ok(chunk) => chunk.map_err(FetchError::of)?,
            Err(_) if until == end => return Err(FetchError::TooLong(self.timeout)),
            Err(_) => return Err(FetchError::Idle(self.idle_timeout)),
        };
        let Some(chunk) = chunk else { return Ok(None) };
        self.progress.take(chunk.len(), asked.elapsed())?;
        Ok(Some(chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drip_is_too_slow_and_a_steady_flow_is_not() {
        let progress = || Progress {
            min_bytes_per_second: 1024,
            max_bytes: u64::MAX,
            taken_bytes: 0,
            waited: Duration::ZERO,
        };
        let second = Duration::from_secs(1);
        let (mut drip, mut steady) = (progress(), progress());
        assert!((0..10).all(|_| drip.take(1, second).is_ok()));
        assert!(matches!(drip.take(1, second), Err(FetchError::TooSlow)));
        assert!((0..600).all(|_| steady.take(1024, second).is_ok()));
    }
}
