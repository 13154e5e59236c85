//! The archive of an export, if it can be downloaded.

use archive::zip::{LAYOUT_VERSION, PIECES_LAYOUT_VERSION};
use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, NullableExpressionMethods as _, OptionalExtension as _, PgConnection,
    QueryDsl as _, RunQueryDsl as _, SelectableHelper as _,
};
use domain::{Export, ExportStatus, Manifest, Owner, ids::ExportId};

use crate::{
    error::StoreError,
    freeze::{parse_manifest, refreeze},
    locked_export::lock_export,
    pool::Store,
    rows::ExportRow,
    schema::{exports, manifests, owners},
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
        let found = self.statement("find download", move |connection| find(connection, &owner, id)).await?;
        let Some((export, manifest)) = found else { return Ok(Downloadable::NotFound) };
        if export.is_expired(now) {
            return Ok(Downloadable::Expired);
        }
        match export.status {
            ExportStatus::Pending | ExportStatus::Running => return Ok(Downloadable::NotReady),
            ExportStatus::Failed => return Ok(Downloadable::AllFailed),
            ExportStatus::Partial | ExportStatus::Complete => {}
        }
        match manifest {
            Some(manifest) if manifest.layout_version > PIECES_LAYOUT_VERSION => {
                Err(StoreError::Unavailable {
                    reason: "the archive is laid out by rules of a newer version".to_owned(),
                })
            }
            Some(manifest) if !manifest.is_outdated(LAYOUT_VERSION, now) => {
                Ok(Downloadable::Ready(Box::new(manifest)))
            }
            Some(_) => self.refreeze(id, now).await,
            // Released by a service whose clock is ahead of ours.
            None => Ok(Downloadable::Expired),
        }
    }

    async fn refreeze(&self, id: ExportId, now: DateTime<Utc>) -> Result<Downloadable, StoreError> {
        self.tx("refreeze", move |connection| {
            let Some(locked) = lock_export(connection, id)? else { return Ok(Downloadable::NotFound) };
            let manifest = refreeze(connection, &locked, now)?;
            // Without a manifest it was released, or its data was lost, since it was looked at.
            Ok(match manifest {
                Some(manifest) => Downloadable::Ready(Box::new(manifest)),
                None if locked.export.status == ExportStatus::Failed => Downloadable::AllFailed,
                None => Downloadable::Expired,
            })
        })
        .await
    }
}

fn find(
    connection: &mut PgConnection,
    owner: &Owner,
    id: ExportId,
) -> Result<Option<(Export, Option<Manifest>)>, StoreError> {
    let found = exports::table
        .inner_join(owners::table)
        .left_join(manifests::table)
        .filter(exports::id.eq(id.as_uuid()))
        .filter(exports::deleted_at.is_null())
        .filter(owners::org_id.eq(&owner.org_id))
        .filter(owners::account.eq(&owner.account))
        .filter(owners::username.eq(&owner.username))
        .select((ExportRow::as_select(), manifests::document.nullable()))
        .get_result::<(ExportRow, Option<String>)>(connection)
        .optional()?;
    let Some((export, document)) = found else { return Ok(None) };
    let manifest = document.map(|document| parse_manifest(id, &document)).transpose()?;
    Ok(Some((export.try_into()?, manifest)))
}
