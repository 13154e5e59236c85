//! A request that brings more of an upload begins to write its piece.

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, PgConnection, QueryDsl as _, Queryable,
    RunQueryDsl as _, Selectable, SelectableHelper as _, dsl::exists,
};
use domain::{
    StoredPiece,
    ids::{ExportId, ResourceId, UploadId},
    pieces_to_fold,
};
use uuid::Uuid;

use super::{ResumableUpload, UploadRow, lock, signed};
use crate::{
    error::{StoreError, corrupt},
    pool::Store,
    schema::{resumable_uploads, upload_attempts, upload_pieces},
    uploads::{NewAttempt, insert_attempt},
};

/// How many of the last pieces decide whether some are folded.
const RECENT: i64 = 24;

/// A request to add a piece.
#[derive(Debug, Clone)]
pub struct PieceRequest {
    /// The upload.
    pub upload: UploadId,
    /// The attempt to write the piece; its lease keeps others from the upload.
    pub attempt: NewAttempt,
    /// Where the client means to go on.
    pub offset_bytes: u64,
    /// How many bytes there will be, if the client says so now.
    pub length_bytes: Option<u64>,
    /// How many bytes the client brings, if it says so.
    pub body_bytes: Option<u64>,
}

/// Whether a piece may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceBegin {
    /// It may, for as long as its attempt is leased.
    Begun(PieceStart),
    /// There is no such upload for this source.
    NotFound,
    /// It was not continued in time.
    Expired,
    /// Another request is adding to it.
    Busy,
    /// So many bytes are durable, and the client means to go on elsewhere.
    OtherOffset(u64),
    /// The client named another length before, or has sent more than this one.
    OtherLength,
    /// All has arrived, and the source was settled.
    Finished,
}

/// Where a piece begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceStart {
    /// How many bytes there will be, if that is known.
    pub length_bytes: Option<u64>,
    /// Its place among the pieces.
    pub position: i32,
    /// How many bytes of the upload lie in the pieces before it.
    pub begins_at: u64,
    /// What their SHA-256 goes on from; None before the first.
    pub sha256_state: Option<Vec<u8>>,
    /// The pieces whose data the new one begins with and which it replaces.
    pub folded: Vec<StoredPiece>,
    /// What changing the data goes on from at the upload's offset; None before the first piece, and where it is
    /// not changed.
    pub change: Option<ChangeState>,
}

/// What changing the data of an upload goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeState {
    /// State of the SHA-256 of what the client has sent.
    pub uploaded_sha256: Vec<u8>,
    /// State of the CSV.
    pub csv: Vec<u8>,
}

/// A piece of an unfinished upload.
#[derive(Queryable, Selectable)]
#[diesel(table_name = upload_pieces, check_for_backend(diesel::pg::Pg))]
struct PieceRow {
    position: i32,
    object_key: String,
    size_bytes: i64,
    stored_bytes: i64,
    sha256_state: Vec<u8>,
    uploaded_bytes: Option<i64>,
    uploaded_sha256_state: Option<Vec<u8>>,
    csv_state: Option<Vec<u8>>,
}

impl Store {
    /// Begins to write a piece: notes its attempt, which must happen before the first byte is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_piece(
        &self,
        request: PieceRequest,
        now: DateTime<Utc>,
    ) -> Result<PieceBegin, StoreError> {
        self.tx("begin piece", move |connection| {
            let (export_id, resource_id) = (request.attempt.export_id, request.attempt.resource_id);
            let Some(row) = lock(connection, request.upload)? else { return Ok(PieceBegin::NotFound) };
            if !is_of(connection, &row, export_id, resource_id)? {
                return Ok(PieceBegin::NotFound);
            }
            let busy = row.attempt_id.map(|attempt| is_live(connection, attempt, now)).transpose()?;
            let (finished, id) = (row.finished, row.id);
            let upload = ResumableUpload::try_from(row)?;
            let length_bytes = upload.length_bytes.or(request.length_bytes);
            if busy == Some(true) {
                Ok(PieceBegin::Busy)
            } else if upload.expires_at <= now {
                Ok(PieceBegin::Expired)
            } else if upload.offset_bytes != request.offset_bytes {
                Ok(PieceBegin::OtherOffset(upload.offset_bytes))
            } else if finished {
                Ok(PieceBegin::Finished)
            } else if request.length_bytes.is_some_and(|length| Some(length) != length_bytes)
                || length_bytes.is_some_and(|length| length < upload.offset_bytes)
            {
                Ok(PieceBegin::OtherLength)
            } else {
                take(connection, id, &request, length_bytes)?;
                // Nothing is read back at the end.
                let end = request.body_bytes.map(|bytes| upload.offset_bytes.saturating_add(bytes));
                let is_last = length_bytes.is_some_and(|length| end.is_some_and(|end| end >= length));
                start(connection, id, &upload, length_bytes, !is_last).map(PieceBegin::Begun)
            }
        })
        .await
    }
}

