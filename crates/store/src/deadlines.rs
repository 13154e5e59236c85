//! Sources that nobody answers in time fail, so that every export ends (S0-deadline).

use chrono::{DateTime, Utc};
use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_types};
use domain::{ResourceState, SourceError, ids::ExportId};
use uuid::Uuid;

use crate::{
    answers::write_state,
    error::StoreError,
    freeze::{follow_answers, lock_export},
    pool::Store,
};

#[derive(QueryableByName)]
struct Overdue {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

/// Sources past their deadline. One whose upload is under way is being answered, and not overdue.
const OVERDUE: &str = "status = 'pending' AND deadline_at <= $1 AND NOT EXISTS (SELECT FROM upload_attempts a \
                       WHERE a.export_id = r.export_id AND a.resource_id = r.id AND a.lease_expires_at > $1)";

impl Store {
    /// Fails the sources whose deadline has passed at `now`, of up to `limit` exports, one transaction for
    /// each export. Returns how many exports it dealt with; several callers at once share the work.
    ///
    /// # Errors
    /// [`StoreError`]; what was settled before stays settled.
    pub async fn fail_overdue(&self, now: DateTime<Utc>, limit: u32) -> Result<usize, StoreError> {
        let due = self
            .statement("find overdue", move |connection| {
                let sql =
                    format!("SELECT DISTINCT r.export_id AS id FROM resources r WHERE {OVERDUE} LIMIT $2");
                let due: Vec<Overdue> = diesel::sql_query(sql)
                    .bind::<sql_types::Timestamptz, _>(now)
                    .bind::<sql_types::BigInt, _>(i64::from(limit))
                    .load(connection)?;
                Ok(due)
            })
            .await?;
        for export in &due {
            let id = ExportId::from(export.id);
            self.tx("fail overdue", move |connection| fail_sources_of(connection, id, now)).await?;
        }
        Ok(due.len())
    }
}

fn fail_sources_of(
    connection: &mut PgConnection,
    id: ExportId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(locked) = lock_export(connection, id)? else { return Ok(()) };
    let overdue: Vec<Overdue> =
        diesel::sql_query(format!("SELECT r.id FROM resources r WHERE r.export_id = $2 AND {OVERDUE}"))
            .bind::<sql_types::Timestamptz, _>(now)
            .bind::<sql_types::Uuid, _>(id.as_uuid())
            .load(connection)?;
    if overdue.is_empty() {
        return Ok(());
    }
    let failed = ResourceState::Failed(SourceError::deadline_passed());
    for source in &overdue {
        write_state(connection, (*id.as_uuid(), source.id), &failed, now)?;
    }
    follow_answers(connection, &locked, now)?;
    Ok(())
}
