//! Uploads under way: an attempt is written before its first byte is stored, so that whatever happens to
//! the process, its bytes can be found and removed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, PgConnection, QueryDsl as _, RunQueryDsl as _, sql_types};
use domain::ids::{AttemptId, ExportId, ResourceId};
use uuid::Uuid;

use crate::{
    error::StoreError,
    pool::Store,
    schema::{object_deletions, upload_attempts},
};

/// An attempt to upload the data of a source.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// Its id, which is the token of its lease too.
    pub id: AttemptId,
    /// The export.
    pub export_id: ExportId,
    /// The source.
    pub resource_id: ResourceId,
    /// Where its bytes will lie; used by no other attempt.
    pub object_key: String,
    /// Until when it may go on without renewing its lease.
    pub lease_expires_at: DateTime<Utc>,
}

impl Store {
    /// Notes an attempt. It must return before the first byte is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_upload(&self, attempt: NewAttempt) -> Result<(), StoreError> {
        self.statement("begin upload", move |connection| insert_attempt(connection, &attempt)).await
    }

    /// Notes the object store's id of an attempt's multipart upload. It must return before the first part
    /// is sent. False means that the attempt was given up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_multipart(
        &self,
        attempt: AttemptId,
        store_upload_id: String,
    ) -> Result<bool, StoreError> {
        self.statement("note multipart", move |connection| {
            let updated = diesel::update(upload_attempts::table.find(attempt.as_uuid()))
                .set(upload_attempts::store_upload_id.eq(&store_upload_id))
                .execute(connection)?;
            Ok(updated == 1)
        })
        .await
    }

    /// Lets an attempt go on until `lease_expires_at`, and notes that it has received so many bytes. False means that it was given up, or that its export
    /// was deleted: what it uploads is wanted no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew_upload(
        &self,
        attempt: AttemptId,
        lease_expires_at: DateTime<Utc>,
        received_bytes: u64,
    ) -> Result<bool, StoreError> {
        self.statement("renew upload", move |connection| {
            let updated = diesel::sql_query(format!(
                "UPDATE upload_attempts a SET lease_expires_at = $2, received_bytes = $3 \
                 WHERE a.id = $1 AND {IS_WANTED}"
            ))
            .bind::<sql_types::Uuid, _>(attempt.as_uuid())
            .bind::<sql_types::Timestamptz, _>(lease_expires_at)
            .bind::<sql_types::BigInt, _>(i64::try_from(received_bytes).unwrap_or(i64::MAX))
            .execute(connection)?;
            Ok(updated == 1)
        })
        .await
    }

    /// Notes how many bytes an attempt has received, before compression, for the customer to see. False as with
    /// [`Store::renew_upload`], which this does not do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_received(&self, attempt: AttemptId, bytes: u64) -> Result<bool, StoreError> {
        self.statement("note received", move |connection| {
            let updated = diesel::sql_query(format!(
                "UPDATE upload_attempts a SET received_bytes = $2 WHERE a.id = $1 AND {IS_WANTED}"
            ))
            .bind::<sql_types::Uuid, _>(attempt.as_uuid())
            .bind::<sql_types::BigInt, _>(i64::try_from(bytes).unwrap_or(i64::MAX))
            .execute(connection)?;
            Ok(updated == 1)
        })
        .await
    }

    /// Ends an attempt that will not be settled and hands what it has stored to `object_deletions`.
    ///
    /// # Errors
    /// [`StoreError`]; then its lease will run out.
    pub async fn abandon_upload(&self, attempt: AttemptId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.statement("abandon upload", move |connection| {
            diesel::sql_query(format!(
                "WITH ended AS (DELETE FROM upload_attempts WHERE id = $1 RETURNING object_key, store_upload_id) {DELETE_ENDED}"
            ))
            .bind::<sql_types::Uuid, _>(attempt.as_uuid())
            .bind::<sql_types::Timestamptz, _>(now)
            .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// Ends up to `limit` attempts whose lease has run out by `now` and hands what they have stored to
    /// `object_deletions`. Returns how many. An upload that still runs finds its attempt gone when it
    /// settles, and is refused. What stands for a whole resumable upload ends with that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire_uploads(&self, now: DateTime<Utc>, limit: u32) -> Result<usize, StoreError> {
        self.statement("expire uploads", move |connection| {
            let ended = diesel::sql_query(format!(
                "WITH due AS (SELECT id FROM upload_attempts a WHERE lease_expires_at <= $2 \
                 AND NOT EXISTS (SELECT FROM resumable_uploads u WHERE u.id = a.id) \
                 ORDER BY lease_expires_at LIMIT $1 FOR UPDATE SKIP LOCKED), \
                 ended AS (DELETE FROM upload_attempts a USING due WHERE a.id = due.id \
                 RETURNING a.object_key, a.store_upload_id) {DELETE_ENDED}"
            ))
            .bind::<sql_types::BigInt, _>(i64::from(limit))
            .bind::<sql_types::Timestamptz, _>(now)
            .execute(connection)?;
            Ok(ended)
        })
        .await
    }
}

/// Whether the export of the attempt `a` is still there.
const IS_WANTED: &str = "EXISTS (SELECT FROM exports e WHERE e.id = a.export_id AND e.deleted_at IS NULL)";

/// Queues the objects of the attempts in `ended`; `$2` is the present.
const DELETE_ENDED: &str = "INSERT INTO object_deletions (object_key, store_upload_id, due_at) \
                            SELECT object_key, store_upload_id, $2 FROM ended ON CONFLICT (object_key) DO NOTHING";

/// How many bytes the sources of an export have received of which an upload is under way at `now`: one whose lease
/// has run out has ended with its process. Where there are several uploads for one source, that of the one which has
/// come furthest.
pub(crate) fn received_bytes(
    connection: &mut PgConnection,
    export_id: ExportId,
    now: DateTime<Utc>,
) -> Result<HashMap<ResourceId, u64>, StoreError> {
    let running = upload_attempts::table
        .filter(upload_attempts::export_id.eq(export_id.as_uuid()))
        .filter(upload_attempts::lease_expires_at.gt(now))
        .order(upload_attempts::received_bytes)
        .select((upload_attempts::resource_id, upload_attempts::received_bytes))
        .load::<(Uuid, i64)>(connection)?;
    Ok(running.into_iter().map(|(id, bytes)| (id.into(), bytes.unsigned_abs())).collect())
}

/// Notes an attempt within a transaction.
pub(crate) fn insert_attempt(connection: &mut PgConnection, attempt: &NewAttempt) -> Result<(), StoreError> {
    diesel::insert_into(upload_attempts::table)
        .values((
            upload_attempts::id.eq(attempt.id.as_uuid()),
            upload_attempts::export_id.eq(attempt.export_id.as_uuid()),
            upload_attempts::resource_id.eq(attempt.resource_id.as_uuid()),
            upload_attempts::object_key.eq(&attempt.object_key),
            upload_attempts::lease_expires_at.eq(attempt.lease_expires_at),
        ))
        .execute(connection)?;
    Ok(())
}

/// Ends an attempt within a transaction. False means that it was given up before.
pub(crate) fn end(connection: &mut PgConnection, attempt: AttemptId) -> Result<bool, StoreError> {
    Ok(diesel::delete(upload_attempts::table.find(attempt.as_uuid())).execute(connection)? == 1)
}

/// Queues an object for deletion within a transaction. One that is being deleted at this moment loses its
/// lease, and is deleted once more: it may have been stored in between.
pub(crate) fn delete_object(
    connection: &mut PgConnection,
    object_key: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(object_deletions::table)
        .values((object_deletions::object_key.eq(object_key), object_deletions::due_at.eq(now)))
        .on_conflict(object_deletions::object_key)
        .do_update()
        .set((object_deletions::due_at.eq(now), object_deletions::lease_token.eq(None::<Uuid>)))
        .execute(connection)?;
    Ok(())
}
