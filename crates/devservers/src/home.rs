//! The folder in which one server keeps everything it has.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{Error, net, random::random};

/// Where a server keeps its data.
#[derive(Debug, Clone, Default)]
pub enum DataDir {
    /// A folder of its own that is deleted with the server.
    #[default]
    Temporary,
    /// This folder, made when missing. Data, ports and secrets in it are used again.
    At(PathBuf),
}

/// One server's folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    // Released by the operating system when the process ends, however it ends.
    _lock: File,
    _temporary: Option<tempfile::TempDir>,
}

impl Home {
    /// Makes or opens the folder and takes its lock.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process holds the lock, [`Error::File`] otherwise.
    pub(crate) fn open(data: &DataDir) -> Result<Self, Error> {
        let (dir, temporary) = match data {
            DataDir::At(dir) => (dir.clone(), None),
            DataDir::Temporary => {
                let temporary = tempfile::Builder::new()
                    .prefix("devserver-")
                    .tempdir()
                    .map_err(Error::file("make a folder in", std::env::temp_dir()))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        DirBuilder::new().recursive(true).mode(0o755).create(&dir).map_err(Error::file("make", &dir))?;
        // PostgreSQL runs as another user when we are root and has to pass through.
        fs::set_permissions(&dir, Permissions::from_mode(0o711)).map_err(Error::file("protect", &dir))?;
        let dir = dir.canonicalize().map_err(Error::file("resolve", &dir))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock, _temporary: temporary }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(dir)),
            Err(TryLockError::Error(source)) => Err(Error::File { action: "lock", path, source }),
        }
    }

    /// The folder, absolute and without links.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of an entry of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The log of the server.
    pub(crate) fn log(&self) -> PathBuf {
        self.path("server.log")
    }

    /// The last lines of the log, for an error message; empty when there is none.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Writes a file readable by its owner alone, whole or not at all.
    pub(crate) fn write_private(&self, name: &str, content: &str) -> Result<(), Error> {
        let path = self.path(name);
        let scratch = self.path(&format!(".{name}.new"));
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&scratch)
            .map_err(Error::file("make", &scratch))?;
        file.write_all(content.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&scratch, &path))
            .map_err(Error::file("write", &path))
    }

    /// A random secret (hexadecimal, 32 characters) that is made once and kept in a file of mode 0600.
    pub(crate) fn secret(&self, name: &str) -> Result<String, Error> {
        let path = self.path(name);
        if path.exists() {
            return fs::read_to_string(&path)
                .map(|secret| secret.trim().to_owned())
                .map_err(Error::file("read", &path));
        }
        let secret = format!("{:032x}", u128::from_le_bytes(random()?));
        self.write_private(name, &secret)?;
        Ok(secret)
    }

    /// The ports of this server: the same as last time as long as nobody else took one, so that
    /// clients find the server again after a restart.
    ///
    /// # Errors
    /// [`Error::NoPorts`] when no free ones are found.
    pub(crate) fn ports<const N: usize>(&self) -> Result<[u16; N], Error> {
        let kept = fs::read(self.path("ports.json"))
            .ok()
            .and_then(|text| serde_json::from_slice::<Vec<u16>>(&text).ok())
            .and_then(|ports| <[u16; N]>::try_from(ports).ok());
        if let Some(ports) = kept {
            if net::all_free(&ports) {
                return Ok(ports);
            }
            tracing::warn!(data_dir = %self.dir.display(), "The ports used last time are taken, choosing new ones");
        }
        let ports = net::free_ports::<N>()?;
        let text: Vec<String> = ports.iter().map(u16::to_string).collect();
        self.write_private("ports.json", &format!("[{}]", text.join(",")))?;
        Ok(ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_until_it_is_released() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::At(temp.path().join("server"));
        let first = Home::open(&data).unwrap();
        assert!(matches!(Home::open(&data), Err(Error::InUse(_))));
        drop(first);
        Home::open(&data).unwrap();
    }

    #[test]
    fn ports_and_secrets_are_kept_and_private() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::At(temp.path().to_owned());
        let home = Home::open(&data).unwrap();
        let (ports, secret) = (home.ports::<3>().unwrap(), home.secret("password").unwrap());
        drop(home);
        let home = Home::open(&data).unwrap();
        assert_eq!(home.ports::<3>().unwrap(), ports);
        assert_eq!(home.secret("password").unwrap(), secret);
        assert_eq!(secret.len(), 32);
        let mode = fs::metadata(temp.path().join("password")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_taken_port_leads_to_new_ports() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(&DataDir::At(temp.path().to_owned())).unwrap();
        let ports = home.ports::<2>().unwrap();
        let _taken = std::net::TcpListener::bind(("127.0.0.1", ports[1])).unwrap();
        assert_ne!(home.ports::<2>().unwrap(), ports);
    }
}
