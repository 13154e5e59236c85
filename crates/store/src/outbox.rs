//! The outbox: records for Kafka, leased by dispatchers, deleted when the broker has them.
//!
//! A lease moves `due_at` into the future and sets a token; whoever settles the row shows the token. Rows of
//! one export are sent in the order of their ids: a row is not leased while an earlier one of its export is
//! leased by somebody else or waits for another try.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, NullableExpressionMethods as _, OptionalExtension as _, PgConnection,
    QueryDsl as _, QueryableByName, RunQueryDsl as _, sql_types,
};
use domain::{
    Record,
    ids::{ExportId, LeaseToken},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{error::StoreError, pool::Store, schema::outbox};

/// The key of the advisory lock that makes leasing take turns: "outbox" in ASCII.
const LEASE_LOCK: i64 = 0x006f_7574_626f_7800;

/// A record leased for sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedRecord {
    /// Its row.
    pub id: i64,
    /// How often it was tried, this time included.
    pub attempts: u32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// What to send.
    pub record: Record,
}

/// How much waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxDepth {
    /// Records waiting or being sent.
    pub waiting: i64,
    /// When the oldest of them was written.
    pub oldest: Option<DateTime<Utc>>,
    /// Records set aside after too many failures.
    pub parked: i64,
}

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRecord {
    /// Its row.
    pub id: i64,
    /// The export it belongs to.
    pub export_id: ExportId,
    /// Where it was to go.
    pub topic: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was set aside.
    pub parked_at: DateTime<Utc>,
    /// Why.
    pub last_error: String,
}

#[derive(QueryableByName)]
struct LeasedRow {
    #[diesel(sql_type = sql_types::BigInt)]
    id: i64,
    #[diesel(sql_type = sql_types::Integer)]
    attempts: i32,
    #[diesel(sql_type = sql_types::Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Text)]
    topic: String,
    #[diesel(sql_type = sql_types::Text)]
    record_key: String,
    #[diesel(sql_type = sql_types::Json)]
    headers: Value,
    #[diesel(sql_type = sql_types::Binary)]
    payload: Vec<u8>,
}

impl TryFrom<LeasedRow> for LeasedRecord {
    type Error = StoreError;

    fn try_from(row: LeasedRow) -> Result<Self, StoreError> {
        let headers = serde_json::from_value(row.headers).map_err(|error| StoreError::Corrupt {
            table: "outbox",
            column: "headers",
            row: row.id.to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            id: row.id,
            attempts: row.attempts.unsigned_abs(),
            created_at: row.created_at,
            record: Record { topic: row.topic, key: row.record_key, headers, payload: row.payload },
        })
    }
}

/// Leasing takes turns (the advisory lock), because two sessions at once would each lease a part of one
/// export. Rows that a deletion has locked are skipped. The first `limit` due rows by id hold every earlier
/// due row of each export among them, so that the prefix of each export is leased whole.
const LEASE: &str = "\
WITH due AS (
    SELECT o.id FROM outbox o
    WHERE o.parked_at IS NULL AND o.due_at <= $1
      AND NOT EXISTS (SELECT FROM outbox e WHERE e.export_id = o.export_id AND e.id < o.id
                      AND e.parked_at IS NULL AND e.due_at > $1)
    ORDER BY o.id LIMIT $2 FOR UPDATE SKIP LOCKED),
leased AS (
    UPDATE outbox o SET due_at = $3, lease_token = $4, attempts = o.attempts + 1
    FROM due WHERE o.id = due.id
    RETURNING o.id, o.attempts, o.created_at, o.topic, o.record_key, o.headers, o.payload)
SELECT * FROM leased ORDER BY id";

impl Store {
    /// Leases up to `limit` records that are due at `now`, until `lease_expires_at`, in the order to send
    /// them. Records not settled by then are leased again, and so sent again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_records(
        &self,
        token: LeaseToken,
        now: DateTime<Utc>,
        lease_expires_at: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<LeasedRecord>, StoreError> {
        self.tx("lease records", move |connection| {
            diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
                .bind::<sql_types::BigInt, _>(LEASE_LOCK)
                .execute(connection)?;
            let rows: Vec<LeasedRow> = diesel::sql_query(LEASE)
                .bind::<sql_types::Timestamptz, _>(now)
                .bind::<sql_types::BigInt, _>(i64::from(limit))
                .bind::<sql_types::Timestamptz, _>(lease_expires_at)
                .bind::<sql_types::Uuid, _>(token.as_uuid())
                .load(connection)?;
            rows.into_iter().map(LeasedRecord::try_from).collect()
        })
        .await
    }

