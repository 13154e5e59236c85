//! What follows from answers: the export's status, the news of it, and its manifest once every source has answered.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, PgConnection, QueryDsl as _, RunQueryDsl as _};
use domain::{ExportStatus, Resource, SourceCounts, ids::ExportId};

use crate::{
    error::StoreError,
    freeze::freeze,
    locked_export::LockedExport,
    schema::{exports, resources},
    tell,
};

/// Brings the export's status in line with its sources, after those of `settled` have settled at `now`, and
/// tells of both. When that was the last, the manifest is frozen.
pub(crate) fn follow_answers(
    connection: &mut PgConnection,
    locked: &LockedExport,
    settled: &[Resource],
    now: DateTime<Utc>,
) -> Result<ExportStatus, StoreError> {
    let id = locked.export.id;
    tell::of_settled(connection, locked, settled, now)?;
    let counts = count_by_status(connection, id)?;
    let status = counts.status();
    if status == locked.export.status {
        if status.is_terminal() {
            // It had ended, and another source is lost: how many are there is news.
            tell::of_ended(connection, locked, status, counts, now)?;
        }
        return Ok(status);
    }
    let row = diesel::update(exports::table.find(id.as_uuid()));
    if status.is_terminal() {
        row.set((
            exports::status.eq(status.as_str()),
            exports::completed_at.eq(now),
            exports::requester_identity.eq(None::<String>),
        ))
        .execute(connection)?;
        tell::of_ended(connection, locked, status, counts, now)?;
        if status != ExportStatus::Failed && !locked.released {
            freeze(connection, locked, locked.frozen_revision.saturating_add(1), now)?;
        }
    } else {
        row.set(exports::status.eq(status.as_str())).execute(connection)?;
    }
    Ok(status)
}

fn count_by_status(connection: &mut PgConnection, id: ExportId) -> Result<SourceCounts, StoreError> {
    let counts: Vec<(String, i64)> = resources::table
        .filter(resources::export_id.eq(id.as_uuid()))
        .group_by(resources::status)
        .select((resources::status, diesel::dsl::count_star()))
        .load(connection)?;
    Ok(SourceCounts::of(&counts))
}
