//! Resumable uploads that will not finish.

use chrono::{DateTime, Utc};
use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_types};
use domain::ids::UploadId;
use uuid::Uuid;

use crate::{error::StoreError, pool::Store};

/// Uploads that have expired, but for those that are just being added to; finished ones are forgotten then. And
/// those that no answer can come of any more, because their export is gone or their source has failed.
const DUE: &str = "SELECT u.id FROM resumable_uploads u WHERE (u.expires_at <= $1 \
    AND NOT EXISTS (SELECT FROM upload_attempts a WHERE a.id = u.attempt_id AND a.lease_expires_at > $1)) \
    OR NOT EXISTS (SELECT FROM resources r JOIN exports e ON e.id = r.export_id \
    WHERE r.export_id = u.export_id AND r.id = u.resource_id AND r.status <> 'failed' \
    AND e.deleted_at IS NULL AND e.released_at IS NULL AND e.expires_at > $1) \
    ORDER BY u.expires_at LIMIT $2 FOR UPDATE OF u SKIP LOCKED";

/// Removes the uploads in `$2` and queues the objects of their pieces; `$1` is the present.
const END: &str = "WITH due AS (SELECT unnest($2) AS id), \
    pieces AS (DELETE FROM upload_pieces p USING due WHERE p.upload_id = due.id RETURNING p.object_key), \
    queued AS (INSERT INTO object_deletions (object_key, due_at) SELECT object_key, $1 FROM pieces \
     ON CONFLICT (object_key) DO NOTHING), \
    marks AS (DELETE FROM upload_attempts a USING due WHERE a.id = due.id) \
    DELETE FROM resumable_uploads u USING due WHERE u.id = due.id";

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

impl Store {
    /// Gives up an upload that has not finished, and queues what it has stored. False where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_resumable(&self, id: UploadId, now: DateTime<Utc>) -> Result<bool, StoreError> {
        self.tx("end resumable", move |connection| {
            let due = diesel::sql_query(
                "SELECT id FROM resumable_uploads WHERE id = $1 AND NOT finished FOR UPDATE",
            )
            .bind::<sql_types::Uuid, _>(id.as_uuid())
            .load(connection)?;
            Ok(end(connection, due, now)? == 1)
        })
        .await
    }

    /// Gives up to `limit` uploads up that have expired by `now`, or cannot finish because their export is gone or
    /// their source has failed. Returns how many. One that is just being added to expires when that has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire_resumables(&self, now: DateTime<Utc>, limit: u32) -> Result<usize, StoreError> {
        self.tx("expire resumables", move |connection| {
            let due = diesel::sql_query(DUE)
                .bind::<sql_types::Timestamptz, _>(now)
                .bind::<sql_types::BigInt, _>(i64::from(limit))
                .load(connection)?;
            end(connection, due, now)
        })
        .await
    }
}

/// Ends uploads that this transaction has locked, in a statement that begins after that: it must see the pieces
/// that were committed while the locks were waited for. What a request is writing at this moment it cannot commit.
fn end(connection: &mut PgConnection, due: Vec<Due>, now: DateTime<Utc>) -> Result<usize, StoreError> {
    if due.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = due.into_iter().map(|due| due.id).collect();
    let ended = diesel::sql_query(END)
        .bind::<sql_types::Timestamptz, _>(now)
        .bind::<sql_types::Array<sql_types::Uuid>, _>(ids)
        .execute(connection)?;
    Ok(ended)
}
