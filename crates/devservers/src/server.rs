//! The life of a server: start until ready, stop, kill, restart, pause.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::home::Home;
use crate::{Error, process, spawner};

/// How long a server may take until it is ready: a loaded machine starts a JVM slowly.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(40);
/// A start may be refused for a moment after a kill: the old processes are not gone yet.
const START_TRIES: u32 = 4;
const PID_FILE: &str = "server.pid";

/// What one kind of server has of its own.
pub trait Kind: Sized + Send + Sync + 'static {
    /// What the caller may choose.
    type Options: Send + 'static;
    /// The name people know it by.
    const NAME: &'static str;
    /// The signal that asks it to finish what it does and end.
    const STOP: Signal;
    /// The signal that makes it end at once without leaving processes behind.
    const DROP: Signal;
    /// How long it may take to end when asked to.
    const GRACE: Duration;

    /// Makes the folder ready (once) and fixes ports and secrets.
    #[doc(hidden)]
    fn prepare(home: &Home, options: Self::Options) -> Result<Self, Error>;
    /// The command that runs the server in the foreground.
    #[doc(hidden)]
    fn command(&self, home: &Home) -> Result<Program, Error>;
    /// Asks once whether the server does its work.
    #[doc(hidden)]
    fn is_ready(&self) -> bool;
}

/// A command to run, and the user to run it as when we are root.
#[derive(Debug)]
pub struct Program {
    pub(crate) command: Command,
    pub(crate) run_as: Vec<String>,
}

/// A running (or stopped) server. Dropped, it ends at once, and a temporary folder goes with it.
#[derive(Debug)]
pub struct Server<K: Kind> {
    inner: Arc<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    kind: K,
    child: Mutex<Option<Child>>,
    // After the child: the folder's lock is released and a temporary folder deleted once it ended.
    home: Home,
}

impl<K: Kind> Server<K> {
    pub(crate) async fn start_in(data: crate::DataDir, options: K::Options) -> Result<Self, Error> {
        blocking(move || {
            let home = Home::open(&data)?;
            if let Some(pid) =
                fs::read_to_string(home.path(PID_FILE)).ok().and_then(|pid| pid.trim().parse().ok())
            {
                process::end_left_behind(pid, home.dir(), K::STOP, K::GRACE);
            }
            let kind = K::prepare(&home, options)?;
            // Made before the start, so that a failed start ends what it began.
            let server = Self { inner: Arc::new(Inner { kind, child: Mutex::new(None), home }) };
            server.inner.start()?;
            Ok(server)
        })
        .await
    }

