//! The two sweeps: objects without a row, and rows without an object.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, PgConnection, QueryDsl as _, QueryableByName,
    RunQueryDsl as _,
    sql_types::{self, Timestamptz},
};
use domain::{
    ExportStatus, Resource, ResourceState, SourceError,
    ids::{ExportId, ResourceId},
};
use uuid::Uuid;

use crate::{
    answers::write_state,
    error::StoreError,
    follow_answers::follow_answers,
    freeze::{freeze, load_manifest},
    locked_export::{LockedExport, lock_export},
    pool::Store,
    schema::{exports, manifests, resource_pieces, resources},
    uploads,
};

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = sql_types::Text)]
    object_key: String,
}

/// Where the data of a complete source lies, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct StoredObjectRow {
    #[diesel(sql_type = sql_types::Uuid)]
    export_id: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    /// Its key.
    #[diesel(sql_type = sql_types::Text)]
    pub object_key: String,
    /// The keys of the objects that hold the rest of its data, when it lies in several.
    #[diesel(sql_type = sql_types::Array<sql_types::Text>)]
    pub further_keys: Vec<String>,
}

impl StoredObjectRow {
    /// The export it belongs to.
    pub fn export_id(&self) -> ExportId {
        self.export_id.into()
    }

    /// The source whose data it holds.
    pub fn resource_id(&self) -> ResourceId {
        self.id.into()
    }
}

impl Store {
    /// Which of these objects, each with the export its key names, a row knows: as a source's data, as an
    /// upload under way, or as waiting for deletion. An object that was listed before this call and is not
    /// in the answer has no row and will never have one: rows of attempts are written before the first byte.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_objects(
        &self,
        objects: Vec<(ExportId, String)>,
    ) -> Result<HashSet<String>, StoreError> {
        self.statement("known objects", move |connection| {
            let ids: Vec<Uuid> = objects.iter().map(|(id, _)| *id.as_uuid()).collect();
            let keys: Vec<&str> = objects.iter().map(|(_, key)| key.as_str()).collect();
            let known: Vec<Known> = diesel::sql_query(
                "SELECT object_key FROM resources WHERE export_id = ANY($1) AND object_key = ANY($2) \
                 AND object_released_at IS NULL \
                 UNION SELECT object_key FROM resource_pieces WHERE export_id = ANY($1) AND object_key = ANY($2) \
                 UNION SELECT object_key FROM upload_attempts WHERE export_id = ANY($1) AND object_key = ANY($2) \
                 UNION SELECT p.object_key FROM upload_pieces p JOIN resumable_uploads u ON u.id = p.upload_id \
                  WHERE u.export_id = ANY($1) AND p.object_key = ANY($2) \
                 UNION SELECT object_key FROM object_deletions WHERE object_key = ANY($2)",
            )
            .bind::<sql_types::Array<sql_types::Uuid>, _>(&ids)
            .bind::<sql_types::Array<sql_types::Text>, _>(&keys)
            .load(connection)?;
            Ok(known.into_iter().map(|row| row.object_key).collect())
        })
        .await
    }

    /// Queues objects that no row knows for deletion.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_orphans(&self, keys: Vec<String>, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.statement("delete orphans", move |connection| {
            diesel::sql_query(
                "INSERT INTO object_deletions (object_key, due_at) \
                 SELECT DISTINCT key, $2 FROM unnest($1) AS key ORDER BY key ON CONFLICT (object_key) DO NOTHING",
            )
            .bind::<sql_types::Array<sql_types::Text>, _>(&keys)
            .bind::<Timestamptz, _>(now)
            .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// The objects that rows say exist and that are needed at `now`, after `after` in order of their keys
    /// (export, source), up to `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stored_objects(
        &self,
        after: Option<(ExportId, ResourceId)>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<StoredObjectRow>, StoreError> {
        let (export_id, id) =
            after.map_or((Uuid::nil(), Uuid::nil()), |(export, id)| (export.into(), id.into()));
        self.statement("stored objects", move |connection| {
            let rows = diesel::sql_query(
                "SELECT r.export_id, r.id, r.object_key, ARRAY(SELECT p.object_key FROM resource_pieces p \
                 WHERE p.export_id = r.export_id AND p.resource_id = r.id ORDER BY p.position) AS further_keys \
                 FROM resources r JOIN exports e ON e.id = r.export_id \
                 WHERE (r.export_id, r.id) > ($1, $2) AND r.status = 'complete' AND r.object_released_at IS NULL \
                 AND r.expires_at > $3 AND e.deleted_at IS NULL AND e.id >= $1 ORDER BY r.export_id, r.id LIMIT $4",
            )
            .bind::<sql_types::Uuid, _>(export_id)
            .bind::<sql_types::Uuid, _>(id)
            .bind::<Timestamptz, _>(now)
            .bind::<sql_types::BigInt, _>(i64::from(limit))
            .load(connection)?;
            Ok(rows)
        })
        .await
    }

    /// Settles that the object of a complete source, or one of several, is lost: the source fails, and the archive gets a
    /// revision without it. False when the source no longer points at that object.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_lost_object(
        &self,
        object: StoredObjectRow,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.tx("settle lost object", move |connection| {
            let Some(locked) = lock_export(connection, object.export_id())? else { return Ok(false) };
            let still = resources::table
                .find((object.export_id, object.id))
                .filter(resources::object_key.eq(&object.object_key))
                .filter(resources::object_released_at.is_null())
                .select(resources::id)
                .get_result::<Uuid>(connection)
                .optional()?;
            if still.is_none() || locked.released {
                return Ok(false);
            }
            let failed = ResourceState::Failed(SourceError::data_lost());
            let lost = write_state(connection, (object.export_id, object.id), &failed, now)?;
            // In case it turns up again: no row knows it any more.
            uploads::delete_object(connection, &object.object_key, now)?;
            let further = resource_pieces::table
                .filter(resource_pieces::export_id.eq(object.export_id))
                .filter(resource_pieces::resource_id.eq(object.id));
            let further: Vec<String> =
                diesel::delete(further).returning(resource_pieces::object_key).get_results(connection)?;
            for object_key in &further {
                uploads::delete_object(connection, object_key, now)?;
            }
            renew_manifest(connection, &locked, lost, now)?;
            Ok(true)
        })
        .await
    }
}

/// Gives an export that had ended a manifest that fits its sources again.
fn renew_manifest(
    connection: &mut PgConnection,
    locked: &LockedExport,
    lost: Resource,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let known = load_manifest(connection, locked.export.id)?;
    let status = follow_answers(connection, locked, &[lost], now)?;
    let id = locked.export.id.as_uuid();
    let Some(known) = known else { return Ok(()) };
    if status == ExportStatus::Failed {
        diesel::delete(manifests::table.find(id)).execute(connection)?;
    } else {
        freeze(connection, locked, known.revision + 1, now)?;
    }
    // It ended when it ended: a loss found later does not move that moment.
    diesel::update(exports::table.find(id))
        .set(exports::completed_at.eq(locked.export.completed_at))
        .execute(connection)?;
    Ok(())
}
