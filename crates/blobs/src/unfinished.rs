//! What an upload that does not end leaves behind, and its removal.

use std::{sync::Arc, time::Duration};

use crate::{StorageError, backend::Backend};

/// How long a failed upload waits for its own removal before it reports the failure; the removal goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// An upload under way. Unless it was [`kept`](Unfinished::keep), dropping it removes what it has stored, as
/// well as that goes: what is left when the store is away, or the process dies, is found by its attempt row.
pub(crate) struct Unfinished {
    remains: Option<Remains>,
}

struct Remains {
    backend: Backend,
    key: Arc<str>,
    upload_id: Option<String>,
    /// Whether a request that stores something was sent.
    touched: bool,
}

impl Unfinished {
    pub(crate) fn new(backend: Backend, key: Arc<str>) -> Self {
        Self { remains: Some(Remains { backend, key, upload_id: None, touched: false }) }
    }

    /// Notes that something may be stored from now on.
    pub(crate) fn touch(&mut self) {
        if let Some(remains) = &mut self.remains {
            remains.touched = true;
        }
    }

    /// Notes the store's id of the upload.
    pub(crate) fn begun(&mut self, upload_id: Option<String>) {
        if let Some(remains) = &mut self.remains {
            remains.upload_id = upload_id;
        }
    }

    /// The object is whole: nothing is removed.
    pub(crate) fn keep(mut self) {
        self.remains = None;
    }

    /// Removes what was stored, and waits for it for a moment.
    pub(crate) async fn remove(mut self) {
        if let Some(removal) = self.spawn_removal() {
            // Both ways out are fine: the task goes on, and logs what it cannot do.
            let _ = tokio::time::timeout(PATIENCE, removal).await;
        }
    }

    fn spawn_removal(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        let remains = self.remains.take().filter(|remains| remains.touched)?;
        Some(remains.backend.runtime().clone().spawn(remains.remove()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.spawn_removal();
    }
}

impl Remains {
    async fn remove(self) {
        if let Err(error) = self.try_remove().await {
            tracing::warn!(
                object.key = %self.key,
                error = &error as &dyn std::error::Error,
                "an unfinished upload could not be removed now; it is left to the sweep"
            );
        }
    }

    async fn try_remove(&self) -> Result<(), StorageError> {
        let aborted = match &self.upload_id {
            Some(upload_id) => self.backend.abort(&self.key, upload_id).await,
            None => Ok(()),
        };
        self.backend.delete(&self.key).await.and(aborted)
    }
}
