//! The folder that everything of one mode lives in.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder, ours alone while this value lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    // Released by the operating system however this process ends.
    _lock: File,
}

impl DataFolder {
    /// Makes or opens the folder and takes its lock.
    ///
    /// # Errors
    /// When another launcher works on it, or it cannot be made.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = || format!("the data folder {}", path.display());
        // Other users may pass through (PostgreSQL runs as one); what is secret has its own mode.
        DirBuilder::new().recursive(true).mode(0o755).create(path).with_context(failed)?;
        let path = path.canonicalize().with_context(failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{} is in use by another run: stop that one or choose another --data", path.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        for folder in ["logs", "exports"] {
            fs::create_dir_all(path.join(folder)).with_context(failed)?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The folder itself, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// An entry of it.
    pub(crate) fn entry(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The log of a program.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.path.join("logs").join(format!("{program}.log"))
    }
}

/// Writes a file of mode 0600, whole or not at all, also when the machine stops in between.
///
/// # Errors
/// The operating system's answer, with the path.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(".new");
    let scratch = PathBuf::from(scratch);
    let write = || {
        // Not what an earlier run left there, which may have another mode.
        match fs::remove_file(&scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&scratch)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&scratch, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_belongs_to_one_run_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        let first = DataFolder::open(&folder).unwrap();
        let error = DataFolder::open(&folder).unwrap_err();
        assert!(error.to_string().contains("in use by another run"), "{error}");
        drop(first);
        DataFolder::open(&folder).unwrap();
    }

    #[test]
    fn a_private_file_is_readable_by_its_owner_alone_whatever_was_there() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("secret");
        fs::write(temp.path().join("secret.new"), "left over").unwrap();
        fs::write(&path, "old").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!temp.path().join("secret.new").exists());
    }
}
