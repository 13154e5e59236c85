//! `exports-admin registry`: the applications, from a file that is kept under version control.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use domain::{Clock as _, SystemClock, registry::Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{ApplyOutcome, Store};

/// What to do with the registry.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes the registry what a file says and shows what that changes, a line for each setting. Running
    /// services follow within seconds.
    Apply {
        /// TOML with a section `[applications.NAME]` for each application.
        file: PathBuf,
        /// Only show what would be changed.
        #[arg(long)]
        dry_run: bool,
    },
}

/// The file.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct RegistryFile {
    /// The applications by their names.
    applications: Registry,
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
pub(crate) async fn run(store: &Store, command: Command) -> anyhow::Result<()> {
    let Command::Apply { file, dry_run } = command;
    let wanted = read(&file)?;
    let changes = if dry_run {
        store.registry_changes(wanted).await?
    } else {
        match store.apply_registry(wanted, SystemClock.now()).await? {
            ApplyOutcome::Applied(changes) => changes,
            ApplyOutcome::TooManyKeys(name) => {
                bail!("nothing was changed: application `{name}` would have more than two keys")
            }
        }
    };
    for change in &changes {
        println!("{change}");
    }
    let verb = if dry_run { "would be" } else { "were" };
    println!("{} settings {verb} changed", changes.len());
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Registry> {
    let read: RegistryFile = service::config::load(&[file.to_owned()])
        .with_context(|| format!("the registry {}", file.display()))?;
    if read.applications.applications().next().is_none() {
        // The wrong file, or an empty one: nobody could deliver any more, and all keys would be gone for good.
        bail!("the registry {} lists no application; nothing was changed", file.display());
    }
    Ok(read.applications)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_applications_is_refused_before_it_takes_all_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("applications.toml");
        for text in ["", "[applications]\n", "[telemetry]\n"] {
            std::fs::write(&file, text).unwrap();
            let refusal = read(&file).unwrap_err().to_string();
            assert!(refusal.ends_with("lists no application; nothing was changed"), "{text}: {refusal}");
        }
        std::fs::write(&file, "[applications.inventory]\n").unwrap();
        assert_eq!(read(&file).unwrap().applications().count(), 1);
    }
}
