//! The mark by which object storage is known again.

use domain::ids::InstallationId;
use futures_util::TryStreamExt as _;

use crate::{Blobs, StorageError};

/// Not an object key, so that no listing shows it.
const MARK: &str = "installation.txt";

/// A UUID as text.
const ID_BYTES: u64 = 36;

impl Blobs {
    /// The installation that this bucket and prefix, or this folder, was marked with; None when it was not.
    ///
    /// # Errors
    /// `Unavailable`, `Refused`; `WrongSize` when the mark is none of ours.
    pub async fn installation(&self) -> Result<Option<InstallationId>, StorageError> {
        self.inner
            .backend
            .run(|backend| async move {
                let Some(size_bytes) = backend.size_of(MARK).await? else { return Ok(None) };
                let answer = backend.read(MARK, 0..size_bytes.min(ID_BYTES)).await?;
                let text: Vec<u8> = answer
                    .try_fold(Vec::new(), |text, bytes| async move { Ok([text, bytes.to_vec()].concat()) })
                    .await
                    .map_err(|error| StorageError::of("read mark", MARK, error))?;
                let id = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                id.map(Some).ok_or_else(|| StorageError::WrongSize {
                    key: MARK.to_owned(),
                    expected: ID_BYTES,
                    actual: size_bytes,
                })
            })
            .await
    }

    /// Marks this bucket and prefix, or this folder, as belonging to `installation`.
    ///
    /// # Errors
    /// `Unavailable`, `Refused`.
    pub async fn mark(&self, installation: InstallationId) -> Result<(), StorageError> {
        let text = installation.to_string().into();
        self.inner.backend.run(|backend| async move { backend.put(MARK, text).await }).await
    }
}
