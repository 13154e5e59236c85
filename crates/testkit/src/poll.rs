//! Bounded waiting for something to become true.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

const INTERVAL: Duration = Duration::from_millis(20);

/// Asks `probe` every 20 ms until it returns a value, which is returned.
///
/// # Errors
/// The error of the last question, or that it had no answer, when `limit` has passed.
pub async fn poll_until<T>(limit: Duration, mut probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = probe().await;
        if let Ok(Some(value)) = answer {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            match answer {
                Err(error) => return Err(error.context(format!("still failing after {limit:?}"))),
                Ok(_) => bail!("what was waited for did not happen within {limit:?}"),
            }
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[tokio::test]
    async fn the_first_value_is_returned() {
        let mut asked = 0;
        let value = poll_until(Duration::from_secs(5), async || {
            asked += 1;
            if asked < 3 { Err(anyhow!("not yet")) } else { Ok(Some(asked)) }
        });
        assert_eq!(value.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_error() {
        let outcome: Result<()> =
            poll_until(Duration::from_millis(50), async || Err(anyhow!("refused"))).await;
        assert_eq!(format!("{:#}", outcome.unwrap_err()), "still failing after 50ms: refused");
    }

    #[tokio::test]
    async fn waiting_ends_when_nothing_happens() {
        let outcome: Result<()> = poll_until(Duration::from_millis(50), async || Ok(None)).await;
        assert!(outcome.unwrap_err().to_string().contains("did not happen"));
    }
}
