//! A service as a process of its own, behind a door that stays where it is when the process dies.

use std::{
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use e2e::PATIENCE;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::{FaultProxy, Process, poll_until};

/// The signal that `abort` ends a process with: what a failpoint does.
const SIGABRT: i32 = 6;

/// The services that run as processes of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    PublicApi,
    InternalApi,
    Dispatcher,
    ExpiryReaper,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::PublicApi => "public-api",
            Self::InternalApi => "internal-api",
            Self::Dispatcher => "dispatcher",
            Self::ExpiryReaper => "expiry-reaper",
        }
    }

    fn binary(self) -> &'static Path {
        Path::new(match self {
            Self::PublicApi => env!("CARGO_BIN_EXE_e2e-public-api"),
            Self::InternalApi => env!("CARGO_BIN_EXE_e2e-internal-api"),
            Self::Dispatcher => env!("CARGO_BIN_EXE_e2e-dispatcher"),
            Self::ExpiryReaper => env!("CARGO_BIN_EXE_e2e-expiry-reaper"),
        })
    }

    fn has_api(self) -> bool {
        matches!(self, Self::PublicApi | Self::InternalApi)
    }
}

/// How a program is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// Files of settings, later ones win.
    pub(crate) settings: Vec<PathBuf>,
    /// Where its logs go.
    pub(crate) folder: PathBuf,
    /// Settings of this one program: environment variables.
    pub(crate) environment: Vec<(String, String)>,
}

/// A running service. It is killed when this is dropped.
pub(crate) struct Program {
    service: Service,
    launch: Launch,
    process: Process,
    door: FaultProxy,
    ops: SocketAddr,
    http: reqwest::Client,
}

impl Program {
    /// Starts a service and waits until it says that it runs, ready or not.
    pub(crate) async fn start(service: Service, launch: Launch) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let door = FaultProxy::bind().await?;
        let (process, addresses) = launch_process(service, &launch).await?;
        let program = Self { service, launch, process, door, ops: addresses.ops, http };
        program.open_door(addresses.api);
        Ok(program)
    }

    /// As [`Program::start`], and waits until it is ready.
    pub(crate) async fn start_ready(service: Service, launch: Launch) -> Result<Self> {
        let mut program = Self::start(service, launch).await?;
        program.wait_ready().await?;
        Ok(program)
    }

    fn open_door(&self, api: Option<SocketAddr>) {
        if let Some(api) = api {
            self.door.set_upstream(api);
        }
    }

    /// Starts it again in the same way after it has ended.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        let (process, addresses) = launch_process(self.service, &self.launch).await?;
        (self.process, self.ops) = (process, addresses.ops);
        self.open_door(addresses.api);
        self.wait_ready().await
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Waits until a failpoint has ended it, which it has no more.
    pub(crate) async fn expect_crash(&mut self) {
        self.launch.environment.retain(|(name, _)| name != "FAILPOINTS");
        let status = self.process.wait(PATIENCE).await.expect("the failpoint is reached");
        assert_eq!(status.signal(), Some(SIGABRT), "{status}: {}", self.process.log().unwrap());
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.process.terminate(limit).await.expect("it ends in time")
    }

    /// What clients connect through.
    pub(crate) fn door(&self) -> &FaultProxy {
        &self.door
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// `http://127.0.0.1:PORT` of its API, the same all along.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.door.address())
    }

    pub(crate) async fn wait_ready(&mut self) -> Result<()> {
        self.process.wait_ready(&format!("http://{}/readyz", self.ops), PATIENCE).await
    }

    /// What the readiness probe answers.
    pub(crate) async fn readiness(&self) -> Result<(StatusCode, Value)> {
        readiness(&self.http, self.ops).await
    }

    /// Where probes and metrics are served.
    pub(crate) fn ops(&self) -> SocketAddr {
        self.ops
    }

    /// Waits until the readiness probe says that `check` fails.
    pub(crate) async fn wait_unready(&self, check: &str) {
        let waited = poll_until(PATIENCE, async || {
            let (status, body) = self.readiness().await?;
            let failed = body["checks"][check]["status"] == "failed";
            Ok((status == StatusCode::SERVICE_UNAVAILABLE && failed).then_some(()))
        });
        waited.await.unwrap_or_else(|error| panic!("{check} is not missed: {error:#}"));
    }

    /// The sum of all samples of a metric whose labels include `label` (such as `outcome="sent"`).
    pub(crate) async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let text = self.http.get(format!("http://{}/metrics", self.ops)).send().await?.text().await?;
        let samples = text.lines().filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            let (sample_name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            (sample_name == name && labels.contains(label)).then(|| value.parse::<f64>().ok())?
        });
        Ok(samples.sum())
    }

    /// Waits until [`Program::metric`] is at least `least`.
    pub(crate) async fn wait_metric(&self, name: &str, label: &str, least: f64) {
        let waited =
            poll_until(PATIENCE, async || Ok((self.metric(name, label).await? >= least).then_some(())));
        waited.await.unwrap_or_else(|error| panic!("{name}{{{label}}} stays below {least}: {error:#}"));
    }
}

