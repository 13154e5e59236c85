//! Keeps programs running: starts them, sees when one ends, starts it again after a growing pause.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::pauses::{HEALTHY_AFTER, Pauses};

const POLL: Duration = Duration::from_millis(50);

/// A program to keep running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// What it is called on screen and in the ready file.
    pub(crate) name: String,
    /// The file to run.
    pub(crate) executable: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Answers 200 when the program is ready; without it, it is ready once it runs.
    pub(crate) ready_url: Option<String>,
    /// Where all it says goes, to the end of the file.
    pub(crate) log: PathBuf,
}

/// Something a person should know of, or the caller has to react to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// It ended and is started again after the pause.
    Ended { name: String, status: ExitStatus, pause: Duration },
    /// It is ready again, as another process.
    Ready { name: String },
    /// It could not be started, and is tried again after the pause.
    NotStarted { name: String, error: String, pause: Duration },
}

#[derive(Debug)]
enum State {
    Running { child: Child, since: Instant, ready: bool },
    Pausing { until: Instant },
}

#[derive(Debug)]
struct Supervised {
    program: Program,
    state: State,
    pauses: Pauses,
}

/// The programs that are kept running. Dropped, it kills them.
#[derive(Debug)]
pub(crate) struct Supervisor {
    supervised: Vec<Supervised>,
    http: reqwest::Client,
}

impl Supervisor {
    /// Nothing yet.
    ///
    /// # Errors
    /// When no HTTP client can be made for asking whether programs are ready.
    pub(crate) fn new() -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        Ok(Self { supervised: Vec::new(), http })
    }

    /// Starts a program and keeps it running from now on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn add(&mut self, program: Program) -> Result<()> {
        let state = State::start(&program)?;
        self.supervised.push(Supervised { program, state, pauses: Pauses::new() });
        Ok(())
    }

    /// Ends the program of this name, if it is one of ours, and keeps `program` running in its place.
    ///
    /// # Errors
    /// When the new one cannot be started.
    pub(crate) async fn replace(&mut self, program: Program, grace: Duration) -> Result<()> {
        if let Some(at) = self.supervised.iter().position(|known| known.program.name == program.name) {
            let mut old = vec![self.supervised.remove(at)];
            end(&mut old, grace).await;
        }
        self.add(program)
    }

    /// Waits until all programs are ready for the first time.
    ///
    /// # Errors
    /// When one ends (its log tells why) or is not ready in time.
    pub(crate) async fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let mut waiting = Vec::new();
            for supervised in &mut self.supervised {
                let Supervised { program, state, .. } = supervised;
                if let State::Running { child, ready, .. } = state {
                    if let Some(status) = child.try_wait()? {
                        bail!("{} ended while starting ({status}):\n{}", program.name, log_tail(program));
                    }
                    *ready = *ready || is_ready(&self.http, program).await;
                    if !*ready {
                        waiting.push(program);
                    }
                }
            }
            let Some(first) = waiting.first() else { return Ok(()) };
            if Instant::now() >= deadline {
                bail!(
                    "{} was not ready within {limit:?}; its log ends with:\n{}",
                    first.name,
                    log_tail(first)
                );
            }
            sleep(POLL).await;
        }
    }

    /// Looks at every program once, starts what is due, and returns what happened.
    pub(crate) async fn look(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for supervised in &mut self.supervised {
            events.extend(supervised.look(&self.http).await);
        }
        events
    }

    /// The process of each program that runs.
    pub(crate) fn pids(&self) -> BTreeMap<String, u32> {
        let pid = |supervised: &Supervised| match &supervised.state {
            State::Running { child, .. } => Some((supervised.program.name.clone(), child.id())),
            State::Pausing { .. } => None,
        };
        self.supervised.iter().filter_map(pid).collect()
    }

    /// Asks all programs to stop (SIGTERM) and kills those that still run after `grace`; returns the names
    /// of the killed ones.
    pub(crate) async fn stop(&mut self, grace: Duration) -> Vec<String> {
        let mut supervised = std::mem::take(&mut self.supervised);
        end(&mut supervised, grace).await
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        for supervised in &mut self.supervised {
            supervised.kill();
        }
    }
}

impl State {
    fn start(program: &Program) -> Result<Self> {
        let failed = || format!("starting {} ({})", program.name, program.executable.display());
        let log = File::options().create(true).append(true).open(&program.log).with_context(failed)?;
        // Should this process be killed, the programs stop in an orderly way.
        let mut command = devservers::tied_command(&program.executable, Signal::SIGTERM);
        command.args(&program.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Ctrl-C in a terminal goes to this process, which then stops them in the right order.
        command.process_group(0);
        let child = devservers::spawn(command).with_context(failed)?;
        Ok(Self::Running { child, since: Instant::now(), ready: program.ready_url.is_none() })
    }
}

impl Supervised {
    async fn look(&mut self, http: &reqwest::Client) -> Option<Event> {
        let name = self.program.name.clone();
        match &mut self.state {
            State::Running { child, since, ready } => {
                if let Ok(Some(status)) = child.try_wait() {
                    if since.elapsed() >= HEALTHY_AFTER {
                        self.pauses.reset();
                    }
                    return Some(Event::Ended { name, status, pause: self.rest() });
                }
                if !*ready && is_ready(http, &self.program).await {
                    *ready = true;
                    return Some(Event::Ready { name });
                }
                None
            }
            State::Pausing { until } if *until <= Instant::now() => match State::start(&self.program) {
                Ok(state) => {
                    self.state = state;
                    // Otherwise its probe tells when.
                    self.program.ready_url.is_none().then_some(Event::Ready { name })
                }
                Err(error) => {
                    Some(Event::NotStarted { name, error: format!("{error:#}"), pause: self.rest() })
                }
            },
            State::Pausing { .. } => None,
        }
    }

    /// Pauses, longer each time; returns how long.
    fn rest(&mut self) -> Duration {
        let pause = self.pauses.longer();
        self.state = State::Pausing { until: Instant::now() + pause };
        pause
    }

    fn terminate(&self) {
        if let State::Running { child, .. } = &self.state
            && let Ok(pid) = i32::try_from(child.id())
        {
            // An error means that it has just ended by itself.
            let _ = signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    fn has_ended(&mut self) -> bool {
        match &mut self.state {
            State::Running { child, .. } => matches!(child.try_wait(), Ok(Some(_))),
            State::Pausing { .. } => true,
        }
    }

    fn kill(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            // An error means that it has ended and was waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn end(supervised: &mut [Supervised], grace: Duration) -> Vec<String> {
    for one in &*supervised {
        one.terminate();
    }
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline && !supervised.iter_mut().all(Supervised::has_ended) {
        sleep(POLL).await;
    }
    let mut killed = Vec::new();
    for one in supervised {
        if !one.has_ended() {
            one.kill();
            killed.push(one.program.name.clone());
        }
    }
    killed
}

async fn is_ready(http: &reqwest::Client, program: &Program) -> bool {
    let Some(url) = &program.ready_url else { return true };
    http.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
}

/// The last lines of the program's log.
fn log_tail(program: &Program) -> String {
    let text = std::fs::read(&program.log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests;
