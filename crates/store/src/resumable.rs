//! Uploads over several requests (S0-tus): what arrived is durable, piece by piece.
//!
//! An upload that is not finished has a row of `upload_attempts` with its own id. No object has that row's key; its
//! lease says for how long the source counts as being answered while no request adds to the upload. The row stays
//! after that, as long as the upload. Each piece has an attempt of its own, as any object that is being written; who
//! holds it is the only one who may add to the upload.

mod begin;
mod commit;
mod end;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, PgConnection, QueryDsl as _, Queryable, RunQueryDsl as _,
    Selectable, SelectableHelper as _,
};
use domain::ids::{AttemptId, ExportId, ResourceId, UploadId};
use uuid::Uuid;

pub use self::{
    begin::{ChangeState, PieceBegin, PieceRequest, PieceStart},
    commit::{FinishedPiece, PieceOutcome},
};
use crate::{
    error::{StoreError, corrupt},
    pool::Store,
    schema::resumable_uploads,
    uploads::{NewAttempt, insert_attempt},
};

/// A resumable upload to begin.
#[derive(Debug, Clone)]
pub struct NewResumableUpload {
    /// Its id.
    pub id: UploadId,
    /// The export.
    pub export_id: ExportId,
    /// The source.
    pub resource_id: ResourceId,
    /// A key that nothing will be stored under.
    pub object_key: String,
    /// How many bytes there will be, if that is known.
    pub length_bytes: Option<u64>,
    /// `Upload-Metadata`, as it came.
    pub metadata: Option<String>,
    /// Until when it counts as an answer under way unless more arrives.
    pub counts_until: DateTime<Utc>,
    /// When it will be given up unless more arrives.
    pub expires_at: DateTime<Utc>,
}

/// How far a resumable upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumableUpload {
    /// How many bytes there will be, if that is known.
    pub length_bytes: Option<u64>,
    /// How many are durable.
    pub offset_bytes: u64,
    /// `Upload-Metadata`, as it came.
    pub metadata: Option<String>,
    /// When it will be given up unless more arrives.
    pub expires_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = resumable_uploads, check_for_backend(diesel::pg::Pg))]
struct UploadRow {
    id: Uuid,
    length_bytes: Option<i64>,
    offset_bytes: i64,
    metadata: Option<String>,
    expires_at: DateTime<Utc>,
    attempt_id: Option<Uuid>,
    finished: bool,
}

impl TryFrom<UploadRow> for ResumableUpload {
    type Error = StoreError;

    fn try_from(row: UploadRow) -> Result<Self, StoreError> {
        let unsigned = |column, value: i64| {
            u64::try_from(value).map_err(|error| corrupt("resumable_uploads", column, &row.id, error))
        };
        Ok(Self {
            length_bytes: row.length_bytes.map(|length| unsigned("length_bytes", length)).transpose()?,
            offset_bytes: unsigned("offset_bytes", row.offset_bytes)?,
            metadata: row.metadata,
            expires_at: row.expires_at,
        })
    }
}

impl Store {
    /// Notes a resumable upload, of which nothing has arrived.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_resumable(&self, upload: NewResumableUpload) -> Result<(), StoreError> {
        self.tx("begin resumable", move |connection| {
            diesel::insert_into(resumable_uploads::table)
                .values((
                    resumable_uploads::id.eq(upload.id.as_uuid()),
                    resumable_uploads::export_id.eq(upload.export_id.as_uuid()),
                    resumable_uploads::resource_id.eq(upload.resource_id.as_uuid()),
                    resumable_uploads::length_bytes.eq(upload.length_bytes.map(signed)),
                    resumable_uploads::metadata.eq(&upload.metadata),
                    resumable_uploads::expires_at.eq(upload.expires_at),
                ))
                .execute(connection)?;
            let mark = NewAttempt {
                id: mark_of(upload.id),
                export_id: upload.export_id,
                resource_id: upload.resource_id,
                object_key: upload.object_key.clone(),
                lease_expires_at: upload.counts_until,
            };
            insert_attempt(connection, &mark)
        })
        .await
    }

    /// The upload `id` for that source; None where there is none, or it was given up. One that has finished is
    /// there until it expires.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_resumable(
        &self,
        export_id: ExportId,
        resource_id: ResourceId,
        id: UploadId,
    ) -> Result<Option<ResumableUpload>, StoreError> {
        self.statement("find resumable", move |connection| {
            let row = resumable_uploads::table
                .find(id.as_uuid())
                .filter(resumable_uploads::export_id.eq(export_id.as_uuid()))
                .filter(resumable_uploads::resource_id.eq(resource_id.as_uuid()))
                .select(UploadRow::as_select())
                .get_result(connection)
                .optional()?;
            row.map(ResumableUpload::try_from).transpose()
        })
        .await
    }
}

/// The attempt that stands for a whole upload.
fn mark_of(upload: UploadId) -> AttemptId {
    Uuid::from(upload).into()
}

/// Locks the upload `id`.
fn lock(connection: &mut PgConnection, id: UploadId) -> Result<Option<UploadRow>, StoreError> {
    let locked = resumable_uploads::table
        .find(id.as_uuid())
        .for_update()
        .select(UploadRow::as_select())
        .get_result(connection)
        .optional()?;
    Ok(locked)
}

/// A count of bytes as the database has it; the limit of uploads is far below what that holds.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
