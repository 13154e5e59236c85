//! Loops that do background work step by step.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{sync::Notify, time::sleep};
use tracing::Instrument as _;

use crate::{
    BoxError, Context,
    backoff::{Backoff, jittered},
    metrics::{Counter, Gauge, Histogram, Metrics, SECONDS},
};

/// The wait after a first failure.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// After failures, the first wait and the longest.
const BACKOFF: Backoff = Backoff::new(FIRST_WAIT, Duration::from_secs(30));

/// How a step of a loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Something was done and there may be more: the next step follows at once.
    Done,
    /// Nothing to do: the loop waits to be woken or for its poll.
    Idle,
    /// Nothing to do before that time; a wake-up or the poll may come earlier.
    RetryAt(DateTime<Utc>),
    /// One piece of work was set aside for good, for the reason told; it is logged, and the next step
    /// follows at once.
    GiveUp(String),
}

/// A loop of steps. It runs until the soft stop, which it heeds between steps and not within one; the
/// hard stop drops the step that runs. A step that fails is tried again with growing waits; it is
/// logged when failing begins and when it ends, not each time.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    poll: Duration,
    wake: Arc<Notify>,
    backoff: Backoff,
}

impl Worker {
    /// A loop that looks for work every `poll` at the latest.
    pub fn new(name: &'static str, poll: Duration) -> Self {
        Self { name, poll, wake: Arc::new(Notify::new()), backoff: BACKOFF }
    }

    /// The same loop, waiting at most `longest` after a failure however often it has failed: where what it
    /// needs may be away for long, and is to be used soon after it is back.
    #[must_use]
    pub fn retry_within(self, longest: Duration) -> Self {
        Self { backoff: Backoff::new(FIRST_WAIT, longest), ..self }
    }

    /// Wakes the loop when it waits, or keeps it from waiting next time: `notify_one`. A failing
    /// loop's wait is not shortened.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Runs the loop as a task of `context`.
    pub fn start<S, F, E>(self, context: &Context, step: S)
    where
        S: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<Outcome, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let (context, name) = (context.clone(), self.name);
        let task_context = context.clone();
        context.spawn(name, async move {
            tokio::select! {
                () = self.run(&task_context, step) => {}
                () = task_context.hard_stop().cancelled() => {}
            }
            Ok::<_, BoxError>(())
        });
    }

    async fn run<S, F, E>(self, context: &Context, mut step: S)
    where
        S: FnMut() -> F,
        F: Future<Output = Result<Outcome, E>>,
        E: Into<BoxError>,
    {
        let mut backoff = self.backoff.clone();
        while !context.soft_stop().is_cancelled() {
            let span = tracing::info_span!("step", service = context.name(), worker = self.name);
            let started = tokio::time::Instant::now();
            let result = step().instrument(span.clone()).await.map_err(Into::into);
            context.worker_metrics().took(self.name, &result, started.elapsed(), context.clock().now());
            let guard = span.enter();
            let (wait, may_wake) = match result {
                Ok(outcome) => {
                    self.healed(&mut backoff);
                    (self.pause(outcome, context.clock().now()), true)
                }
                Err(error) => (Some(self.failed(&mut backoff, &error)), false),
            };
            drop(guard);
            let Some(wait) = wait else { continue };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.wake.notified(), if may_wake => {}
                () = context.soft_stop().cancelled() => {}
            }
        }
    }

    /// How long to wait after a step; `None` is not at all.
    fn pause(&self, outcome: Outcome, now: DateTime<Utc>) -> Option<Duration> {
        match outcome {
            Outcome::Done => None,
            Outcome::Idle => Some(jittered(self.poll)),
            Outcome::RetryAt(at) => Some((at - now).to_std().unwrap_or_default().min(self.poll)),
            Outcome::GiveUp(reason) => {
                tracing::warn!(reason, "a piece of work was given up");
                None
            }
        }
    }

    fn healed(&self, backoff: &mut Backoff) {
        if backoff.failures() > 0 {
            tracing::info!(failures = backoff.failures(), "{} works again", self.name);
            backoff.succeeded();
        }
    }

    fn failed(&self, backoff: &mut Backoff, error: &BoxError) -> Duration {
        let error = crate::chain(error.as_ref());
        if backoff.failures() == 0 {
            tracing::error!(error, "{} fails and is tried again", self.name);
        } else {
            tracing::debug!(error, failures = backoff.failures(), "{} still fails", self.name);
        }
        backoff.failed()
    }
}

/// Waits at start for what a service depends on: tries `attempt` with growing waits until it succeeds.
/// Returns `None` if the process is asked to stop meanwhile. The first failure is logged, and the
/// success that follows.
pub async fn keep_trying<T, F, E>(context: &Context, what: &str, mut attempt: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    let mut backoff = BACKOFF;
    loop {
        let wait = tokio::select! {
            result = attempt() => match result {
                Ok(value) => {
                    if backoff.failures() > 0 {
                        tracing::info!(failures = backoff.failures(), "{what} is there");
                    }
                    return Some(value);
                }
                Err(error) => {
                    let error = crate::chain(error.into().as_ref());
                    if backoff.failures() == 0 {
                        tracing::warn!(error, "waiting for {what}");
                    }
                    backoff.failed()
                }
            },
            () = context.soft_stop().cancelled() => return None,
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = context.soft_stop().cancelled() => return None,
        }
    }
}

/// What Prometheus learns of all loops of a service.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    steps: Counter<2>,
    seconds: Histogram<1>,
    last_success: Gauge<1>,
}

impl WorkerMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            steps: metrics.counter("worker_steps_total", "Steps of background loops.", ["worker", "outcome"]),
            seconds: metrics.histogram("worker_step_seconds", "Time a step took.", ["worker"], SECONDS),
            last_success: metrics.gauge(
                "worker_last_success_timestamp_seconds",
                "When a step last ended without an error, in Unix time.",
                ["worker"],
            ),
        }
    }

    fn took(&self, worker: &str, result: &Result<Outcome, BoxError>, elapsed: Duration, now: DateTime<Utc>) {
        let outcome = match result {
            Ok(Outcome::Done) => "done",
            Ok(Outcome::Idle) => "idle",
            Ok(Outcome::RetryAt(_)) => "retry_at",
            Ok(Outcome::GiveUp(_)) => "give_up",
            Err(_) => "error",
        };
        self.steps.inc([worker, outcome]);
        self.seconds.observe([worker], elapsed.as_secs_f64());
        if result.is_ok() {
            #[expect(clippy::cast_precision_loss, reason = "a millisecond more or less does not matter")]
            self.last_success.set([worker], now.timestamp_millis() as f64 / 1_000.0);
        }
    }
}