    /// Starts it again after [`stop`](Self::stop), [`kill`](Self::kill) or an end of its own, or stops
    /// and starts it when it runs. Data and ports stay.
    ///
    /// # Errors
    /// As at the first start.
    pub async fn restart(&self) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            inner.stop()?;
            inner.start()
        })
        .await
    }

    /// Asks it to end in an orderly way, by force after a while; returns when it ended.
    ///
    /// # Errors
    /// [`Error::Signal`] when it cannot be signalled.
    pub async fn stop(&self) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.stop()).await
    }

    /// Ends it as `kill -9` does and waits until it is gone. Nothing happens when it does not run.
    ///
    /// # Errors
    /// [`Error::Signal`] when it cannot be signalled.
    pub fn kill(&self) -> Result<(), Error> {
        let Some(mut child) = self.inner.child().take() else { return Ok(()) };
        child.kill().and_then(|()| child.wait()).map(drop).map_err(Inner::<K>::signal_error)
    }

    /// Freezes the process: connections stay open and nobody answers.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::Signal`].
    pub fn pause(&self) -> Result<(), Error> {
        self.inner.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::Signal`].
    pub fn resume(&self) -> Result<(), Error> {
        self.inner.signal(Signal::SIGCONT)
    }

    /// Whether the process lives (it may be paused).
    pub fn is_running(&self) -> bool {
        self.inner.child().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The process id; None when it was stopped or killed.
    pub fn pid(&self) -> Option<u32> {
        self.inner.child().as_ref().map(Child::id)
    }

    /// The folder with data and log (`server.log`).
    pub fn data_dir(&self) -> &Path {
        self.inner.home.dir()
    }

    pub(crate) fn kind(&self) -> &K {
        &self.inner.kind
    }
}

enum Outcome {
    Ready,
    Ended(ExitStatus),
    TimedOut,
}

impl<K: Kind> Inner<K> {
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_LIMIT;
        for attempt in 1.. {
            let child = self.spawn()?;
            self.home.write_private(PID_FILE, &child.id().to_string())?;
            *self.child() = Some(child);
            match self.wait_until_ready(deadline) {
                Outcome::Ready => break,
                Outcome::Ended(_) if attempt < START_TRIES => {
                    thread::sleep(Duration::from_millis(250) * attempt);
                }
                Outcome::Ended(status) => return Err(self.ended(status)),
                Outcome::TimedOut => {
                    self.stop()?;
                    return Err(self.not_ready());
                }
            }
        }
        Ok(())
    }

    fn spawn(&self) -> Result<Child, Error> {
        let program = self.kind.command(&self.home)?;
        let path = self.home.log();
        let log =
            OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        let errors = log.try_clone().map_err(Error::file("open", &path))?;
        let mut command = tied(&program, K::DROP);
        // A process group of its own: Ctrl-C in a terminal must not end the server before its users.
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let program = command.get_program().to_string_lossy().into_owned();
        spawner::spawn(command).map_err(|source| Error::Spawn { program, source })
    }

    fn wait_until_ready(&self, deadline: Instant) -> Outcome {
        while Instant::now() < deadline {
            if let Some(Ok(Some(status))) = self.child().as_mut().map(Child::try_wait) {
                return Outcome::Ended(status);
            }
            if self.kind.is_ready() {
                return Outcome::Ready;
            }
            thread::sleep(POLL);
        }
        Outcome::TimedOut
    }

    fn stop(&self) -> Result<(), Error> {
        let Some(mut child) = self.child().take() else { return Ok(()) };
        process::end_child(&mut child, K::STOP, K::GRACE).map_err(Self::signal_error)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.child().as_ref().map(Child::id).ok_or(Error::NotRunning(K::NAME))?;
        process::send(pid, signal).map_err(Self::signal_error)
    }

    fn signal_error(source: std::io::Error) -> Error {
        Error::Signal { server: K::NAME, source }
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::Ended { server: K::NAME, status, log: self.home.log(), tail: self.home.log_tail() }
    }

    fn not_ready(&self) -> Error {
        Error::NotReady {
            server: K::NAME,
            limit: READY_LIMIT,
            log: self.home.log(),
            tail: self.home.log_tail(),
        }
    }
}

impl<K: Kind> Drop for Server<K> {
    fn drop(&mut self) {
        let child = self.inner.child().take();
        if let Some(mut child) = child
            && let Err(error) = process::end_child(&mut child, K::DROP, Duration::from_secs(5))
        {
            tracing::warn!(%error, server = K::NAME, "A server could not be ended");
        }
    }
}

/// Wraps a command so that it runs as another user and gets a signal when this process ends.
fn tied(program: &Program, signal: Signal) -> Command {
    let inner = &program.command;
    let mut command = spawner::wrapped(inner.get_program(), &program.run_as, signal);
    command.args(inner.get_args()).current_dir("/");
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Runs a preparing command to its end, as another user when `run_as` says so.
///
/// # Errors
/// [`Error::Prepare`] with what the command said when it fails.
pub(crate) fn run(server: &'static str, program: &Program) -> Result<(), Error> {
    let mut command = tied(program, Signal::SIGKILL);
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|source| Error::Spawn { program: name, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let output_text = String::from_utf8_lossy(&said).trim().to_owned();
    Err(Error::Prepare { server, status: output.status, output: output_text })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?
}
