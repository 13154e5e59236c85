//! Is the service able to work? Named checks, asked by probes.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::BoxError;

/// A check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// For so long an answer is given again, so that many probes cost no more than one.
const CACHED_FOR: Duration = Duration::from_secs(1);

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not all of it runs yet.
    Starting = 0,
    /// All of it runs.
    Running = 1,
    /// It takes no new work.
    Stopping = 2,
}

/// The checks of a process.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    phase: AtomicU8,
    checks: Mutex<BTreeMap<String, Check>>,
    /// Grows with each check and each phase: an answer from before is not given again.
    changes: AtomicU64,
    // Held while the checks run: who comes meanwhile waits for that answer instead of asking again.
    cached: tokio::sync::Mutex<Option<Cached>>,
}

struct Cached {
    at: Instant,
    changes: u64,
    results: Results,
}

/// What each check said last: nothing, or why it failed.
type Results = BTreeMap<String, Option<String>>;

/// The answer to a readiness probe, as JSON
/// `{"status": "ok", "phase": "running", "checks": {"NAME": {"status": "failed", "reason": "…"}}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// `ok` or `failed`.
    pub status: Verdict,
    /// Only a running process is ready.
    pub phase: Phase,
    /// Every check by name.
    pub checks: BTreeMap<String, CheckResult>,
}

/// How a check came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// `ok` or `failed`.
    pub status: Verdict,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Good or bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Works.
    Ok,
    /// Does not.
    Failed,
}

impl Health {
    /// Adds a check of something the service cannot work without; one of the same name is replaced.
    /// It runs at most once a second and has failed after two. The error's text is shown to whoever
    /// may reach the probe: no secrets in it.
    pub fn register<C, F, E>(&self, name: impl Into<String>, check: C)
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let check: Check = Arc::new(move || {
            let running = check();
            async move { running.await.map_err(Into::into) }.boxed()
        });
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), check);
        self.0.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Says where the process is in its life.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Release);
        self.0.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Where the process is in its life.
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Stopping,
        }
    }

    /// Runs all checks at once, or repeats their answer of less than a second ago.
    pub async fn readiness(&self) -> Readiness {
        // Looked at before the checks: those of a process that ran by then are all known.
        let before = self.phase();
        let results = self.results().await;
        let phase = if before == Phase::Starting { before } else { self.phase() };
        let healthy = phase == Phase::Running && results.values().all(Option::is_none);
        let checks = results.into_iter().map(|(name, reason)| {
            let status = if reason.is_none() { Verdict::Ok } else { Verdict::Failed };
            (name, CheckResult { status, reason })
        });
        let status = if healthy { Verdict::Ok } else { Verdict::Failed };
        Readiness { status, phase, checks: checks.collect() }
    }

    async fn results(&self) -> Results {
        let mut cached = self.0.cached.lock().await;
        let changes = self.0.changes.load(Ordering::Acquire);
        if let Some(cached) = cached.as_ref()
            && cached.changes == changes
            && cached.at.elapsed() < CACHED_FOR
        {
            return cached.results.clone();
        }
        let checks = self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let running = checks.into_iter().map(|(name, check)| async move {
            let reason = match timeout(CHECK_TIMEOUT, check()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(crate::chain(error.as_ref())),
                Err(_) => Some(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
            };
            (name, reason)
        });
        let results: Results = join_all(running).await.into_iter().collect();
        log_changes(cached.as_ref().map(|cached| &cached.results), &results);
        *cached = Some(Cached { at: Instant::now(), changes, results: results.clone() });
        results
    }
}

/// Logs a check once when it begins to fail and once when it no longer does.
fn log_changes(before: Option<&Results>, now: &Results) {
    for (name, reason) in now {
        let failed_before = before.and_then(|before| before.get(name)).is_some_and(Option::is_some);
        match reason {
            Some(reason) if !failed_before => tracing::warn!(check = name, reason, "health check fails"),
            None if failed_before => tracing::info!(check = name, "health check passes again"),
            _ => {}
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_running_process_with_passing_checks_is_ready() {
        let health = Health::default();
        health.register("good", || async { Ok::<_, BoxError>(()) });
        assert_eq!(health.readiness().await.status, Verdict::Failed);
        health.enter(Phase::Running);
        assert_eq!(health.readiness().await.status, Verdict::Ok);
        health.enter(Phase::Stopping);
        assert_eq!(health.readiness().await.status, Verdict::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_and_a_hanging_check_are_listed_with_their_reasons() {
        let health = Health::default();
        health.enter(Phase::Running);
        health.register("bad", || async { Err("no route") });
        health.register("hanging", std::future::pending::<Result<(), BoxError>>);
        let body = serde_json::to_value(health.readiness().await).unwrap();
        let expected = serde_json::json!({"status": "failed", "phase": "running", "checks": {
            "bad": {"status": "failed", "reason": "no route"},
            "hanging": {"status": "failed", "reason": "no answer within 2 s"},
        }});
        assert_eq!(body, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_before_the_start_does_not_speak_for_what_came_after() {
        let health = Health::default();
        assert_eq!(health.readiness().await.checks.len(), 0);
        health.register("bad", || async { Err("no route") });
        health.enter(Phase::Running);
        let readiness = health.readiness().await;
        assert_eq!((readiness.status, readiness.checks.len()), (Verdict::Failed, 1));
        health.register("good", || async { Ok::<_, BoxError>(()) });
        assert_eq!(health.readiness().await.checks.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_begins_to_run_during_a_probe_is_not_yet_ready() {
        let health = Health::default();
        let starting = health.clone();
        health.register("slow", move || {
            let starting = starting.clone();
            async move {
                starting.enter(Phase::Running);
                Ok::<_, BoxError>(())
            }
        });
        assert_eq!(health.readiness().await.phase, Phase::Starting);
        assert_eq!(health.readiness().await.phase, Phase::Running);
    }

    #[tokio::test(start_paused = true)]
    async fn many_probes_cost_one_check_a_second() {
        let health = Health::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        health.register("counted", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, BoxError>(()) }
        });
        join_all((0..50).map(|_| health.readiness())).await;
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        tokio::time::advance(CACHED_FOR).await;
        health.readiness().await;
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }
}