fn is_of(
    connection: &mut PgConnection,
    row: &UploadRow,
    export_id: ExportId,
    resource_id: ResourceId,
) -> Result<bool, StoreError> {
    let same = resumable_uploads::table
        .find(row.id)
        .filter(resumable_uploads::export_id.eq(export_id.as_uuid()))
        .filter(resumable_uploads::resource_id.eq(resource_id.as_uuid()));
    Ok(diesel::select(exists(same)).get_result(connection)?)
}

/// Whether an attempt is under way.
fn is_live(connection: &mut PgConnection, attempt: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let live = upload_attempts::table
        .filter(upload_attempts::id.eq(attempt).and(upload_attempts::lease_expires_at.gt(now)));
    Ok(diesel::select(exists(live)).get_result(connection)?)
}

/// Gives the upload to the attempt of `request`. Whoever had it before and lost its lease can commit nothing.
fn take(
    connection: &mut PgConnection,
    id: Uuid,
    request: &PieceRequest,
    length_bytes: Option<u64>,
) -> Result<(), StoreError> {
    diesel::update(resumable_uploads::table.find(id))
        .set((
            resumable_uploads::attempt_id.eq(request.attempt.id.as_uuid()),
            resumable_uploads::length_bytes.eq(length_bytes.map(signed)),
        ))
        .execute(connection)?;
    insert_attempt(connection, &request.attempt)
}

fn start(
    connection: &mut PgConnection,
    id: Uuid,
    upload: &ResumableUpload,
    length_bytes: Option<u64>,
    may_fold: bool,
) -> Result<PieceStart, StoreError> {
    let mut recent: Vec<PieceRow> = upload_pieces::table
        .filter(upload_pieces::upload_id.eq(id))
        .order(upload_pieces::position.desc())
        .limit(RECENT)
        .select(PieceRow::as_select())
        .load(connection)?;
    recent.reverse();
    let unsigned = |column, value: i64| {
        u64::try_from(value).map_err(|error| corrupt("upload_pieces", column, &id, error))
    };
    let change = recent.last().and_then(PieceRow::change);
    let sizes = recent.iter().map(|piece| unsigned("size_bytes", piece.size_bytes));
    let sizes: Vec<u64> = sizes.collect::<Result<_, _>>()?;
    let kept = recent.len() - if may_fold { pieces_to_fold(&sizes) } else { 0 };
    let position = match (recent.get(kept), recent.last()) {
        (Some(first_folded), _) => first_folded.position,
        (None, Some(last)) => last.position + 1,
        (None, None) => 0,
    };
    let (mut folded, mut begins_at) = (Vec::new(), upload.offset_bytes);
    for piece in recent.split_off(kept) {
        let stored_bytes = unsigned("stored_bytes", piece.stored_bytes)?;
        begins_at = begins_at.saturating_sub(unsigned("uploaded_bytes", piece.uploaded())?);
        folded.push(StoredPiece { object_key: piece.object_key, stored_bytes });
    }
    let sha256_state = match recent.pop() {
        Some(before) => Some(before.sha256_state),
        None if position == 0 => None,
        // All that were looked at are folded: the one before them has the state.
        None => Some(state_before(connection, id, position)?),
    };
    Ok(PieceStart { length_bytes, position, begins_at, sha256_state, folded, change })
}

impl PieceRow {
    /// How many bytes the client has sent for it.
    fn uploaded(&self) -> i64 {
        self.uploaded_bytes.unwrap_or(self.size_bytes)
    }

    fn change(&self) -> Option<ChangeState> {
        let (uploaded_sha256, csv) = (self.uploaded_sha256_state.clone()?, self.csv_state.clone()?);
        Some(ChangeState { uploaded_sha256, csv })
    }
}

fn state_before(connection: &mut PgConnection, id: Uuid, position: i32) -> Result<Vec<u8>, StoreError> {
    let state = upload_pieces::table
        .find((id, position - 1))
        .select(upload_pieces::sha256_state)
        .get_result(connection)?;
    Ok(state)
}
