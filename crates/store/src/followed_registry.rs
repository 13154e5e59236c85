//! The registry as one process knows it.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{error::StoreError, pool::Store, registry::RegistryRevision};

/// Keeps the newest registry that was read, for calls that must not wait for the database.
#[derive(Debug)]
pub struct FollowedRegistry {
    store: Store,
    known: RwLock<Option<Arc<RegistryRevision>>>,
}

impl FollowedRegistry {
    /// Knows nothing before the first [`FollowedRegistry::refresh`].
    pub fn new(store: Store) -> Self {
        Self { store, known: RwLock::default() }
    }

    /// The registry as it was read last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] before it was read for the first time.
    pub fn current(&self) -> Result<Arc<RegistryRevision>, StoreError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .clone()
            .ok_or_else(|| StoreError::Unavailable { reason: "the registry was not read yet".to_owned() })
    }

    /// Reads the registry if it has changed.
    ///
    /// # Errors
    /// [`StoreError`]; what was known stays.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let known = self.current().ok().map(|known| known.revision);
        if known == Some(self.store.registry_revision().await?) {
            return Ok(());
        }
        let read = self.store.registry().await?;
        tracing::info!(revision = read.revision, "the registry of applications was read");
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(read));
        Ok(())
    }
}
