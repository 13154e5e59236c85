//! The archive of an export, if it can be downloaded.

use chrono::{DateTime, Utc};
use domain::{ExportStatus, Manifest, Owner, ids::ExportId};

use crate::{
    error::StoreError,
    freeze::{load_manifest, lock_export, refreeze},
    pool::Store,
};

/// Whether an export can be downloaded.
#[derive(Debug, Clone, PartialEq)]
pub enum Downloadable {
    /// There is none, or it was deleted, or it is somebody else's.
    NotFound,
    /// It has expired.
    Expired,
    /// A source has not answered yet.
    NotReady,
    /// Every source failed: there is nothing to download.
    AllFailed,
    /// Its archive, without the files whose source has expired.
    Ready(Box<Manifest>),
}

impl Store {
    /// The archive of the export `id` of `owner` as it is to be served at `now`. Expiry counts from its
    /// moment, whether or not the expiry-reaper has come by.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_download(
        &self,
        owner: Owner,
        id: ExportId,
        now: DateTime<Utc>,
    ) -> Result<Downloadable, StoreError> {
        let Some(found) = self.find_export(owner, id).await? else { return Ok(Downloadable::NotFound) };
        if found.export.is_expired(now) {
            return Ok(Downloadable::Expired);
        }
        match found.export.status {
            ExportStatus::Pending | ExportStatus::Running => return Ok(Downloadable::NotReady),
            ExportStatus::Failed => return Ok(Downloadable::AllFailed),
            ExportStatus::Partial | ExportStatus::Complete => {}
        }
        let manifest =
            self.statement("load manifest", move |connection| load_manifest(connection, id)).await?;
        match manifest {
            Some(manifest) if !manifest.is_outdated(now) => Ok(Downloadable::Ready(Box::new(manifest))),
            Some(_) => self.refreeze(id, now).await,
            None => Ok(Downloadable::NotFound),
        }
    }

    async fn refreeze(&self, id: ExportId, now: DateTime<Utc>) -> Result<Downloadable, StoreError> {
        let manifest = self
            .tx("refreeze", move |connection| match lock_export(connection, id)? {
                Some(locked) => refreeze(connection, &locked, now),
                None => Ok(None),
            })
            .await?;
        Ok(manifest.map_or(Downloadable::NotFound, |manifest| Downloadable::Ready(Box::new(manifest))))
    }
}
