//! The file through which the shared test servers are found.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::S3Connection;

/// Names the file when it is not below the folder of the build.
const ENVIRONMENT: &str = "EXPORTS_TEST_SERVERS";
const FILE_NAME: &str = "test-servers.json";

/// Addresses and keys of the servers that one test run shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestServers {
    /// URL of the superuser: `postgres://postgres:PASSWORD@127.0.0.1:PORT/postgres`.
    pub postgres_url: String,
    /// `127.0.0.1:PORT`
    pub kafka_brokers: String,
    /// The S3 server, with a bucket for tests.
    pub s3: S3Connection,
    /// Where `OpenID` issuers are made: `http://127.0.0.1:PORT`.
    pub identity_provider_url: String,
}

/// Why the test servers were not found.
#[derive(Debug, thiserror::Error)]
pub enum TestServersError {
    /// They do not run.
    #[error("the test servers do not run: start them with ./scripts/test-servers")]
    NotRunning,
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{} does not describe test servers", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl TestServers {
    /// Finds the running test servers: by the file that `EXPORTS_TEST_SERVERS` names, else by
    /// `test-servers.json` in one of the folders above the running program (cargo's target folder).
    ///
    /// # Errors
    /// [`TestServersError::NotRunning`] says what to run.
    pub fn find() -> Result<Self, TestServersError> {
        let path = match env::var_os(ENVIRONMENT) {
            Some(path) => PathBuf::from(path),
            None => beside_build().ok_or(TestServersError::NotRunning)?,
        };
        Self::read(&path)
    }

    fn read(path: &Path) -> Result<Self, TestServersError> {
        let text = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => TestServersError::NotRunning,
            _ => TestServersError::Unreadable { path: path.to_owned(), source },
        })?;
        serde_json::from_slice(&text)
            .map_err(|source| TestServersError::Malformed { path: path.to_owned(), source })
    }
}

fn beside_build() -> Option<PathBuf> {
    env::current_exe().ok()?.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.exists())
}
