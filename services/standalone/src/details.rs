//! Tells other programs how the embedded servers are reached.

use std::{io::Write as _, path::Path};

use serde::Serialize;
use service::BoxError;

use crate::settings::Settings;

/// The content of the file. It holds the database's password.
#[derive(Serialize)]
pub(crate) struct Details {
    kafka_brokers: String,
    postgres_url: String,
    object_store: ObjectStore,
}

#[derive(Serialize)]
struct ObjectStore {
    kind: &'static str,
    directory: std::path::PathBuf,
}

impl Details {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            kafka_brokers: settings.kafka.brokers.clone(),
            postgres_url: settings.database.url.expose().to_owned(),
            object_store: ObjectStore {
                kind: "local",
                directory: settings.object_store.local.directory.clone(),
            },
        }
    }

    /// Writes the file whole or not at all, readable by its owner only.
    pub(crate) fn write(&self, path: &Path) -> Result<(), BoxError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A temporary file is made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, self)?;
        file.flush()?;
        file.persist(path)?;
        Ok(())
    }
}
