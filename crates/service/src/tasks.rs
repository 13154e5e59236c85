//! The background tasks of a process, by name.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt, mem,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::BoxError;

/// The running tasks. A task that fails or panics is the end of the process: something that should go
/// on does not, and starting anew is what a supervisor does best.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

struct Inner {
    runtime: Handle,
    tracker: TaskTracker,
    running: Mutex<Running>,
    failure: OnceLock<TaskFailure>,
    failed: CancellationToken,
    endings: Mutex<Vec<BoxFuture<'static, ()>>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    names: BTreeMap<u64, String>,
}

/// The first task that failed.
#[derive(Debug, thiserror::Error)]
#[error("task {task} failed")]
pub struct TaskFailure {
    /// The task, as `service/name`.
    pub task: String,
    /// Why.
    #[source]
    pub error: BoxError,
}

/// A panic, caught.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
pub(crate) struct Panicked(String);

impl Panicked {
    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("no message").to_owned())
    }
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            runtime: Handle::current(),
            tracker: TaskTracker::new(),
            running: Mutex::default(),
            failure: OnceLock::new(),
            failed: CancellationToken::new(),
            endings: Mutex::default(),
        }))
    }

    pub(crate) fn spawn<F, E>(&self, name: String, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let tasks = self.clone();
        let id = self.enter(name.clone());
        let supervised = async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            tasks.leave(id);
            match ended {
                Ok(Ok(())) => tracing::debug!(task = name, "task ended"),
                Ok(Err(error)) => tasks.fail(name, error.into()),
                Err(panic) => tasks.fail(name, Panicked::new(panic.as_ref()).into()),
            }
        };
        // The process's runtime, not that of an HTTP worker, which ends with its server.
        self.0.tracker.spawn_on(supervised, &self.0.runtime);
    }

    /// The names of the tasks that run.
    pub fn running(&self) -> Vec<String> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).names.values().cloned().collect()
    }

    /// The first failure of a task, if there was one.
    pub fn failure(&self) -> Option<&TaskFailure> {
        self.0.failure.get()
    }

    /// Ends when a task has failed.
    pub async fn failed(&self) {
        self.0.failed.cancelled().await;
    }

    /// Ends when all tasks have ended.
    pub(crate) async fn drained(&self) {
        self.0.tracker.close();
        self.0.tracker.wait().await;
    }

    pub(crate) fn at_end(&self, ending: impl Future<Output = ()> + Send + 'static) {
        self.0.endings.lock().unwrap_or_else(PoisonError::into_inner).push(ending.boxed());
    }

    /// Runs what waits for the end, all of it at once; a second call has nothing to run.
    pub(crate) async fn ending(&self) {
        let endings = mem::take(&mut *self.0.endings.lock().unwrap_or_else(PoisonError::into_inner));
        join_all(endings).await;
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    fn enter(&self, name: String) -> u64 {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.next += 1;
        let id = running.next;
        running.names.insert(id, name);
        id
    }

    fn leave(&self, id: u64) {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).names.remove(&id);
    }

    fn fail(&self, task: String, error: BoxError) {
        let failure = TaskFailure { task, error };
        tracing::error!(error = crate::chain(&failure), "a task failed: the process ends");
        // Only the first is the cause.
        let _ = self.0.failure.set(failure);
        self.0.failed.cancel();
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.running()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_task_is_a_failure_with_its_name() {
        let tasks = Tasks::new();
        tasks.spawn("s/loop".into(), async {
            assert_eq!(1 + 1, 3, "lost the thread");
            Ok::<_, BoxError>(())
        });
        tasks.failed().await;
        let failure = tasks.failure().unwrap();
        let told = crate::chain(failure);
        assert!(
            told.starts_with("task s/loop failed: panicked: ") && told.contains("lost the thread"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_task_may_end_well_while_others_run() {
        let tasks = Tasks::new();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tasks.spawn("s/short".into(), async { Ok::<_, BoxError>(()) });
        tasks.spawn("s/long".into(), async move {
            stopped.cancelled().await;
            Ok::<_, BoxError>(())
        });
        while tasks.running() != ["s/long"] {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        tasks.drained().await;
        assert!(tasks.failure().is_none() && tasks.running().is_empty());
    }
}
