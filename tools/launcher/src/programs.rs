//! How each of our programs is called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::applications::PLATFORM;
use crate::data_folder::{DataFolder, write_private};
use crate::settings;
use crate::supervisor::Program;

/// All services in one process.
pub(crate) const STANDALONE: &str = "standalone";
/// The operators' command.
pub(crate) const ADMIN: &str = "exports-admin";
/// The demo source application.
pub(crate) const DEMO_PROGRAM: &str = "inventory-source";
/// The source application whose resources are queries.
pub(crate) const SQL_PROGRAM: &str = "sql-source";
/// Its queries on the platform's own database.
const PLATFORM_QUERIES: &str = include_str!("../../../examples/sql-source/platform.toml");
/// Where standalone tells how its embedded servers are reached.
pub(crate) const DETAILS_FILE: &str = "details.json";

/// Where a source application finds the platform.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whereabouts<'a> {
    pub(crate) brokers: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) internal_url: &'a str,
}

/// Programs built into one folder, working on another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Programs<'a> {
    pub(crate) folder: &'a DataFolder,
    pub(crate) binaries: &'a Path,
}

impl Programs<'_> {
    /// A service whose probes are below `ops_url`.
    ///
    /// # Errors
    /// When it was not built.
    pub(crate) fn service(&self, name: &str, ops_url: &str) -> Result<Program> {
        let mut arguments = vec!["--config".into(), self.folder.entry(settings::FILE).into()];
        if name == STANDALONE {
            arguments.extend(["--data".into(), self.folder.path().into()]);
            arguments.extend(["--details-file".into(), self.folder.entry(DETAILS_FILE).into()]);
        }
        Ok(Program {
            name: name.to_owned(),
            executable: self.binary(name)?,
            arguments,
            ready_url: Some(format!("{ops_url}/readyz")),
            log: self.folder.log(name),
        })
    }

    /// The demo application.
    ///
    /// # Errors
    /// When it was not built or its key cannot be written.
    pub(crate) fn demo(&self, at: &Whereabouts<'_>, key: &str) -> Result<Program> {
        self.source(DEMO_PROGRAM, at, ["--key-file".into(), self.secret("inventory.key", key)?])
    }

    /// The SQL source application on the platform's own database. The URL, which holds a password, is not on its
    /// command line.
    ///
    /// # Errors
    /// When it was not built or its files cannot be written.
    pub(crate) fn sql_source(&self, at: &Whereabouts<'_>, key: &str, postgres_url: &str) -> Result<Program> {
        let queries = self.folder.entry("platform.toml");
        write_private(&queries, PLATFORM_QUERIES.as_bytes())?;
        let further = [
            "--application".into(),
            PLATFORM.into(),
            "--key-file".into(),
            self.secret("platform.key", key)?,
            "--resources".into(),
            queries.into(),
            "--database-url-file".into(),
            self.secret("platform.url", postgres_url)?,
        ];
        self.source(SQL_PROGRAM, at, further)
    }

    fn source<const N: usize>(
        &self,
        name: &str,
        at: &Whereabouts<'_>,
        further: [OsString; N],
    ) -> Result<Program> {
        let Whereabouts { brokers, topic, internal_url } = at;
        let arguments = ["--brokers", brokers, "--topic", topic, "--internal-url", internal_url];
        Ok(Program {
            name: name.to_owned(),
            executable: self.binary(name)?,
            arguments: arguments.into_iter().map(Into::into).chain(further).collect(),
            ready_url: None,
            log: self.folder.log(name),
        })
    }

    /// The path of a file of mode 0600.
    fn secret(&self, name: &str, content: &str) -> Result<OsString> {
        let path = self.folder.entry(name);
        write_private(&path, content.as_bytes())?;
        Ok(path.into())
    }

    /// The file of a program; cargo builds all into one folder.
    ///
    /// # Errors
    /// When it was not built.
    pub(crate) fn binary(&self, name: &str) -> Result<PathBuf> {
        let path = self.binaries.join(name);
        if !path.is_file() {
            bail!("{} was not built: run cargo build --workspace --bins", path.display());
        }
        Ok(path)
    }
}
