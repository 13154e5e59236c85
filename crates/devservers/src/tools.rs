//! Finds the programs that `scripts/install` put on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// The versions in `scripts/lib/versions.env`, the one place where they are decided.
const VERSIONS: &str = include_str!("../../../scripts/lib/versions.env");

fn version(name: &str) -> &'static str {
    VERSIONS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("unknown")
}

/// The cache of downloaded tools, shared by all checkouts of a user.
fn tools_dir() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("EXPORTS_TOOLS").unwrap_or_else(|| {
        set("XDG_CACHE_HOME")
            .unwrap_or_else(|| set("HOME").unwrap_or_default().join(".cache"))
            .join("export-platform/tools")
    })
}

fn existing(path: PathBuf, tool: &str, group: &'static str) -> Result<PathBuf, Error> {
    if path.exists() { Ok(path) } else { Err(Error::ToolMissing { tool: tool.to_owned(), group }) }
}

/// The class path of Apache Kafka: all jars of one folder.
pub(crate) fn kafka_class_path() -> Result<String, Error> {
    let (scala, kafka) = (version("KAFKA_SCALA_VERSION"), version("KAFKA_VERSION"));
    let lib = tools_dir().join(format!("kafka_{scala}-{kafka}/lib"));
    Ok(format!("{}/*", existing(lib, "Apache Kafka", "services")?.display()))
}

/// The `SeaweedFS` program.
pub(crate) fn weed() -> Result<PathBuf, Error> {
    let path = tools_dir().join(format!("seaweedfs-{}/weed", version("SEAWEEDFS_VERSION")));
    existing(path, "SeaweedFS", "services")
}

/// The folder with `oidc-provider` and what it needs.
pub(crate) fn oidc_provider_libraries() -> Result<PathBuf, Error> {
    let path = tools_dir().join(format!("oidc-provider-{}/node_modules", version("OIDC_PROVIDER_VERSION")));
    existing(path, "oidc-provider", "test")
}

/// The folder with `azurite` and what it needs.
pub(crate) fn azurite_libraries() -> Result<PathBuf, Error> {
    let path = tools_dir().join(format!("azurite-{}/node_modules", version("AZURITE_VERSION")));
    existing(path, "azurite", "test")
}

/// The Node.js that comes with `oidc-provider`, which Debian's is too old for.
pub(crate) fn node() -> Result<PathBuf, Error> {
    let processor = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let path = oidc_provider_libraries()?.join(format!("node-linux-{processor}/bin/node"));
    existing(path, "Node.js", "test")
}

/// The folder with the clients of resumable uploads: `python-with-tuspy`, and `node_modules` with
/// `tus-js-client`.
///
/// # Errors
/// When they are not installed.
pub fn tus_clients() -> Result<PathBuf, Error> {
    let (python, javascript) = (version("TUSPY_VERSION"), version("TUS_JS_CLIENT_VERSION"));
    existing(tools_dir().join(format!("tus-clients-{python}-{javascript}")), "tus-clients", "test")
}

/// The Java program: of `JAVA_HOME` when that is set, else the one on the path.
pub(crate) fn java() -> Result<PathBuf, Error> {
    if let Some(home) = env::var_os("JAVA_HOME") {
        let java = Path::new(&home).join("bin/java");
        if java.exists() {
            return Ok(java);
        }
    }
    on_path("java").ok_or_else(|| Error::ToolMissing { tool: "Java".to_owned(), group: "services" })
}

/// A program on the path, or None.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// The folder with the programs of the newest installed `PostgreSQL` server.
pub(crate) fn postgres_bin() -> Result<PathBuf, Error> {
    let missing = || Error::ToolMissing { tool: "PostgreSQL".to_owned(), group: "run" };
    fs::read_dir("/usr/lib/postgresql")
        .map_err(|_| missing())?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((major, bin))
        })
        .max()
        .map(|(_, bin)| bin)
        .ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_shared_file() {
        let names = ["KAFKA_SCALA_VERSION", "KAFKA_VERSION", "SEAWEEDFS_VERSION", "OIDC_PROVIDER_VERSION"];
        for name in names.into_iter().chain(["AZURITE_VERSION"]) {
            assert!(version(name).starts_with(|first: char| first.is_ascii_digit()), "{name}");
        }
    }
}
