//! Children that end with this process, also when it is killed.
//!
//! Linux can signal a child when its parent ends, however the parent ends. It means the *thread* that
//! made the child, though, and threads of a runtime come and go: so one thread that lives as long as
//! the process makes all of them.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sys::signal::Signal;

use crate::tools;

struct Job {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();

/// A command for `program` that gets `signal` when this process ends in any way. Start it with
/// [`spawn`]; arguments, environment and streams are the caller's to add.
///
/// Where `setpriv` (part of every Debian) is missing, the child outlives a killed parent.
pub fn tied_command(program: impl AsRef<OsStr>, signal: Signal) -> Command {
    wrapped(program.as_ref(), &[], signal)
}

/// The same, run through further options of `setpriv`, such as another user.
pub(crate) fn wrapped(program: &OsStr, options: &[String], signal: Signal) -> Command {
    let Some(setpriv) = tools::on_path("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(options).args(["--pdeathsig", signal.as_str().trim_start_matches("SIG"), "--"]).arg(program);
    command
}

/// Starts a [`tied_command`] from the thread that never ends.
///
/// # Errors
/// The operating system's answer.
pub fn spawn(command: Command) -> io::Result<Child> {
    let jobs = SPAWNER
        .get_or_init(|| Mutex::new(start_thread()))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (answer, child) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts servers is gone");
    jobs.send(Job { command, answer }).map_err(|_| gone(mpsc::RecvError))?;
    child.recv().map_err(gone)?
}

fn start_thread() -> Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    std::thread::spawn(move || {
        for mut job in jobs {
            // An asker that is gone drops the child unwaited; its pid file lets the next start find it.
            let _ = job.answer.send(job.command.spawn());
        }
    });
    sender
}
