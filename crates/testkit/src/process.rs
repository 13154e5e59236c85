//! One of our programs as a process: started with its settings, watched, stopped or killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::poll_until;

/// Where cargo put the program `name`: the folder of the build that this test belongs to.
///
/// # Errors
/// When it was not built; the message says how.
pub fn binary(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("the path of this test")?;
    test.ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} was not built: run cargo build --workspace --bins"))
}

/// A running program. It is killed when this value is dropped, and when the test ends in any way.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with arguments and environment variables; all it says goes to the end of the
    /// file `log`. Of the test's own environment it gets nothing that begins with `EXPORTS__`.
    ///
    /// # Errors
    /// When it cannot be run or the log not be written.
    pub fn start<A, E>(program: &Path, arguments: A, environment: E, log: &Path) -> Result<Self>
    where
        A: IntoIterator<Item: AsRef<OsStr>>,
        E: IntoIterator<Item = (String, String)>,
    {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file =
            File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let mut command = tied(program);
        command.args(arguments).envs(environment);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = devservers::spawn(command).with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that was logged so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// Waits until `url` (such as `http://127.0.0.1:8081/readyz`) answers 200.
    ///
    /// # Errors
    /// When the program ended or was not ready in time, with the log.
    pub async fn wait_ready(&mut self, url: &str, limit: Duration) -> Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let ready = poll_until(limit, async || {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(Err(status)));
            }
            let response = client.get(url).send().await?;
            Ok(response.error_for_status().ok().map(|_| Ok(())))
        });
        match ready.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("{} ended while starting ({status}):\n{}", self.name, self.log()?),
            Err(error) => {
                Err(error.context(format!("{} is not ready; its log:\n{}", self.name, self.log()?)))
            }
        }
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// When it did not end in time.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(limit).await
    }

    /// Ends it as `kill -9` does and waits until it is gone.
    ///
    /// # Errors
    /// The operating system's answer.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it did not end in time.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        poll_until(limit, async || Ok(self.child.try_wait()?))
            .await
            .with_context(|| format!("waiting for the end of {name}"))
    }

    /// Freezes it: connections stay open and nobody answers.
    ///
    /// # Errors
    /// The operating system's answer.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// The operating system's answer.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        signal::kill(pid, signal).with_context(|| format!("sending {signal} to {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that is killed with this process, without settings that were meant for the test.
fn tied(program: &Path) -> Command {
    let mut command = devservers::tied_command(program, Signal::SIGKILL);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EXPORTS__")) {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str, folder: &Path) -> Process {
        let environment = [("GREETING".to_owned(), "hello".to_owned())];
        Process::start(Path::new("/bin/sh"), ["-c", script], environment, &folder.join("log")).unwrap()
    }

    #[tokio::test]
    async fn output_environment_and_exit_code_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo $GREETING; exit 3", folder.path());
        assert_eq!(process.wait(LIMIT).await.unwrap().code(), Some(3));
        assert_eq!(process.log().unwrap(), "hello\n");
    }

    #[tokio::test]
    async fn a_program_can_stop_in_its_own_way_when_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("trap 'exit 5' TERM; echo up; while :; do sleep 0.02; done", folder.path());
        poll_until(LIMIT, async || Ok((process.log()? == "up\n").then_some(()))).await.unwrap();
        assert_eq!(process.terminate(LIMIT).await.unwrap().code(), Some(5));
    }

    #[tokio::test]
    async fn a_killed_program_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("exec sleep 60", folder.path());
        assert_eq!(process.kill().unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn readiness_is_the_first_200() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for status in ["503 Service Unavailable", "200 OK"] {
                let mut stream = listener.accept().unwrap().0;
                // The answer may come once the request began.
                stream.read_exact(&mut [0; 4]).unwrap();
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        shell("exec sleep 60", folder.path()).wait_ready(&url, LIMIT).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_ends_before_it_is_ready_shows_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo bad setting; exit 2", folder.path());
        let error = process.wait_ready("http://127.0.0.1:9/readyz", LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("bad setting"), "{error}");
    }

    #[test]
    fn a_program_that_was_not_built_is_said_so() {
        let error = binary("no-such-program").unwrap_err();
        assert!(error.to_string().contains("cargo build"), "{error}");
    }
}
