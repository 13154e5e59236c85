//! Looking after the outbox: how much waits, and what was set aside.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, NullableExpressionMethods as _, QueryDsl as _, QueryableByName, RunQueryDsl as _,
    sql_types,
};
use domain::ids::ExportId;
use uuid::Uuid;

use crate::{error::StoreError, outbox_rows::OutboxKind, pool::Store, schema::outbox};

/// Counting goes no further.
const MAX_DEPTH: i64 = 100_000;

/// How much of one kind waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct OutboxDepth {
    /// Records waiting or being sent; 100,000 stands for that many or more.
    #[diesel(sql_type = sql_types::BigInt)]
    pub waiting: i64,
    /// When the oldest of them was written.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    pub oldest: Option<DateTime<Utc>>,
    /// Records set aside after too many failures.
    #[diesel(sql_type = sql_types::BigInt)]
    pub parked: i64,
}

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRecord {
    /// Its row.
    pub id: i64,
    /// The export it belongs to.
    pub export_id: ExportId,
    /// What it tells of: `request`, `lifecycle`, `announcement`.
    pub kind: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was set aside.
    pub parked_at: DateTime<Utc>,
    /// Why.
    pub last_error: String,
}

impl Store {
    /// The oldest parked records, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn parked_records(&self, limit: u32) -> Result<Vec<ParkedRecord>, StoreError> {
        self.statement("parked records", move |connection| {
            let rows = outbox::table
                .filter(outbox::parked_at.is_not_null())
                .order(outbox::parked_at)
                .limit(i64::from(limit))
                .select((
                    outbox::id,
                    outbox::export_id,
                    outbox::kind,
                    outbox::attempts,
                    outbox::parked_at.assume_not_null(),
                    outbox::last_error,
                ))
                .load::<(i64, Uuid, String, i32, DateTime<Utc>, Option<String>)>(connection)?;
            let parked =
                |(id, export_id, kind, attempts, parked_at, last_error): (_, Uuid, _, _, _, Option<_>)| {
                    let (export_id, last_error) = (export_id.into(), last_error.unwrap_or_default());
                    ParkedRecord { id, export_id, kind, attempts, parked_at, last_error }
                };
            Ok(rows.into_iter().map(parked).collect())
        })
        .await
    }

    /// Lets parked records be sent again at `now`: those with `ids`, or all when None. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn requeue_records(
        &self,
        ids: Option<Vec<i64>>,
        now: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        self.statement("requeue records", move |connection| {
            // Locked in the order of their ids, as everywhere.
            let requeued = diesel::sql_query(
                "WITH parked AS (SELECT id FROM outbox WHERE parked_at IS NOT NULL \
                 AND ($1 IS NULL OR id = ANY($1)) ORDER BY id FOR UPDATE) \
                 UPDATE outbox o SET parked_at = NULL, due_at = $2, attempts = 0 FROM parked WHERE o.id = parked.id",
            )
            .bind::<sql_types::Nullable<sql_types::Array<sql_types::BigInt>>, _>(&ids)
            .bind::<sql_types::Timestamptz, _>(now)
            .execute(connection)?;
            Ok(requeued)
        })
        .await
    }

    /// Deletes up to `limit` records of `kind`, which are not wanted. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn discard_records(&self, kind: OutboxKind, limit: u32) -> Result<usize, StoreError> {
        self.statement("discard records", move |connection| {
            let discarded = diesel::sql_query(
                "WITH unwanted AS (SELECT id FROM outbox WHERE kind = $1 ORDER BY id LIMIT $2 \
                 FOR UPDATE SKIP LOCKED) \
                 DELETE FROM outbox o USING unwanted WHERE o.id = unwanted.id",
            )
            .bind::<sql_types::Text, _>(kind.as_str())
            .bind::<sql_types::BigInt, _>(i64::from(limit))
            .execute(connection)?;
            Ok(discarded)
        })
        .await
    }

    /// How much of `kind` waits. Counted up to 100,000 records, so that asking costs little when the broker has been
    /// away for long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_depth(&self, kind: OutboxKind) -> Result<OutboxDepth, StoreError> {
        self.statement("outbox depth", move |connection| {
            // All of them can be counted in an index, those that wait cannot.
            let depth = diesel::sql_query(
                "SELECT total.n - parked.n AS waiting, parked.n AS parked, \
                 (SELECT created_at FROM outbox WHERE kind = $2 AND parked_at IS NULL ORDER BY id LIMIT 1) AS oldest \
                 FROM (SELECT count(*) AS n FROM outbox WHERE kind = $2 AND parked_at IS NOT NULL) parked, LATERAL \
                 (SELECT count(*) AS n FROM (SELECT id FROM outbox WHERE kind = $2 ORDER BY id LIMIT $1 + parked.n) o) total",
            )
            .bind::<sql_types::BigInt, _>(MAX_DEPTH)
            .bind::<sql_types::Text, _>(kind.as_str())
            .get_result(connection)?;
            Ok(depth)
        })
        .await
    }
}
