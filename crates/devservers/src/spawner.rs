//! Starts children that end with this process.
//!
//! Linux can signal a child when its parent ends, however the parent ends. It means the *thread* that
//! made the child, though, and threads of a runtime come and go: so one thread that lives as long as
//! the process makes all of them.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};

struct Job {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();

/// Starts the command from the thread that never ends.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
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