/// What the readiness probe at `ops` answers.
pub(crate) async fn readiness(http: &reqwest::Client, ops: SocketAddr) -> Result<(StatusCode, Value)> {
    let response = http.get(format!("http://{ops}/readyz")).send().await?;
    Ok((response.status(), response.json().await?))
}

/// Where a process listens.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    ops: SocketAddr,
    api: Option<SocketAddr>,
}

async fn launch_process(service: Service, launch: &Launch) -> Result<(Process, Addresses)> {
    let mut process = spawn(service.name(), service.binary(), &[], launch)?;
    let starts = format!("{} starts", service.name());
    let ops = logged_address(&mut process, &[("message", &starts)], "ops").await?;
    let mut api = None;
    if service.has_api() {
        api = Some(logged_address(&mut process, &[("message", "listening")], "address").await?);
    }
    Ok((process, Addresses { ops, api }))
}

/// Starts a program whose settings are those of `launch`, with a log of its own.
pub(crate) fn spawn(name: &str, binary: &Path, arguments: &[String], launch: &Launch) -> Result<Process> {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    let log = launch.folder.join(format!("{name}-{}.log", STARTS.fetch_add(1, Ordering::Relaxed)));
    let files = launch.settings.iter().flat_map(|file| ["--config".into(), file.display().to_string()]);
    let arguments = arguments.iter().cloned().chain(files);
    Process::start(binary, arguments, launch.environment.iter().cloned(), &log)
}

/// Runs the operators' command to its end; its status and all that it says.
pub(crate) async fn administrate(launch: &Launch, arguments: &[&str]) -> Result<(ExitStatus, String)> {
    let binary = Path::new(env!("CARGO_BIN_EXE_e2e-exports-admin"));
    let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let mut command = spawn("exports-admin", binary, &arguments, launch)?;
    Ok((command.wait(PATIENCE).await?, command.log()?))
}

/// Waits until a program has logged a line with these fields, and returns the address in its field `field`.
pub(crate) async fn logged_address(
    process: &mut Process,
    fields: &[(&str, &str)],
    field: &str,
) -> Result<SocketAddr> {
    let found = poll_until(PATIENCE, async || {
        let log = process.log()?;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut lines = lines.filter(|line| fields.iter().all(|(name, value)| line[*name] == *value));
        if let Some(line) = lines.next() {
            return Ok(Some(Ok(line[field].as_str().context("an address")?.parse()?)));
        }
        let ended = process.wait(Duration::ZERO).await.ok();
        Ok(ended.map(|status| Err(anyhow!("it ended while starting ({status}): {log}"))))
    });
    found.await.with_context(|| format!("waiting for the log to say {fields:?}"))?
}
