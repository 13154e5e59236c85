//! A piece is stored: it counts from here on, and the last one settles the source.

use archive::gzip::Digest;
use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, PgConnection, QueryDsl as _, RunQueryDsl as _, sql_types};
use domain::{
    Answer, StoredData, UploadedData,
    ids::{AttemptId, ExportId, ResourceId, UploadId},
};
use uuid::Uuid;

use super::{ChangeState, UploadRow, lock, mark_of, signed};
use crate::{
    answers::{AnswerOutcome, lock_live_export, settle},
    error::{StoreError, corrupt},
    locked_export::LockedExport,
    pool::Store,
    schema::{resumable_uploads, upload_attempts, upload_pieces},
    uploads,
};

/// A piece whose object is stored.
#[derive(Debug, Clone)]
pub struct FinishedPiece {
    /// The upload.
    pub upload: UploadId,
    /// The attempt that has written it.
    pub attempt: AttemptId,
    /// The export.
    pub export_id: ExportId,
    /// The source.
    pub resource_id: ResourceId,
    /// Its place; the pieces from here on are replaced by it.
    pub position: i32,
    /// Its object, and what was uploaded where it was changed. A SHA-256 is that of all of the upload up to its
    /// end, the rest is about its own bytes.
    pub data: StoredData,
    /// What the SHA-256 goes on from behind it.
    pub sha256_state: Vec<u8>,
    /// What changing the data goes on from behind it, where it was changed.
    pub change: Option<ChangeState>,
    /// Until when the upload counts as an answer under way unless more arrives.
    pub counts_until: DateTime<Utc>,
    /// When the upload will be given up unless more arrives.
    pub expires_at: DateTime<Utc>,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceOutcome {
    /// It is part of the upload, of which more is to come.
    Kept,
    /// The upload was given up meanwhile.
    NoUpload,
    /// It was the last one, and the source is settled or was settled by the same bytes before; or it is
    /// refused for that reason, and its object is to be deleted.
    Answered(AnswerOutcome),
}

/// A piece of the finished upload: key, lengths of data and object, CRC-32.
type PieceRow = (String, i64, i64, i64);

impl Store {
    /// Adds a piece that `attempt` has stored. When it is the last, the source is settled as by
    /// [`Store::answer_with_data`]. Whatever the outcome, the attempt is over and an object that nothing points
    /// at is handed to `object_deletions`.
    ///
    /// # Errors
    /// [`StoreError`]; then the attempt goes on until its lease runs out.
    pub async fn commit_piece(
        &self,
        piece: FinishedPiece,
        now: DateTime<Utc>,
    ) -> Result<PieceOutcome, StoreError> {
        self.tx("commit piece", move |connection| {
            // The export's row first: everybody takes these locks in this order.
            let locked = lock_live_export(connection, piece.export_id, now)?;
            let held = uploads::end(connection, piece.attempt)?;
            let row = lock(connection, piece.upload)?;
            let refused = match (locked, row) {
                (Some(locked), Some(row)) if held && row.attempt_id == Some(*piece.attempt.as_uuid()) => {
                    return add(connection, &locked, &row, &piece, now);
                }
                (None, _) => PieceOutcome::Answered(AnswerOutcome::NoExport),
                (Some(_), None) => PieceOutcome::NoUpload,
                (Some(_), Some(_)) => PieceOutcome::Answered(AnswerOutcome::LeaseLost),
            };
            uploads::delete_object(connection, &piece.data.object_key, now)?;
            Ok(refused)
        })
        .await
    }
}

fn add(
    connection: &mut PgConnection,
    locked: &LockedExport,
    row: &UploadRow,
    piece: &FinishedPiece,
    now: DateTime<Utc>,
) -> Result<PieceOutcome, StoreError> {
    let replaced = remove_pieces(connection, row.id, piece.position)?;
    for (object_key, _) in &replaced {
        uploads::delete_object(connection, object_key, now)?;
    }
    insert(connection, row.id, piece)?;
    let folded_bytes: i64 = replaced.iter().map(|(_, uploaded)| uploaded).sum();
    let offset = row.offset_bytes - folded_bytes + signed(piece.data.uploaded().size_bytes);
    diesel::update(resumable_uploads::table.find(row.id))
        .set((
            resumable_uploads::offset_bytes.eq(offset),
            resumable_uploads::attempt_id.eq(None::<Uuid>),
            resumable_uploads::expires_at.eq(piece.expires_at),
        ))
        .execute(connection)?;
    if row.length_bytes == Some(offset) {
        return finish(connection, locked, row, piece, now).map(PieceOutcome::Answered);
    }
    diesel::update(upload_attempts::table.find(mark_of(piece.upload).as_uuid()))
        .set((
            upload_attempts::lease_expires_at.eq(piece.counts_until),
            // For the customer to see between two requests as well.
            upload_attempts::received_bytes.eq(offset),
        ))
        .execute(connection)?;
    Ok(PieceOutcome::Kept)
}

/// Removes the pieces from `position` on; their keys, and how many bytes were uploaded for them.
fn remove_pieces(
    connection: &mut PgConnection,
    upload: Uuid,
    position: i32,
) -> Result<Vec<(String, i64)>, StoreError> {
    let from_here = upload_pieces::table
        .filter(upload_pieces::upload_id.eq(upload))
        .filter(upload_pieces::position.ge(position));
    let removed: Vec<(String, i64, Option<i64>)> = diesel::delete(from_here)
        .returning((upload_pieces::object_key, upload_pieces::size_bytes, upload_pieces::uploaded_bytes))
        .get_results(connection)?;
    Ok(removed.into_iter().map(|(key, size, uploaded)| (key, uploaded.unwrap_or(size))).collect())
}

fn insert(connection: &mut PgConnection, upload: Uuid, piece: &FinishedPiece) -> Result<(), StoreError> {
    let change = piece.change.as_ref();
    let uploaded_bytes = piece.data.changed_from.map(|uploaded| signed(uploaded.size_bytes));
    diesel::insert_into(upload_pieces::table)
        .values((
            upload_pieces::upload_id.eq(upload),
            upload_pieces::position.eq(piece.position),
            upload_pieces::object_key.eq(&piece.data.object_key),
            upload_pieces::size_bytes.eq(signed(piece.data.size_bytes)),
            upload_pieces::stored_bytes.eq(signed(piece.data.stored_bytes)),
            upload_pieces::crc32.eq(i64::from(piece.data.crc32)),
            upload_pieces::sha256_state.eq(&piece.sha256_state),
            upload_pieces::uploaded_bytes.eq(uploaded_bytes),
            upload_pieces::uploaded_sha256_state.eq(change.map(|state| &state.uploaded_sha256)),
            upload_pieces::csv_state.eq(change.map(|state| &state.csv)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Settles the source with all pieces.
fn finish(
    connection: &mut PgConnection,
    locked: &LockedExport,
    row: &UploadRow,
    last: &FinishedPiece,
    now: DateTime<Utc>,
) -> Result<AnswerOutcome, StoreError> {
    let (upload, length_bytes) = (row.id, row.length_bytes.unwrap_or_default().unsigned_abs());
    let uploaded = last.data.changed_from.map(|last| UploadedData { size_bytes: length_bytes, ..last });
    let data = StoredData { changed_from: uploaded, ..data_of(connection, upload, last.data.sha256)? };
    // Before its source is settled, which may freeze the archive.
    hand_over_further(connection, upload, last)?;
    let outcome = settle(connection, locked, last.resource_id, Answer::Data(data), now)?;
    for (object_key, _) in remove_pieces(connection, upload, 0)? {
        if !matches!(outcome, AnswerOutcome::Settled(_)) {
            uploads::delete_object(connection, &object_key, now)?;
        }
    }
    uploads::end(connection, mark_of(last.upload))?;
    let row = resumable_uploads::table.find(upload);
    if matches!(outcome, AnswerOutcome::Settled(_) | AnswerOutcome::Repeated) {
        diesel::update(row).set(resumable_uploads::finished.eq(true)).execute(connection)?;
    } else {
        diesel::delete(row).execute(connection)?;
    }
    Ok(outcome)
}

/// All pieces as the data of a source: the object of the first, and what all of them hold together.
fn data_of(connection: &mut PgConnection, upload: Uuid, sha256: [u8; 32]) -> Result<StoredData, StoreError> {
    let pieces: Vec<PieceRow> = upload_pieces::table
        .filter(upload_pieces::upload_id.eq(upload))
        .order(upload_pieces::position)
        .select((
            upload_pieces::object_key,
            upload_pieces::size_bytes,
            upload_pieces::stored_bytes,
            upload_pieces::crc32,
        ))
        .load(connection)?;
    let broken = |reason: &str| corrupt("upload_pieces", "upload_id", &upload, reason);
    let out_of_range = |_| broken("a number is out of range");
    let mut all = Digest::default();
    for (_, size_bytes, _, crc32) in &pieces {
        let size_bytes = u64::try_from(*size_bytes).map_err(out_of_range)?;
        all = all.combine(Digest { crc32: u32::try_from(*crc32).map_err(out_of_range)?, size_bytes });
    }
    let (object_key, _, stored_bytes, _) = pieces.into_iter().next().ok_or_else(|| broken("no piece"))?;
    Ok(StoredData {
        object_key,
        size_bytes: all.size_bytes,
        stored_bytes: u64::try_from(stored_bytes).map_err(out_of_range)?,
        crc32: all.crc32,
        sha256,
        changed_from: None,
    })
}

/// Gives the pieces after the first to the source, if that is still to be settled.
fn hand_over_further(
    connection: &mut PgConnection,
    upload: Uuid,
    last: &FinishedPiece,
) -> Result<(), StoreError> {
    diesel::sql_query(
        "INSERT INTO resource_pieces (export_id, resource_id, position, object_key, stored_bytes) \
         SELECT r.export_id, r.id, p.position, p.object_key, p.stored_bytes \
         FROM upload_pieces p, resources r WHERE p.upload_id = $1 AND p.position > 0 \
         AND r.export_id = $2 AND r.id = $3 AND r.status = 'pending'",
    )
    .bind::<sql_types::Uuid, _>(upload)
    .bind::<sql_types::Uuid, _>(last.export_id.as_uuid())
    .bind::<sql_types::Uuid, _>(last.resource_id.as_uuid())
    .execute(connection)?;
    Ok(())
}
