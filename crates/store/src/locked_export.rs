//! The lock of an export's row, which every change to its sources takes first.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, PgConnection, QueryDsl as _, RunQueryDsl as _,
    SelectableHelper as _,
};
use domain::{Export, Owner, ids::ExportId};

use crate::{
    error::StoreError,
    rows::{ExportRow, OwnerRow},
    schema::{exports, owners},
};

/// An export whose row is locked by this transaction.
pub(crate) struct LockedExport {
    pub(crate) export: Export,
    pub(crate) owner: Owner,
    pub(crate) released: bool,
    /// Of the manifest it had when a source of it was retried; 0 for none.
    pub(crate) frozen_revision: u32,
}

/// A row of `exports` with its owner, the time of its release, and the revision it had before a retry.
type LockedRow = (ExportRow, i64, Option<DateTime<Utc>>, i32);

/// The query for an export that was not deleted, whose type is too long to name.
macro_rules! live_export {
    ($id:expr) => {
        exports::table.filter(exports::id.eq($id.as_uuid())).filter(exports::deleted_at.is_null()).select((
            ExportRow::as_select(),
            exports::owner_id,
            exports::released_at,
            exports::frozen_revision,
        ))
    };
}

/// Locks the export `id`; None where there is none or it was deleted.
///
/// Every change to the sources of an export starts here. Without the lock, two concurrent last answers
/// would each see the other source pending, and nobody would end the export.
pub(crate) fn lock_export(
    connection: &mut PgConnection,
    id: ExportId,
) -> Result<Option<LockedExport>, StoreError> {
    let row = live_export!(id).for_update().get_result::<LockedRow>(connection).optional()?;
    row.map(|row| locked(connection, row)).transpose()
}

/// Locks the export `id` unless somebody else has: for background work, which comes back later. None as
/// with [`lock_export`], and when it is locked.
pub(crate) fn try_lock_export(
    connection: &mut PgConnection,
    id: ExportId,
) -> Result<Option<LockedExport>, StoreError> {
    let row = live_export!(id).for_update().skip_locked().get_result::<LockedRow>(connection).optional()?;
    row.map(|row| locked(connection, row)).transpose()
}

fn locked(connection: &mut PgConnection, row: LockedRow) -> Result<LockedExport, StoreError> {
    let (row, owner_id, released_at, frozen_revision) = row;
    let owner = owners::table
        .find(owner_id)
        .select(OwnerRow::as_select())
        .get_result::<OwnerRow>(connection)
        .map(Owner::from)?;
    Ok(LockedExport {
        export: row.try_into()?,
        owner,
        released: released_at.is_some(),
        frozen_revision: frozen_revision.unsigned_abs(),
    })
}
