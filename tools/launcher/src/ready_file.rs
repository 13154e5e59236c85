//! The file that tells other programs where everything is.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::applications::Applications;
use crate::data_folder::write_private;

/// What the file says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ready {
    /// `standalone` or `services`.
    pub(crate) mode: &'static str,
    /// The customers' API, without a path.
    pub(crate) public_url: String,
    /// The internal API, without a path.
    pub(crate) internal_url: String,
    /// The metrics page of each service.
    pub(crate) metrics: BTreeMap<String, String>,
    /// The process of each service.
    pub(crate) pids: BTreeMap<String, u32>,
    /// `host:port`
    pub(crate) kafka_brokers: String,
    /// With the password.
    pub(crate) postgres_url: String,
    /// Kind, place and keys of the object store.
    pub(crate) object_store: Value,
    /// Keys and resources by application.
    pub(crate) applications: Applications,
}

/// The file, written whole with mode 0600, removed when dropped.
#[derive(Debug)]
pub(crate) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// A file that is not there yet. What an earlier run left, because it was killed, is removed: it
    /// tells of what is no more.
    pub(crate) fn new(path: PathBuf) -> Self {
        remove(&path);
        Self(path)
    }

    /// Writes the file, or writes it anew.
    ///
    /// # Errors
    /// The operating system's answer.
    pub(crate) fn write(&self, ready: &Ready) -> Result<()> {
        write_private(&self.0, &serde_json::to_vec_pretty(ready)?)
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(path: &PathBuf) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("cannot remove {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(pid: u32) -> Ready {
        Ready {
            mode: "services",
            public_url: "http://127.0.0.1:8080".to_owned(),
            internal_url: "http://127.0.0.1:8081".to_owned(),
            metrics: BTreeMap::new(),
            pids: BTreeMap::from([("dispatcher".to_owned(), pid)]),
            kafka_brokers: "127.0.0.1:9092".to_owned(),
            postgres_url: "postgres://".to_owned(),
            object_store: Value::Null,
            applications: Applications::new(),
        }
    }

    #[test]
    fn the_file_is_written_anew_and_gone_at_the_end() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("ready.json");
        fs::write(&path, "of a run that was killed").unwrap();
        let file = ReadyFile::new(path.clone());
        assert!(!path.exists());
        for pid in [1, 2] {
            file.write(&ready(pid)).unwrap();
            let read: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(read["pids"]["dispatcher"], pid);
        }
        drop(file);
        assert!(!path.exists());
    }
}
