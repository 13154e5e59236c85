//! What rows of the outbox hold, and how they come and go with what they tell of.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, PgConnection, QueryDsl as _, QueryableByName, RunQueryDsl as _, sql_types,
};
use domain::{Announcement, LifecycleEvent, Record, ids::ExportId};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::{StoreError, corrupt},
    schema::outbox,
};

/// What a record tells of. Each kind is leased and sent for itself: where the topic of one is missing, the
/// others go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxKind {
    /// Asks an application for the data of a source.
    Request,
    /// Tells what has happened to an export.
    Lifecycle,
    /// Tells data pipelines of delivered data.
    Announcement,
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxMessage {
    /// A request, as it was rendered when it was accepted.
    Request(Record),
    /// The facts of a lifecycle event.
    Lifecycle(LifecycleEvent),
    /// The facts of an announcement.
    Announcement(Announcement),
}

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
    pub message: OutboxMessage,
}

/// A row to write.
pub(crate) struct NewRow {
    pub(crate) export_id: Uuid,
    pub(crate) kind: OutboxKind,
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) headers: Value,
    pub(crate) payload: Vec<u8>,
}

/// A row that was leased.
#[derive(QueryableByName)]
pub(crate) struct LeasedRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(crate) id: i64,
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

impl OutboxKind {
    /// The name in the database, and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Lifecycle => "lifecycle",
            Self::Announcement => "announcement",
        }
    }
}

impl NewRow {
    pub(crate) fn request(export_id: ExportId, record: Record) -> Self {
        Self {
            export_id: export_id.into(),
            kind: OutboxKind::Request,
            topic: record.topic,
            key: record.key,
            headers: serde_json::json!(record.headers),
            payload: record.payload,
        }
    }

    pub(crate) fn lifecycle(event: &LifecycleEvent) -> Self {
        Self::facts(OutboxKind::Lifecycle, event.export_id, event)
    }

    pub(crate) fn announcement(announcement: &Announcement) -> Self {
        Self::facts(OutboxKind::Announcement, announcement.export_id, announcement)
    }

    /// Which record it becomes is decided when it is sent.
    fn facts(kind: OutboxKind, export_id: ExportId, facts: &impl Serialize) -> Self {
        Self {
            export_id: export_id.into(),
            kind,
            topic: String::new(),
            key: export_id.to_string(),
            headers: Value::Null,
            payload: serde_json::json!(facts).to_string().into_bytes(),
        }
    }
}

impl LeasedRow {
    /// The record, which has the kind that was leased.
    pub(crate) fn read(self, kind: OutboxKind) -> Result<LeasedRecord, StoreError> {
        let id = self.id;
        let broken = |column| move |error: serde_json::Error| corrupt("outbox", column, &id, error);
        let message = match kind {
            OutboxKind::Request => OutboxMessage::Request(Record {
                topic: self.topic,
                key: self.record_key,
                headers: serde_json::from_value(self.headers).map_err(broken("headers"))?,
                payload: self.payload,
            }),
            OutboxKind::Lifecycle => {
                OutboxMessage::Lifecycle(serde_json::from_slice(&self.payload).map_err(broken("payload"))?)
            }
            OutboxKind::Announcement => {
                OutboxMessage::Announcement(serde_json::from_slice(&self.payload).map_err(broken("payload"))?)
            }
        };
        Ok(LeasedRecord { id, attempts: self.attempts.unsigned_abs(), created_at: self.created_at, message })
    }
}

/// Queues records within a transaction, in their order.
pub(crate) fn enqueue(
    connection: &mut PgConnection,
    rows: Vec<NewRow>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            (
                outbox::export_id.eq(row.export_id),
                outbox::kind.eq(row.kind.as_str()),
                outbox::topic.eq(row.topic),
                outbox::record_key.eq(row.key),
                outbox::headers.eq(row.headers),
                outbox::payload.eq(row.payload),
                outbox::created_at.eq(now),
            )
        })
        .collect();
    diesel::insert_into(outbox::table).values(rows).execute(connection)?;
    Ok(())
}

/// Whether a request of an export waits to be sent. Parked ones wait for a person.
pub(crate) fn has_unsent_request(
    connection: &mut PgConnection,
    export_id: ExportId,
) -> Result<bool, StoreError> {
    let unsent = outbox::table
        .filter(outbox::export_id.eq(export_id.as_uuid()))
        .filter(outbox::kind.eq(OutboxKind::Request.as_str()))
        .filter(outbox::parked_at.is_null());
    Ok(diesel::select(diesel::dsl::exists(unsent)).get_result(connection)?)
}

/// Deletes within a transaction what nobody needs any more of the unsent records of these exports: requests
/// and announcements. What has happened to them is still told.
pub(crate) fn cancel(connection: &mut PgConnection, export_ids: &[Uuid]) -> Result<(), StoreError> {
    diesel::sql_query(
        "WITH unsent AS (SELECT id FROM outbox WHERE export_id = ANY($1) AND kind <> $2 ORDER BY id FOR UPDATE) \
         DELETE FROM outbox o USING unsent WHERE o.id = unsent.id",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(export_ids)
    .bind::<sql_types::Text, _>(OutboxKind::Lifecycle.as_str())
    .execute(connection)?;
    Ok(())
}
