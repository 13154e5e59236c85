//! How each of our programs is called.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::data_folder::{DataFolder, write_private};
use crate::settings;
use crate::supervisor::Program;

/// All services in one process.
pub(crate) const STANDALONE: &str = "standalone";
/// The operators' command.
pub(crate) const ADMIN: &str = "exports-admin";
/// The demo source application.
pub(crate) const DEMO_PROGRAM: &str = "inventory-source";
/// Where standalone tells how its embedded servers are reached.
pub(crate) const DETAILS_FILE: &str = "details.json";

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

    /// The demo application; its key goes into a file of mode 0600.
    ///
    /// # Errors
    /// When it was not built or the file cannot be written.
    pub(crate) fn demo(&self, brokers: &str, topic: &str, internal_url: &str, key: &str) -> Result<Program> {
        let key_file = self.folder.entry("inventory.key");
        write_private(&key_file, key.as_bytes())?;
        let arguments =
            ["--brokers", brokers, "--topic", topic, "--internal-url", internal_url, "--key-file"];
        Ok(Program {
            name: DEMO_PROGRAM.to_owned(),
            executable: self.binary(DEMO_PROGRAM)?,
            arguments: arguments.into_iter().map(Into::into).chain([key_file.into()]).collect(),
            ready_url: None,
            log: self.folder.log(DEMO_PROGRAM),
        })
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
