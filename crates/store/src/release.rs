//! After expiry or deletion: objects are handed to `object_deletions`, and rows are purged.
//!
//! Everything here works in small batches that skip what others have locked, so that several
//! expiry-reapers share the work.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, PgConnection, QueryDsl as _, QueryableByName, RunQueryDsl as _,
    SelectableHelper as _,
    sql_types::{self, Timestamptz},
};
use domain::{LifecycleEvent, ids::ExportId};
use uuid::Uuid;

use crate::{
    error::StoreError,
    freeze::refreeze,
    locked_export::try_lock_export,
    outbox_rows,
    pool::Store,
    rows::{ExportRow, OwnerRow},
    schema::{exports, manifests, owners},
    tell,
};

#[derive(QueryableByName)]
struct Picked {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

impl Store {
    /// Purges up to `limit` exports that were deleted at or before `before`, released before that or not, and
    /// queues their objects. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of this batch was done.
    pub async fn release_deleted(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<usize, StoreError> {
        self.tx("release deleted", move |connection| {
            let ids = pick(connection, DELETED, before, limit)?;
            queue_objects(connection, &ids, now)?;
            Ok(diesel::delete(exports::table.filter(exports::id.eq_any(&ids))).execute(connection)?)
        })
        .await
    }

    /// Queues the objects of up to `limit` exports that expired at or before `before`, cancels what nobody
    /// needs of what is still to be sent for them, and tells that they have expired. Their rows stay, for the
    /// listing. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of this batch was done.
    pub async fn release_expired(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<usize, StoreError> {
        self.tx("release expired", move |connection| {
            let ids = pick(connection, EXPIRED, before, limit)?;
            queue_objects(connection, &ids, now)?;
            outbox_rows::cancel(connection, &ids)?;
            diesel::delete(manifests::table.filter(manifests::export_id.eq_any(&ids))).execute(connection)?;
            let released = diesel::update(exports::table.filter(exports::id.eq_any(&ids)))
                .set((exports::released_at.eq(now), exports::requester_identity.eq(None::<String>)))
                .execute(connection)?;
            let gone = exports::table
                .inner_join(owners::table)
                .filter(exports::id.eq_any(&ids))
                .select((ExportRow::as_select(), OwnerRow::as_select()))
                .load(connection)?;
            tell::of_gone(connection, gone, LifecycleEvent::expired, now)?;
            Ok(released)
        })
        .await
    }

    /// Queues the objects of single sources that expired at or before `before`, ahead of their export: of up
    /// to `limit` sources, the longest expired first, and the others of their exports. A manifest without
    /// them is frozen first. Returns how many exports it changed; one that somebody has locked is left to the
    /// next call, and one that cannot be read is passed over.
    ///
    /// # Errors
    /// [`StoreError`]; what was done for other exports stays done.
    pub async fn release_expired_sources(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let due = "SELECT DISTINCT export_id AS id FROM (SELECT r.export_id FROM resources r \
                   JOIN exports e ON e.id = r.export_id \
                   WHERE r.status = 'complete' AND r.object_released_at IS NULL AND r.expires_at <= $1 \
                   AND e.released_at IS NULL AND e.deleted_at IS NULL AND r.expires_at < e.expires_at \
                   AND e.id <> ALL($3) ORDER BY r.expires_at LIMIT $2) due";
        self.each_export("release expired sources", due.to_owned(), before, limit, move |connection, id| {
            release_sources_of(connection, id, before, now).map(usize::from)
        })
        .await
    }

    /// Deletes the rows of up to `limit` expired exports that were released at or before `before`. Returns
    /// how many.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of this batch was done.
    pub async fn purge_expired(&self, before: DateTime<Utc>, limit: u32) -> Result<usize, StoreError> {
        self.statement("purge expired", move |connection| {
            // Not those that were deleted as well: they are counted down already, and `release_deleted` has them.
            let purged: Vec<Picked> = diesel::sql_query(format!(
                "WITH due AS ({RELEASED}), \
                 gone AS (DELETE FROM exports e USING due WHERE e.id = due.id RETURNING e.id, e.owner_id), \
                 counted AS (INSERT INTO export_count_deltas (owner_id, delta) \
                 SELECT owner_id, -count(*) FROM gone GROUP BY owner_id) \
                 SELECT id FROM gone"
            ))
            .bind::<Timestamptz, _>(before)
            .bind::<sql_types::BigInt, _>(i64::from(limit))
            .load(connection)?;
            Ok(purged.len())
        })
        .await
    }
}

/// Exports past their deletion (`$1`), as many as `$2`, locked; those that others have locked are skipped.
const DELETED: &str =
    "SELECT id FROM exports WHERE deleted_at <= $1 ORDER BY deleted_at LIMIT $2 FOR UPDATE SKIP LOCKED";

/// The same for exports past their expiry whose objects are still there.
const EXPIRED: &str = "SELECT id FROM exports WHERE expires_at <= $1 AND released_at IS NULL AND deleted_at IS NULL \
                       ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED";

/// The same for exports past their release.
const RELEASED: &str = "SELECT id FROM exports WHERE released_at <= $1 AND deleted_at IS NULL \
                        ORDER BY released_at LIMIT $2 FOR UPDATE SKIP LOCKED";

fn pick(
    connection: &mut PgConnection,
    due: &str,
    before: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    let picked: Vec<Picked> = diesel::sql_query(due)
        .bind::<Timestamptz, _>(before)
        .bind::<sql_types::BigInt, _>(i64::from(limit))
        .load(connection)?;
    Ok(picked.into_iter().map(|row| row.id).collect())
}

/// Queues the objects of all sources of these exports.
fn queue_objects(connection: &mut PgConnection, ids: &[Uuid], now: DateTime<Utc>) -> Result<(), StoreError> {
    diesel::sql_query(format!(
        "WITH released AS (UPDATE resources SET object_released_at = $2 WHERE export_id = ANY($1) \
         AND status = 'complete' AND object_released_at IS NULL RETURNING export_id, id, object_key) {QUEUE_RELEASED}"
    ))
    .bind::<sql_types::Array<sql_types::Uuid>, _>(ids)
    .bind::<Timestamptz, _>(now)
    .execute(connection)?;
    Ok(())
}

/// Queues the objects of the sources in `released`; `$2` is the present.
const QUEUE_RELEASED: &str = ", further AS (DELETE FROM resource_pieces p USING released r \
                              WHERE p.export_id = r.export_id AND p.resource_id = r.id RETURNING p.object_key) \
                              INSERT INTO object_deletions (object_key, due_at) \
                              SELECT object_key, $2 FROM released UNION ALL SELECT object_key, $2 FROM further \
                              ON CONFLICT (object_key) DO NOTHING";

fn release_sources_of(
    connection: &mut PgConnection,
    id: ExportId,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(locked) = try_lock_export(connection, id)? else { return Ok(false) };
    // Before its objects go, no manifest may point at them.
    refreeze(connection, &locked, now)?;
    let queued = diesel::sql_query(format!(
        "WITH released AS (UPDATE resources SET object_released_at = $2 WHERE export_id = $1 AND status = 'complete' \
         AND object_released_at IS NULL AND expires_at <= $3 RETURNING export_id, id, object_key) {QUEUE_RELEASED}"
    ))
    .bind::<sql_types::Uuid, _>(id.as_uuid())
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(before)
    .execute(connection)?;
    Ok(queued > 0)
}
