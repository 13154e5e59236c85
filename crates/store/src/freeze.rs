//! Manifests: frozen when every source has answered, and again when one of them expires first.
//!
//! What writes one runs inside a transaction that holds the lock of the export's row.

use std::collections::BTreeMap;

use archive::zip::{LAYOUT_VERSION, PIECES_LAYOUT_VERSION};
use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, JoinOnDsl as _, OptionalExtension as _, PgConnection,
    QueryDsl as _, RunQueryDsl as _, SelectableHelper as _, upsert::excluded,
};
use domain::{FurtherPieces, Manifest, ManifestInput, Resource, StoredPiece, ids::ExportId};
use uuid::Uuid;

use crate::{
    error::{StoreError, corrupt},
    locked_export::LockedExport,
    rows::{ResourceRow, ordered},
    schema::{manifests, resource_pieces, resources},
};

/// All sources of an export, in the order of the request.
pub(crate) fn load_resources(
    connection: &mut PgConnection,
    id: ExportId,
) -> Result<Vec<Resource>, StoreError> {
    let rows = resources::table
        .filter(resources::export_id.eq(id.as_uuid()))
        .select(ResourceRow::as_select())
        .load(connection)?;
    ordered(rows)
}

/// The further pieces of those sources that are in an archive as of `as_of`.
fn load_further_pieces(
    connection: &mut PgConnection,
    id: ExportId,
    as_of: DateTime<Utc>,
) -> Result<FurtherPieces, StoreError> {
    let rows: Vec<(Uuid, String, i64)> = resource_pieces::table
        .inner_join(
            resources::table.on(resources::export_id
                .eq(resource_pieces::export_id)
                .and(resources::id.eq(resource_pieces::resource_id))),
        )
        .filter(resource_pieces::export_id.eq(id.as_uuid()))
        .filter(resources::expires_at.gt(as_of))
        .order((resource_pieces::resource_id, resource_pieces::position))
        .select((resource_pieces::resource_id, resource_pieces::object_key, resource_pieces::stored_bytes))
        .load(connection)?;
    let mut pieces: FurtherPieces = BTreeMap::new();
    for (resource, object_key, stored_bytes) in rows {
        let stored_bytes = u64::try_from(stored_bytes)
            .map_err(|error| corrupt("resource_pieces", "stored_bytes", &object_key, error))?;
        pieces.entry(resource.into()).or_default().push(StoredPiece { object_key, stored_bytes });
    }
    Ok(pieces)
}

/// Freezes the archive as it is at `as_of` and stores it as the latest revision.
pub(crate) fn freeze(
    connection: &mut PgConnection,
    locked: &LockedExport,
    revision: u32,
    as_of: DateTime<Utc>,
) -> Result<Manifest, StoreError> {
    let resources = load_resources(connection, locked.export.id)?;
    let further_pieces = load_further_pieces(connection, locked.export.id, as_of)?;
    let layout_version = if further_pieces.is_empty() { LAYOUT_VERSION } else { PIECES_LAYOUT_VERSION };
    let input = ManifestInput {
        export: &locked.export,
        owner: &locked.owner,
        resources: &resources,
        further_pieces: &further_pieces,
    };
    let manifest = Manifest::freeze(input, revision, layout_version, as_of);
    diesel::insert_into(manifests::table)
        .values((
            manifests::export_id.eq(locked.export.id.as_uuid()),
            manifests::document.eq(serde_json::json!(manifest).to_string()),
        ))
        .on_conflict(manifests::export_id)
        .do_update()
        .set(manifests::document.eq(excluded(manifests::document)))
        .execute(connection)?;
    Ok(manifest)
}

/// The latest manifest of an export; None while it runs, for the first time or again, after it was released, or
/// when all failed.
pub(crate) fn load_manifest(
    connection: &mut PgConnection,
    id: ExportId,
) -> Result<Option<Manifest>, StoreError> {
    let document = manifests::table
        .find(id.as_uuid())
        .select(manifests::document)
        .get_result::<String>(connection)
        .optional()?;
    document.map(|document| parse_manifest(id, &document)).transpose()
}

pub(crate) fn parse_manifest(id: ExportId, document: &str) -> Result<Manifest, StoreError> {
    serde_json::from_str(document).map_err(|error| StoreError::Corrupt {
        table: "manifests",
        column: "document",
        row: id.to_string(),
        reason: error.to_string(),
    })
}

/// Freezes the revision that is due by `now`, and returns the latest manifest. Each expiry of single sources
/// counts as a revision of its own and the last one is frozen as of its moment, so that it does not matter who
/// does it when, or how often. A manifest for other layout rules than ours counts as one more.
pub(crate) fn refreeze(
    connection: &mut PgConnection,
    locked: &LockedExport,
    now: DateTime<Utc>,
) -> Result<Option<Manifest>, StoreError> {
    let Some(manifest) = load_manifest(connection, locked.export.id)? else { return Ok(None) };
    let expiries: Vec<DateTime<Utc>> = resources::table
        .filter(resources::export_id.eq(locked.export.id.as_uuid()))
        .filter(resources::status.eq("complete"))
        .filter(resources::expires_at.gt(manifest.as_of))
        .filter(resources::expires_at.le(now))
        .filter(resources::expires_at.lt(locked.export.expires_at))
        .select(resources::expires_at)
        .distinct()
        .order(resources::expires_at)
        .load(connection)?;
    let relaid = manifest.layout_version < LAYOUT_VERSION;
    if expiries.is_empty() && !relaid {
        return Ok(Some(manifest));
    }
    let newer = u32::try_from(expiries.len()).unwrap_or(u32::MAX).saturating_add(relaid.into());
    let as_of = expiries.last().copied().unwrap_or(manifest.as_of);
    freeze(connection, locked, manifest.revision.saturating_add(newer), as_of).map(Some)
}
