//! One request, until the platform has the answer.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::{
    Answer, Refusal, Request, Settings,
    answer::ByteStream,
    backoff::{Backoff, ForNow, GivenUp, Waits},
    metrics::{Metrics, Outcome},
    platform::{NotUploaded, Platform},
};

/// The waits between tries, and how long they go on.
#[derive(Debug, Clone)]
struct Tries {
    backoff: Backoff,
    /// When the function asked for patience for the first time.
    patient_since: Option<Instant>,
}

/// Why there is no data.
enum NoData {
    Refused(Refusal),
    GivenUp,
}

impl From<GivenUp> for NoData {
    fn from(GivenUp: GivenUp) -> Self {
        Self::GivenUp
    }
}

/// Answers requests with a function.
pub(crate) struct Deliveries<F> {
    answer: F,
    platform: Platform,
    metrics: Metrics,
    waits: Waits,
    patience: Duration,
    resumable: bool,
}

impl<F, Fut> Deliveries<F>
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Refusal>> + Send,
{
    pub(crate) fn new(settings: &Settings, platform: Platform, metrics: Metrics, answer: F) -> Self {
        let waits = Waits::new(settings, metrics.clone());
        let Settings { patience, resumable, .. } = *settings;
        Self { answer, platform, metrics, waits, patience, resumable }
    }

    /// Answers `request`, however often that takes, and returns what became of the answer. `broken` is why it
    /// cannot be asked of the function at all.
    ///
    /// The data is asked for anew at each try: a body that was sent halfway cannot be sent again.
    pub(crate) async fn deliver(
        &self,
        request: &Request,
        broken: Option<Refusal>,
    ) -> Result<Outcome, GivenUp> {
        let mut tries = Tries { backoff: self.waits.backoff(), patient_since: None };
        let refusal = match broken {
            Some(refusal) => refusal,
            None => match self.data(request, &mut tries).await {
                Ok(outcome) => return Ok(self.end(outcome)),
                Err(NoData::GivenUp) => return Err(GivenUp),
                Err(NoData::Refused(refusal)) => refusal,
            },
        };
        tracing::warn!(code = refusal.code, reason = refusal.detail(), "the request is refused");
        loop {
            match self.platform.report(request, &refusal).await {
                Ok(outcome) => return Ok(self.end(outcome)),
                Err(reason) => self.waits.wait(&mut tries.backoff, &reason).await?,
            }
        }
    }

    /// Uploads the data, or returns why there is none.
    async fn data(&self, request: &Request, tries: &mut Tries) -> Result<Outcome, NoData> {
        loop {
            // The call too is within: a function may panic before it returns a future.
            let asking = async { (self.answer)(request.clone()).await };
            let answered = AssertUnwindSafe(asking).catch_unwind().await;
            let answered = answered.unwrap_or_else(|_| Err(Refusal::internal("the function panicked")));
            let refusal = match answered {
                Err(refusal) => refusal,
                Ok(answer) => match self.upload(request, answer.into_bytes(request.format)).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(NotUploaded::ForNow(reason)) => {
                        self.waits.wait(&mut tries.backoff, &reason).await?;
                        continue;
                    }
                    Err(NotUploaded::GivenUp) => return Err(NoData::GivenUp),
                    Err(NotUploaded::Refused(refusal)) => refusal,
                },
            };
            let patient_for = tries.patient_since.get_or_insert_with(Instant::now).elapsed();
            if !refusal.is_temporary() || patient_for >= self.patience {
                return Err(NoData::Refused(refusal));
            }
            self.waits.wait(&mut tries.backoff, &ForNow::because(&refusal.detail())).await?;
        }
    }

    async fn upload(&self, request: &Request, data: ByteStream) -> Result<Outcome, NotUploaded> {
        if self.resumable {
            self.platform.upload_in_pieces(request, data, &self.waits).await
        } else {
            self.platform.upload(request, data).await
        }
    }

    /// From now on nothing is tried once more.
    pub(crate) fn stop(&self) {
        self.waits.stop();
    }

    /// Tells the platform of uploads that were begun for answers that were given up.
    pub(crate) async fn end_unfinished(&self) {
        self.platform.end_unfinished().await;
    }

    fn end(&self, outcome: Outcome) -> Outcome {
        self.metrics.ended(outcome);
        tracing::info!(?outcome, "answered");
        outcome
    }
}

#[cfg(test)]
mod tests;