    /// Deletes records that the broker has, as far as they are still leased with `token`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`]; then they will be sent again.
    pub async fn finish_records(&self, token: LeaseToken, ids: Vec<i64>) -> Result<usize, StoreError> {
        self.statement("finish records", move |connection| {
            let sent =
                outbox::table.filter(outbox::id.eq_any(&ids)).filter(outbox::lease_token.eq(token.as_uuid()));
            Ok(diesel::delete(sent).execute(connection)?)
        })
        .await
    }

    /// Gives records back, to be tried again at `due_at`, as far as they are still leased with `token`. With
    /// `error` None they were not tried at all, and the try does not count.
    ///
    /// # Errors
    /// [`StoreError`]; then they are due when their lease ends.
    pub async fn return_records(
        &self,
        token: LeaseToken,
        ids: Vec<i64>,
        due_at: DateTime<Utc>,
        error: Option<String>,
    ) -> Result<usize, StoreError> {
        self.statement("return records", move |connection| {
            let held =
                outbox::table.filter(outbox::id.eq_any(&ids)).filter(outbox::lease_token.eq(token.as_uuid()));
            let uncounted = i32::from(error.is_none());
            let returned = diesel::update(held)
                .set((
                    outbox::due_at.eq(due_at),
                    outbox::lease_token.eq(None::<Uuid>),
                    outbox::attempts.eq(outbox::attempts - uncounted),
                    error.as_ref().map(|error| outbox::last_error.eq(error)),
                ))
                .execute(connection)?;
            Ok(returned)
        })
        .await
    }

    /// Sets a record aside, if it is still leased with `token`. The later ones of its export go on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn park_record(
        &self,
        token: LeaseToken,
        id: i64,
        error: String,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.statement("park record", move |connection| {
            let held = outbox::table.find(id).filter(outbox::lease_token.eq(token.as_uuid()));
            let parked = diesel::update(held)
                .set((
                    outbox::parked_at.eq(now),
                    outbox::lease_token.eq(None::<Uuid>),
                    outbox::last_error.eq(&error),
                ))
                .execute(connection)?;
            Ok(parked == 1)
        })
        .await
    }

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
                    outbox::topic,
                    outbox::attempts,
                    outbox::parked_at.assume_not_null(),
                    outbox::last_error,
                ))
                .load::<(i64, Uuid, String, i32, DateTime<Utc>, Option<String>)>(connection)?;
            let parked =
                |(id, export_id, topic, attempts, parked_at, last_error): (_, Uuid, _, _, _, Option<_>)| {
                    let (export_id, last_error) = (export_id.into(), last_error.unwrap_or_default());
                    ParkedRecord { id, export_id, topic, attempts, parked_at, last_error }
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
            let mut parked = diesel::update(outbox::table)
                .filter(outbox::parked_at.is_not_null())
                .set((
                    outbox::parked_at.eq(None::<DateTime<Utc>>),
                    outbox::due_at.eq(now),
                    outbox::attempts.eq(0),
                ))
                .into_boxed();
            if let Some(ids) = &ids {
                parked = parked.filter(outbox::id.eq_any(ids));
            }
            Ok(parked.execute(connection)?)
        })
        .await
    }

    /// How much waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        self.statement("outbox depth", |connection| {
            let waiting = outbox::table.filter(outbox::parked_at.is_null());
            let oldest = waiting
                .order(outbox::id)
                .select(outbox::created_at)
                .first::<DateTime<Utc>>(connection)
                .optional()?;
            let parked = outbox::table.filter(outbox::parked_at.is_not_null());
            Ok(OutboxDepth {
                waiting: waiting.count().get_result(connection)?,
                oldest,
                parked: parked.count().get_result(connection)?,
            })
        })
        .await
    }
}

/// Queues a record of an export within a transaction.
pub(crate) fn enqueue(
    connection: &mut PgConnection,
    export_id: ExportId,
    record: &Record,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(outbox::table)
        .values((
            outbox::export_id.eq(export_id.as_uuid()),
            outbox::topic.eq(&record.topic),
            outbox::record_key.eq(&record.key),
            outbox::headers.eq(serde_json::json!(record.headers)),
            outbox::payload.eq(&record.payload),
            outbox::created_at.eq(now),
            outbox::due_at.eq(now),
        ))
        .execute(connection)?;
    Ok(())
}
