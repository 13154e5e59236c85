//! The life of a process: settings, start, run, stop.

mod signals;

use std::{error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args as _, Command, FromArgMatches as _};
use domain::{Period, SystemClock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use self::signals::Signals;
use crate::{
    BoxError, Context, TelemetrySettings, config, context::HARD_STOP_GRACE, failpoints, health::Phase,
    ops::OpsServer, telemetry,
};

/// The version that `--version` tells; all our programs have the same.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The sections that a service reads of its own.
pub trait ServiceSettings: DeserializeOwned + JsonSchema {
    /// Where probes and Prometheus ask: `ops_listen` in the service's own section.
    fn ops_listen(&self) -> SocketAddr;
}

/// The sections that every service reads.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessSettings {
    /// Logs.
    pub telemetry: TelemetrySettings,
    /// Start and stop.
    pub lifecycle: LifecycleSettings,
}

/// How the process runs and ends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LifecycleSettings {
    /// Threads for background work; without it, one per core.
    pub worker_threads: Option<usize>,
    /// Within this time after SIGTERM or SIGINT the process has ended: it takes no new work, finishes
    /// what runs, and four seconds before the end drops what has not finished. A second signal shortens it.
    pub stop_timeout: Period,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        Self { worker_threads: None, stop_timeout: Period::from_secs(25) }
    }
}

/// The command line that all services share.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Settings file (TOML); may be given again, later ones win, and the environment (`EXPORTS__SECTION__KEY`)
    /// wins over files.
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
}

/// The whole `main` of a service: reads the command line and the settings, and goes on as [`start`].
///
/// `wire` builds the service and returns once all of it runs, in tasks and servers of the context.
pub fn run<S, W, F>(name: &'static str, wire: W) -> ExitCode
where
    S: ServiceSettings,
    W: FnOnce(Context, S) -> F,
    F: Future<Output = Result<(), BoxError>>,
{
    let command = Options::augment_args(Command::new(name).version(VERSION));
    match Options::from_arg_matches(&command.get_matches()) {
        Ok(options) => start(name, &options, wire),
        Err(error) => error.exit(),
    }
}

/// Runs a service until a signal or a failing task ends it. For programs with a command line of their own;
/// others use [`run`].
///
/// The exit code is 0 after SIGTERM or SIGINT, within `lifecycle.stop_timeout`; 1 if the service could not
/// start or a task failed; 2 if the settings are wrong.
pub fn start<S, W, F>(name: &'static str, options: &Options, wire: W) -> ExitCode
where
    S: ServiceSettings,
    W: FnOnce(Context, S) -> F,
    F: Future<Output = Result<(), BoxError>>,
{
    let (process, settings): (ProcessSettings, S) = match config::load_both(&options.config) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(name, &error),
    };
    if let Err(error) = telemetry::init(&process.telemetry) {
        return refuse(name, &error);
    }
    let _armed = failpoints::arm();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = process.lifecycle.worker_threads {
        builder.worker_threads(threads.max(1));
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(name, &error),
    };
    let ended = runtime.block_on(live(name, &process.lifecycle, settings, wire));
    // What still blocks a thread does not hold up the end.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| {
        tracing::error!(error = crate::chain(error.as_ref()), "{name} could not start");
        ExitCode::FAILURE
    })
}

/// Prints why `name` does not start: nothing logs yet.
#[expect(clippy::print_stderr, reason = "logging has not begun")]
fn refuse(name: &str, error: &dyn Error) -> ExitCode {
    eprintln!("{name}: {}", crate::chain(error));
    ExitCode::from(2)
}

async fn live<S, W, F>(
    name: &'static str,
    lifecycle: &LifecycleSettings,
    settings: S,
    wire: W,
) -> Result<ExitCode, BoxError>
where
    S: ServiceSettings,
    W: FnOnce(Context, S) -> F,
    F: Future<Output = Result<(), BoxError>>,
{
    let mut signals = Signals::catch()?;
    let context = Context::new(name, Arc::new(SystemClock));
    let ops = OpsServer::start(&context, settings.ops_listen())?;
    let patience = lifecycle.stop_timeout.as_duration().saturating_sub(HARD_STOP_GRACE * 2);
    tracing::info!(version = VERSION, ops = %ops.address(), "{name} starts");
    let started = async {
        wire(context.clone(), settings).await?;
        context.health().enter(Phase::Running);
        tracing::info!("{name} runs");
        context.tasks().failed().await;
        Ok(())
    };
    let outcome: Result<(), BoxError> = tokio::select! {
        outcome = started => outcome,
        () = signals.next() => Ok(()),
    };
    let stopped = context.stop(patience, signals.next()).await;
    if !stopped {
        tracing::warn!(tasks = ?context.tasks().running(), "left behind what does not end");
    }
    ops.stop().await;
    outcome?;
    // A failed task has been logged where it failed.
    Ok(if context.tasks().failure().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
