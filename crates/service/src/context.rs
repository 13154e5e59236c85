//! What a service is handed to live with.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::SharedClock;
use futures_util::pin_mut;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    BoxError, Health, Metrics, health::Phase, http::HttpMetrics, tasks::Tasks, worker::WorkerMetrics,
};

/// After the hard stop, how long tasks may still take to end.
pub(crate) const HARD_STOP_GRACE: Duration = Duration::from_secs(2);

/// A service's name, time, tasks, health and figures, and the order to stop. Cheap to clone.
///
/// A process has one, which `run` makes; several services in one process have one each, by
/// [`Context::for_service`].
#[derive(Debug, Clone)]
pub struct Context {
    name: &'static str,
    clock: SharedClock,
    soft_stop: CancellationToken,
    hard_stop: CancellationToken,
    tasks: Tasks,
    health: Health,
    metrics: Metrics,
    // Made on first use, so that a service without them shows no empty families.
    http_metrics: Arc<OnceLock<HttpMetrics>>,
    worker_metrics: Arc<OnceLock<WorkerMetrics>>,
}

impl Context {
    /// The context of a process. Its tasks run on the runtime that this is called on; call it on one.
    pub fn new(name: &'static str, clock: SharedClock) -> Self {
        Self {
            name,
            clock,
            soft_stop: CancellationToken::new(),
            hard_stop: CancellationToken::new(),
            tasks: Tasks::new(),
            health: Health::default(),
            metrics: Metrics::new(name),
            http_metrics: Arc::default(),
            worker_metrics: Arc::default(),
        }
    }

    /// A context for the service `name` of the same process: it lives and stops with the others, and
    /// its figures carry its own name. Once per service: a second one would count for nobody.
    #[must_use]
    pub fn for_service(&self, name: &'static str) -> Self {
        Self {
            name,
            metrics: self.metrics.for_service(name),
            http_metrics: Arc::default(),
            worker_metrics: Arc::default(),
            ..self.clone()
        }
    }

    /// The service's name, such as `public-api`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where to take the time from.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Cancelled when the process is asked to stop: take no new work, finish what runs.
    pub fn soft_stop(&self) -> &CancellationToken {
        &self.soft_stop
    }

    /// Cancelled when the time for that is up: drop what runs.
    pub fn hard_stop(&self) -> &CancellationToken {
        &self.hard_stop
    }

    /// The checks of the readiness probe.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The figures of this service.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The running tasks of the process.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Runs `task` in the background. The process waits for it when it stops, and ends if it fails or
    /// panics; it may end well at any time.
    pub fn spawn<F, E>(&self, name: impl Into<String>, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.tasks.spawn(format!("{}/{}", self.name, name.into()), task);
    }

    /// Runs `ending` when the process stops and its tasks have ended or have been given up, for what must
    /// outlive them: closing a producer, stopping a server that they use. It has what the tasks have left of
    /// the patience, and two seconds at least.
    pub fn at_end(&self, ending: impl Future<Output = ()> + Send + 'static) {
        self.tasks.at_end(ending);
    }

    /// Stops the tasks: softly, and hard once `patience` is over or `hurry` ends. Returns whether all
    /// have ended, which those that ignore the hard stop have not, and what runs [at the end](Self::at_end)
    /// has. It takes at most `patience` and four seconds.
    pub async fn stop(&self, patience: Duration, hurry: impl Future<Output = ()>) -> bool {
        self.health.enter(Phase::Stopping);
        self.soft_stop.cancel();
        let hard_end = Instant::now() + patience + HARD_STOP_GRACE;
        pin_mut!(hurry);
        let drained = tokio::select! {
            drained = timeout(patience, self.tasks.drained()) => drained.is_ok(),
            () = &mut hurry => false,
        };
        if !drained {
            tracing::warn!(tasks = ?self.tasks.running(), "stopping hard what has not finished");
            self.hard_stop.cancel();
        }
        let tasks_ended = timeout(HARD_STOP_GRACE, self.tasks.drained()).await.is_ok();
        let ending = self.tasks.ending();
        pin_mut!(ending);
        let ended_unhurried = drained
            && tokio::select! {
                ended = timeout_at(hard_end, &mut ending) => ended.is_ok(),
                () = hurry => false,
            };
        tasks_ended && (ended_unhurried || timeout(HARD_STOP_GRACE, ending).await.is_ok())
    }

    pub(crate) fn http_metrics(&self) -> &HttpMetrics {
        self.http_metrics.get_or_init(|| HttpMetrics::new(&self.metrics))
    }

    pub(crate) fn worker_metrics(&self) -> &WorkerMetrics {
        self.worker_metrics.get_or_init(|| WorkerMetrics::new(&self.metrics))
    }
}
