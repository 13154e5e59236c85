//! Looking at and signalling processes, our children and those a killed run left behind.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// How often an end is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Whether a process of this id runs. A zombie (ended, not yet waited for by its parent) does not:
/// it still answers signals, so the state is read instead.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:") && line.contains('Z')))
}

/// Whether the process was started with `folder` on its command line, that is, works on its data.
fn works_on(pid: u32, folder: &Path) -> bool {
    let folder = folder.to_string_lossy();
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains(folder.as_ref()))
}

/// Sends a signal to a process.
pub(crate) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    signal::kill(Pid::from_raw(pid), signal).map_err(io::Error::from)
}

/// Ends a process that a killed run left behind, if `pid`, noted by that run, is still one that was
/// started with `folder` on its command line: ids are used again by others.
///
/// Its end is waited for: after the `gentle` signal first, by force after `grace`. Blocks meanwhile.
pub fn end_left_behind(pid: u32, folder: &Path, gentle: Signal, grace: Duration) {
    if !is_alive(pid) || !works_on(pid, folder) {
        return;
    }
    tracing::warn!(pid, data_dir = %folder.display(), "Ending a process that an earlier run left behind");
    for (signal, limit) in [(gentle, grace), (Signal::SIGKILL, Duration::from_secs(5))] {
        // An error means that it has just ended by itself.
        let _ = send(pid, signal);
        let deadline = Instant::now() + limit;
        while is_alive(pid) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }
}

/// Ends our child gently, by force after `grace`, and waits for its end.
pub(crate) fn end_child(child: &mut Child, gentle: Signal, grace: Duration) -> io::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    // A paused process would sleep through the gentle signal.
    send(child.id(), Signal::SIGCONT)?;
    send(child.id(), gentle)?;
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(POLL);
    }
    child.kill()?;
    child.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_alive(child.id()) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        assert!(!is_alive(child.id()), "the ended child is a zombie until it is waited for");
        child.wait().unwrap();
    }

    #[test]
    fn only_a_process_that_works_on_the_folder_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        end_left_behind(child.id(), Path::new("/no/such/folder"), Signal::SIGTERM, Duration::from_secs(1));
        assert!(is_alive(child.id()));
        // The command line shows a moment after the start.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !works_on(child.id(), Path::new("60")) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        end_left_behind(child.id(), Path::new("60"), Signal::SIGTERM, Duration::from_secs(1));
        assert!(!is_alive(child.id()));
        child.wait().unwrap();
    }

    #[test]
    fn a_child_that_ignores_the_gentle_signal_is_killed() {
        let mut child =
            Command::new("sh").args(["-c", "trap '' TERM; while :; do sleep 0.05; done"]).spawn().unwrap();
        end_child(&mut child, Signal::SIGTERM, Duration::from_millis(200)).unwrap();
        assert!(!is_alive(child.id()));
    }
}
