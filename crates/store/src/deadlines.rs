//! Sources that nobody answers in time fail, so that every export ends (S0-deadline).

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_types};
use domain::{ResourceState, SourceError, ids::ExportId};
use uuid::Uuid;

use crate::{
    answers::write_state, error::StoreError, follow_answers::follow_answers, locked_export::try_lock_export,
    pool::Store,
};

#[derive(QueryableByName)]
struct Overdue {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Integer)]
    tries: i32,
}

/// Whether no upload is under way for the source `r` at `$1`: while one is, the source is being answered.
pub(crate) const NOT_BEING_ANSWERED: &str = "NOT EXISTS (SELECT FROM upload_attempts a \
    WHERE a.export_id = r.export_id AND a.resource_id = r.id AND a.lease_expires_at > $1)";

/// Sources past their deadline, and, while an upload is under way for them, past `overtime` as well.
fn overdue(overtime: TimeDelta) -> String {
    let overtime = overtime.num_seconds();
    format!(
        "r.status = 'pending' AND r.deadline_at <= $1 \
         AND ({NOT_BEING_ANSWERED} OR r.deadline_at <= $1 - interval '{overtime} seconds')"
    )
}

impl Store {
    /// Fails up to `limit` sources whose deadline has passed at `now`, the longest overdue first, and the
    /// others of their exports, one transaction for each export. Returns how many sources failed. Several
    /// callers at once share the work: an export that somebody has locked is left to the next call, and one
    /// that cannot be read is passed over.
    ///
    /// A source for which an upload is under way is left to it, for `overtime` after its deadline at most: whatever
    /// its application does, its customer learns then how it ended.
    ///
    /// # Errors
    /// [`StoreError`]; what was settled before stays settled.
    pub async fn fail_overdue(
        &self,
        now: DateTime<Utc>,
        overtime: TimeDelta,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let due = format!(
            "SELECT DISTINCT export_id AS id FROM (SELECT r.export_id FROM resources r \
             JOIN exports e ON e.id = r.export_id AND e.deleted_at IS NULL \
             WHERE {} AND r.export_id <> ALL($3) ORDER BY r.deadline_at LIMIT $2) due",
            overdue(overtime)
        );
        self.each_export("fail overdue", due, now, limit, move |connection, id| {
            fail_sources_of(connection, id, now, overtime)
        })
        .await
    }
}

fn fail_sources_of(
    connection: &mut PgConnection,
    id: ExportId,
    now: DateTime<Utc>,
    overtime: TimeDelta,
) -> Result<usize, StoreError> {
    let Some(locked) = try_lock_export(connection, id)? else { return Ok(0) };
    let overdue: Vec<Overdue> = diesel::sql_query(format!(
        "SELECT r.id, r.tries FROM resources r WHERE r.export_id = $2 AND {}",
        overdue(overtime)
    ))
    .bind::<sql_types::Timestamptz, _>(now)
    .bind::<sql_types::Uuid, _>(id.as_uuid())
    .load(connection)?;
    if overdue.is_empty() {
        return Ok(0);
    }
    let mut fail = |source: &Overdue| {
        let failed = ResourceState::Failed(SourceError::deadline_passed(source.tries.unsigned_abs()));
        write_state(connection, (*id.as_uuid(), source.id), &failed, now)
    };
    let failed = overdue.iter().map(&mut fail).collect::<Result<Vec<_>, _>>()?;
    follow_answers(connection, &locked, &failed, now)?;
    Ok(failed.len())
}
