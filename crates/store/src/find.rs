//! Finding one export of a caller, with its sources.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, JoinOnDsl as _, PgConnection, QueryDsl as _, RunQueryDsl as _,
    SelectableHelper as _,
};
use domain::{
    Export, ExportStatus, Owner, Resource,
    ids::{ExportId, ResourceId},
};

use crate::{
    error::StoreError,
    pool::Store,
    rows::{ExportRow, ResourceRow, ordered},
    schema::{exports, owners, resources},
    uploads,
};

/// An export with its sources in the order of the request.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundExport {
    /// The export.
    pub export: Export,
    /// Its sources.
    pub resources: Vec<Resource>,
    /// Of the sources that are being delivered now, how many bytes have come so far, before compression.
    pub received_bytes: HashMap<ResourceId, u64>,
}

impl Store {
    /// The export `id` of `owner`; None where there is none, or it was deleted, or it is somebody else's.
    /// An expired export is found until it is purged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_export(
        &self,
        owner: Owner,
        id: ExportId,
        now: DateTime<Utc>,
    ) -> Result<Option<FoundExport>, StoreError> {
        self.statement("find export", move |connection| find(connection, &owner, id, now)).await
    }
}

fn find(
    connection: &mut PgConnection,
    owner: &Owner,
    id: ExportId,
    now: DateTime<Utc>,
) -> Result<Option<FoundExport>, StoreError> {
    let rows: Vec<(ExportRow, ResourceRow)> = exports::table
        .inner_join(owners::table)
        .inner_join(resources::table.on(resources::export_id.eq(exports::id)))
        .filter(exports::id.eq(id.as_uuid()))
        .filter(exports::deleted_at.is_null())
        .filter(owners::org_id.eq(&owner.org_id))
        .filter(owners::account.eq(&owner.account))
        .filter(owners::username.eq(&owner.username))
        .select((ExportRow::as_select(), ResourceRow::as_select()))
        .load(connection)?;
    let mut export = None;
    let mut sources = Vec::with_capacity(rows.len());
    for (row, source) in rows {
        export = Some(row);
        sources.push(source);
    }
    let Some(export) = export else { return Ok(None) };
    let (export, resources) = (Export::try_from(export)?, ordered(sources)?);
    let received_bytes = match export.status {
        ExportStatus::Pending | ExportStatus::Running => uploads::received_bytes(connection, id, now)?,
        ExportStatus::Partial | ExportStatus::Complete | ExportStatus::Failed => HashMap::new(),
    };
    Ok(Some(FoundExport { export, resources, received_bytes }))
}
