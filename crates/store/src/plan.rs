//! What the expiry-reaper would do, for its dry run.

use chrono::{DateTime, Utc};
use diesel::{QueryableByName, RunQueryDsl as _, sql_types};

use crate::{error::StoreError, pool::Store};

/// How much is due.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct ReapPlan {
    /// Deleted exports to purge.
    #[diesel(sql_type = sql_types::BigInt)]
    pub deleted: i64,
    /// Expired exports whose objects are to go.
    #[diesel(sql_type = sql_types::BigInt)]
    pub expired: i64,
    /// Sources that expired ahead of their export, whose objects are to go.
    #[diesel(sql_type = sql_types::BigInt)]
    pub expired_sources: i64,
    /// Released exports whose rows are to go.
    #[diesel(sql_type = sql_types::BigInt)]
    pub purges: i64,
    /// Uploads past their lease.
    #[diesel(sql_type = sql_types::BigInt)]
    pub uploads: i64,
    /// Objects to delete.
    #[diesel(sql_type = sql_types::BigInt)]
    pub objects: i64,
}

impl Store {
    /// Counts what is due at `now`: releases of what ended at or before `release_before`, purges of what was
    /// released at or before `purge_before`. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reap_plan(
        &self,
        release_before: DateTime<Utc>,
        purge_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<ReapPlan, StoreError> {
        self.statement("reap plan", move |connection| {
            let plan = diesel::sql_query(
                "SELECT (SELECT count(*) FROM exports WHERE deleted_at <= $1) AS deleted, \
                 (SELECT count(*) FROM exports WHERE released_at IS NULL AND deleted_at IS NULL AND expires_at <= $1) \
                  AS expired, \
                 (SELECT count(*) FROM resources r JOIN exports e ON e.id = r.export_id WHERE r.status = 'complete' \
                  AND r.object_released_at IS NULL AND r.expires_at <= $1 AND r.expires_at < e.expires_at \
                  AND e.released_at IS NULL AND e.deleted_at IS NULL) AS expired_sources, \
                 (SELECT count(*) FROM exports WHERE released_at <= $2 AND deleted_at IS NULL) AS purges, \
                 (SELECT count(*) FROM upload_attempts WHERE lease_expires_at <= $3) AS uploads, \
                 (SELECT count(*) FROM object_deletions WHERE due_at <= $3) AS objects",
            )
            .bind::<sql_types::Timestamptz, _>(release_before)
            .bind::<sql_types::Timestamptz, _>(purge_before)
            .bind::<sql_types::Timestamptz, _>(now)
            .get_result(connection)?;
            Ok(plan)
        })
        .await
    }
}
