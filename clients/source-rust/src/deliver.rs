//! One request, until the platform has the answer.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};

use crate::{
    Answer, Refusal, Request, Settings,
    backoff::Backoff,
    metrics::{Metrics, Outcome},
    platform::{ForNow, NotUploaded, Platform},
};

/// The waits between tries, and how long they go on.
#[derive(Debug, Clone)]
struct Tries {
    backoff: Backoff,
    /// Set when the function asks for patience for the first time.
    patience_ends: Option<Instant>,
}

/// Answers requests with a function.
pub(crate) struct Deliveries<F> {
    answer: F,
    platform: Platform,
    metrics: Metrics,
    first_wait: Duration,
    longest_wait: Duration,
    patience: Duration,
}

impl<F, Fut> Deliveries<F>
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Refusal>> + Send,
{
    pub(crate) fn new(settings: &Settings, platform: Platform, metrics: Metrics, answer: F) -> Self {
        let Settings { first_wait, longest_wait, patience, .. } = *settings;
        Self { answer, platform, metrics, first_wait, longest_wait, patience }
    }

    /// Answers `request`, however often that takes, and returns what became of the answer. `broken` is why it
    /// cannot be asked of the function at all.
    ///
    /// The data is asked for anew at each try: a body that was sent halfway cannot be sent again.
    pub(crate) async fn deliver(&self, request: &Request, broken: Option<Refusal>) -> Outcome {
        let mut tries =
            Tries { backoff: Backoff::new(self.first_wait, self.longest_wait), patience_ends: None };
        let refusal = match broken {
            Some(refusal) => refusal,
            None => match self.data(request, &mut tries).await {
                Ok(outcome) => return self.end(outcome),
                Err(refusal) => refusal,
            },
        };
        tracing::warn!(code = refusal.code, reason = refusal.detail(), "the request is refused");
        loop {
            match self.platform.report(request, &refusal).await {
                Ok(outcome) => return self.end(outcome),
                Err(reason) => self.wait(&mut tries, &reason).await,
            }
        }
    }

    /// Uploads the data, or returns why there is none.
    async fn data(&self, request: &Request, tries: &mut Tries) -> Result<Outcome, Refusal> {
        loop {
            let answered = AssertUnwindSafe((self.answer)(request.clone())).catch_unwind().await;
            let answered = answered.unwrap_or_else(|_| Err(Refusal::internal("the function panicked")));
            let refusal = match answered {
                Err(refusal) => refusal,
                Ok(answer) => match self.platform.upload(request, answer.into_bytes(request.format)).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(NotUploaded::ForNow(reason)) => {
                        self.wait(tries, &reason).await;
                        continue;
                    }
                    Err(NotUploaded::Refused(refusal)) => refusal,
                },
            };
            let patience_ends = *tries.patience_ends.get_or_insert_with(|| Instant::now() + self.patience);
            if !refusal.is_temporary() || Instant::now() >= patience_ends {
                return Err(refusal);
            }
            self.wait(tries, &ForNow { why: refusal.detail(), wait: None }).await;
        }
    }

    async fn wait(&self, tries: &mut Tries, reason: &ForNow) {
        let wait = tries.backoff.wait(reason.wait);
        self.metrics.failed_try();
        tracing::warn!(why = reason.why, "not delivered, trying again in {wait:?}");
        sleep(wait).await;
    }

    fn end(&self, outcome: Outcome) -> Outcome {
        self.metrics.ended(outcome);
        tracing::info!(?outcome, "answered");
        outcome
    }
}

#[cfg(test)]
mod tests;
