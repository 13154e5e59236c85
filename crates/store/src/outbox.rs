//! The outbox: records for Kafka, leased by dispatchers, deleted when the broker has them.
//!
//! A lease moves `due_at` into the future and sets a token; whoever settles the row shows the token. Rows of
//! one export and kind are sent in the order of their ids: what is leased of them is always the first ones,
//! parked ones left out. Whoever locks several rows does so in the order of their ids.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, PgConnection, QueryDsl as _, RunQueryDsl as _, sql_types};
use domain::ids::LeaseToken;
use uuid::Uuid;

use crate::{
    error::StoreError,
    outbox_rows::{LeasedRecord, LeasedRow, OutboxKind},
    pool::Store,
    schema::outbox,
};

/// Leases the first due rows of one kind by id, except those behind a row of their export that is not leased
/// with them.
///
/// `due` looks at the first row of each export only, which keeps exports that wait from using up the limit.
/// It is `barrier` that keeps the order: a row may be missing from `due` because it waits for another try,
/// is leased, is locked at this moment (a dispatcher gives it back, a customer deletes the export) or
/// changed since this statement began. Whatever the reason, nothing behind it is leased. So several
/// dispatchers may lease at once.
///
/// Not a prepared statement: the outbox is empty or huge, and a plan made for one is wrong for the other.
const LEASE: &str = "\
WITH due AS (
    SELECT o.id, o.export_id FROM outbox o
    WHERE o.kind = $5 AND o.parked_at IS NULL AND o.due_at <= $1
      AND (SELECT first.due_at FROM outbox first
           WHERE first.export_id = o.export_id AND first.kind = $5 AND first.parked_at IS NULL
           ORDER BY first.id LIMIT 1) <= $1
    ORDER BY o.id LIMIT $2 FOR UPDATE SKIP LOCKED),
barrier AS (
    SELECT e.export_id, min(e.id) AS id FROM outbox e
    WHERE e.export_id IN (SELECT export_id FROM due) AND e.kind = $5 AND e.parked_at IS NULL
      AND e.id NOT IN (SELECT id FROM due)
    GROUP BY e.export_id),
leased AS (
    UPDATE outbox o SET due_at = $3, lease_token = $4, attempts = o.attempts + 1
    FROM due LEFT JOIN barrier USING (export_id)
    WHERE o.id = due.id AND (barrier.id IS NULL OR o.id < barrier.id)
    RETURNING o.id, o.attempts, o.created_at, o.topic, o.record_key, o.headers, o.payload)
SELECT * FROM leased ORDER BY id";

/// Locks those of the rows `$1` that are leased with the token `$2`.
const HELD: &str =
    "WITH held AS (SELECT id FROM outbox WHERE id = ANY($1) AND lease_token = $2 ORDER BY id FOR UPDATE)";

impl Store {
    /// Leases up to `limit` records of `kind` that are due at `now`, until `lease_expires_at`, in the order to send
    /// them. Records not settled by then are leased again, and so sent again. Several callers at once get
    /// different records. One that cannot be read is logged and parked, so that people see it and the later ones
    /// of its export go on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_records(
        &self,
        kind: OutboxKind,
        token: LeaseToken,
        now: DateTime<Utc>,
        lease_expires_at: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<LeasedRecord>, StoreError> {
        self.statement("lease records", move |connection| {
            let rows: Vec<LeasedRow> = diesel::sql_query(LEASE)
                .bind::<sql_types::Timestamptz, _>(now)
                .bind::<sql_types::BigInt, _>(i64::from(limit))
                .bind::<sql_types::Timestamptz, _>(lease_expires_at)
                .bind::<sql_types::Uuid, _>(token.as_uuid())
                .bind::<sql_types::Text, _>(kind.as_str())
                .load(connection)?;
            let mut records = Vec::with_capacity(rows.len());
            for row in rows {
                let id = row.id;
                match row.read(kind) {
                    Ok(record) => records.push(record),
                    Err(error) => {
                        tracing::error!(%error, "a record of the outbox cannot be read");
                        park(connection, token, id, &error.to_string(), now)?;
                    }
                }
            }
            Ok(records)
        })
        .await
    }

    /// Deletes records that the broker has, as far as they are still leased with `token`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`]; then they will be sent again.
    pub async fn finish_records(&self, token: LeaseToken, ids: Vec<i64>) -> Result<usize, StoreError> {
        self.statement("finish records", move |connection| {
            let sql = format!("{HELD} DELETE FROM outbox o USING held WHERE o.id = held.id");
            let finished = diesel::sql_query(sql)
                .bind::<sql_types::Array<sql_types::BigInt>, _>(&ids)
                .bind::<sql_types::Uuid, _>(token.as_uuid())
                .execute(connection)?;
            Ok(finished)
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
            let sql = format!(
                "{HELD} UPDATE outbox o SET due_at = $3, lease_token = NULL, attempts = o.attempts - $4, \
                 last_error = coalesce($5, o.last_error) FROM held WHERE o.id = held.id"
            );
            let returned = diesel::sql_query(sql)
                .bind::<sql_types::Array<sql_types::BigInt>, _>(&ids)
                .bind::<sql_types::Uuid, _>(token.as_uuid())
                .bind::<sql_types::Timestamptz, _>(due_at)
                .bind::<sql_types::Integer, _>(i32::from(error.is_none()))
                .bind::<sql_types::Nullable<sql_types::Text>, _>(&error)
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
        self.statement("park record", move |connection| park(connection, token, id, &error, now)).await
    }
}

fn park(
    connection: &mut PgConnection,
    token: LeaseToken,
    id: i64,
    error: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let held = outbox::table.find(id).filter(outbox::lease_token.eq(token.as_uuid()));
    let parked = diesel::update(held)
        .set((outbox::parked_at.eq(now), outbox::lease_token.eq(None::<Uuid>), outbox::last_error.eq(error)))
        .execute(connection)?;
    Ok(parked == 1)
}
