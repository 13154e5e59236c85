//! Resumable uploads that will not finish.

use chrono::{DateTime, Utc};
use diesel::{RunQueryDsl as _, sql_types};
use domain::ids::UploadId;

use crate::{error::StoreError, pool::Store};

/// Removes the uploads in `due`, queues the objects of their pieces and returns how many uploads there were;
/// `$1` is the present. What a request is writing at this moment it cannot commit.
const END_DUE: &str = "pieces AS (DELETE FROM upload_pieces p USING due WHERE p.upload_id = due.id RETURNING p.object_key), \
    queued AS (INSERT INTO object_deletions (object_key, due_at) SELECT object_key, $1 FROM pieces \
     ON CONFLICT (object_key) DO NOTHING), \
    marks AS (DELETE FROM upload_attempts a USING due WHERE a.id = due.id) \
    DELETE FROM resumable_uploads u USING due WHERE u.id = due.id";

impl Store {
    /// Gives up an upload that has not finished, and queues what it has stored. False where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_resumable(&self, id: UploadId, now: DateTime<Utc>) -> Result<bool, StoreError> {
        self.statement("end resumable", move |connection| {
            let ended = diesel::sql_query(format!(
                "WITH due AS (SELECT id FROM resumable_uploads WHERE id = $2 AND NOT finished FOR UPDATE), {END_DUE}"
            ))
            .bind::<sql_types::Timestamptz, _>(now)
            .bind::<sql_types::Uuid, _>(id.as_uuid())
            .execute(connection)?;
            Ok(ended == 1)
        })
        .await
    }

    /// Gives up to `limit` uploads up: those that have expired by `now`, and those that cannot finish because
    /// their export is gone or their source has failed. Returns how many. Finished ones are forgotten once they
    /// expire.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire_resumables(&self, now: DateTime<Utc>, limit: u32) -> Result<usize, StoreError> {
        self.statement("expire resumables", move |connection| {
            let ended = diesel::sql_query(format!(
                "WITH due AS (SELECT u.id FROM resumable_uploads u WHERE u.expires_at <= $1 OR (NOT u.finished \
                 AND NOT EXISTS (SELECT FROM resources r JOIN exports e ON e.id = r.export_id \
                 WHERE r.export_id = u.export_id AND r.id = u.resource_id AND r.status <> 'failed' \
                 AND e.deleted_at IS NULL AND e.released_at IS NULL AND e.expires_at > $1)) \
                 ORDER BY u.expires_at LIMIT $2 FOR UPDATE OF u SKIP LOCKED), {END_DUE}"
            ))
            .bind::<sql_types::Timestamptz, _>(now)
            .bind::<sql_types::BigInt, _>(i64::from(limit))
            .execute(connection)?;
            Ok(ended)
        })
        .await
    }
}
