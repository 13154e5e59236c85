//! What can go wrong when a server is started, stopped or signalled.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a server could not be started or controlled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not on this machine.
    #[error("{tool} is not installed: run ./scripts/install {group}")]
    ToolMissing {
        /// The program or package looked for.
        tool: String,
        /// The group of `scripts/install` that brings it.
        group: &'static str,
    },
    /// A file or folder could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// Another live process works on this data directory.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A program could not be run at all.
    #[error("cannot run {program}")]
    Spawn {
        /// The program.
        program: String,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// A preparing command (making a cluster, formatting storage) failed.
    #[error("preparing {server} failed ({status}): {output}")]
    Prepare {
        /// The server being prepared.
        server: &'static str,
        /// How the command ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("{server} ended while starting ({status}); its log {} ends with:\n{tail}", log.display())]
    Ended {
        /// The server.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server runs but did not become ready in time.
    #[error("{server} was not ready within {limit:?}; its log {} ends with:\n{tail}", log.display())]
    NotReady {
        /// The server.
        server: &'static str,
        /// How long was waited.
        limit: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A signal could not be sent.
    #[error("cannot signal {server}")]
    Signal {
        /// The server.
        server: &'static str,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// The server is not running.
    #[error("{0} is not running")]
    NotRunning(&'static str),
    /// No free port was found.
    #[error("no free ports were found on 127.0.0.1")]
    NoPorts,
    /// The work was cut off because the runtime is shutting down.
    #[error("interrupted by shutdown")]
    Interrupted,
}

impl Error {
    /// Names the file an I/O error is about.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
