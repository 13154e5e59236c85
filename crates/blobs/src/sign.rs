//! URLs by which single objects can be fetched without credentials.

use std::{fmt, sync::Arc, time::Duration};

use domain::Secret;
use object_store::signer::{Method, Signer};
use tokio::runtime::Handle;

use crate::{
    ConnectError, ObjectKey, Settings, StorageError,
    backend::{Backend, StoreKind},
    connect,
};

/// The longest time that every store can sign for: Amazon S3 takes no more.
pub const LONGEST_VALIDITY: Duration = Duration::from_hours(7 * 24);

/// Signs URLs of objects. It stores and reads nothing, and needs none of the memory that [`crate::Blobs`] does.
#[derive(Clone)]
pub struct UrlSigner {
    backend: Backend,
    signer: Arc<dyn Signer>,
}

/// Where it signs for; the client holds credentials.
impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UrlSigner").field(&self.backend).finish()
    }
}

impl UrlSigner {
    /// A signer for the store that `settings` describe; None for local files, which nobody fetches by URL.
    /// Asks the store nothing yet.
    ///
    /// # Errors
    /// When settings are missing or wrong, or there is no Tokio runtime.
    pub fn connect(settings: &Settings) -> Result<Option<Self>, ConnectError> {
        if settings.kind == crate::Kind::Local {
            // Not even its folder is needed.
            return Ok(None);
        }
        let runtime = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let backend = connect::backend(settings, runtime)?;
        let signer = match &backend.store.kind {
            StoreKind::Remote { signer, .. } => Arc::clone(signer),
            StoreKind::Local { .. } => return Ok(None),
        };
        Ok(Some(Self { backend, signer }))
    }

    /// A URL that answers a GET with the bytes of the object, whoever asks, for `valid_for` from now on; whole
    /// seconds count, and at most [`LONGEST_VALIDITY`]. Whether there is such an object is not looked at.
    ///
    /// # Errors
    /// `Unavailable` when credentials have to be fetched and do not come in time, `Refused` when they cannot
    /// sign.
    pub async fn sign(&self, key: &ObjectKey, valid_for: Duration) -> Result<Secret, StorageError> {
        let (key, signer) = (key.clone(), Arc::clone(&self.signer));
        let valid_for = valid_for.min(LONGEST_VALIDITY);
        let signed = self.backend.run(|backend| async move {
            let path = backend.path(key.as_str());
            backend.ask("sign URL", key.as_str(), signer.signed_url(Method::GET, &path, valid_for)).await
        });
        signed.await.map(|url| Secret::from(String::from(url)))
    }
}
